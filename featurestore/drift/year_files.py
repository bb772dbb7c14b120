"""Tables of a file a year, each committed under a name made from its inputs: what an audit keeps of views and of sources."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from featurestore.lake.arrow_parquet import read_parquet, write_parquet
from featurestore.lake.digests import is_sound
from featurestore.lake.table import CommittedFile, Table, commit, describe, stage

YEAR = "audit_year"


def read_years(path: Path, *, since: str = "") -> list[pa.Table]:
    """Read the files of a table that is partitioned by year, in order of time; those of earlier years than ``since`` are left out."""
    return [read_parquet(file) for year, file in sorted(by_partition(Table.open(path), YEAR).items()) if year >= since]


def last_year(path: Path) -> str:
    """Return the last year that a table has a file of; an empty text before the first."""
    return max(by_partition(Table.open(path), YEAR), default="")


def commit_years(path: Path, years: Mapping[str, tuple[str, pa.Table]], message: str, *, removes_others: bool = False) -> None:
    """Replace the files of some years by named tables, in one commit; sound ones of the same name stay.

    Args:
        path: Delta table, partitioned by year.
        years: Year to name and rows.
        message: For the table's log.
        removes_others: Whether files of other years go.
    """
    table = Table.open(path)
    committed = by_partition(table, YEAR)
    added = []
    removed = [file for year, file in committed.items() if removes_others and year not in years]
    damaged = {file.name for year, file in committed.items() if year in years and not is_sound(file)}
    for year, (name, rows) in years.items():
        old = committed.get(year)
        if old is not None and old.path.stem == name and old.name not in damaged:
            continue
        file = stage(path, {YEAR: year}, name)
        write_parquet(rows, file, metadata=rows.schema.metadata)
        added.append(describe(file, {YEAR: year}))
        removed += [old] if old else []
    if added or removed:
        commit(
            path,
            add=added,
            remove=removed,
            partition_by=(YEAR,),
            read_version=table.version,
            message=message,
            renewed=damaged,
        )


def by_partition(table: Table, column: str) -> dict[str, CommittedFile]:
    """Return a table's files by the value of a partition column; each value has one."""
    return {file.partition[column]: file for file in table.files()}
