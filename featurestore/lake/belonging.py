"""Which store a table belongs to, and how new it was: so that parts of two stores, or of two moments, are never read as one.

    store.json                    {"id": "..."}, made with the store; stores of before have none, and nothing to compare
    lake/<kind>/<name>/_delta_log  the first entry names that id in the table's configuration
    store.json                    {"tables": {"<kind>/<name>": "..."}}, where ``upgrade`` made the id: what the logs call the
                                  tables of before, which name no store
    newest/<kind>/<name>           the newest version of a table that cannot be made again: a number

A store that is copied or restored whole is the same store at one moment: its parts agree. A folder of another store, with its witness
(``witness.py``) or without, names another id. A folder that was restored from an older backup than the rest has a smaller version
than ``newest/`` says, which therefore lies outside ``lake/``.

What ``newest/`` says is written after the commit, atomically and without a flush: a power cut may take it back to an older number,
or to none, and never ahead of the log. So it costs a commit nothing that one would notice, and losing it costs that check alone.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from featurestore.errors import StoreError
from featurestore.lake.delta_log import entry_path
from featurestore.lake.files import LOG
from featurestore.lake.json_files import read_json
from featurestore.lake.storage import STORAGE
from featurestore.lake.store_format import STORE_FILE
from featurestore.lake.whole_file import translating, write_atomically
from featurestore.lake.witness import COMPUTED, check_never_written, check_witness, record_witness

ID = "id"
TABLES = "tables"
_STORE = "featurestore.store"
_NEWEST = "newest"
_KEYS = "keys"
_LASTING = {"events", "superseded", "quarantine", _KEYS}
_Identity = tuple[str | None, Mapping[str, str]]
_IDS = dict[Path, tuple[tuple[int, int, int], _Identity]]()


def store_mark(table: Path) -> dict[str, str]:
    """Return what the log of a new table says of the store that it is made in; nothing in one without an id."""
    root = _root_of(table)
    store = None if root is None else _identity(root)[0]
    return {} if store is None else {_STORE: store}


def check_own(table: Path, table_id: str, version: int, *, configuration: Mapping[str, str | None]) -> None:
    """Refuse a table that is not the one that this store has written there, or an older state of it.

    Args:
        table: Its folder.
        table_id: What its log calls it.
        version: Its newest version.
        configuration: What its log says of it.

    Raises:
        StoreError: says which, and the repair.
    """
    check_witness(table, table_id, version)
    _check_belongs(table, table_id, configuration)
    _check_not_older(table, version)


def check_never_was(table: Path) -> None:
    """Refuse to take a table that was lost for one that never was.

    Raises:
        StoreError: says what shows that it was there, and the repair.
    """
    check_never_written(table)
    _check_not_gone(table)


def record_lasting(table: Path, table_id: str, version: int) -> None:
    """Record which table lies in a folder, and note its newest version: that is committed already, and a failure is none of it."""
    record_witness(table, table_id)
    path = _noted_at(table)
    if path is not None:
        with suppress(StoreError):
            write_atomically(path, f"{version}\n".encode())


def take_in(root: Path, tables: Iterable[tuple[Path, str, int]]) -> dict[str, Any]:
    """Give a store of before an id, and take its tables in: they are the store's from then on, and as new as they are now.

    Args:
        root: The store's directory.
        tables: All of them: folder, what its log calls it, newest version.

    Returns:
        What store.json is to say.
    """
    ids = dict[str, str]()
    for table, table_id, version in tables:
        name = table.relative_to(root / "lake")
        ids[name.as_posix()] = table_id
        if name.parts[0] in _LASTING:
            record_lasting(table, table_id, version)
    return {ID: uuid.uuid4().hex, TABLES: ids}


def _check_belongs(table: Path, table_id: str, configuration: Mapping[str, str | None]) -> None:
    """Refuse a table that was made in another store; a store without an id takes any."""
    root = _root_of(table)
    if root is None:
        return
    try:
        store, taken_in = _identity(root)
    except StoreError:
        return  # told when the store is opened; until then the doctor names what else is damaged
    made_in = configuration.get(_STORE)
    is_of_before = made_in is None and taken_in.get(table.relative_to(root / "lake").as_posix()) == table_id
    if store is not None and made_in != store and not is_of_before:
        raise StoreError(
            f"{table} was made in another store ({made_in or 'one of an older release'}; this one is {store}, as {root / STORE_FILE} "
            f"says): another store's was put in its place. Restore {table} from a backup of this store, or the whole store, with its "
            f"{STORE_FILE}; or delete it, if it is computed ({COMPUTED}): it is made anew."
        )


def forget_version(table: Path) -> None:
    """Delete the note of a table that is about to be made anew."""
    path = _noted_at(table)
    if path is not None:
        STORAGE.delete(path)


def _check_not_gone(table: Path) -> None:
    """Refuse to take a table for one that never was when this store has had it; dictionaries are made again from the events."""
    path, root = _noted_at(table), _root_of(table)
    if path is None or root is None or table.is_relative_to(root / "lake" / _KEYS):
        return
    if _noted(path) >= 0 and not STORAGE.list_files(table / LOG, ending=".json"):  # else another writer has just begun it
        raise StoreError(
            f"{table} is gone, and with it all rows: it has had version {_noted(path)} ({path}). Restore it from a backup as new as "
            f"the rest of the store. To begin anew without them, delete {path}."
        )


def _check_not_older(table: Path, version: int) -> None:
    """Refuse a table that is older than this store has had it."""
    path = _noted_at(table)
    had = -1 if path is None else _noted(path)
    if had > version and not STORAGE.exists(entry_path(table, had)):  # else another writer has just committed it
        raise StoreError(
            f"The newest version of {table} is {version}, and it has had version {had} ({path}): it was restored from a backup that "
            "is older than the rest of the store, or the last entries of its log were lost. Restore it from one as new, or the "
            f"whole store from one moment. To go on from this older state without what was committed since, delete {path}, ingest "
            "the files again that came since, and materialize."
        )


def _noted_at(table: Path) -> Path | None:
    root = _root_of(table)
    return None if root is None else root / _NEWEST / table.relative_to(root / "lake")


def _noted(path: Path) -> int:
    """Return the version that was noted; -1 without one, or when a power cut has emptied the file."""
    try:
        return int(path.read_bytes())
    except (OSError, ValueError):
        return -1


def _root_of(table: Path) -> Path | None:
    """Return the root of the store in whose ``lake`` a table lies; ``None`` of a table in no store."""
    lakes = (folder for folder in table.parents if folder.name == "lake")
    return next((lake.parent for lake in lakes if STORAGE.exists(lake.parent / STORE_FILE)), None)


def _identity(root: Path) -> _Identity:
    """Return the id of a store and the tables of before that it has taken in, read again when its file is another one.

    Raises:
        StoreError: the file cannot be read; a table that is made now would name no store.
    """
    path = root / STORE_FILE
    with translating(path, "read"):
        status = path.stat()
    trace = status.st_ino, status.st_size, status.st_mtime_ns
    kept = _IDS.get(root)
    if kept is None or kept[0] != trace:
        value = read_json(path)
        said = value if isinstance(value, dict) else {}
        store, tables = said.get(ID), said.get(TABLES)
        found = store if isinstance(store, str) else None, tables if isinstance(tables, dict) else {}
        kept = _IDS[root] = trace, found
    return kept[1]
