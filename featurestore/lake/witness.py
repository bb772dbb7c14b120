"""Beside a table that cannot be made again: which table it is, so that its loss is told and never taken for an empty one.

    lake/events/.<source>.table     {"id": "..."}
    lake/keys/<entity>/.int64.table {"id": "...", "version": 12}

The id is that of the table's log; the version was the newest one once, and is recorded where falling back behind it would give
wrong answers: codes of keys would be given twice. The witness lies beside the table's folder, not in it: it stays when the folder
goes, or when that of another store is put in its place. What is computed (tiles, ledgers, sketches) has none: its folders may be
deleted at any time.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from featurestore.errors import CommitConflictError, StoreError
from featurestore.lake.delta_log import entry_path
from featurestore.lake.files import LOG
from featurestore.lake.json_files import json_bytes, read_json
from featurestore.lake.storage import STORAGE

COMPUTED = "tiles, ledger, snapshots, sketches, scores, days, faults"
"""Kinds of tables that may be deleted at any time."""


def witness_path(table: Path) -> Path:
    """Return where the witness of a table lies."""
    return table.with_name(f".{table.name}.table")


def record_witness(table: Path, table_id: str) -> None:
    """Record which table lies in a folder, unless that is recorded."""
    path = witness_path(table)
    if not STORAGE.exists(path):
        with suppress(CommitConflictError):
            STORAGE.create(path, json_bytes({"id": table_id}))


def record_version(table: Path, version: int) -> None:
    """Record that a table with a witness has had a version."""
    path = witness_path(table)
    STORAGE.overwrite(path, json_bytes({**read_json(path), "version": version}))


def check_witness(table: Path, table_id: str, version: int) -> None:
    """Refuse another table than the one that was committed to, or an older state of it; a table without witness is any.

    Raises:
        StoreError: the ids differ, or the table's version is below the recorded one.
    """
    path = witness_path(table)
    if not STORAGE.exists(path):
        return
    value = read_json(path)
    if not isinstance(value, dict) or value.get("id") != table_id:
        raise StoreError(
            f"{table} is not the table that this store has written there ({path.name} says {value!r}, its log {table_id!r}): another "
            "store's was put in its place. Restore the folder from a backup of this store."
        )
    had = value.get("version", -1)
    if had > version and not STORAGE.exists(entry_path(table, had)):  # else another writer has just committed it
        raise StoreError(
            f"The newest version of {table} is {version}, and it has had version {had} ({path}): the last entries of its log were "
            f"lost. Restore {table} from a backup that is as new as those of the other folders of the store."
        )


def check_never_written(table: Path) -> None:
    """Refuse to take a table that has lost its log for one that never was.

    Raises:
        StoreError: there is a witness, or Parquet files without the folder of a log.
    """
    path = witness_path(table)
    if STORAGE.exists(path) and not STORAGE.list_files(table / LOG, ending=".json"):  # else another writer has just begun it
        raise StoreError(
            f"{table} has lost its log, and with it all rows: {path} says that they were there. Restore {table} from a backup. "
            f"To begin anew without them, delete both."
        )
    if STORAGE.exists(table) and not STORAGE.exists(table / LOG) and STORAGE.list_files(table, ending=".parquet"):
        raise StoreError(
            f"{table} holds Parquet files and no {LOG}, which says what they are. Restore {table / LOG} from a backup. If nothing "
            f"was committed there yet (the first writer was killed), or it is computed ({COMPUTED}), delete {table}: "
            "it is made anew."
        )
