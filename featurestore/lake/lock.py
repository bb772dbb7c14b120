"""A lock between processes that a crash cannot leave behind: the operating system holds it for as long as the holder lives.

It works where the file system keeps locks: local disks of Linux, macOS and Windows, NFS from version 4 on. A file system that says
it has none is refused, not locked by the mere presence of a file, which a killed holder would leave behind forever.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from featurestore.errors import CommitConflictError
from featurestore.lake.whole_file import translating

_POLL_S = 0.02


@contextmanager
def exclusive(path: Path, *, wait_s: float = 30.0, busy: str | None = None) -> Iterator[None]:
    """Hold a lock file, waiting for another holder: another process, another thread, or an outer block of this one.

    Args:
        path: The lock file; it stays, empty. Missing folders are made.
        wait_s: Longest wait, in seconds; 0 tries once.
        busy: What to say when it is still held.

    Raises:
        CommitConflictError: it is still held.
        StoreError: the file cannot be written, or its file system keeps no locks.
    """
    from filelock import FileLock, Timeout

    # Kept on release: a file that is removed and made again would be two locks for those who wait.
    lock = FileLock(path, poll_interval=_POLL_S, thread_local=False, fallback_to_soft=False, preserve_lock_file=True)
    with translating(path, "locked"):
        try:
            lock.acquire(timeout=wait_s)
        except Timeout as error:
            held = f"Another process has held {path} for {wait_s:g} s. Make the call again when it is done."
            raise CommitConflictError(busy or held) from error
    try:
        yield
    finally:
        lock.release()
