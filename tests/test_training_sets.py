"""Training sets of any size, and the same training set again after the store has moved on."""

from __future__ import annotations

import json
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import featurestore as fs
from tests.test_client import ACTIVITY, HISTORY, OBJECTS, SHANGHAI, rows, spine

MORE = rows(
    (6, datetime(2024, 1, 15), 1, 40),  # late: behind rows that have been read
    (7, datetime(2024, 3, 1), 2, 60),
    (2, datetime(2024, 1, 10, 23, 59), 1, 501, datetime(2024, 3, 2)),  # a correction
)
ASKED = [(user, datetime(2024, 2, day)) for day in (1, 2, 20) for user in (1, 2, 3)]


@pytest.fixture
def store(tmp_path) -> fs.FeatureStore:
    made = fs.FeatureStore(tmp_path / "store", timezone="Asia/Shanghai")
    made.apply(OBJECTS)
    made.ingest("events", HISTORY)
    made.materialize()
    return made


@pytest.mark.parametrize("form", ["table", "schema", "json"])
def test_the_same_call_pinned_to_its_versions_gives_an_equal_table_after_more_data(store, form: str) -> None:
    first = store.get_historical_features(spine(*ASKED), "recommendation_v1")
    versions = {"table": first, "schema": first.schema, "json": json.loads(first.schema.metadata[b"featurestore"])}[form]
    store.ingest("events", MORE)
    pinned = store.get_historical_features(spine(*ASKED), "recommendation_v1", versions=versions)
    assert pinned.equals(first, check_metadata=True)
    store.materialize()
    assert store.get_historical_features(spine(*ASKED), "recommendation_v1", versions=versions).equals(
        first, check_metadata=True
    )
    assert not store.get_historical_features(spine(*ASKED), "recommendation_v1").equals(first)


def test_versions_still_hold_when_the_month_of_an_as_of_was_read_before_it_was_whole(store) -> None:
    store.ingest("events", rows((8, datetime(2024, 2, 25), 2, 10)))
    first = store.get_historical_features(spine(*ASKED), "recommendation_v1")
    store.materialize()
    assert store.get_historical_features(spine(*ASKED), "recommendation_v1", versions=first).equals(first, check_metadata=True)


def test_versions_of_other_features_or_definitions_are_refused(store) -> None:
    first = store.get_historical_features(spine(*ASKED), "recommendation_v1")
    with pytest.raises(fs.VersionError, match="not those"):
        store.get_historical_features(spine(*ASKED), ["user_activity:buys_30d"], versions=first)
    with pytest.raises(fs.VersionError, match="holds no versions"):
        store.get_historical_features(spine(*ASKED), "recommendation_v1", versions=spine(*ASKED))
    asked = [f"user_activity:{feature.name}" for feature in ACTIVITY.features]
    store.apply([changed_activity(grain="1h")])
    with pytest.raises(fs.VersionError, match="no longer defined"):
        store.get_historical_features(spine(*ASKED), asked, versions=first)


def changed_activity(*more: fs.Aggregation, **changes) -> fs.FeatureView:
    return fs.FeatureView(
        "user_activity",
        entity=ACTIVITY.entity,
        source=ACTIVITY.source,
        aggregations=[*ACTIVITY.aggregations, *more],
        derived=ACTIVITY.derived,
        **changes,
    )


def test_a_view_that_gained_an_aggregation_answers_old_training_sets_and_pins(store) -> None:
    first = store.get_historical_features(spine(*ASKED), "recommendation_v1")
    store.pin("model", first)
    changed = changed_activity(fs.Count("views", where="event_type = 'view'"))
    store.apply([changed])
    asked = [f"user_activity:{feature.name}" for feature in ACTIVITY.features]
    for _ in range(2):
        for features in ("recommendation_v1", "user_activity", asked, ACTIVITY):  # a service, names, the object of then
            again = store.get_historical_features(spine(*ASKED), features, versions=first)
            assert again.equals(first, check_metadata=True)
        store.ingest("events", MORE)
        store.materialize()
        store.vacuum()
    assert "user_activity__views" in store.get_historical_features(spine(*ASKED), changed).column_names


def test_features_that_mean_something_else_now_are_not_answered_as_then(store) -> None:
    first = store.get_historical_features(spine(*ASKED), ["user_activity:buys_30d", "user_activity:spend_30d"])
    counts = [
        fs.Count("buys", where="event_type <> 'buy'", windows=("30d", "180d", "10y", "lifetime")),
        *ACTIVITY.aggregations[1:],
    ]
    store.apply([fs.FeatureView("user_activity", entity=ACTIVITY.entity, source=ACTIVITY.source, aggregations=counts)])
    with pytest.raises(fs.VersionError, match="not those"):
        store.get_historical_features(spine(*ASKED), ["user_activity:buys_30d", "user_activity:spend_30d"], versions=first)


def test_a_stream_gives_the_rows_of_the_whole_call_in_their_order(store, tmp_path) -> None:
    whole = store.get_historical_features(spine(*ASKED), "recommendation_v1")
    for batch_rows in (1, 4, 100):
        reader = store.stream_historical_features(spine(*ASKED), "recommendation_v1", batch_rows=batch_rows)
        batches = list(reader)
        assert [batch.num_rows for batch in batches] == {1: [1] * 9, 4: [4, 4, 1], 100: [9]}[batch_rows]
        assert pa.Table.from_batches(batches).equals(whole)
    assert reader.schema.equals(whole.schema, check_metadata=True)


def test_a_spine_may_be_files_or_a_reader(store, tmp_path) -> None:
    table = spine(*ASKED)
    whole = store.get_historical_features(table, "recommendation_v1")
    for i, part in enumerate((table.slice(0, 4), table.slice(4))):
        pq.write_table(part, tmp_path / f"spine-{i}.parquet")
    paths = [str(tmp_path / f"spine-{i}.parquet") for i in (0, 1)]
    for given in (tmp_path / "spine-*.parquet", table.to_reader(max_chunksize=2), paths):
        assert store.stream_historical_features(given, "recommendation_v1").read_all().equals(whole)


def test_an_empty_spine_streams_an_empty_table_with_all_columns(store) -> None:
    answer = store.stream_historical_features(spine(*ASKED).slice(0, 0), "recommendation_v1").read_all()
    assert (answer.num_rows, answer.column_names) == (
        0,
        store.get_historical_features(spine(*ASKED), "recommendation_v1").column_names,
    )


def test_a_written_training_set_is_the_answer_and_names_its_versions(store, tmp_path) -> None:
    whole, told = store.get_historical_features(spine(*ASKED), "recommendation_v1"), list[int]()
    path = store.write_historical_features(spine(*ASKED), "recommendation_v1", tmp_path / "set.parquet", progress=told.append)
    written = pq.read_table(path)
    assert written.replace_schema_metadata(None).equals(whole.replace_schema_metadata(None))
    assert told == [9]
    store.ingest("events", MORE)
    store.materialize()
    again = store.get_historical_features(spine(*ASKED), "recommendation_v1", versions=written)
    assert again.equals(whole)


def test_a_training_set_that_fails_leaves_no_file_and_keeps_the_one_before(store, tmp_path) -> None:
    path = store.write_historical_features(spine(*ASKED), "recommendation_v1", tmp_path / "set.parquet")
    before = path.read_bytes()
    store.ingest("events", MORE)
    with pytest.raises(fs.NotMaterializedError):
        store.write_historical_features(spine((1, datetime(2024, 4, 1))), "recommendation_v1", path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["set.parquet"]
    with pytest.raises(fs.SpineError, match="There is no folder"):
        store.write_historical_features(spine(*ASKED), "recommendation_v1", tmp_path / "nowhere" / "set.parquet")


@pytest.mark.parametrize("broken", ["missing", "truncated", "mixed"])
def test_files_that_are_no_spine_are_named(store, tmp_path, broken: str) -> None:
    path = tmp_path / "spine-0.parquet"
    if broken == "truncated":
        path.write_bytes(b"PAR1 and then nothing")
    if broken == "mixed":
        pq.write_table(spine(*ASKED), path)
        pq.write_table(spine(*ASKED).append_column("label", pa.array(range(9))), tmp_path / "spine-1.parquet")
    with pytest.raises(fs.SpineError, match=r"names no file|cannot be read as \.parquet|differ"):
        store.stream_historical_features(tmp_path / "spine-*.parquet", "recommendation_v1")


def test_zones_of_the_spine_are_kept(store) -> None:
    moments = [datetime(2024, 2, 2, tzinfo=SHANGHAI)]
    table = pa.table({"user_id": [1], "as_of": pa.array(moments, pa.timestamp("us", "Asia/Shanghai"))})
    answer = store.stream_historical_features(table, "recommendation_v1").read_all()
    assert answer.schema.field("as_of").type.tz == "Asia/Shanghai"
