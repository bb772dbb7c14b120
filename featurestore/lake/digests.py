"""Digests of committed files: what the log says that their bytes are, and whether the disk still says so.

A file's SHA-256 is a tag of the action that added it (``delta_log.py``). deltalake keeps tags in checkpoints and does not show them,
so the log is read here, once in a process and only when a digest is asked for. Files that an older release added have none: they
are told as unchecked, never as sound.

A file is read whole for its digest, once in a process as long as the disk says that it is the same file (name, inode, size, time).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import count, takewhile
from pathlib import Path
from threading import Lock

import pyarrow.parquet as pq

from featurestore.errors import StoreError
from featurestore.lake.checkpoint_sums import checkpoint_damage
from featurestore.lake.checkpoints import ENDING, checkpoint_path, find_start
from featurestore.lake.delta_log import bad_entry, entry_path
from featurestore.lake.files import LOG, SHA256, CommittedFile, sha256_of
from featurestore.lake.storage import STORAGE
from featurestore.lake.whole_file import translating

_Signature = tuple[int, int, int]
_CHECKED = dict[Path, _Signature]()
_DAMAGED = dict[Path, tuple[_Signature | None, str]]()


class DamagedFileError(StoreError):
    """A committed file is missing, or is not the one that was committed."""

    def __init__(self, file: CommittedFile | Path, what: str) -> None:
        self.path = file if isinstance(file, Path) else file.path
        super().__init__(
            f"{self.path} {what}, though a committed version of the store needs it. Call store.doctor(): it makes what is computed "
            "(tiles, ledger, days, sketches) again, and says what to do about the rest (events, keys: a backup)."
        )


def check_file(file: CommittedFile) -> None:
    """Refuse a file that is not the one that was committed; one without a digest in the log must have its size.

    Raises:
        DamagedFileError: it is missing, or has other bytes.
    """
    signature = _signature(file.path)
    if signature is None or _CHECKED.get(file.path) != signature:
        what = damage_of(file)
        if what is not None:
            raise DamagedFileError(file, what)


def sound(files: Iterable[CommittedFile]) -> list[CommittedFile]:
    """Return files after checking each; see ``check_file``."""
    checked = list(files)
    for file in checked:
        check_file(file)
    return checked


def is_sound(file: CommittedFile) -> bool:
    """Tell whether a file is the one that was committed; see ``check_file``."""
    try:
        check_file(file)
    except DamagedFileError:
        return False
    return True


def damage_of(file: CommittedFile) -> str | None:
    """Read all of a file and say what is wrong with it, such as ``"is missing"``; ``None`` if nothing is."""
    signature = _signature(file.path)
    if signature is None:
        what = "is missing"
    elif signature[1] != file.size_bytes and not _is_recorded(file):
        what = f"has {signature[1]:,} bytes where {file.size_bytes:,} were committed"
    elif recorded_digest(file) is not None and not _is_recorded(file):
        what = "has other bytes than those that were committed (its SHA-256 differs)"
    else:
        assert signature is not None
        _CHECKED[file.path] = signature
        _DAMAGED.pop(file.path, None)
        return None
    note_damaged(file.path, what)
    return what


def note_written(path: Path) -> None:
    """Note in this process that a file is as it was committed: its bytes were read for the digest that is in the log now."""
    signature = _signature(path)
    if signature is not None:
        _CHECKED[path] = signature
        _DAMAGED.pop(path, None)


def looks_damaged(file: CommittedFile) -> bool:
    """Tell whether a file is missing, has another size, was found damaged in this process, or was written to since its commit.

    Only in the last case is it read. A bit that fell over by itself is seen by ``damage_of``.
    """
    signature = _signature(file.path)
    if file.path in _DAMAGED and _DAMAGED[file.path][0] == signature:
        return True
    if signature is None or signature[1] != file.size_bytes or signature[2] // 1_000_000 > file.modified_ms:
        return (signature is None or _CHECKED.get(file.path) != signature) and damage_of(file) is not None
    return False


def note_damaged(path: Path, what: str) -> None:
    """Remember in this process that a file is damaged, until another one lies there."""
    _DAMAGED[path] = _signature(path), what
    _CHECKED.pop(path, None)


def note_committed(table: Path, digests: Mapping[str, str]) -> None:
    """Take the digests of files, by name, that this process has just committed to a table: its log need not be read for them."""
    _LOGS.note(table, digests)


def recorded_digest(file: CommittedFile) -> str | None:
    """Return the digest with which a file was committed last; ``None`` for those of older releases."""
    return _LOGS.digest(file)


def _is_recorded(file: CommittedFile) -> bool:
    """Tell whether a file has the bytes of its last commit: another process may have made it again since ours was opened."""
    known = recorded_digest(file)
    if known is None:
        return False
    actual = sha256_of(file.path)
    return actual == known or actual == _LOGS.digest(file, is_newest=True)


def _signature(path: Path) -> _Signature | None:
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        with translating(path, "read"):
            raise
    return status.st_ino, status.st_size, status.st_mtime_ns


class _DigestLogs:
    """Digests by table, as far as their logs were read."""

    def __init__(self) -> None:
        self._tables = dict[Path, dict[str, str]]()
        self._read = dict[Path, set[str]]()
        self._lock = Lock()

    def digest(self, file: CommittedFile, *, is_newest: bool = False) -> str | None:
        """Return a file's digest; of the entries, checkpoints included, those after the last one read are read first."""
        table = file.path.parents[file.name.count("/")]
        with self._lock:
            known = self._tables.setdefault(table, {})
            if is_newest or file.name not in known:
                self._read_on(table, known, is_all=False)
            if file.name not in known:
                self._read_on(table, known, is_all=True)
            return known.get(file.name)

    def note(self, table: Path, digests: Mapping[str, str]) -> None:
        """Take the digests of a version that this process has committed."""
        with self._lock:
            self._tables.setdefault(table, {}).update(digests)

    def _read_on(self, table: Path, known: dict[str, str], *, is_all: bool) -> None:
        """Read what was not read: from the newest checkpoint on, or all that there is, for files of versions before it."""
        done = self._read.setdefault(table, set())
        older = {}
        for path in _all_of_log(table) if is_all else _end_of_log(table):
            if path.name not in done:
                done.add(path.name)
                older.update(_of_checkpoint(path) if path.suffix == ".parquet" else _of_entry(path))
        if is_all:
            older.update(known)  # what was read first is newer
        known.update(older)


_LOGS = _DigestLogs()


def _all_of_log(table: Path) -> list[Path]:
    """List the entries and checkpoints of a log, in order."""
    paths = [file.path for file in STORAGE.list_files(table / LOG)]
    paths = [path for path in paths if path.name[:20].isdecimal()]
    return sorted(path for path in paths if path.suffix == ".json" or _is_sound_checkpoint(path))


def _end_of_log(table: Path) -> Iterator[Path]:
    """Yield the newest sound checkpoint and the entries after it."""
    start = find_start(table).version
    if start >= 0:
        yield checkpoint_path(table, start)
    yield from takewhile(STORAGE.exists, (entry_path(table, version) for version in count(start + 1)))


def _is_sound_checkpoint(path: Path) -> bool:
    return path.name.endswith(ENDING) and checkpoint_damage(path) is None


def _of_entry(path: Path) -> dict[str, str]:
    found = dict[str, str]()
    if bad_entry(path.parents[1], version := int(path.stem), version) is not None:
        return found  # told by whoever opens a version that needs it
    for line in STORAGE.get(path).content.splitlines():
        add = json.loads(line).get("add") if line.startswith(b'{"add"') else None
        digest = ((add or {}).get("tags") or {}).get(SHA256)
        if add and digest:
            found[add["path"]] = digest
    return found


def _of_checkpoint(path: Path) -> dict[str, str]:
    with pq.ParquetFile(path) as checkpoint:
        added = checkpoint.read(columns=["add"])["add"].to_pylist()
    tags = {add["path"]: dict(add["tags"] or ()) for add in added if add and add["path"]}
    return {name: own[SHA256] for name, own in tags.items() if SHA256 in own}
