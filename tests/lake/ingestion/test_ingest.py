"""Ingest of every kind of input, of landing folders, across crashes and beside other writers."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from featurestore.errors import IngestError, StoreError
from featurestore.lake.ingestion.ingest import ingest
from featurestore.lake.layout import Layout, create_or_open
from featurestore.lake.session import connect
from featurestore.lake.table import Table, parquet_scan_sql
from featurestore.spec.source import EventSource
from featurestore.timeline import Month, to_us
from tests.lake.ingestion.superseded import read_superseded

UTC = timezone.utc
EVENTS = EventSource(
    "events",
    schema={"event_id": "int64", "event_time": "timestamp", "kind": "string", "amount": "double", "shipped_at": "timestamp"},
    event_time="event_time",
    event_id="event_id",
)
VERSIONED = EventSource(
    "events",
    schema={"event_id": "int64", "event_time": "timestamp", "ingested_at": "timestamp", "amount": "int64"},
    event_time="event_time",
    event_id="event_id",
    ingested_at="ingested_at",
)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return create_or_open(tmp_path / "store", timezone="Asia/Shanghai")


def frame(count: int = 6, *, first: int = 0) -> pa.Table:
    times = [datetime(2024, 4, 29, tzinfo=UTC) + timedelta(hours=10 * number) for number in range(count)]
    return pa.table(
        {
            "event_id": pa.array(range(first, first + count), pa.int64()),
            "event_time": pa.array(times, pa.timestamp("us", "UTC")),
            "kind": ["a,b", 'say "hi"', None, "two\nlines", "é", "x"] * (count // 6) + ["y"] * (count % 6),
            "amount": pa.array([number / 8 for number in range(count)]),
            "shipped_at": pa.array([None if number % 2 else moment for number, moment in enumerate(times)], times_type()),
        }
    )


def times_type() -> pa.DataType:
    return pa.timestamp("us", "UTC")


def committed(layout: Layout, source: EventSource = EVENTS) -> pa.Table:
    files = Table.open(layout.events("events")).files()
    columns = ", ".join(source.types)
    with connect(layout.root) as session:
        return session.sql(f"SELECT {columns} FROM {parquet_scan_sql(files)} ORDER BY event_id").to_arrow_table()


def write_json_lines(table: pa.Table, file: Path) -> None:
    lines = [json.dumps({**row, "event_time": str(row["event_time"]), "shipped_at": row["shipped_at"] and str(row["shipped_at"])})
             for row in table.to_pylist()]  # fmt: skip
    content = "\n".join([*lines, "", "   "]).encode()
    file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)


def write_csv(table: pa.Table, file: Path, delimiter: str = ",") -> None:
    import io

    sink = io.BytesIO()
    pyarrow.csv.write_csv(table, sink, pyarrow.csv.WriteOptions(delimiter=delimiter))
    content = b"\xef\xbb\xbf" + sink.getvalue()
    file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)


def test_all_kinds_of_input_commit_the_same_events(tmp_path: Path) -> None:
    table = frame(12)
    pq.write_table(table, tmp_path / "a.parquet")
    for name in ("a.csv", "a.csv.gz"):
        write_csv(table, tmp_path / name)
    write_csv(table, tmp_path / "a.tsv", "\t")
    write_csv(table, tmp_path / "semicolon.csv", ";")
    for name in ("a.jsonl", "a.ndjson.gz"):
        write_json_lines(table, tmp_path / name)
    (tmp_path / "folder" / "_hidden").mkdir(parents=True)
    (tmp_path / "folder" / "_SUCCESS").touch()
    (tmp_path / "folder" / "half.parquet.tmp").write_bytes(b"PAR1")
    for part in range(3):
        pq.write_table(table.slice(part * 4, 4), tmp_path / "folder" / f"part{part}.parquet")
    inputs: dict[str, Any] = {name: tmp_path / name for name in ("a.parquet", "a.csv", "a.csv.gz", "a.tsv", "semicolon.csv")}
    inputs |= {name: tmp_path / name for name in ("a.jsonl", "a.ndjson.gz", "folder")}
    inputs |= {
        "glob": f"{tmp_path}/folder/*.parquet",
        "list": [tmp_path / "folder" / f"part{part}.parquet" for part in range(3)],
        "arrow": table,
        "dictionary": table.set_column(2, "kind", table["kind"].dictionary_encode()),
        "reader": pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=5)),
        "polars": pl.from_arrow(table),
        "lazy": pl.scan_parquet(tmp_path / "a.parquet"),
        "pandas": table.to_pandas(),
    }
    for number, (name, rows) in enumerate(inputs.items()):
        layout = create_or_open(tmp_path / "stores" / str(number), timezone="Asia/Shanghai")
        report = ingest(layout, EVENTS, rows)
        assert (report.rows_added, report.quarantined, report.version) == (12, {}, 0), name
        assert committed(layout).equals(table), name


def test_files_hold_one_business_month_sorted_by_time_with_statistics(layout: Layout) -> None:
    table = frame(60)
    report = ingest(layout, EVENTS, table.take(np.random.default_rng(0).permutation(60)))
    assert [str(month) for month in report.months] == ["2024-04", "2024-05"]
    for file in Table.open(layout.events("events")).files():
        times = pq.ParquetFile(file.path).read()["event_time"].to_pylist()
        assert times == sorted(times)
        assert (times[0], times[-1]) == (file.minimum["event_time"], file.maximum["event_time"])
        month = Month.parse(file.partition["month"]).interval("Asia/Shanghai")
        assert month.start_us <= to_us(times[0]) <= to_us(times[-1]) < month.end_us


def test_large_input_is_committed_in_batches(layout: Layout, tmp_path: Path) -> None:
    pq.write_table(frame(60), tmp_path / "a.parquet", row_group_size=7)
    seen: list[int] = []
    report = ingest(layout, EVENTS, [tmp_path / "a.parquet"], batch_rows=25, progress=seen.append)
    assert (report.rows_added, report.version) == (60, 2)
    assert (seen[-1], seen) == (60, sorted(seen))
    assert committed(layout).equals(frame(60))


def test_lines_that_are_no_objects_are_quarantined(layout: Layout, tmp_path: Path) -> None:
    write_json_lines(frame(6), tmp_path / "a.jsonl")
    with (tmp_path / "a.jsonl").open("ab") as file:
        file.write(
            b'\nnot json\n[1]\n{"event_id": 7, "event_time": "2024-05-01T00:00:00Z"}\n{"event_id": 1.5}\n{"kind": "\xe9"}\n'
        )
    report = ingest(layout, EVENTS, tmp_path / "a.jsonl")
    assert (report.rows_read, report.rows_added) == (11, 7)
    assert report.quarantined == {"bytes of another encoding": 1, "fraction in event_id": 1, "unreadable line": 2}


def test_the_landing_folder_is_ingested_file_by_file_once(layout: Layout) -> None:
    landing = layout.landing(EVENTS)
    with pytest.raises(IngestError, match="no landing folder"):
        ingest(layout, EVENTS)
    landing.mkdir(parents=True)
    assert ingest(layout, EVENTS).rows_read == 0
    pq.write_table(frame(6), landing / "a.parquet")
    pq.write_table(frame(0), landing / "none.parquet")
    assert ingest(layout, EVENTS).rows_added == 6
    version = Table.open(layout.events("events")).version
    assert (ingest(layout, EVENTS).rows_read, Table.open(layout.events("events")).version) == (0, version)
    pq.write_table(frame(6), landing / "again.parquet")
    report = ingest(layout, EVENTS)
    assert (report.rows_read, report.duplicates, report.files) == (6, 6, 0)
    assert ingest(layout, EVENTS).rows_read == 0
    pq.write_table(frame(12), landing / "a.parquet")
    assert ingest(layout, EVENTS).rows_added == 6


def test_a_landing_folder_with_only_invalid_rows_is_not_read_again(layout: Layout) -> None:
    landing = layout.landing(EVENTS)
    landing.mkdir(parents=True)
    (landing / "a.csv").write_text("event_id,event_time,kind,amount,shipped_at\nx,,,,\n")
    assert ingest(layout, EVENTS).quarantined == {"unparsable event_id": 1}
    assert ingest(layout, EVENTS).rows_read == 0


def test_links_in_the_landing_folder_are_refused(layout: Layout, tmp_path: Path) -> None:
    landing = layout.landing(EVENTS)
    landing.mkdir(parents=True)
    pq.write_table(frame(6), tmp_path / "secret.parquet")
    (tmp_path / "folder").mkdir()
    for target in (tmp_path / "secret.parquet", tmp_path / "folder", tmp_path / "nowhere.parquet"):
        link = landing / "a.parquet"
        link.symlink_to(target)
        with pytest.raises(IngestError, match="is a link"):
            ingest(layout, EVENTS)
        link.unlink()


def versioned(rows: list[tuple[int, int, int, int]]) -> pa.Table:
    """Build rows of (event_id, day of 2024, hour known, amount)."""
    start = datetime(2024, 1, 1, 1, tzinfo=UTC)
    return pa.table(
        {
            "event_id": [row[0] for row in rows],
            "event_time": pa.array([start + timedelta(days=row[1]) for row in rows], times_type()),
            "ingested_at": pa.array([start + timedelta(days=400, hours=row[2]) for row in rows], times_type()),
            "amount": [row[3] for row in rows],
        }
    )


INGEST = """
import sys
from featurestore.lake.ingestion.ingest import ingest
from featurestore.lake.layout import create_or_open
from featurestore.spec.source import EventSource

types = {"event_id": "int64", "event_time": "timestamp", "ingested_at": "timestamp", "amount": "int64"}
source = EventSource("events", schema=types, event_time="event_time", event_id="event_id", ingested_at="ingested_at")
print("ready", flush=True)
report = ingest(create_or_open(sys.argv[1]), source, sys.argv[2], batch_rows=int(sys.argv[3]))
print(report.rows_added, report.duplicates, report.corrections)
"""


def started_ingest(layout: Layout, file: Path, *, batch_rows: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", INGEST, str(layout.root), str(file), str(batch_rows)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_killed_anywhere_and_run_again_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    history = [(i, int(rng.integers(0, 300)), 0, i) for i in range(400)]
    # Every fourth event is corrected, half of these in another month; every tenth is delivered again.
    changes = [(i, (history[i][1] + 40 * (i % 8 == 0)) % 300, 1, i + 1000) for i in range(0, 400, 4)]
    pq.write_table(versioned(changes + history[::10] + [(i, 5, 0, i) for i in range(400, 500)]), tmp_path / "b.parquet")
    fractions = (0.2, 0.4, 0.6, 0.8)
    took_s = 1.0
    for number, fraction in enumerate((None, *fractions)):
        layout = create_or_open(tmp_path / f"store{number}", timezone="Asia/Shanghai")
        ingest(layout, VERSIONED, versioned(history))
        worker = started_ingest(layout, tmp_path / "b.parquet", batch_rows=70)
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
        started = time.monotonic()
        if fraction is not None:
            time.sleep(took_s * fraction)
            worker.send_signal(signal.SIGKILL)
            worker.wait()
            ingest(layout, VERSIONED, tmp_path / "b.parquet", batch_rows=70)
        assert worker.wait() == (0 if fraction is None else worker.returncode)
        took_s = time.monotonic() - started if fraction is None else took_s
        worker.stdout.close()
        rows = {row["event_id"]: row["amount"] for row in committed(layout, VERSIONED).to_pylist()}
        assert committed(layout, VERSIONED).num_rows == 500
        assert rows == {i: i + 1000 if i < 400 and i % 4 == 0 else i for i in range(500)}
        assert sorted(read_superseded(layout, VERSIONED)["event_id"].to_pylist()) == list(range(0, 400, 4))


def test_two_processes_ingesting_the_same_new_months_commit_every_event_once(tmp_path: Path) -> None:
    layout = create_or_open(tmp_path / "store")
    rows = [(i, i % 60, 0, i) for i in range(300)]
    pq.write_table(versioned(rows[:200]), tmp_path / "a.parquet")
    pq.write_table(versioned(rows[100:]), tmp_path / "b.parquet")
    workers = [started_ingest(layout, tmp_path / name, batch_rows=40) for name in ("a.parquet", "b.parquet")]
    outputs = [worker.communicate(timeout=120)[0].split()[1:] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    added, duplicates = (sum(int(output[i]) for output in outputs) for i in (0, 1))
    assert (added, duplicates) == (300, 100)
    assert committed(layout, VERSIONED)["event_id"].to_pylist() == list(range(300))


def test_columns_may_have_the_names_that_sql_uses_itself(layout: Layout) -> None:
    names = ("file", "row", "reason", "key", "select", "v", "c")
    types = {"id": "int64", "event_time": "timestamp", "known": "timestamp", **dict.fromkeys(names, "string")}
    source = EventSource("events", schema=types, event_time="event_time", event_id="id", ingested_at="known")
    table = versioned([(1, 1, 1, 1), (2, 50, 1, 1)]).drop_columns(["amount"])
    for content in ("old", "new"):
        days = pa.scalar(timedelta(days=content == "new"))
        rows = pa.table(
            {
                "id": table["event_id"],
                "event_time": table["event_time"],
                "known": pa.compute.add(table["ingested_at"], days),
                **{name: [content] * 2 for name in names},
            }
        )
        ingest(layout, source, rows)
        ingest(layout, source, rows)
    with connect(layout.root) as session:
        found = session.sql(f"FROM {parquet_scan_sql(Table.open(layout.events('events')).files())}").to_arrow_table()
    assert set(found["file"].to_pylist()) == {"new"}
    assert read_superseded(layout, source)["select"].to_pylist() == ["old", "old"]


def test_a_source_that_changed_its_columns_is_refused_before_anything_is_written(layout: Layout) -> None:
    ingest(layout, VERSIONED, versioned([(1, 1, 1, 1)]))
    with pytest.raises(StoreError, match="columns"):
        ingest(layout, EVENTS, frame(6))
    assert committed(layout, VERSIONED).num_rows == 1


def test_a_report_reads_as_one_line(layout: Layout) -> None:
    text = str(ingest(layout, EVENTS, frame(60)))
    assert text.startswith("events: 60 rows read, 60 added, 2 months (2024-04 .. 2024-05); ")
    assert os.linesep not in text
