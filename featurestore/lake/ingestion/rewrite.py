"""Rewriting months: from a verdict to staged files, one new file per changed month."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from featurestore.lake.digests import sound
from featurestore.lake.ingestion.contents import REMOVED
from featurestore.lake.ingestion.identity import Verdict
from featurestore.lake.months import within_sql
from featurestore.lake.query_parquet import absorbed, write_sorted
from featurestore.lake.session import quote
from featurestore.lake.source_scan import source_scan_sql
from featurestore.lake.table import CommittedFile, StagedFile, Table
from featurestore.spec.source import EventSource
from featurestore.timeline import Interval, Month

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


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
    add: list[StagedFile] = []
    remove: list[CommittedFile] = []
    changed: list[Month] = []
    for month, interval, rows in _changed_months(verdict, timezone):
        partition = {"month": str(month)}
        losing = [file for file in verdict.touched if file.partition == partition]
        others = [file for file in table.files(**partition) if file not in losing]
        old = [*losing, *absorbed(others, rows)]
        arms = _arms(source, verdict.fresh_sql, interval if rows else None, old, is_losing=bool(losing))
        order_by = (quote(source.event_time), quote(source.id_column))
        staged = write_sorted(session, f"FROM ({arms})", table=table.path, partition=partition, order_by=order_by)
        add += [staged] if staged else []
        remove += old
        changed.append(month)
    return Rewrite(tuple(add), tuple(remove), tuple(changed))


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
