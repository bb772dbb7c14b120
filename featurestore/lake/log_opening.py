"""Opening a Delta table's log: from its newest sound checkpoint on, every entry whole, or not at all.

1. The newest sound checkpoint that is not newer than the wanted version is found (``checkpoints.py``), by the hint where that holds.
2. deltalake reads the log; where it would begin at a damaged checkpoint, it is given a copy of what is sound instead: the entries
   that the damaged one stands for, if they are there.
3. The entries from that checkpoint on are there and whole. deltalake asks for neither: it reads a log that begins later than it
   should as a table that has nothing else, if an entry names its columns.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from featurestore.errors import StoreError
from featurestore.lake.checkpoint_sums import checkpoint_damage
from featurestore.lake.checkpoints import (
    ENDING,
    HINT,
    Start,
    checkpoint_path,
    find_start,
    has_checkpoints,
    listed_start,
    log_aside,
    lost_checkpoint,
)
from featurestore.lake.delta_log import bad_entry, damaged_entry, entry_path, way_back
from featurestore.lake.delta_runtime import deltalake_at
from featurestore.lake.files import LOG
from featurestore.lake.storage import STORAGE


def open_log(table: Path, version: int | None) -> Any | None:
    """Read a table's log.

    Args:
        table: The table's folder.
        version: A committed version; ``None`` is the newest.

    Returns:
        deltalake's table; ``None`` where there is no log, and the newest version was wanted.

    Raises:
        StoreError: the version is unknown, or what says it is damaged or lost: with the way back.
    """
    if version is None and not STORAGE.exists(table / LOG):
        return None
    start = find_start(table, version)
    try:
        delta = _opened(table, version, start)
        if delta is None or not has_checkpoints(table, start.version + 1, int(delta.version())):
            return delta
    except StoreError:
        if listed_start(table, version) == start:
            raise
    return _opened(
        table, version, listed_start(table, version)
    )  # a vacuum has shortened the log meanwhile, or the hint was old


def read_marks(table: Path, version: int) -> dict[str, int] | None:
    """Read all numbers that were recorded by name up to a version, in one pass over the log: deltalake takes one for each name.

    Returns:
        Name to the last number; ``None`` where the log has another shape than ours: then deltalake is to be asked.
    """
    import pyarrow as pa

    for find in (find_start, listed_start):  # the hint may be older than the entries that are left
        with suppress(OSError, StoreError, pa.ArrowException, LookupError, TypeError, ValueError):
            return _read_marks(table, version, find(table, version).version)
    return None


def _read_marks(table: Path, version: int, start: int) -> dict[str, int]:
    import pyarrow.parquet as pq

    marks: dict[str, int] = {}
    if start >= 0:
        with pq.ParquetFile(checkpoint_path(table, start)) as checkpoint:  # ``read_table`` would import pandas
            rows = checkpoint.read(columns=["txn"])["txn"].to_pylist()
        marks |= {row["appId"]: int(row["version"]) for row in rows if row is not None and row["appId"] is not None}
    for each in range(start + 1, version + 1):
        lines = STORAGE.get(entry_path(table, each)).content.splitlines()
        actions = (json.loads(line) for line in lines if b'"txn"' in line)
        marks |= {own["txn"]["appId"]: int(own["txn"]["version"]) for own in actions if "txn" in own}
    return marks


def log_damage(table: Path, start: Start, version: int | None = None) -> str | None:
    """Say why a version cannot be read from a log, and what to do; ``None`` if nothing is wrong with it."""
    for path in start.passed_over:
        if path.name != HINT:
            return f"{path} {checkpoint_damage(path)}. {lost_checkpoint(path)}"
    names = [file.path.stem for file in STORAGE.list_files(table / LOG, ending=".json")]
    oldest = min((int(name) for name in names if name.isdecimal() and int(name) > start.version), default=None)
    if oldest is not None and oldest > start.version + 1 and (version is None or version >= oldest):
        checkpoint = checkpoint_path(table, oldest)
        return f"{checkpoint} is missing, and {oldest - start.version - 1} entries with it. {lost_checkpoint(checkpoint)}"
    found = damaged_entry(table)
    return None if found is None else _entry_damage(table, version, found)


def _entry_damage(table: Path, version: int | None, found: tuple[int, str]) -> str:
    """Say which entry is damaged, and what to do: nothing is given up for an old version where newer ones can be read."""
    if version is None or listed_start(table).version < found[0]:
        return way_back(table, *found)
    return (
        f"{entry_path(table, found[0])} {found[1]}, and version {version} cannot be read without it, though newer ones can. Restore "
        "it from a backup; or unpin, or publish anew, what names that version."
    )


def _opened(table: Path, version: int | None, start: Start) -> Any | None:
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        with deltalake_at(table):
            has_log = start.version >= 0 or STORAGE.exists(entry_path(table, 0))  # else all of it is listed to know
            if version is None and not has_log and not DeltaTable.is_deltatable(str(table)):
                return None
            if start.passed_over:
                with log_aside(table, start, version) as aside:
                    delta = DeltaTable(str(aside), version=version)
            else:
                delta = DeltaTable(str(table), version=version)
    except DeltaError as error:
        what = f"version {version} of the table" if version is not None else "the table"
        said = f"{error}" if start.version < 0 else f"{error}. It was read from {start.version:020}{ENDING} on"
        raise StoreError(f"Cannot read {what} {table}: {log_damage(table, start, version) or said}") from error
    newest = int(delta.version())
    bad = bad_entry(table, start.version + 1, newest)
    if bad is not None:
        is_lost = not STORAGE.exists(entry_path(table, bad[0]))
        raise StoreError((log_damage(table, start, version) if is_lost else None) or _entry_damage(table, version, bad))
    return delta
