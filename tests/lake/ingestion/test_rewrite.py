"""Writing the months of a batch: side by side, in whatever order its rows come, and nothing left behind by a failure."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from featurestore.lake.ingestion.batch import Batch
from featurestore.lake.ingestion.identity import judge
from featurestore.lake.ingestion.ingest import ingest
from featurestore.lake.ingestion.intake import check_input, portions_of
from featurestore.lake.ingestion.rewrite import rewrite_months
from featurestore.lake.layout import Layout, create_or_open
from featurestore.lake.query_parquet import PlannedFile, write_all_sorted
from featurestore.lake.session import connect
from featurestore.lake.table import Table
from featurestore.spec.source import EventSource
from featurestore.timeline import DAY_US

EVENTS = EventSource(
    "events",
    schema={"event_id": "int64", "event_time": "timestamp", "ingested_at": "timestamp", "amount": "int64"},
    event_time="event_time",
    event_id="event_id",
    ingested_at="ingested_at",
)
ROWS = 250_000
FIRST_US = 1_451_606_400_000_000


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return create_or_open(tmp_path / "store", timezone="UTC")


def history(*, is_shuffled: bool, days: int = 3653) -> pa.Table:
    """Draw rows of ten years."""
    random = np.random.default_rng(7)
    instants = FIRST_US + np.sort(random.integers(0, days * DAY_US, ROWS))
    numbers = random.permutation(ROWS) if is_shuffled else np.arange(ROWS)
    times = pa.array(instants[numbers], pa.timestamp("us", "UTC"))
    return pa.table({"event_id": numbers, "event_time": times, "ingested_at": times, "amount": numbers % 1000})


@pytest.mark.parametrize("is_shuffled", [False, True])
def test_a_decade_in_any_order_becomes_a_sorted_file_for_each_month(layout: Layout, is_shuffled: bool) -> None:
    rows = history(is_shuffled=is_shuffled)
    report = ingest(layout, EVENTS, rows)
    files = Table.open(layout.events("events")).files()
    assert (report.rows_added, report.files, len(files), report.version) == (ROWS, 120, 120, 0)
    read = []
    for file in files:
        table = pq.read_table(file.path)
        months = set(pc.strftime(table["event_time"], "%Y-%m").unique().to_pylist())
        assert months == {file.partition["month"]}
        assert table.equals(table.sort_by([("event_time", "ascending"), ("event_id", "ascending")]))
        read.append(table)
    assert pa.concat_tables(read).sort_by("event_id").cast(rows.schema).equals(rows.sort_by("event_id"))


@pytest.mark.parametrize("is_shuffled", [False, True])
def test_a_batch_in_no_order_is_sorted_once_and_one_in_order_is_not_copied(layout: Layout, is_shuffled: bool) -> None:
    with connect(layout.root) as session:
        batch = Batch(session, EVENTS, now_us=2 * FIRST_US)
        for portion in portions_of(check_input(history(is_shuffled=is_shuffled, days=1200), EVENTS), limit=ROWS):
            batch.add(portion)
        verdict = judge(session, EVENTS, timezone="UTC", committed=[], superseded=[], replace=False)
        seen = _Seen(session)
        table = Table.open(layout.events("events"))
        rewrite = rewrite_months(seen, EVENTS, table=table, verdict=verdict, timezone="UTC")  # type: ignore[arg-type]
        copies = [sql for sql in seen.texts if sql.startswith("CREATE")]
        assert (len(rewrite.add), len(copies)) == (40, int(is_shuffled))


class _Seen:
    """A session that notes what it is asked."""

    def __init__(self, session: duckdb.DuckDBPyConnection) -> None:
        self._session = session
        self.texts: list[str] = []

    def execute(self, sql: str) -> duckdb.DuckDBPyConnection:
        self.texts.append(sql)
        return self._session.execute(sql)

    def cursor(self) -> duckdb.DuckDBPyConnection:
        return self._session.cursor()


def test_corrections_move_rows_among_many_months_at_once(layout: Layout) -> None:
    rows = history(is_shuffled=False).slice(0, 3000).set_column(0, "event_id", pa.array(range(3000)))
    spread = FIRST_US + np.arange(3000) * DAY_US
    first = rows.set_column(1, "event_time", pa.array(spread, pa.timestamp("us", "UTC")))
    ingest(layout, EVENTS, first)
    moved = first.set_column(1, "event_time", pa.array(spread[::-1], pa.timestamp("us", "UTC")))
    later = moved.set_column(2, "ingested_at", pc.add(moved["ingested_at"], pa.scalar(3653 * DAY_US, pa.duration("us"))))
    report = ingest(layout, EVENTS, later)
    assert (report.rows_added, report.corrections) == (0, 3000)
    files = Table.open(layout.events("events")).files()
    assert len({file.partition["month"] for file in files}) == len(files) == 99
    read = pa.concat_tables(pq.read_table(file.path) for file in files).sort_by("event_id").cast(later.schema)
    assert read.equals(later.sort_by("event_id"))


@pytest.mark.parametrize("rows", [10, 1_000_000])
def test_a_file_that_cannot_be_written_takes_the_others_with_it(tmp_path: Path, rows: int) -> None:
    planned = [PlannedFile(f"SELECT {month} AS value", {"month": f"2024-0{month}"}, rows) for month in range(1, 6)]
    planned.insert(3, PlannedFile("SELECT error('no room')::INTEGER AS value", {"month": "2024-09"}, rows))
    with connect(tmp_path) as session:
        with pytest.raises(duckdb.Error, match="no room"):
            write_all_sorted(session, planned, table=tmp_path / "events", order_by=())
        assert list(tmp_path.rglob("*.parquet")) == []
        del planned[3]
        staged = write_all_sorted(session, planned, table=tmp_path / "events", order_by=())
    assert [file.partition["month"] for file in staged] == [f"2024-0{month}" for month in range(1, 6)]
