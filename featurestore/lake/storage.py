"""The door to what is true: every byte that a store must not lose is written, listed and deleted here.

Three ways to write are the whole vocabulary, as object stores have them:

    overwrite   whatever is there gives way
    create      only if nothing is there: of two writers one gets CommitConflictError
    update      only if what is there is still the version that was read: compare and swap

There is no rename, no append and no partial write. An address is a path that only this door follows: code above builds it
(``folder / name``), compares it and sorts it, and knows nothing of the disk. So an object store can be a second implementation of
``Storage``; ``StorageContract`` in the tests is what it must pass, and ``STORAGE`` the one place that would choose between them.

What ``create``, ``update``, ``overwrite`` and ``delete_all`` did is durable when they return (``whole_file.py`` says what that
costs). Data files of Delta tables are written by DuckDB and Arrow at a ``place`` and named by nobody until a commit, which flushes
them and their folders first (``sync``); the entries of Delta's logs are ours, too, and pass ``create`` (``delta_log.py``).

What is written may rest on what was read, and another process may have been killed before it flushed that: a log entry that it
linked into place, a publication. ``rests_on`` notes what was read so, and whatever is written next flushes it first. So nothing that
is durable ever points at what is not.
Derived copies (``compute/search/derived_files.py``) and what people look at do not pass this door: they are made again.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Protocol

from featurestore.errors import CommitConflictError, StoreError
from featurestore.lake.lock import exclusive
from featurestore.lake.whole_file import delete_folder, durable_file, make_folder, sync, sync_names, translating


@dataclass(frozen=True)
class Stored:
    """What was read at an address.

    Attributes:
        content: All of it.
        version: Changes whenever the content does; for ``update``, compared and never parsed.
    """

    content: bytes
    version: str


@dataclass(frozen=True)
class Listed:
    """A file that was listed.

    Attributes:
        path: Its address.
        size_bytes: Its size.
        modified_s: When it was written, seconds since 1970, by the clock of the disk.
    """

    path: Path
    size_bytes: int
    modified_s: float


class Storage(Protocol):
    """Where the bytes of stores lie. Every error is a StoreError that says what to do; a conflict is a CommitConflictError."""

    def get(self, path: Path) -> Stored:
        """Read all of a file, with the version to update it from."""

    def exists(self, path: Path) -> bool:
        """Tell whether a file lies at an address, or files below it."""

    def read_range(self, path: Path, *, start: int, length: int) -> bytes:
        """Read ``[start, start + length)`` of a file; fewer bytes where it ends earlier."""

    def list_files(self, folder: Path, *, ending: str = "") -> list[Listed]:
        """List the files below a folder whose names have an ending, by address; none where there is no folder.

        What is still being written is not listed.
        """

    def overwrite(self, path: Path, content: bytes) -> str:
        """Write a file, whatever is there, and return its version. An address that is updated is never overwritten."""

    def create(self, path: Path, content: bytes) -> str:
        """Write a file where there is none, and return its version; where there is one, CommitConflictError."""

    def update(self, path: Path, content: bytes, *, version: str) -> str:
        """Write over one version of a file, and return the new one; where another version is, CommitConflictError."""

    def delete(self, path: Path) -> None:
        """Delete a file; one that is not there is no error."""

    def delete_all(self, folder: Path) -> None:
        """Delete all files below a folder. A reader finds all of them or none, also after a crash."""

    def place(self, path: Path) -> Path:
        """Return where a library may write a new file itself; its address must stay unknown until it is whole and flushed."""

    def keep_folder(self, folder: Path) -> None:
        """Make a folder whose name is on the disk before anything that is written from now on can be."""

    def sync(self, paths: Iterable[Path]) -> None:
        """Flush files that were written at their places, with their names."""

    def rests_on(self, path: Path) -> None:
        """Note a file that was read and on which what is written from now on may rest: it is flushed before."""

    def settle(self) -> None:
        """Flush what ``rests_on`` noted; for who acknowledges what it found, and writes nothing."""


class LocalStorage:
    """Files on a local disk, or on a file system that is mounted like one and has locks and hard links."""

    def __init__(self) -> None:
        self._closed: dict[Path, tuple[str, Path]] = {}
        self._flushed: dict[Path, tuple[Path, int]] = {}  # the last file that we flushed in a folder, and its inode
        self._borrowed: set[Path] = set()
        self._lock = RLock()

    def close_for_writing(self, root: Path, why: str, *, but: Path) -> None:
        """Refuse to write below a folder from now on.

        Args:
            root: The folder.
            why: What the error says, with what to do.
            but: A folder below it that stays open, for what readers lay aside.
        """
        self._closed[root] = why, but

    def open_for_writing(self, root: Path) -> None:
        """Take back ``close_for_writing``."""
        self._closed.pop(root, None)

    def check_open(self, path: Path) -> None:
        """Raise StoreError if nothing may be written at an address."""
        for root, (why, but) in self._closed.items():
            if path.is_relative_to(root) and not path.is_relative_to(but):
                raise StoreError(why)

    def get(self, path: Path) -> Stored:
        """Read all of a file; see ``Storage``."""
        with translating(path, "read"):
            content = path.read_bytes()
        return Stored(content, _version(content))

    def exists(self, path: Path) -> bool:
        """Tell whether a file or a folder is there; see ``Storage``."""
        with translating(path, "read"):
            return path.exists()

    def read_range(self, path: Path, *, start: int, length: int) -> bytes:
        """Read a part of a file; see ``Storage``."""
        with translating(path, "read"), path.open("rb") as file:
            file.seek(start)
            return file.read(length)

    def list_files(self, folder: Path, *, ending: str = "") -> list[Listed]:
        """List files below a folder; see ``Storage``."""
        with translating(folder, "read"):
            visible = list(_visible(folder, ending))
        listed = []
        for path in sorted(visible):
            with translating(path, "read"), suppress(FileNotFoundError):  # deleted since
                status = path.stat()
                if stat.S_ISREG(status.st_mode):
                    listed.append(Listed(path, status.st_size, status.st_mtime))
        return listed

    def overwrite(self, path: Path, content: bytes) -> str:
        """Write a file durably; see ``Storage``."""
        return self._write(path, content, replaces=True)

    def create(self, path: Path, content: bytes) -> str:
        """Write a file durably where there is none; see ``Storage``."""
        return self._write(path, content, replaces=False)

    def update(self, path: Path, content: bytes, *, version: str) -> str:
        """Write durably over one version of a file, one writer after the other; see ``Storage``."""
        self.check_open(path)
        with exclusive(path.with_name(f".{path.name}.lock")):
            if not path.exists() or self.get(path).version != version:
                raise CommitConflictError(f"Another writer has changed {path} meanwhile. Read it, and decide again.")
            return self._write(path, content, replaces=True)

    def delete(self, path: Path) -> None:
        """Delete a file; see ``Storage``."""
        self.check_open(path)
        with translating(path, "deleted"):
            path.unlink(missing_ok=True)

    def delete_all(self, folder: Path) -> None:
        """Rename a folder to one that nobody lists, then delete that: ``sweep`` does if we are killed. See ``Storage``."""
        self.check_open(folder)
        with translating(folder, "deleted"):
            delete_folder(folder)

    def place(self, path: Path) -> Path:
        """Make the folder of a new file and return its path; see ``Storage``."""
        self.check_open(path)
        with translating(path, "written"):
            make_folder(path.parent)
        return path

    def keep_folder(self, folder: Path) -> None:
        """Make a folder, and flush its name if it was not there; see ``Storage``."""
        self.check_open(folder)
        with translating(folder, "written"):
            if not folder.is_dir():
                make_folder(folder)
                sync_names([folder])

    def sync(self, paths: Iterable[Path]) -> None:
        """Flush the content of files, then their names; see ``Storage``."""
        files = list(paths)
        for path in files:
            with translating(path, "written"):
                sync(path)
        if files:
            with translating(files[0], "written"):
                sync_names(path.parent for path in files)

    def rests_on(self, path: Path) -> None:
        """Note a file that is to be flushed before anything is written, unless this process has written it; see ``Storage``."""
        with suppress(OSError), self._lock:
            if self._flushed.get(path.parent) != (path, path.stat().st_ino):
                self._borrowed.add(path)

    def settle(self) -> None:
        """Flush what was read and may still lie in the memory of the machine alone; see ``Storage``."""
        with self._lock:
            for path in sorted(self._borrowed):
                with translating(path, "written"), suppress(FileNotFoundError, PermissionError):
                    sync(path)
                    sync_names([path.parent])
                    self._flushed[path.parent] = path, path.stat().st_ino
                self._borrowed.discard(path)

    def _write(self, path: Path, content: bytes, *, replaces: bool) -> str:
        self.check_open(path)
        self.settle()
        with durable_file(path, replaces=replaces) as aside:
            aside.write_bytes(content)
        with self._lock, suppress(FileNotFoundError):
            self._flushed[path.parent] = path, path.stat().st_ino
        return _version(content)


STORAGE = LocalStorage()


def _visible(folder: Path, ending: str) -> Iterator[Path]:
    """Yield the files below a folder but those that are being written; a folder that may not be read is no empty one."""
    for place, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(place, name) for name in names if name.endswith(ending) and not name.startswith("."))


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _version(content: bytes) -> str:
    """Name a content: the same bytes are the same version, and a decision that was made from them holds."""
    return hashlib.sha256(content).hexdigest()
