"""Rewriting months: from a verdict to staged files, one new file per changed month."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from featurestore.lake.digests import sound
from featurestore.lake.ingestion.batch import VALID
from featurestore.lake.ingestion.contents import REMOVED
from featurestore.lake.ingestion.identity import Verdict
from featurestore.lake.ingestion.lines import POSITION
from featurestore.lake.months import Months, within_sql
from featurestore.lake.query_parquet import PlannedFile, absorbed, write_all_sorted
from featurestore.lake.session import quote
from featurestore.lake.source_scan import source_scan_sql
from featurestore.lake.table import CommittedFile, StagedFile, Table
from featurestore.spec.source import EventSource
from featurestore.timeline import Interval, Month

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_FRESH = "fresh"
"""Table of the rows to write, where the batch is not just these, or in no order; not a temporary one, as the batch."""
_BLOCK_ROWS = 122_880
"""Rows of which DuckDB knows the first and the last instant: what holds nothing of a month is not read for it."""
_MOST_READ = 24
"""So often, on average, a row may be read to write months one by one: at 11 ns a row, that is what one sort of all costs."""


@dataclass(frozen=True)
class Rewrite:
    """What one commit changes: files to add, files to remove, and the months that they belong to."""

    add: tuple[StagedFile, ...]
    remove: tuple[CommittedFile, ...]
    months: tuple[Month, ...]


def rewrite_months(
    session: DuckDBPyConnection, source: EventSource, *, table: Table, verdict: Verdict, timezone: str
) -> Rewrite:
    """Write the new rows of every month, together with what must or should be rewritten with them.

    A committed file is rewritten when it loses rows, and swallowed when it is small beside the new rows.

    Args:
        session: Holds the batch and the tables of the verdict; may write below the table.
        source: Whose rows they are.
        table: The events.
        verdict: What to add and what to take out.
        timezone: Business time zone.
    """
    changes = list(_changed_months(verdict, timezone))
    fresh_sql = _gathered(session, source, verdict) if len(changes) > 1 else verdict.fresh_sql
    remove: list[CommittedFile] = []
    planned: list[PlannedFile] = []
    for month, interval, rows in changes:
        partition = {"month": str(month)}
        losing = [file for file in verdict.touched if file.partition == partition]
        others = [file for file in table.files(**partition) if file not in losing]
        old = [*losing, *absorbed(others, rows)]
        arms = _arms(source, fresh_sql, interval if rows else None, old, is_losing=bool(losing))
        planned.append(PlannedFile(f"FROM ({arms})", partition, rows + sum(file.rows for file in old)))
        remove += old
    order_by = (quote(source.event_time), quote(source.id_column))
    add = write_all_sorted(session, planned, table=table.path, order_by=order_by)
    session.execute(f"DROP TABLE IF EXISTS {_FRESH}")
    return Rewrite(tuple(add), tuple(remove), tuple(month for month, _, _ in changes))


def _gathered(session: DuckDBPyConnection, source: EventSource, verdict: Verdict) -> str:
    """Return a query of the rows to write that costs little for each month: not a join, nor all rows, again and again.

    A batch in some order of time is read as it lies: DuckDB passes over blocks that hold nothing of a month. Of one in no order all
    would be read for each month: 120 months of 4 M rows so took 7.5 CPU-s, and 3.4 with one sort of all before.
    """
    is_scattered = _is_scattered(session, source, verdict.months)
    if verdict.is_whole and not is_scattered:
        return verdict.fresh_sql
    order = f" ORDER BY {quote(source.event_time)}, {quote(source.id_column)}" if is_scattered else ""
    session.execute(f"CREATE OR REPLACE TABLE {_FRESH} AS FROM ({verdict.fresh_sql}){order}")
    return f"FROM {_FRESH}"


def _is_scattered(session: DuckDBPyConnection, source: EventSource, months: Months) -> bool:
    """Tell whether the blocks of the batch span so many months that one sort of it is cheaper than reading them for each."""
    if len(months.months) <= _MOST_READ or sum(months.rows) <= _BLOCK_ROWS:
        return False
    position, instant = quote(POSITION), quote(source.event_time)
    blocks = session.execute(
        f"SELECT epoch_us(min({instant})), epoch_us(max({instant})) FROM {VALID} GROUP BY {position} // {_BLOCK_ROWS}"
    ).fetchall()
    ends = [interval.end_us for interval in months.intervals]
    spans = [1 + bisect_right(ends, last) - bisect_right(ends, first) for first, last in blocks]
    return sum(spans) > _MOST_READ * len(blocks)


def _changed_months(verdict: Verdict, timezone: str) -> Iterator[tuple[Month, Interval, int]]:
    """Yield the months with new rows or touched files, ascending: month, interval, new rows."""
    changed = {month: (interval, rows) for month, interval, rows in verdict.months}
    for name in {file.partition["month"] for file in verdict.touched} - {str(month) for month in changed}:
        month = Month.parse(name)
        changed[month] = (month.interval(timezone), 0)
    yield from ((month, *changed[month]) for month in sorted(changed))


def _arms(
    source: EventSource, fresh_sql: str, interval: Interval | None, old: Sequence[CommittedFile], *, is_losing: bool
) -> str:
    columns = ", ".join(quote(column) for column in source.stored)
    arms = []
    if interval is not None:
        arms.append(f"SELECT {columns} FROM ({fresh_sql}) WHERE {within_sql(source.event_time, interval)}")
    if old:
        scan = source_scan_sql(source, sound(old), options="filename = '$file', file_row_number = true")
        without = f' ANTI JOIN {REMOVED} r ON s."$file" = r.file AND s.file_row_number = r.row' if is_losing else ""
        arms.append(f"SELECT {columns} FROM {scan} s{without}")
    return " UNION ALL ".join(arms)
