"""Delta tables that others wrote: read as tables, so that what was deleted or overwritten stays away."""

from __future__ import annotations

import json
import struct
from datetime import datetime, timezone
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from featurestore.compute.retrieval.spine import spine_batches
from featurestore.errors import IngestError, SpineError
from featurestore.lake.ingestion.ingest import ingest
from featurestore.lake.layout import Layout, create_or_open
from featurestore.lake.session import connect
from featurestore.lake.table import Table, parquet_scan_sql
from featurestore.spec.source import EventSource

SCHEMA = {"id": "int64", "at": "timestamp", "name": "string"}
EVENTS = EventSource("events", schema=SCHEMA, event_time="at", event_id="id")
MOMENT = datetime(2024, 1, 5, 3, 4, 5, tzinfo=timezone.utc)
ROWS = pa.table(
    {"id": [1, 2, 3, 4], "at": pa.array([MOMENT] * 4, pa.timestamp("us", "UTC")), "name": ["a", "b b", "c/d%20", None]}
)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return create_or_open(tmp_path / "store")


def committed(layout: Layout) -> list[tuple[object, ...]]:
    with connect(layout.root) as session:
        scan = parquet_scan_sql(Table.open(layout.events("events")).files())
        return session.sql(f'SELECT id, epoch_us("at"), name FROM {scan} ORDER BY id').fetchall()


def told(*ids: int) -> list[tuple[object, ...]]:
    moment = int(MOMENT.timestamp()) * 1_000_000
    return [(row["id"], moment, row["name"]) for row in ROWS.to_pylist() if row["id"] in ids]


@pytest.mark.parametrize("partitions", [[], ["name"], ["at"], ["at", "name"]], ids=str)
def test_deleted_rows_stay_deleted_in_events_and_spines(layout: Layout, tmp_path: Path, partitions: list[str]) -> None:
    write_deltalake(str(tmp_path / "t"), ROWS, partition_by=partitions or None)
    DeltaTable(str(tmp_path / "t")).delete("id = 2")
    folder = (tmp_path / "t").rename(tmp_path / "their table[1]")
    for given in (folder, str(folder) + "/", [folder]):
        assert ingest(layout, EVENTS, given).rows_read == 3
    assert committed(layout) == told(1, 3, 4)
    schema, pieces = spine_batches(folder, batch_rows=2)
    spine = pa.Table.from_batches([batch for piece in pieces for batch in piece.to_batches()], schema)
    assert sorted(spine["id"].to_pylist()) == [1, 3, 4]


def test_overwritten_rows_and_older_files_without_a_column(layout: Layout, tmp_path: Path) -> None:
    write_deltalake(str(tmp_path / "t"), ROWS)
    write_deltalake(str(tmp_path / "t"), ROWS.slice(0, 1).drop_columns(["name"]), mode="overwrite", schema_mode="overwrite")
    write_deltalake(str(tmp_path / "t"), ROWS.slice(2, 1), mode="append", schema_mode="merge")
    ingest(layout, EVENTS, tmp_path / "t")
    assert [(row[0], row[2]) for row in committed(layout)] == [(1, None), (3, "c/d%20")]


def test_a_folder_above_a_table_reads_it_as_one_beside_plain_files(layout: Layout, tmp_path: Path) -> None:
    write_deltalake(str(tmp_path / "in" / "table"), ROWS.slice(0, 2))
    DeltaTable(str(tmp_path / "in" / "table")).delete("id = 2")
    (tmp_path / "in" / "more.csv").write_text("id,at,name\n9,2024-01-01,x\n")
    assert ingest(layout, EVENTS, tmp_path / "in").rows_added == 2


def test_a_pattern_over_the_files_of_a_table_is_refused(layout: Layout, tmp_path: Path) -> None:
    write_deltalake(str(tmp_path / "t"), ROWS)
    with pytest.raises(
        IngestError, match=f"files of the Delta table {tmp_path}/t, where deleted rows lie too. Give the folder"
    ):
        ingest(layout, EVENTS, str(tmp_path / "t" / "*.parquet"))
    with pytest.raises(SpineError, match="files of the Delta table"):
        spine_batches(str(tmp_path / "*" / "*.parquet"), batch_rows=2)


def _protocol(*features: str) -> dict[str, object]:
    names = list(features)
    return {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": names, "writerFeatures": names}}


def _log(table: Path, version: int, *entries: dict[str, object]) -> None:
    (table / "_delta_log" / f"{version:020}.json").write_text("".join(json.dumps(entry) + "\n" for entry in entries))


def _added(table: Path) -> dict[str, object]:
    entries = map(json.loads, (table / "_delta_log" / f"{0:020}.json").read_text().splitlines())
    return dict(next(entry["add"] for entry in entries if "add" in entry))


def _deletion_vector(*rows: int) -> dict[str, object]:
    """Write positions of deleted rows as the protocol has them inline: a roaring bitmap, in letters of Z85."""
    bitmap = struct.pack("<IIHHI", 12346, 1, 0, len(rows) - 1, 16) + struct.pack(f"<{len(rows)}H", *rows)
    data = struct.pack("<IqI", 1681511377, 1, 0) + bitmap
    letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
    padded = data + bytes(-len(data) % 4)
    numbers = struct.unpack(f">{len(padded) // 4}I", padded)
    text = "".join(letters[number // 85**power % 85] for number in numbers for power in (4, 3, 2, 1, 0))
    return {"storageType": "i", "pathOrInlineDv": text, "sizeInBytes": len(data), "cardinality": len(rows)}


def test_rows_that_a_deletion_vector_deletes_stay_deleted(layout: Layout, tmp_path: Path) -> None:
    write_deltalake(str(tmp_path / "t"), ROWS)
    added = _added(tmp_path / "t")
    removed = {"path": added["path"], "dataChange": True, "deletionTimestamp": 1}
    again = {**added, "deletionVector": _deletion_vector(1, 3)}
    _log(tmp_path / "t", 1, _protocol("deletionVectors"), {"remove": removed}, {"add": again})
    assert ingest(layout, EVENTS, tmp_path / "t").rows_read == 2
    assert committed(layout) == told(1, 3)
    schema, pieces = spine_batches(tmp_path / "t", batch_rows=2)
    spine = pa.Table.from_batches([batch for piece in pieces for batch in piece.to_batches()], schema)
    assert sorted(spine["id"].to_pylist()) == [1, 3]


def test_columns_that_a_table_has_renamed_have_their_new_names(layout: Layout, tmp_path: Path) -> None:
    write_deltalake(str(tmp_path / "t"), ROWS.rename_columns(["c1", "c2", "c3"]))
    (entry,) = [
        entry
        for entry in map(json.loads, (tmp_path / "t" / "_delta_log" / f"{0:020}.json").read_text().splitlines())
        if "metaData" in entry
    ]
    schema = json.loads(entry["metaData"]["schemaString"])
    for number, (column, name) in enumerate(zip(schema["fields"], ("id", "at", "name"), strict=True), 1):
        column["metadata"] = {"delta.columnMapping.id": number, "delta.columnMapping.physicalName": column["name"]}
        column["name"] = name
    entry["metaData"] |= {
        "schemaString": json.dumps(schema),
        "configuration": {"delta.columnMapping.mode": "name", "delta.columnMapping.maxColumnId": "3"},
    }
    _log(tmp_path / "t", 1, _protocol("columnMapping"), entry)
    assert ingest(layout, EVENTS, tmp_path / "t").rows_added == 4
    assert committed(layout) == told(1, 2, 3, 4)


@pytest.mark.parametrize("feature", ["typeWidening", "variantType", "someday"])
def test_features_that_are_unknown_are_refused_by_name(layout: Layout, tmp_path: Path, feature: str) -> None:
    write_deltalake(str(tmp_path / "t"), ROWS)
    _log(tmp_path / "t", 1, _protocol(feature))
    with pytest.raises(IngestError, match=rf"(?i){feature}.*Write its rows to Parquet files with the program that made it"):
        ingest(layout, EVENTS, tmp_path / "t")
    with pytest.raises(SpineError, match=f"(?i){feature}"):
        spine_batches(tmp_path / "t", batch_rows=2)


def test_a_pattern_that_matches_tables_reads_them_as_tables(layout: Layout, tmp_path: Path) -> None:
    for number in (0, 2):
        write_deltalake(str(tmp_path / f"t{number}"), ROWS.slice(number, 2))
        DeltaTable(str(tmp_path / f"t{number}")).delete(f"id = {number + 2}")
    assert ingest(layout, EVENTS, str(tmp_path / "t?")).rows_added == 2
    assert committed(layout) == told(1, 3)


def test_a_file_of_a_table_is_refused_also_when_it_alone_is_named(layout: Layout, tmp_path: Path) -> None:
    write_deltalake(str(tmp_path / "t"), ROWS)
    (file,) = (tmp_path / "t").glob("*.parquet")
    with pytest.raises(IngestError, match="files of the Delta table"):
        ingest(layout, EVENTS, file)


def test_a_table_whose_rows_are_all_deleted_is_refused(layout: Layout, tmp_path: Path) -> None:
    write_deltalake(str(tmp_path / "t"), ROWS)
    DeltaTable(str(tmp_path / "t")).delete()
    with pytest.raises(IngestError, match="has no rows"):
        ingest(layout, EVENTS, tmp_path / "t")


def test_a_damaged_log_is_refused(layout: Layout, tmp_path: Path) -> None:
    write_deltalake(str(tmp_path / "t"), ROWS)
    (tmp_path / "t" / "_delta_log" / f"{0:020}.json").write_text("no JSON\n")
    with pytest.raises(IngestError, match=r"The Delta table .* cannot be read"):
        ingest(layout, EVENTS, tmp_path / "t")


def test_a_column_that_no_event_has_does_not_stop_a_table(layout: Layout, tmp_path: Path) -> None:
    write_deltalake(str(tmp_path / "t"), ROWS.append_column("more", pa.array([{"a": 1}] * 4)))
    wider = ROWS.slice(0, 1).set_column(0, "id", pa.array([9])).append_column("more", pa.array([{"a": 1, "b": 2}]))
    write_deltalake(str(tmp_path / "t"), wider, mode="append", schema_mode="merge")
    report = ingest(layout, EVENTS, tmp_path / "t")
    assert (report.rows_added, report.extra_columns) == (5, ("more",))
