"""Spines: anything Arrow can take is answered row for row, and what cannot be right is refused with a reason."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from featurestore.compute.materialization.materialize import materialize
from featurestore.compute.retrieval.spine import Spine, read_spine, spine_keys
from featurestore.errors import SpineError
from featurestore.lake.layout import Layout, create_or_open
from featurestore.spec import Count, Derived, Entity, FeatureView, Last, Profile
from featurestore.timeline import to_us
from tests.compute.world import SOURCE, UTC, ask, at, commit_events, event

USER = Entity("user", key="user_id")
VIEW = FeatureView(
    "activity",
    entity=USER,
    source=SOURCE,
    aggregations=[Count("n"), Last("category", "category"), Profile("days", by="day_of_week")],
    derived=[Derived("twice", "2 * n")],
)
BIG = 2**63 - 1


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Layout:
    """Users 1 (two events), 2^53 (one) and both ends of int64 (one each), in 2024."""
    layout = create_or_open(tmp_path_factory.mktemp("spine") / "store", timezone="Asia/Shanghai")
    users = [1, 1, 2**53, BIG, -(2**63)]
    commit_events(layout, [event(i, at(2024, 1 + i), user) for i, user in enumerate(users)])
    materialize(layout, [VIEW])
    return layout


def read(rows: object) -> Spine:
    return read_spine(rows, timezone="UTC")


def times(*moments: datetime | None) -> pa.Array:
    return pa.array(moments, pa.timestamp("us", "UTC"))


def counts(store: Layout, users: pa.Array | pa.ChunkedArray, **options) -> list:
    spine = pa.table({"user_id": users, "as_of": times(*[at(2025)] * len(users))})
    return ask(store, VIEW, spine, ["activity:n"], **options)["activity__n"].to_pylist()


def test_the_ends_of_int64_are_keys_like_any_other(store) -> None:
    assert counts(store, pa.array([BIG, -(2**63), BIG - 1, 0, None])) == [1, 1, 0, 0, None]


@pytest.mark.parametrize(
    "kind", [pa.int8(), pa.int16(), pa.int32(), pa.uint8(), pa.uint32(), pa.uint64(), pa.float32(), pa.float64()]
)
def test_integers_of_any_width_and_whole_doubles_are_keys(store, kind) -> None:
    assert counts(store, pa.array([1, 2, None, 1], kind)) == [2, 0, None, 2]


def test_an_unsigned_key_beyond_int64_is_unknown_and_not_missing(store) -> None:
    assert counts(store, pa.array([2**64 - 1, 2**63, BIG, None], pa.uint64())) == [0, 0, 1, None]


def test_nan_in_a_key_that_pandas_turned_into_doubles_is_a_missing_key(store) -> None:
    frame = pd.DataFrame({"user_id": [1, None, float(2**53)], "as_of": [pd.Timestamp("2025-01-01", tz="UTC")] * 3})
    assert ask(store, VIEW, pa.table(frame), ["activity:n"])["activity__n"].to_pylist() == [2, None, 1]
    arrow = pa.array(np.array([1.0, np.nan]))
    assert arrow.null_count == 0
    assert counts(store, arrow) == [2, None]


def test_the_index_of_a_pandas_frame_is_no_column_and_the_answer_goes_back_to_pandas(store) -> None:
    frame = pd.DataFrame({"user_id": [1, 2, 1], "as_of": [pd.Timestamp("2025-01-01", tz="UTC")] * 3}).iloc[[2, 1]]
    answer = ask(store, VIEW, read(frame).table, ["activity:n"])
    assert answer.column_names == ["user_id", "as_of", "activity__n"]
    assert answer.to_pandas()["activity__n"].tolist() == [2, 0]


@pytest.mark.parametrize("value", [1.5, 2.0**53 + 2, 2.0**63, -(2.0**63), 1e300, float("inf")])
def test_a_double_that_names_no_integer_exactly_is_refused_and_never_another_key(store, value: float) -> None:
    with pytest.raises(SpineError, match=r"2\^53.*Convert the column to int64"):
        counts(store, pa.array([1.0, value]))


def test_dictionary_encoded_and_chunked_columns_are_decoded(store) -> None:
    encoded = pa.array([1, None, 3, 1]).dictionary_encode()
    assert counts(store, encoded) == [2, None, 0, 2]
    chunks = pa.chunked_array([pa.array([1, 3]).dictionary_encode(), pa.array([1], pa.int64()).dictionary_encode()])
    assert counts(store, chunks) == [2, 0, 2]
    spine = pa.table({"user_id": [1], "as_of": times(at(2025)).dictionary_encode()})
    assert ask(store, VIEW, spine, ["activity:n"])["activity__n"].to_pylist() == [2]


@pytest.mark.parametrize(
    "make",
    [
        lambda columns: pa.table(columns),
        lambda columns: pa.RecordBatch.from_pydict(columns),
        lambda columns: pa.table(columns).to_reader(),
        lambda columns: pl.from_arrow(pa.table(columns)),
        lambda columns: pl.from_arrow(pa.table(columns)).lazy(),
        lambda columns: pa.table(columns).to_pandas(),
    ],
    ids=["table", "batch", "reader", "polars", "lazy polars", "pandas"],
)
def test_a_spine_may_be_any_kind_of_table(make) -> None:
    spine = read(make({"user_id": pa.array([3, 4]), "as_of": times(at(2024), None)}))
    assert spine.table.column_names == ["user_id", "as_of"]
    assert spine.as_of_us.tolist() == [to_us(at(2024)), 0]
    assert spine.has_as_of.tolist() == [True, False]


@pytest.mark.parametrize("rows", [5, "spine.parquet", [{"user_id": 1}], {"user_id": [1]}, None])
def test_what_is_no_table_is_refused(rows) -> None:
    with pytest.raises(SpineError, match="is no spine"):
        read(rows)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([1_704_067_200], pa.timestamp("s")), at(2024)),
        (pa.array([1_704_067_200_000], pa.timestamp("ms", "America/New_York")), at(2024)),
        (pa.array([1_704_067_200_000_000_999], pa.timestamp("ns", "UTC")), at(2024)),
        (pa.array([-1], pa.timestamp("ns")), datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
        (pa.array(["2024-01-01T08:00:00+08:00"]), at(2024)),
        (pa.array(["2024-01-01"]).dictionary_encode(), at(2024)),
        (pa.array([date(2024, 1, 1)]), at(2024)),
        (pa.array([date(2024, 1, 1)], pa.date64()), at(2024)),
        (pa.array([datetime(2024, 1, 1, 8, tzinfo=ZoneInfo("Asia/Shanghai"))]), at(2024)),
        (pa.array([datetime(9999, 12, 31)]), datetime(9999, 12, 31, tzinfo=UTC)),
    ],
)
def test_an_as_of_of_any_unit_and_zone_is_the_instant_that_it_names(column: pa.Array, expected: datetime) -> None:
    assert read(pa.table({"as_of": column})).as_of_us.tolist() == [to_us(expected)]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array(["2024-01-01", "today"]), r"holds 'today': 'today' is not a moment"),
        (pa.array([1_704_067_200]), "is int64; expected timestamps, dates or ISO texts"),
        (pa.array([2**31 - 1], pa.date32()), "microseconds cannot express"),
        (pa.array([2**61], pa.timestamp("s")), "microseconds cannot express"),
        (pa.array([2**63 - 1], pa.timestamp("us")), "years 1 to 9999"),
        (pa.array([-(2**63)], pa.timestamp("us")), "years 1 to 9999"),
    ],
)
def test_an_as_of_that_is_no_time_is_refused_with_what_is_expected(column: pa.Array, message: str) -> None:
    with pytest.raises(SpineError, match=message):
        read(pa.table({"as_of": column}))


def test_a_spine_must_have_its_columns_once_and_none_named_like_an_output(store) -> None:
    with pytest.raises(SpineError, match="Did you mean 'asof'"):
        read(pa.table({"asof": times(at(2024))}))
    with pytest.raises(SpineError, match="several columns named 'as_of'"):
        read(pa.table([times(at(2024)), times(at(2024))], names=["as_of", "as_of"]))
    spine = pa.table({"user_id": [1], "as_of": times(at(2025)), "activity__n": [5]})
    with pytest.raises(SpineError, match="already has a column 'activity__n'"):
        ask(store, VIEW, spine)
    assert ask(store, VIEW, spine, ["activity:twice"])["activity__twice"].to_pylist() == [4.0]
    with pytest.raises(SpineError, match=r"no column 'user_id', a key of entity 'user'; join_keys=.*Did you mean 'usr_id'"):
        ask(store, VIEW, pa.table({"usr_id": [1], "as_of": times(at(2025))}))


def test_another_column_may_hold_the_key_or_the_as_of(store) -> None:
    spine = pa.table({"buyer": [1, 2], "user_id": [2, 1], "at": times(at(2025), at(2025))})
    answer = ask(store, VIEW, spine, ["activity:n"], as_of="at", join_keys={"user_id": "buyer"})
    assert answer["activity__n"].to_pylist() == [2, 0]
    with pytest.raises(SpineError, match="Did you mean 'user_id'"):
        ask(store, VIEW, spine, as_of="at", join_keys={"usr_id": "buyer"})


@pytest.mark.parametrize("kind", [pa.string(), pa.bool_(), pa.timestamp("us"), pa.binary(), pa.list_(pa.int64())])
def test_a_key_column_of_another_type_is_refused(store, kind) -> None:
    with pytest.raises(SpineError, match=re.escape(f"is {kind}; the keys of entity 'user' are int64")):
        counts(store, pa.nulls(1, kind))


def test_text_keys_of_any_arrow_kind_are_equal() -> None:
    for kind in (pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string()), pa.null()):
        values = [None, None] if kind == pa.null() else ["a", None]
        columns, has_key = spine_keys(pa.table({"k": pa.array(values, kind)}), ["k"], ["string"], entity="thing")
        assert (columns[0].type, columns[0].to_pylist(), has_key.tolist()) == (
            pa.large_string(),
            values,
            [values[0] == "a", False],
        )
    with pytest.raises(SpineError, match="are string"):
        spine_keys(pa.table({"k": [1.0]}), ["k"], ["string"], entity="thing")


def test_a_spine_of_no_rows_has_all_columns_in_their_types(store) -> None:
    spine = pa.table({"user_id": pa.array([], pa.int64()), "as_of": times(), "label": pa.array([], pa.string())})
    answer = ask(store, VIEW, spine)
    assert answer.num_rows == 0
    assert answer.schema.names == ["user_id", "as_of", "label", *(feature.column for feature in VIEW.features)]
    assert answer.schema.field("activity__days").type == pa.list_(pa.int64(), 7)
    full = ask(store, VIEW, pa.table({"user_id": [1], "as_of": times(at(2025)), "label": ["x"]}))
    assert answer.schema.types == full.schema.types


def test_rows_keep_their_order_columns_duplicates_and_metadata(store) -> None:
    users = [1, 7, 1, None, BIG, 1]
    moments = [at(2025), at(2025), at(2024, 1, 15), at(2025), None, at(2025)]
    spine = pa.table({"user_id": users, "as_of": times(*moments), "weight": [0.5] * 6}).replace_schema_metadata(
        {"mine": "kept"}
    )
    answer = ask(store, VIEW, spine)
    assert answer.select(spine.column_names).equals(spine)
    assert answer["activity__n"].to_pylist() == [2, 0, 1, None, None, 2]
    assert answer["activity__category"].to_pylist() == ["FRESH", None, "FRESH", None, None, "FRESH"]
    assert answer["activity__days"].to_pylist()[3:5] == [None, None]
    assert answer.schema.metadata[b"mine"] == b"kept"


def test_more_rows_than_one_chunk_are_answered_in_order(store, monkeypatch) -> None:
    monkeypatch.setattr("featurestore.compute.retrieval.historical.CHUNK", 7)
    rng = np.random.default_rng(1)
    users, days = rng.integers(0, 3, 50), rng.integers(-40, 400, 50)
    moments = [at(2024) + timedelta(days=int(day)) for day in days]
    whole = ask(store, VIEW, pa.table({"user_id": users, "as_of": times(*moments)}))
    single = [
        ask(store, VIEW, pa.table({"user_id": [user], "as_of": times(moment)}))
        for user, moment in zip(users, moments, strict=True)
    ]
    assert whole.equals(pa.concat_tables(single).combine_chunks())
