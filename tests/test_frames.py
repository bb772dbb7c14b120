"""Frames: the same rows in any library's frame give the same answer through every door, or an error that names the column."""

from __future__ import annotations

import decimal
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import featurestore as fs
from featurestore.timeline import Month

T = datetime(2024, 1, 10, 12, tzinfo=UTC)
AS_OF = datetime(2024, 3, 1, tzinfo=UTC)
IDS = [str(uuid.UUID(int=n)) for n in range(4)]

TEXTS = fs.EventSource(
    "texts",
    schema={"event_id": "string", "at": "timestamp", "user_id": "string", "paid": "bool", "cents": "int64"},
    event_id="event_id",
    event_time="at",
)
NUMBERS = fs.EventSource(
    "numbers", schema={"event_id": "int64", "at": "timestamp", "sku_id": "int64"}, event_id="event_id", event_time="at"
)
OF_USERS = fs.FeatureView("buys", entity=fs.Entity("user", key="user_id"), source=TEXTS, aggregations=[fs.Count("n")])
OF_SKUS = fs.FeatureView("sold", entity=fs.Entity("sku", key="sku_id"), source=NUMBERS, aggregations=[fs.Count("n")])


def empty(path: Path) -> fs.FeatureStore:
    store = fs.FeatureStore(path / "store", timezone="UTC")
    store.apply([OF_USERS, OF_SKUS])
    return store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> fs.FeatureStore:
    """Users a (twice), b, 7, 007 and a UUID; articles 1 (twice) and 2."""
    made = empty(tmp_path_factory.mktemp("frames"))
    users = ["a", "a", "b", "7", "007", IDS[1]]
    rows = {"event_id": [f"e{i}" for i in range(6)], "at": [T] * 6, "user_id": users, "paid": [True] * 6, "cents": [5] * 6}
    assert made.ingest("texts", pa.table(rows)).rows_added == 6
    made.ingest("numbers", pa.table({"event_id": [1, 2, 3], "at": [T] * 3, "sku_id": [1, 1, 2]}))
    made.materialize()
    return made


def index_named(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_index(pd.Index([7, 3, 5][: len(frame)], name="row"))


FRAMES: dict[str, Callable[[pa.Table], Any]] = {
    "arrow": lambda table: table,
    "batch": lambda table: table.combine_chunks().to_batches()[0],
    "reader": lambda table: table.to_reader(),
    "chunked": lambda table: pa.concat_tables([table.slice(0, 1), table.slice(1)]),
    "string views": lambda table: pa.table({n: as_view(table[n]) for n in table.column_names}),
    "dictionaries": lambda table: pa.table({n: table[n].combine_chunks().dictionary_encode() for n in table.column_names}),
    "dictionaries of chunks": lambda table: pa.concat_tables(
        [FRAMES["dictionaries"](table.slice(0, 1)), FRAMES["dictionaries"](table.slice(1))]
    ),
    "runs": lambda table: pa.table({n: pa.compute.run_end_encode(table[n].combine_chunks()) for n in table.column_names}),
    "pandas": lambda table: table.to_pandas(),
    "pandas shuffled": lambda table: table.to_pandas().set_axis([2, 0, 1][: len(table)]),
    "pandas with a named index": lambda table: index_named(table.to_pandas()),
    "pandas with two indexes": lambda table: table.to_pandas().set_axis(
        pd.MultiIndex.from_arrays([range(len(table))] * 2, names=["p", "q"])
    ),
    "pandas object": lambda table: table.to_pandas().astype(object),
    "pandas category": lambda table: table.to_pandas().astype("category"),
    "pandas nullable": lambda table: table.to_pandas().convert_dtypes(),
    "pandas on Arrow": lambda table: table.to_pandas(types_mapper=pd.ArrowDtype),
    "polars": lambda table: pl.from_arrow(table),
    "polars lazy": lambda table: pl.from_arrow(table).lazy(),
    "polars categorical": lambda table: pl.from_arrow(table).with_columns(pl.col(pl.String).cast(pl.Categorical)),
    "polars lazy categorical": lambda table: pl.from_arrow(table).lazy().with_columns(pl.col(pl.String).cast(pl.Categorical)),
    "polars enum": lambda table: pl.from_arrow(table).with_columns(
        pl.col(n).cast(pl.Enum(table[n].unique().drop_null().to_pylist()))
        for n in table.column_names
        if pa.types.is_string(table[n].type)
    ),
    "duckdb": lambda table: duckdb.connect().from_arrow(table),
}
every_frame = pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES)


def as_view(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.string_view()) if pa.types.is_string(column.type) else column


def users(*names: str | None, **more: list[Any]) -> pa.Table:
    rows = {"user_id": pa.array(names, pa.string()), "as_of": pa.array([AS_OF] * len(names), pa.timestamp("us", "UTC")), **more}
    return pa.table(rows)


@every_frame
def test_every_kind_of_frame_is_a_spine_and_its_other_columns_pass(store, tmp_path, make) -> None:
    spine = users("a", "nobody", None, label=["x", None, "x"])
    columns = ["user_id", "as_of", "label", "buys__n"]
    expected = [["a", "nobody", None], ["x", None, "x"], [2, 0, None]]
    answer = store.get_historical_features(make(spine), ["buys:n"])
    assert answer.column_names == columns
    assert [answer[name].to_pylist() for name in ("user_id", "label", "buys__n")] == expected
    assert answer.take([2, 1, 0])["label"].to_pylist() == ["x", None, "x"]
    written = pq.read_table(store.write_historical_features(make(spine), ["buys:n"], tmp_path / "out.parquet"))
    assert written.column_names == columns
    assert [written[name].to_pylist() for name in ("user_id", "label", "buys__n")] == expected
    streamed = store.stream_historical_features(make(spine), ["buys:n"], batch_rows=2).read_all()
    assert streamed["buys__n"].to_pylist() == [2, 0, None]


@every_frame
def test_every_kind_of_frame_names_the_entities_of_a_batch(store, make) -> None:
    given = pa.table({"user_id": ["b", "a", "nobody"], "label": ["x", "y", None]})
    answer = store.get_batch_features(AS_OF, ["buys:n"], entities=make(given))
    assert answer.column_names == ["user_id", "label", "as_of", "buys__n"]
    assert answer["buys__n"].to_pylist() == [1, 2, 0]
    assert answer["label"].to_pylist() == ["x", "y", None]


@every_frame
def test_every_kind_of_frame_is_ingested_and_delivered_again_in_another_kind_nothing_is_added(tmp_path, make) -> None:
    store = empty(tmp_path)
    rows = pa.table(
        {
            "event_id": ["e1", "e2", "e3"],
            "at": pa.array([T, T, AS_OF], pa.timestamp("us", "UTC")),
            "user_id": ["a", "b", None],
            "paid": [True, None, False],
            "cents": [1, None, 2**40],
            "note": ["x", None, "y"],
        }
    )
    report = store.ingest("texts", make(rows))
    assert (report.rows_added, report.quarantined, report.extra_columns) == (3, {}, ("note",))
    again = store.ingest("texts", rows)
    assert (again.rows_added, again.duplicates, again.quarantined) == (0, 3, {})


@every_frame
def test_every_kind_of_frame_is_a_month_of_the_monitor(make) -> None:
    def snapshots(make: Callable[[pa.Table], Any]) -> list[tuple[date, Any]]:
        rng = np.random.default_rng(1)
        numbers = [
            pa.table({"x": rng.normal(size=150).round(1).tolist(), "colour": rng.choice(["red", "blue"], 150).tolist()})
            for _ in range(3)
        ]
        return [(date(2024, 1 + i, 1), make(table)) for i, table in enumerate(numbers)]

    if make is FRAMES["pandas with a named index"]:
        make = lambda table: table.to_pandas().rename_axis("row")  # noqa: E731
    elif make is FRAMES["pandas shuffled"]:
        make = lambda table: table.to_pandas().iloc[::-1]  # noqa: E731
    assert fs.monitor_drift(snapshots(make)).equals(fs.monitor_drift(snapshots(lambda table: table)))


INTEGERS: dict[str, Callable[[list[int | None]], Any]] = {
    "int8": lambda values: pa.table({"k": pa.array(values, pa.int8())}),
    "uint64": lambda values: pa.table({"k": pa.array(values, pa.uint64())}),
    "decimal": lambda values: pa.table({"k": pa.array(values, pa.decimal128(38, 0))}),
    "decimal with places": lambda values: pa.table({"k": pa.array(values, pa.decimal128(20, 4))}),
    "decimal256": lambda values: pa.table({"k": pa.array(values, pa.decimal256(60, 0))}),
    "decimal32": lambda values: pa.table({"k": pa.array(values, pa.decimal32(5, 0))}),
    "python decimals": lambda values: pd.DataFrame(
        {"k": [None if value is None else decimal.Decimal(value) for value in values]}, dtype=object
    ),
    "pandas doubles": lambda values: pd.DataFrame({"k": pd.Series(values, dtype=float)}),
    "pandas Int64": lambda values: pd.DataFrame({"k": pd.Series(values, dtype="Int64")}),
    "pandas sparse": lambda values: pd.DataFrame({"k": pd.arrays.SparseArray([np.nan if v is None else v for v in values])}),
    "Int128": lambda values: pl.DataFrame({"k": values}).cast(pl.Int128),
    "lazy Int128": lambda values: pl.DataFrame({"k": values}).cast(pl.Int128).lazy(),
    "UInt128": lambda values: pl.DataFrame({"k": values}).cast(pl.UInt128),
    "hugeint": lambda values: duckdb.connect().sql("SELECT unnest($v)::HUGEINT AS k", params={"v": values}),
}
every_integer = pytest.mark.parametrize("make", INTEGERS.values(), ids=INTEGERS)


def renamed(frame: Any, name: str) -> pa.Table | Any:
    """Give the column k another name in the library's own way, and an instant beside it."""
    if isinstance(frame, pa.Table):
        return frame.rename_columns([name]).append_column("as_of", pa.array([AS_OF] * len(frame)))
    if isinstance(frame, pd.DataFrame):
        return frame.rename(columns={"k": name}).assign(as_of=pd.Timestamp(AS_OF))
    if isinstance(frame, duckdb.DuckDBPyRelation):
        return frame.project(f"k AS {name}, TIMESTAMPTZ '2024-03-01 00:00:00+00' AS as_of")
    return frame.rename({"k": name}).with_columns(as_of=pl.lit(AS_OF))


@every_integer
def test_integers_of_every_kind_are_keys_at_the_spine(store, make) -> None:
    answer = store.get_historical_features(renamed(make([1, None, 2, 99]), "sku_id"), ["sold:n"])
    assert answer["sold__n"].to_pylist() == [2, None, 1, 0]


@every_integer
def test_integers_of_every_kind_are_ids_at_ingest(tmp_path, make) -> None:
    store = empty(tmp_path)
    frame = renamed(make([1, 2, 99]), "event_id")
    whole = {"at": [T] * 3, "sku_id": [1, 2, 3]}
    if isinstance(frame, duckdb.DuckDBPyRelation):
        frame = frame.project("*, TIMESTAMPTZ '2024-01-10 12:00:00+00' AS at, event_id AS sku_id")
        whole["sku_id"] = [1, 2, 99]
    elif isinstance(frame, pa.Table):
        frame = frame.append_column("at", pa.array(whole["at"])).append_column("sku_id", pa.array(whole["sku_id"]))
    elif isinstance(frame, pd.DataFrame):
        frame = frame.assign(**whole)
    else:
        frame = frame.with_columns(at=pl.lit(T), sku_id=pl.int_range(1, 4))
    assert store.ingest("numbers", frame).rows_added == 3
    again = store.ingest("numbers", pa.table({"event_id": [1, 2, 99], **whole}))
    assert (again.duplicates, again.quarantined) == (3, {})


def test_a_number_beyond_int64_is_an_unknown_key_and_no_event_id(store, tmp_path) -> None:
    for column in (
        pa.array([decimal.Decimal(2**63), decimal.Decimal(1)], pa.decimal128(38, 0)),
        pa.array([decimal.Decimal(10**45), decimal.Decimal(1)], pa.decimal256(60, 0)),
    ):
        spine = pa.table({"sku_id": column, "as_of": [AS_OF] * 2})
        assert store.get_historical_features(spine, ["sold:n"])["sold__n"].to_pylist() == [0, 2]
        report = empty(tmp_path / str(column.type)).ingest(
            "numbers", pa.table({"event_id": column, "at": [T] * 2, "sku_id": [1] * 2})
        )
        assert (report.rows_added, report.quarantined) == (1, {"out of range event_id": 1})
    huge = pd.DataFrame({"sku_id": [2**70, 1], "as_of": [pd.Timestamp(AS_OF)] * 2})
    assert store.get_historical_features(huge, ["sold:n"])["sold__n"].to_pylist() == [0, 2]


def test_a_decimal_with_a_fraction_is_no_key(store) -> None:
    spine = pa.table({"sku_id": pa.array([decimal.Decimal("1.50")], pa.decimal128(10, 2)), "as_of": [AS_OF]})
    with pytest.raises(fs.SpineError, match=r"'sku_id' is decimal128\(10, 2\) and holds 1.50"):
        store.get_historical_features(spine, ["sold:n"])


def test_an_integer_is_the_text_of_its_digits_where_a_string_id_is_declared_and_nowhere_else(store, tmp_path) -> None:
    spine = pa.table({"user_id": [7, 8, None], "as_of": [AS_OF] * 3})
    assert store.get_historical_features(spine, ["buys:n"])["buys__n"].to_pylist() == [1, 0, None]
    fresh = empty(tmp_path)
    rows = pa.table({"event_id": [1, 2], "at": [T] * 2, "user_id": [7, 8], "paid": [1, 0], "cents": [1, 2]})
    assert fresh.ingest("texts", rows).rows_added == 2
    csv = tmp_path / "again.csv"
    csv.write_text(f"event_id,at,user_id,paid,cents\n1,{T.isoformat()},7,true,1\n2,{T.isoformat()},8,false,2\n")
    assert fresh.ingest("texts", csv).duplicates == 2
    fresh.materialize()
    assert fresh.get_historical_features(spine, ["buys:n"])["buys__n"].to_pylist() == [1, 1, None]


def test_a_double_is_no_string_id_at_either_door(store, tmp_path) -> None:
    with pytest.raises(fs.SpineError, match="'user_id' is double; the keys of entity 'user' are string"):
        store.get_historical_features(pa.table({"user_id": [7.0], "as_of": [AS_OF]}), ["buys:n"])
    rows = pa.table({"event_id": [1.0], "at": [T], "user_id": ["a"], "paid": [True], "cents": [1]})
    assert empty(tmp_path).ingest("texts", rows).quarantined == {"wrong type event_id": 1}


def test_zero_and_one_are_false_and_true_and_two_is_neither(tmp_path) -> None:
    rows = {"event_id": ["a", "b", "c", "d"], "at": [T] * 4, "user_id": ["u"] * 4, "paid": [0, 1, 2, None], "cents": [1] * 4}
    report = empty(tmp_path).ingest("texts", pa.table(rows))
    assert (report.rows_added, report.quarantined) == (3, {"out of range paid": 1})


UUIDS: dict[str, Callable[[list[str]], Any]] = {
    "arrow": lambda texts: pa.array([uuid.UUID(text).bytes for text in texts], pa.uuid()),
    "python": lambda texts: pd.Series([uuid.UUID(text) for text in texts], dtype=object),
}


@pytest.mark.parametrize("make", UUIDS.values(), ids=UUIDS)
def test_uuids_are_their_texts_at_both_doors(store, tmp_path, make) -> None:
    spine = pd.DataFrame({"user_id": make(IDS[:2]), "as_of": [pd.Timestamp(AS_OF)] * 2})
    if isinstance(make(IDS), pa.Array):
        spine = pa.table({"user_id": make(IDS[:2]), "as_of": [AS_OF] * 2})
    assert store.get_historical_features(spine, ["buys:n"])["buys__n"].to_pylist() == [0, 1]
    columns = {"event_id": make(IDS), "at": [T] * 4, "user_id": make(IDS), "paid": [True] * 4, "cents": [1] * 4}
    frame = pa.table(columns) if isinstance(columns["user_id"], pa.Array) else pd.DataFrame(columns)
    fresh = empty(tmp_path)
    assert fresh.ingest("texts", frame).rows_added == 4
    assert fresh.ingest("texts", pa.table({**columns, "event_id": IDS, "user_id": IDS})).duplicates == 4
    pq.write_table(pa.Table.from_pandas(frame) if isinstance(frame, pd.DataFrame) else frame, tmp_path / "ids.parquet")
    assert fresh.ingest("texts", tmp_path / "ids.parquet").duplicates == 4


STRANGE: dict[str, Any] = {
    "mixed": [1, "a"],
    "complex": np.array([1j, 2]),
    "dicts": [{"a": 1}, {"b": [2]}],
    "sets": [{1}, {"a"}],
    "objects": [object(), object()],
    "mixed category": pd.Categorical([1, "b"]),
    "periods": pd.period_range("2024-01", periods=2, freq="M"),
    "intervals": pd.interval_range(0, 2),
    "sparse": pd.arrays.SparseArray([0, 1]),
    "big integers": [2**70, 1],
    "bigger integers": [2**200, 1],
    "times": [datetime(2024, 1, 1).time(), None],
    "spans": pd.to_timedelta([1, 2], unit="s"),
    "lists": [[1, 2], None],
}
REFUSED = ("mixed", "complex", "sets", "objects", "mixed category", "bigger integers")
every_oddity = pytest.mark.parametrize("values", STRANGE.values(), ids=STRANGE)


@every_oddity
def test_a_column_that_is_ignored_never_stops_an_ingest(tmp_path, values) -> None:
    store = empty(tmp_path)
    frame = pd.DataFrame({"event_id": [1, None], "at": [pd.Timestamp(T)] * 2, "sku_id": [1, 2], "odd": values})
    report = store.ingest("numbers", frame)
    assert (report.rows_added, report.quarantined, report.extra_columns) == (1, {"missing event_id": 1}, ("odd",))


@pytest.mark.parametrize(("values", "is_refused"), [(values, name in REFUSED) for name, values in STRANGE.items()], ids=STRANGE)
def test_a_passed_column_is_right_or_refused_by_its_name(store, values, is_refused: bool) -> None:
    spine = pd.DataFrame({"sku_id": [1, 2], "as_of": [pd.Timestamp(AS_OF)] * 2, "odd": values})
    refused = r"The spine's column 'odd' is (object|complex128|category), which cannot be read: .*Convert"
    if is_refused:
        with pytest.raises(fs.SpineError, match=refused):
            store.get_historical_features(spine, ["sold:n"])
    else:
        assert store.get_historical_features(spine, ["sold:n"])["sold__n"].to_pylist() == [2, 1]


def test_what_parquet_has_no_type_for_is_refused_by_its_name_before_anything_is_written(store, tmp_path) -> None:
    odd = pa.array([(1, 2, 3)], pa.month_day_nano_interval())
    with pytest.raises(fs.SpineError, match=r"column 'odd' is month_day_nano_interval, for which Parquet has no type"):
        store.write_historical_features(
            pa.table({"sku_id": [1], "as_of": [AS_OF], "odd": odd}), ["sold:n"], tmp_path / "out.parquet"
        )
    assert not list(tmp_path.iterdir())


def test_a_declared_column_of_no_type_is_refused_by_its_name(store) -> None:
    frame = pd.DataFrame({"event_id": [1, "a"], "at": [pd.Timestamp(T)] * 2, "sku_id": [1, 2]})
    with pytest.raises(fs.IngestError, match="The input's column 'event_id' is object, which cannot be read"):
        store.ingest("numbers", frame)
    objects = pl.DataFrame({"event_id": [1], "at": [T], "sku_id": pl.Series([object()], dtype=pl.Object)})
    with pytest.raises(fs.IngestError, match="The input's column 'sku_id' is a Polars Object"):
        store.ingest("numbers", objects)


@pytest.mark.parametrize(
    "odd",
    [
        pa.array([decimal.Decimal(10**50)], pa.decimal256(60, 0)),
        pa.array(np.array([1.5], np.float16)),
        pa.array(["a"], pa.string_view()),
        pa.array([b"a"], pa.binary_view()),
        pa.array([[1]], pa.list_view(pa.int64())),
        pa.array([["a"]], pa.list_view(pa.string_view())),
        pa.array([["a"]], pa.list_(pa.string_view())),
        pa.array([{"a": "x"}], pa.struct([("a", pa.string_view())])),
        pa.array([1], pa.time64("ns")),
        pa.array([1], pa.duration("s")),
        pa.nulls(1),
        pa.compute.run_end_encode(pa.array(["a"])),
        pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
        pa.array([2**62], pa.timestamp("s")),
    ],
    ids=lambda odd: str(odd.type),
)
def test_arrow_columns_of_any_type_pass_and_are_ignored(store, tmp_path, odd: pa.Array) -> None:
    spine = pa.table({"sku_id": [1], "as_of": [AS_OF], "odd": odd})
    answer = store.get_historical_features(spine, ["sold:n"])
    assert answer["sold__n"].to_pylist() == [2]
    answer["odd"].combine_chunks().validate(full=True)
    assert answer.take([0])["odd"].cast(answer["odd"].type).equals(answer["odd"])
    rows = pa.table({"event_id": [1, None], "at": [T] * 2, "sku_id": [1] * 2, "odd": pa.chunked_array([odd, odd])})
    report = empty(tmp_path).ingest("numbers", rows)
    assert (report.rows_added, report.quarantined) == (1, {"missing event_id": 1})


@pytest.mark.parametrize("make", [pl.DataFrame, pd.DataFrame, lambda columns: pl.LazyFrame(columns)])
def test_an_empty_frame_without_types_is_an_empty_answer(store, make) -> None:
    assert store.get_historical_features(make({"user_id": [], "as_of": []}), ["buys:n"]).num_rows == 0
    assert store.get_batch_features(AS_OF, ["buys:n"], entities=make({"user_id": []})).num_rows == 0
    assert store.ingest("numbers", make({"event_id": [], "at": [], "sku_id": []})).rows_added == 0
    assert fs.monitor_drift([(date(2024, 1, 1), make({"x": []}))]).num_rows >= 0


def test_a_column_that_is_read_and_named_twice_is_refused_at_every_door(store) -> None:
    twice = pd.DataFrame([[1, 2]], columns=["x", "x"])
    with pytest.raises(fs.FrameError, match="The snapshot of 2024-01-01 has several columns named 'x'; rename all but one"):
        fs.monitor_drift([(date(2024, 1, 1), twice)])
    with pytest.raises(fs.SpineError, match="several columns named 'x'"):
        store.get_historical_features(pd.concat([twice, pd.DataFrame({"sku_id": [1], "as_of": [AS_OF]})], axis=1), ["sold:n"])
    declared = pd.DataFrame([[1, AS_OF, 1, 2]], columns=["event_id", "at", "sku_id", "sku_id"])
    with pytest.raises(fs.IngestError, match="has the column 'sku_id' twice"):
        store.ingest("numbers", declared)


@pytest.mark.parametrize("rows", [5, [{"x": 1}], {"x": [1]}, None, pd.Series([1]), pl.Series([1]), pa.array([1])])
def test_what_is_no_table_is_refused_at_every_door(store, rows) -> None:
    with pytest.raises(fs.FrameError, match="snapshot of 2024-01-01"):
        fs.monitor_drift([(date(2024, 1, 1), rows)])
    with pytest.raises(fs.SpineError, match="spine"):
        store.get_historical_features(rows, ["sold:n"])
    if rows is not None:
        with pytest.raises(fs.SpineError, match="table of entities"):
            store.get_batch_features(AS_OF, ["sold:n"], entities=rows)
        with pytest.raises(fs.IngestError):
            store.ingest("numbers", rows)


def test_what_the_monitor_cannot_count_is_refused_by_its_name() -> None:
    with pytest.raises(fs.FrameError, match="The snapshot of 2024-01-01's column 'x' is object, which cannot be read"):
        fs.monitor_drift([(date(2024, 1, 1), pd.DataFrame({"x": [1, "a"]}))])


LAST_NS = 1_704_067_199_999_999_999
"""The last nanosecond of 2023: rounded to microseconds it is an event of another year."""


def nanosecond_frames(folder: Path) -> dict[str, Any]:
    aware = pa.table({"event_id": [1], "at": pa.array([LAST_NS], pa.timestamp("ns", "UTC")), "sku_id": [1]})
    naive = aware.set_column(1, "at", aware["at"].cast(pa.timestamp("ns")))
    pq.write_table(aware, folder / "aware.parquet")
    pq.write_table(naive, folder / "naive.parquet")
    (folder / "text.csv").write_text("event_id,at,sku_id\n1,2023-12-31T23:59:59.999999999Z,1\n")
    (folder / "text.jsonl").write_text('{"event_id": 1, "at": "2023-12-31T23:59:59.999999999Z", "sku_id": 1}\n')
    return {
        "aware": aware,
        "naive": naive,
        "pandas": pd.DataFrame({"event_id": [1], "at": [pd.Timestamp(LAST_NS, tz="UTC")], "sku_id": [1]}),
        "polars": pl.from_arrow(aware),
        **{path.name: path for path in folder.iterdir() if path.is_file()},
    }


def test_nanoseconds_are_cut_at_every_door_so_that_the_same_event_is_a_redelivery(tmp_path) -> None:
    (tmp_path / "files").mkdir()
    for first in nanosecond_frames(tmp_path / "files").values():
        store = empty(tmp_path / str(uuid.uuid4()))
        assert store.ingest("numbers", first).months == (Month(2023, 12),)
        for name, other in nanosecond_frames(tmp_path / "files").items():
            report = store.ingest("numbers", other)
            assert (report.duplicates, report.quarantined) == (1, {}), name


def test_nanoseconds_of_a_spine_are_cut_too(store) -> None:
    for as_of in (pd.Timestamp(LAST_NS, tz="UTC"), pd.Timestamp(LAST_NS)):
        frame = pd.DataFrame({"sku_id": [1], "as_of": [as_of]})
        answer = store.get_historical_features(frame, ["sold:n"])
        assert answer["sold__n"].to_pylist() == [0]


def test_times_before_1970_are_cut_down_and_not_towards_zero(tmp_path) -> None:
    source = fs.EventSource(
        "born",
        schema={"event_id": "int64", "at": "timestamp", "user_id": "int64", "born": "timestamp"},
        event_id="event_id",
        event_time="at",
    )
    store = fs.FeatureStore(tmp_path / "store", timezone="UTC")
    store.apply([source])
    rows = {"event_id": [1, 2], "at": [T] * 2, "user_id": [1, 1]}
    for kind in (pa.timestamp("ns"), pa.timestamp("ns", "UTC")):
        store.ingest("born", pa.table({**rows, "born": pa.array([-1, -1001], kind)}))
    exact = pa.array([-1, -2], pa.timestamp("us", "UTC"))
    assert store.ingest("born", pa.table({**rows, "born": exact})).duplicates == 2


def test_chunks_with_more_values_in_all_than_their_index_has_numbers_are_a_spine(store, tmp_path) -> None:
    def chunked(texts: list[str]) -> pa.ChunkedArray:
        return pa.chunked_array([pa.DictionaryArray.from_arrays(pa.array([0], pa.int8()), [text]) for text in texts])

    users = ["a", "b", *(f"user {number}" for number in range(200))]
    days = chunked(["2024-03-01"] * len(users))
    spine = pa.table({"user_id": chunked(users), "as_of": days, "note": chunked([f"note {user}" for user in users])})
    wanted = [2, 1, *[0] * 200]
    for rows in (spine, spine.to_reader()):
        answer = store.get_historical_features(rows, [OF_USERS])
        assert answer[answer.column_names[-1]].to_pylist() == wanted
    for ending in ("parquet", "arrow", "csv"):
        written = store.write_historical_features(spine, [OF_USERS], tmp_path / f"out.{ending}")
        assert written.stat().st_size > 0
    with pa.ipc.open_file(str(tmp_path / "out.arrow")) as read:
        assert read.read_all()["note"].to_pylist() == [f"note {user}" for user in users]
