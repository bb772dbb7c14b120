"""Appending to a small table the rows that it does not hold yet: safe against crashes and other writers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from featurestore.lake.digests import sound
from featurestore.lake.query_parquet import absorbed, write_sorted
from featurestore.lake.retry import retried
from featurestore.lake.table import CommittedFile, Table, commit, parquet_scan_sql

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_MARK = "append"


def append_unseen(
    session: DuckDBPyConnection,
    rows: str,
    *,
    path: Path,
    same: str,
    order_by: tuple[str, ...],
    scan: Callable[[Sequence[CommittedFile]], str] = parquet_scan_sql,
    schema: pa.Schema | None = None,
) -> None:
    """Append the rows of a session table that a table on disk does not hold, in one commit.

    Doing it again changes nothing, so a crash before a later step of the caller does no harm. When another writer commits
    in between, the rows are compared again: none is kept twice.

    Args:
        session: Holds ``rows``; may read and write below ``path``.
        rows: Name of the session table.
        path: The Delta table's folder; it has no partitions.
        same: Condition under which a row ``old`` on disk stands for a row ``new``.
        order_by: Quoted columns to sort a file by.
        scan: Renders a scan of committed files, in the columns of ``rows``.
        schema: The columns of ``rows``, where the table may not have them all.

    Raises:
        CommitConflictError: others kept committing.
    """

    def step() -> None:
        table = Table.open(path)
        files = table.files()
        known = f" ANTI JOIN {scan(sound(files))} old ON {same}" if files else ""
        session.execute(f"CREATE OR REPLACE TEMP TABLE unseen AS SELECT new.* FROM {rows} new{known}")
        count = _count(session, "unseen")
        if not count:
            return
        merged = absorbed(files, count)
        sql = f"FROM unseen UNION ALL BY NAME FROM {scan(merged)}" if merged else "FROM unseen"
        staged = write_sorted(session, sql, table=path, partition={}, order_by=order_by)
        marks = {_MARK: (table.mark(_MARK) or 0) + 1}
        commit(path, add=[staged] if staged else [], remove=merged, marks=marks, schema=schema, is_lasting=True)

    if _count(session, rows):
        retried(step)


def _count(session: DuckDBPyConnection, table: str) -> int:
    return int(session.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])
