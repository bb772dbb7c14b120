"""What must not grow with a table's history: what is read of its log, how many files a month has."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.lake.ingestion.identity import Verdict
from featurestore.lake.ingestion.ingest import ingest
from featurestore.lake.ingestion.redelivered import record_redelivered, redelivered_rows
from featurestore.lake.layout import Layout, create_or_open
from featurestore.lake.months import Months
from featurestore.lake.table import Table, commit, describe, stage
from featurestore.spec.source import EventSource
from featurestore.timeline import DAY_US, Month
from tests.operations.damaged_store import forget

EVENTS = EventSource(
    "events",
    schema={"event_id": "int64", "event_time": "timestamp", "ingested_at": "timestamp", "amount": "int64"},
    event_time="event_time",
    event_id="event_id",
    ingested_at="ingested_at",
)
FIRST_US = 1_451_606_400_000_000


def at(numbers: list[int], days: list[int]) -> pa.Table:
    """Make an event of each number on a day, counted from 2016-01-01."""
    times = pa.array(FIRST_US + np.array(days) * DAY_US, pa.timestamp("us", "UTC"))
    return pa.table({"event_id": numbers, "event_time": times, "ingested_at": times, "amount": numbers})


def bytes_read() -> int:
    place = Path("/proc/self/io")
    if not place.exists():
        pytest.skip("this system does not count what a process reads")
    return int(place.read_text(encoding="ascii").split("rchar: ")[1].split()[0])


def reading(call: Callable[[], object]) -> int:
    """Count the bytes that a call reads."""
    before = bytes_read()
    call()
    return bytes_read() - before


def store_of(root: Path, months: int) -> Layout:
    """Make a store with an event in each of so many months, the last of which is the hundred and twentieth."""
    layout = create_or_open(root, timezone="UTC")
    days = [int(31 * month) for month in range(120 - months, 120)]
    ingest(layout, EVENTS, at(list(range(len(days))), days))
    return layout


def test_a_daily_ingest_into_120_months_reads_no_more_than_one_into_12(tmp_path: Path) -> None:
    read = []
    for months in (12, 120):
        layout = store_of(tmp_path / str(months), months)
        assert len(Table.open(layout.events("events")).files()) == months
        ingest(layout, EVENTS, at([1000], [31 * 119 + 1]))  # what a process does once
        read.append(reading(lambda layout=layout: ingest(layout, EVENTS, at([1001], [31 * 119 + 2]))))  # type: ignore[misc]
    assert read[1] <= 1.05 * read[0]


def grown(path: Path, commits: int) -> None:
    """Replace the one file of a table again and again, as many small ingests do."""
    for number in range(commits):
        file = stage(path, {"month": "2024-08"})
        pq.write_table(pa.table({"id": [number]}), file)
        old = Table.open(path).files()
        commit(
            path, add=[describe(file, {"month": "2024-08"})], remove=old, partition_by=("month",), marks={"ingest": number + 1}
        )


def test_a_new_process_reads_no_more_of_a_log_that_is_longer(tmp_path: Path) -> None:
    read = []
    for commits in (40, 72):
        path = tmp_path / str(commits)
        grown(path, commits)
        forget()
        read.append(reading(lambda path=path: (Table.open(path).files(), Table.open(path).mark("ingest"))))  # type: ignore[misc]
        assert (Table.open(path).version, Table.open(path).mark("ingest")) == (commits - 1, commits)
    assert read[1] <= 1.3 * read[0]


def test_months_of_small_deliveries_have_one_file_each(tmp_path: Path) -> None:
    layout = create_or_open(tmp_path / "store", timezone="UTC")
    for day in range(0, 70, 5):
        ingest(layout, EVENTS, at([day, 1000 + day], [day, max(day - 20, 0)]))
    files = Table.open(layout.events("events")).files()
    assert [file.partition["month"] for file in files] == ["2016-01", "2016-02", "2016-03"]
    assert sum(file.rows for file in files) == 28


def test_what_was_delivered_twice_is_counted_in_a_bounded_number_of_files(tmp_path: Path) -> None:
    layout = create_or_open(tmp_path / "store", timezone="UTC")
    folder = layout.redelivered("events")
    month, other = Month(2024, 8), Month(2024, 9)
    counts = []
    for version in range(1, 151):
        redelivered = {month: 2} if version % 2 else {month: 1, other: 1}
        verdict = Verdict(1, 2, 0, 0, "", Months((), (), ()), redelivered=redelivered)
        record_redelivered(layout, "events", verdict, version=version)
        counts.append(len(list(folder.iterdir())))
    assert redelivered_rows(layout, "events") == {month: 225, other: 75}
    assert max(counts) == 64
    (summed,) = folder.glob("*-all.json")
    left = folder / f"{int(summed.stem[:10]):010d}.json"
    left.write_text(json.dumps({"2024-08": 7}))  # whoever added it up was killed before he deleted it
    assert redelivered_rows(layout, "events") == {month: 225, other: 75}
