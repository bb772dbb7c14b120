"""The rows of a DuckDB query as Parquet files of a Delta table: events, superseded versions, quarantine; sorted, and few.

What is computed with Arrow (tiles, ledgers, keys) is written by ``arrow_parquet.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

from featurestore.lake.session import literal
from featurestore.lake.storage import STORAGE
from featurestore.lake.table import CommittedFile, StagedFile, describe, stage

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_PARQUET = "FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2"
_ABSORB = 2
_SMALL_BYTES = 64 << 10
"""A file of less is swallowed by any new one: writing it again costs about what a file of one row does."""
_BUSY_ROWS = 500_000
"""So many rows keep all cores busy while they are sorted and written; files of fewer are written side by side."""


@dataclass(frozen=True)
class PlannedFile:
    """Rows that are to become one file.

    Args:
        sql: A query, over files and over tables that are not temporary: those each session of a database sees.
        partition: Partition column to value.
        rows: How many rows it has, about.
    """

    sql: str
    partition: Mapping[str, str]
    rows: int


def write_all_sorted(
    session: DuckDBPyConnection, planned: Sequence[PlannedFile], *, table: Path, order_by: Sequence[str]
) -> list[StagedFile]:
    """Write planned files of a table, each sorted, on all cores; none is committed yet.

    Small files are written side by side, one a core, since one of them does not keep a second core busy; large ones one after the
    other, so that a large month needs no more memory beside another. When one fails, all are deleted.

    Args:
        session: May write below ``table``.
        planned: What to write.
        table: The Delta table's folder.
        order_by: Quoted columns.

    Returns:
        The described files, as planned; none for a query without rows.
    """
    files = [stage(table, each.partition) for each in planned]
    small = [i for i, each in enumerate(planned) if each.rows < _BUSY_ROWS]
    (cores,) = session.execute("SELECT current_setting('threads')").fetchall()[0]
    workers = min(int(cores), len(small))
    if workers < 2:
        small = []
    staged: dict[int, StagedFile | None] = {}
    with ExitStack() as left_over:
        for file in files:
            left_over.callback(STORAGE.delete, file)
        for i in set(range(len(planned))) - set(small):
            staged[i] = _write(session, planned[i], files[i], order_by)
        if small:
            chosen = [(planned[i], files[i]) for i in small]
            staged |= zip(small, _written_at_once(session, chosen, order_by, workers), strict=True)
        left_over.pop_all()
    return [file for _, file in sorted(staged.items()) if file is not None]


def _written_at_once(
    session: DuckDBPyConnection, planned: Sequence[tuple[PlannedFile, Path]], order_by: Sequence[str], workers: int
) -> list[StagedFile | None]:
    """Write files in threads, each with a session of its own over the same tables."""
    idle = SimpleQueue["DuckDBPyConnection"]()
    for _ in range(workers):
        idle.put(session.cursor())

    def write(plan: PlannedFile, file: Path) -> StagedFile | None:
        own = idle.get()
        try:
            return _write(own, plan, file, order_by)
        finally:
            idle.put(own)

    pool = ThreadPoolExecutor(workers, thread_name_prefix="write")
    try:
        return list(pool.map(write, *zip(*planned, strict=True)))
    finally:
        pool.shutdown(cancel_futures=True)
        for _ in range(workers):
            idle.get().close()


def _write(session: DuckDBPyConnection, plan: PlannedFile, file: Path, order_by: Sequence[str]) -> StagedFile | None:
    order = f" ORDER BY {', '.join(order_by)}" if order_by else ""
    (count,) = session.execute(f"COPY ({plan.sql}{order}) TO {literal(str(file))} ({_PARQUET})").fetchall()[0]
    if not count:
        STORAGE.delete(file)
        return None
    return describe(file, plan.partition)


def write_sorted(
    session: DuckDBPyConnection, sql: str, *, table: Path, partition: Mapping[str, str], order_by: Sequence[str]
) -> StagedFile | None:
    """Write the rows of a query, sorted, as one new file of a table, not yet committed.

    Args:
        session: May write below ``table``.
        sql: A query.
        table: The Delta table's folder.
        partition: Partition column to value.
        order_by: Quoted columns.

    Returns:
        The described file; ``None`` when the query has no rows.
    """
    written = write_all_sorted(session, [PlannedFile(sql, partition, 0)], table=table, order_by=order_by)
    return written[0] if written else None


def absorbed(files: Sequence[CommittedFile], rows: int) -> list[CommittedFile]:
    """Choose the committed files that a new file of so many rows should swallow.

    All small ones, and then the smallest first, as long as each has at most twice the rows gathered so far: a month of small
    deliveries is one file, files stay few (logarithmic in the bytes), and a late row never rewrites a big file.

    Args:
        files: Of one partition.
        rows: Number of new rows; 0 swallows nothing.
    """
    chosen: list[CommittedFile] = []
    for file in sorted(files, key=lambda file: (file.size_bytes >= _SMALL_BYTES, file.rows, file.name)):
        if not rows or (file.rows > _ABSORB * rows and file.size_bytes >= _SMALL_BYTES):
            break
        chosen.append(file)
        rows += file.rows
    return chosen
