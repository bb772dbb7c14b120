"""Scans of a source's committed files, events and superseded versions, as its schema is now.

A file keeps the columns that it was written with. Where a source has gained columns, or wider types, since, the files are scanned in
groups of equal columns: what a group lacks is NULL, what is narrower is cast. Sources that have gained nothing pay nothing, and
of the others each file's footer is read once a process, since files never change.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.errors import StoreError
from featurestore.lake.files import CommittedFile, parquet_scan_sql
from featurestore.lake.session import quote
from featurestore.spec.source import EventSource
from featurestore.spec.types import SQL_TYPES, arrow_type


def source_scan_sql(source: EventSource, files: Iterable[CommittedFile], *, options: str = "") -> str:
    """Render the FROM item that reads some committed files of a source in its present columns.

    A source that gained ``ingested_at`` learned of the rows of before when they happened, as one without it does.

    Args:
        source: Whose events, or superseded versions, they are.
        files: At least one.
        options: As in ``parquet_scan_sql``.
    """
    if not source.earlier:
        return parquet_scan_sql(files, options=options)
    groups: dict[tuple[str, ...], list[CommittedFile]] = {}
    for file in files:
        groups.setdefault(_changes(source, file.path), []).append(file)
    if list(groups) == [()] or not groups:
        return parquet_scan_sql([file for group in groups.values() for file in group], options=options)
    arms = [_arm(source, changes, parquet_scan_sql(group, options=options)) for changes, group in groups.items()]
    return f"({' UNION ALL BY NAME '.join(arms)})"


def has_column(file: CommittedFile, column: str) -> bool:
    """Tell whether a committed file has a column."""
    return file.nulls(column) is not None or column in _columns(file.path)


def is_empty_in(files: Sequence[CommittedFile], column: str) -> bool:
    """Tell whether no row of some committed files has a value of a column; without statistics it may have one."""
    return all(file.nulls(column) == file.rows or not has_column(file, column) for file in files)


def _arm(source: EventSource, changes: tuple[str, ...], scan: str) -> str:
    """Render the rows of files that differ from the present columns in the same way; ``+`` marks what they lack."""
    casts, more = [], []
    for change in changes:
        column, name = change[1:], quote(change[1:])
        kind = SQL_TYPES[source.types[column]]
        if change[0] == "=":
            casts.append(f"{name}::{kind} AS {name}")
        else:
            value = quote(source.event_time) if column == source.ingested_at else f"NULL::{kind}"
            more.append(f", {value} AS {name}")
    replaced = f" REPLACE ({', '.join(casts)})" if casts else ""
    return f"SELECT *{replaced}{''.join(more)} FROM {scan}"


def _changes(source: EventSource, path: Path) -> tuple[str, ...]:
    columns = _columns(path)
    changes = []
    for column, _ in source.earlier:
        if column not in columns:
            changes.append(f"+{column}")
        elif columns[column] != arrow_type(source.types[column]):
            changes.append(f"={column}")
    return tuple(changes)


@lru_cache(maxsize=16_384)
def _columns(path: Path) -> dict[str, pa.DataType]:
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise StoreError(
            f"{path} cannot be read ({error}), though a committed version of the store needs it. Restore it from a backup."
        ) from error
    return dict(zip(schema.names, schema.types, strict=True))
