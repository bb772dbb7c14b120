"""Scratch folders: what a running call lays aside, gone with it, and gone with the next call when it was killed.

Each holds a lock file that its call keeps locked. The system lets the lock go when the process dies, however it dies; so a folder
whose lock can be taken belongs to nobody, and whoever comes next deletes it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from featurestore.errors import CommitConflictError, FeatureStoreError
from featurestore.lake.lock import exclusive
from featurestore.lake.whole_file import ABANDONED_S, make_folder, translating

_LOCK = "lock"
_TRIES = 10


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Make a folder for what one call lays aside, remove it afterwards, and those that killed calls have left before.

    Args:
        parent: Where; made when missing. Nothing else may lie there. Where this user may not write, a temporary folder of the system
            takes its place: who may only read a store lays aside as much as others.

    Raises:
        StoreError: it cannot be written, or its file system keeps no locks.
    """
    with ExitStack() as held:
        with translating(parent, "written"):
            if not _may_write(parent):
                parent = Path(
                    held.enter_context(tempfile.TemporaryDirectory(prefix="featurestore-", ignore_cleanup_errors=True))
                )
            make_folder(parent)
            _sweep(parent)
        locked = held.enter_context(ExitStack())
        folder = _locked_folder(parent, locked)
        try:
            yield folder
        finally:
            locked.close()  # first, as Windows deletes no file that is open
            shutil.rmtree(folder, ignore_errors=True)


def free_bytes(folder: Path) -> int:
    """Return how many bytes are free on the disk of a folder."""
    with translating(folder, "read"):
        return shutil.disk_usage(folder).free


def _may_write(folder: Path) -> bool:
    """Tell whether this user may write in a folder, or make it."""
    place = next(each for each in (folder, *folder.parents) if each.exists())
    return os.access(place, os.W_OK | os.X_OK)


def _locked_folder(parent: Path, held: ExitStack) -> Path:
    for _ in range(_TRIES):
        folder = parent / uuid.uuid4().hex
        with translating(folder, "written"):
            make_folder(folder)
        # Another call may have taken the folder for one of a killed call before its lock was held: then it is gone.
        with suppress(CommitConflictError):
            held.enter_context(exclusive(folder / _LOCK, wait_s=0))
            if (folder / _LOCK).exists():
                return folder
            held.close()
    raise CommitConflictError(f"Other calls keep deleting the folders below {parent}. Make the call again.")


def _sweep(parent: Path) -> None:
    """Delete the folders that nobody holds; those without a lock file, of older versions, after two days."""
    for left in parent.iterdir():
        with suppress(FileNotFoundError):  # another call was faster
            lock = left / _LOCK
            if _is_free(lock) if lock.exists() else time.time() - left.stat().st_mtime > 2 * ABANDONED_S:
                shutil.rmtree(left, ignore_errors=True)


def _is_free(lock: Path) -> bool:
    try:
        with exclusive(lock, wait_s=0):
            return True
    except FeatureStoreError:  # held, or another user's
        return False
