"""The rows of a DuckDB query as Parquet files of a Delta table: events, superseded versions, quarantine; sorted, and few.

What is computed with Arrow (tiles, ledgers, keys) is written by ``arrow_parquet.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from featurestore.lake.session import literal
from featurestore.lake.storage import STORAGE
from featurestore.lake.table import CommittedFile, StagedFile, describe, stage

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_PARQUET = "FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2"
_ABSORB = 2


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
    file = stage(table, partition)
    order = f" ORDER BY {', '.join(order_by)}" if order_by else ""
    (count,) = session.execute(f"COPY ({sql}{order}) TO {literal(str(file))} ({_PARQUET})").fetchall()[0]
    if not count:
        STORAGE.delete(file)
        return None
    return describe(file, partition)


def absorbed(files: Sequence[CommittedFile], rows: int) -> list[CommittedFile]:
    """Choose the committed files that a new file of so many rows should swallow.

    The smallest first, as long as each has at most twice the rows gathered so far: small files stay few (logarithmic in
    the rows), and a late row never rewrites a big file.

    Args:
        files: Of one partition.
        rows: Number of new rows; 0 swallows nothing.
    """
    chosen: list[CommittedFile] = []
    for file in sorted(files, key=lambda file: (file.rows, file.name)):
        if not rows or file.rows > _ABSORB * rows:
            break
        chosen.append(file)
        rows += file.rows
    return chosen
