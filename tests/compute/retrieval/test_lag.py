"""Reading while the refresh is late: the last complete state, the same for all views of a call, with its watermark."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import featurestore as fs
from featurestore.compute.retrieval.lag import METADATA
from featurestore.errors import DefinitionError, NotMaterializedError
from featurestore.lake.delta_log import committed_us, entry_path

SOURCE = fs.EventSource(
    "events", schema={"id": "int64", "user_id": "int64", "sku_id": "int64", "at": "timestamp"}, event_id="id", event_time="at"
)
OTHER = fs.EventSource("visits", schema={"id": "int64", "user_id": "int64", "at": "timestamp"}, event_id="id", event_time="at")
USER, SKU = fs.Entity("user", key="user_id"), fs.Entity("sku", key="sku_id")
USERS = fs.FeatureView("users", entity=USER, source=SOURCE, aggregations=[fs.Count("n")])
SKUS = fs.FeatureView("skus", entity=SKU, source=SOURCE, aggregations=[fs.Count("n")])
VISITORS = fs.FeatureView("visitors", entity=USER, source=OTHER, aggregations=[fs.Count("n")])
BOTH, ALL = ["users:n", "skus:n"], ["users:n", "skus:n", "visitors:n"]
SPINE = pa.table({"user_id": [1], "sku_id": [1], "as_of": [datetime(2025, 1, 1, tzinfo=UTC)]})


def batch(first: int, rows: int) -> pa.Table:
    times = [datetime(2024, 3, 1, tzinfo=UTC) + timedelta(hours=first + i) for i in range(rows)]
    return pa.table({"id": range(first, first + rows), "user_id": [1] * rows, "sku_id": [1] * rows, "at": times})


def answer(store: fs.FeatureStore, features: list[str], **options: Any) -> list[int]:
    (row,) = (
        store.get_historical_features(SPINE, features, **options)
        .select([name.replace(":", "__") for name in features])
        .to_pylist()
    )
    return list(row.values())


def facts(answered: pa.Table) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(answered.schema.metadata[METADATA])
    return told


@pytest.fixture
def store(tmp_path: Path) -> fs.FeatureStore:
    """40 events, complete in all views; then 40 more, which are in the view of users alone."""
    made = fs.FeatureStore(tmp_path / "store")
    made.apply([USERS, SKUS, VISITORS])
    made.ingest("events", batch(0, 40))
    made.ingest("visits", batch(0, 5).drop_columns(["sku_id"]))
    made.materialize()
    made.ingest("events", batch(40, 40))
    made.materialize(views=["users"])
    return made


def test_one_call_never_mixes_two_states_of_a_source(store: fs.FeatureStore) -> None:
    with pytest.raises(NotMaterializedError):
        answer(store, BOTH)
    assert answer(store, BOTH, max_lag="1h") == [40, 40]
    assert answer(store, ["users:n"], max_lag="1h") == [80]
    store.ingest("events", batch(80, 1))
    assert answer(store, BOTH, max_lag="1h") == [40, 40]
    assert answer(store, ["users:n"], max_lag="1h") == [80]
    store.materialize(views=["skus"])
    with pytest.raises(NotMaterializedError):  # users are at 80 and at 40, skus at 81 and at 40: but nobody folded 80 for both
        answer(store, BOTH)
    assert answer(store, BOTH, max_lag="1h") == [40, 40]
    store.materialize()
    assert answer(store, BOTH, max_lag="1h") == answer(store, BOTH) == [81, 81]


def test_the_watermark_is_the_instant_at_which_the_first_missing_events_were_committed(store: fs.FeatureStore) -> None:
    before = datetime.now(UTC)
    told = facts(store.get_historical_features(SPINE, BOTH, max_lag="1h"))
    watermark = datetime.fromisoformat(told["watermark"])
    assert watermark < before
    assert 0 < told["lag_s"] < 600
    assert (before - watermark).total_seconds() <= told["lag_s"]
    assert facts(store.get_historical_features(SPINE, ["visitors:n"], max_lag="1h"))["lag_s"] == 0
    assert facts(store.get_historical_features(SPINE, ALL, max_lag="1h"))["lag_s"] >= told["lag_s"]
    assert METADATA not in (store.get_historical_features(SPINE, ["users:n"]).schema.metadata or {})


def test_a_state_that_is_too_old_is_refused_and_named(store: fs.FeatureStore) -> None:
    with pytest.raises(
        NotMaterializedError, match=r"committed but not yet in 'users', 'skus', and no state of the last 1e-06 s"
    ):
        answer(store, BOTH, max_lag=timedelta(microseconds=1))
    assert answer(store, ["users:n"], max_lag=timedelta(0)) == [80]


def test_a_view_that_never_was_complete_is_refused(tmp_path: Path) -> None:
    store = fs.FeatureStore(tmp_path / "store")
    store.apply([USERS, SKUS])
    store.ingest("events", batch(0, 5))
    with pytest.raises(NotMaterializedError, match="no state of the last"):
        answer(store, BOTH, max_lag="1d")


def test_every_verb_takes_it_and_what_was_read_can_be_read_again(store: fs.FeatureStore, tmp_path: Path) -> None:
    late = store.get_historical_features(SPINE, BOTH, max_lag="1h")
    streamed = store.stream_historical_features(SPINE, BOTH, max_lag="1h").read_all()
    assert streamed.to_pylist() == late.to_pylist()
    path = store.write_historical_features(SPINE, BOTH, tmp_path / "rows.parquet", max_lag="1h")
    assert path.exists()
    batched = store.get_batch_features(datetime(2025, 1, 1, tzinfo=UTC), ["skus:n"], max_lag="1h")
    assert batched["skus__n"].to_pylist() == [40]
    store.materialize()
    assert answer(store, BOTH, versions=late) == [40, 40]
    for other in ({"versions": late}, {"as_known": True}):
        with pytest.raises(DefinitionError, match="Give one of both"):
            answer(store, BOTH, max_lag="1h", **other)


def test_an_entry_that_is_gone_has_no_time(store: fs.FeatureStore) -> None:
    events = store.layout.events("events")
    assert committed_us(events, 0) is not None
    entry_path(events, 0).unlink()
    assert committed_us(events, 0) is None
