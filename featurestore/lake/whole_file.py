"""Files that appear whole, and the few other calls that change a disk: a reader sees none of a file or all of it.

Two words, which are not the same:

- *atomic*: the name leads to the old content or to the new one, never to half of one, whatever process is killed. Enough for what
  can be made again: caches, pictures, pages, exports, files that only a later commit will name.
- *durable*: atomic, and still there after a power cut once the call has returned. For what is true. It costs a flush of the
  content, one of the folder that holds its name, and one of each folder above, these once in a process (whoever made them may have
  been killed before it flushed their names). POSIX promises none of this with less: a name that was not flushed may be lost, and
  one that was flushed may lead to bytes that were not.

A file is written under another name first, in the same folder, with random letters: two writers never share a half file, and what
a killed one leaves begins with a dot and ends in ``.tmp`` (``sweep`` removes it). Rights follow the umask. Only regular files are
ever replaced: whoever gives ``/dev/null`` as a file to write keeps it.

``translating`` is where an OSError of writing, listing, locking or deleting becomes a StoreError that says what to do.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from featurestore.errors import CommitConflictError, StoreError

ABANDONED_S = 24 * 3600
"""A temporary file that nobody has written to for so long belongs to a writer that was killed."""
_MAX_LETTERS = 40
_DISCARDED = ".discarded"
_OURS = re.compile(r"\.[0-9a-f]{32}(\.tmp|\.discarded)$")
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FLUSHED = dict[Path, int]()
"""Folders whose names this process has flushed, and their inodes: one that was deleted and made again has another."""
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def atomic_file(path: Path, *, syncs_content: bool = False) -> Iterator[Path]:
    """Give a path to write to, and make it appear under its name when the block ends; nothing is left when the block fails.

    Args:
        path: Where; missing folders are made, a regular file of that name gives way.
        syncs_content: Whether the content is flushed first, so that a power cut cannot leave a file of the right length with other
            bytes. The name itself may still be lost.

    Yields:
        An empty file in the same folder.

    Raises:
        StoreError: the disk is full, the rights are missing, or what lies there is no regular file.
    """
    with _appearing(path) as aside:
        yield aside
        if syncs_content:
            sync(aside)
        os.replace(aside, path)


@contextmanager
def durable_file(path: Path, *, replaces: bool) -> Iterator[Path]:
    """As ``atomic_file``, and a power cut after the block loses nothing of it.

    Args:
        path: Where; missing folders are made, durably too.
        replaces: Whether a file of that name gives way.

    Raises:
        CommitConflictError: there is such a file, and it may not be replaced: of two writers one fails.
        StoreError: the disk is full, the rights are missing, or what lies there is no regular file.
    """
    with _appearing(path) as aside:
        yield aside
        sync(aside)
        if replaces:
            os.replace(aside, path)
        else:
            try:
                os.link(aside, path)  # fails when the name exists, in one step
            except FileExistsError as error:
                raise CommitConflictError(f"Another writer has made {path} meanwhile. Read it, and decide again.") from error
            aside.unlink()
        sync_names([path.parent])


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; see ``atomic_file``."""
    with atomic_file(path) as aside:
        aside.write_bytes(content)


def check_replaceable(path: Path) -> None:
    """Refuse to replace what is no regular file; a path that does not exist is fine.

    Raises:
        StoreError: the path is a device, a pipe, a socket, a link or a folder.
    """
    try:
        mode = path.lstat().st_mode
    except OSError:
        return
    if not stat.S_ISREG(mode):
        kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISLNK, "a link"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
        kind = next((name for is_such, name in kinds if is_such(mode)), "a device")
        raise StoreError(
            f"{path} is {kind} and would be replaced by a file. Give the path of a file, or one that does not exist."
        )


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, if they are missing; ``sync_names`` flushes their names with what is written into it."""
    for place in (folder, *folder.parents):
        if place.is_dir():
            break
        _FLUSHED.pop(place, None)
    folder.mkdir(parents=True, exist_ok=True)


def sync(path: Path) -> None:
    """Flush a file's content to the disk; its name is flushed with its folder (``sync_names``)."""
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        _flush(handle)
    finally:
        os.close(handle)


def sync_names(folders: Iterable[Path]) -> None:
    """Flush the names in folders, and those of the folders themselves, up to the top of their file system.

    The names in the folders are flushed by each call, those of folders above once in a process.

    Args:
        folders: They exist.
    """
    chosen = set(folders)
    above = dict(found for folder in chosen for found in _unflushed(folder))
    for folder in sorted(chosen | {place.parent for place in above}):
        _sync_folder(folder)
    _FLUSHED.update(above)


@contextmanager
def copied_files(files: Iterable[Path], *, folder: str) -> Iterator[Path]:
    """Copy files into a folder of a new temporary one of the system, and remove that afterwards.

    Args:
        files: They exist, under different names.
        folder: The name of the folder.

    Yields:
        The temporary folder that holds it.
    """
    with tempfile.TemporaryDirectory() as name, translating(Path(name), "written"):
        target = Path(name) / folder
        target.mkdir()
        for file in files:
            shutil.copyfile(file, target / file.name)
        yield Path(name)


def copy_folder(source: Path, target: Path) -> None:
    """Copy all that lies below a folder; nothing is flushed."""
    with translating(target, "written"):
        shutil.copytree(source, target)


def delete_folder(folder: Path) -> None:
    """Delete a folder, if it exists: it is renamed first, so that a reader finds all of it or nothing."""
    aside = folder.with_name(f".{uuid.uuid4().hex}{_DISCARDED}")
    if folder.exists():
        folder.rename(aside)
        for place in [place for place in tuple(_FLUSHED) if place.is_relative_to(folder)]:
            _FLUSHED.pop(place, None)
        _sync_folder(folder.parent)
        shutil.rmtree(aside)


def sweep(folder: Path, *, older_than_s: float = ABANDONED_S) -> int:
    """Delete what killed writers have left below a folder.

    Args:
        folder: Searched with all folders below it.
        older_than_s: Younger files may belong to a writer that lives.

    Returns:
        The number of files and folders that were deleted.
    """
    swept = 0
    for left in (path for path in folder.rglob(".*") if _OURS.search(path.name)):
        with suppress(FileNotFoundError):  # another process was faster
            if left.name.endswith(_DISCARDED):
                shutil.rmtree(left, ignore_errors=True)
            elif time.time() - left.stat().st_mtime > older_than_s:
                left.unlink()
            else:
                continue
            swept += 1
    return swept


@contextmanager
def translating(path: Path, done: str) -> Iterator[None]:
    """Turn an OSError of the block into a StoreError that says what to do.

    Args:
        path: What the block works on.
        done: What cannot be done with it: "written", "read", "deleted".
    """
    try:
        yield
    except OSError as error:
        what = f"{path} cannot be {done} ({error.strerror or error})."
        if error.errno in _FULL:
            mend = "The disk, or what you may use of it, is full: make room, and make the call again."
        elif error.errno in _FORBIDDEN:
            mend = "Give this user the right to it, or have the store's owner make the call."
        elif error.errno == errno.ENOENT:
            mend = "It, or a folder above it, is missing: restore it from a backup, and make the call again."
        else:
            mend = "Look at the disk, and make the call again."
        raise StoreError(f"{what} Nothing of it was committed. {mend}" if done == "written" else f"{what} {mend}") from error


@contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """Give an empty file beside a path, for the block to rename or link; what is left of it is removed."""
    check_replaceable(path)
    aside = path.with_name(f".{path.name[:_MAX_LETTERS]}.{uuid.uuid4().hex}.tmp")
    try:
        with translating(path, "written"):
            make_folder(path.parent)
            os.close(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            yield aside
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def _flush(handle: int) -> None:
    if sys.platform == "darwin":
        import fcntl

        with suppress(OSError):  # not every file system has it; then the plain flush is the most there is
            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
            return
    os.fsync(handle)


def _unflushed(folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield a folder and those above it, with their inodes, as far as their names may not have been flushed."""
    for place in (folder, *folder.parents):
        status = place.stat()
        is_top = place.parent == place or place.parent.stat().st_dev != status.st_dev
        if is_top or _FLUSHED.get(place) == status.st_ino or not os.access(place.parent, os.R_OK):
            return  # nor did we make what lies above a folder that we may not read
        yield place, status.st_ino


def _sync_folder(folder: Path) -> None:
    """Flush the names in a folder; some file systems have no such flush and say EINVAL, Windows opens no folders."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        _flush(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(handle)
