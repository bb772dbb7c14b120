"""Extra columns: whatever their names and types, they are reported, and the source's own are read as if they were alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import featurestore as fs
from featurestore.errors import IngestError

NOON = datetime(2024, 1, 1, 12, tzinfo=timezone.utc)
WANTED = {
    "id": pa.array([1, 2, None]),
    "at": pa.array([NOON] * 3, pa.timestamp("us", "UTC")),
    "user": pa.array(["a", "b", "c"]),
}
NAMES = [
    "USER", "User", "x", "x", "X", "", "$line", "$is_row", "$reason", "$raw", "converted id", "$converted id", "read id", "read at",
    "rowid", "filename",
    "file_row_number", 'a"b', "a\\b", "a\nb", "a.b", "portion", "user (column 1)", "\u540d",
]  # fmt: skip
LETTERS = pa.py_buffer(np.array([0, 1, 2, 3], np.int32).tobytes())
NO_UTF8 = pa.Array.from_buffers(pa.string(), 3, [None, LETTERS, pa.py_buffer(b"\xff\xfe\xfd")])
WRITTEN: dict[str, pa.Array] = {
    "map": pa.array([[("a", 1)], None, [("b", 2)]], pa.map_(pa.string(), pa.int64())),
    "decimal256": pa.array([Decimal("1.5"), None, Decimal("1e40")], pa.decimal256(76, 2)),
    "decimals": pa.array([[Decimal("1.5")], None, []], pa.list_(pa.decimal256(76, 2))),
    "duration": pa.array([1, None, 2**62], pa.duration("s")),
    "lists": pa.array([[[1]], None, [[], [2, 3]]]),
    "structs": pa.array([[{"a": [1]}], [], None]),
    "nothing": pa.nulls(3),
    "nothings": pa.array([[None], [], None], pa.list_(pa.null())),
    "binary": pa.array([b"\xff\x00", None, b"a"]),
    "half": pa.array(np.array([1, 2, 3], np.float16)),
    "halves": pa.array([[np.float16(1)]] * 3, pa.list_(pa.float16())),
    "category": pa.array(["a", "b", "a"]).dictionary_encode(),
    "infinite": pa.array([{"a": float("inf")}] * 3),
    "same_names": pa.StructArray.from_arrays([pa.array([1, 2, 3])] * 2, names=["a", "A"]),
}
MEMORY_ONLY: dict[str, pa.Array] = {
    "sparse": pa.UnionArray.from_sparse(pa.array([0, 1, 0], pa.int8()), [pa.array([1, 2, 3]), pa.array(["a", "b", "c"])]),
    "dense": pa.UnionArray.from_dense(
        pa.array([0, 1, 0], pa.int8()), pa.array([0, 0, 1], pa.int32()), [pa.array([1, 2]), pa.array(["a"])]
    ),
    "interval": pa.array([(1, 2, 3), None, (0, 0, 1)], pa.month_day_nano_interval()),
    "struct_category": pa.DictionaryArray.from_arrays(pa.array([0, 0, 0], pa.int8()), pa.array([{"x": 1}])),
    "far_times": pa.array([[2**60]] * 3, pa.list_(pa.timestamp("s"))),
    "tens": pa.array([Decimal(100)] * 3, pa.decimal128(5, -2)),
    "runs": pa.RunEndEncodedArray.from_arrays(pa.array([3], pa.int32()), pa.array([{"a": 1}])),
    "no_texts": NO_UTF8,
    "empty": pa.array([{}] * 3, pa.struct([])),
}


@pytest.fixture
def store(tmp_path: Path) -> fs.FeatureStore:
    store = fs.FeatureStore(tmp_path / "store")
    schema = {"id": "int64", "at": "timestamp", "user": "string"}
    store.apply([fs.EventSource("events", schema=schema, event_time="at", event_id="id")])
    return store


def with_extra(names: list[str], columns: list[pa.Array]) -> pa.Table:
    """The extra columns come first: before the source's own of another case."""
    return pa.table([*columns, *WANTED.values()], names=[*names, *WANTED])


def written(folder: Path, table: pa.Table) -> str:
    pq.write_table(table, folder / "events.parquet")
    return str(folder / "events.parquet")


def check(store: fs.FeatureStore, rows: Any, count: int) -> None:
    report = store.ingest("events", rows)
    assert (report.rows_added, report.quarantined) == (2, {"missing event_id": 1})
    assert len(report.extra_columns) == count


@pytest.mark.parametrize("given", [lambda _, table: table, lambda _, table: table.to_reader(), written])
def test_extra_columns_of_any_type_are_reported_and_no_more(
    store: fs.FeatureStore, tmp_path: Path, given: Callable[[Path, pa.Table], Any]
) -> None:
    odd = WRITTEN if given is written else {**WRITTEN, **MEMORY_ONLY}
    check(store, given(tmp_path, with_extra(list(odd), list(odd.values()))), len(odd))


@pytest.mark.parametrize("given", [lambda _, table: table, written])
def test_extra_columns_of_any_name_are_reported_and_no_more(
    store: fs.FeatureStore, tmp_path: Path, given: Callable[[Path, pa.Table], Any]
) -> None:
    check(store, given(tmp_path, with_extra(NAMES, [pa.array([7, 8, 9])] * len(NAMES))), len(NAMES))


def test_a_column_that_pandas_has_twice_is_no_matter_where_the_source_has_none(store: fs.FeatureStore) -> None:
    frame = pd.DataFrame([[1, 2, NOON, "a"]], columns=["x", "x", "at", "user"])
    frame.insert(0, "id", [1])
    assert store.ingest("events", frame).rows_added == 1
    with pytest.raises(IngestError, match="has the column 'user' twice"):
        store.ingest("events", frame.set_axis(["id", "user", "x", "at", "user"], axis=1))


def test_of_a_file_that_goes_to_quarantine_what_can_be_read_is_kept(store: fs.FeatureStore) -> None:
    names = ["USER", "sum", "pair"]
    store.ingest("events", with_extra(names, [pa.array(["A", "B", "C"]), pa.array([1, 2, 3]), MEMORY_ONLY["sparse"]]))
    (row,) = store.quarantine("events")["row"].to_pylist()
    assert '"USER (column 1)":"C","pair":"not kept: sparse_union' in row
    assert '"sum":3' in row


def test_key_and_value_of_json_may_be_written_in_any_way(store: fs.FeatureStore, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text('{"a\\\\b": 1, "q\\"q": 2, "n\\nl": 3, "s/t~u": 4, "id": 1, "at": "2024-01-01T00:00:00Z", "user": "a"}\n')
    assert store.ingest("events", str(file)).rows_added == 1


def test_a_column_of_another_case_is_not_taken_for_the_one_that_is_missing(store: fs.FeatureStore, tmp_path: Path) -> None:
    table = pa.table({"id": [1], "at": ["2024-01-01T00:00:00Z"], "USER": ["a"]})
    csv, json = tmp_path / "events.csv", tmp_path / "events.jsonl"
    csv.write_text("id,at,USER\n1,2024-01-01T00:00:00Z,a\n")
    json.write_text('{"id": 1, "at": "2024-01-01T00:00:00Z", "USER": "a"}\n')
    for rows in (table, table.to_pandas(), written(tmp_path, table), str(csv), str(json)):
        with pytest.raises(
            IngestError, match=r"no column 'user', which source 'events' declares\. It has 'USER'; upper and lower"
        ):
            store.ingest("events", rows)


def test_texts_that_are_none_name_their_column(store: fs.FeatureStore) -> None:
    with pytest.raises(IngestError, match="texts of column 'user' are no UTF-8"):
        store.ingest("events", pa.table({**WANTED, "user": NO_UTF8}))
