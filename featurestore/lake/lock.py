"""A lock between processes that a crash cannot leave behind: the operating system holds it for as long as the holder lives."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from featurestore.errors import CommitConflictError

_POLL_S = 0.02


@contextmanager
def exclusive(path: Path, *, wait_s: float = 30.0, busy: str | None = None) -> Iterator[None]:
    """Hold a lock file, waiting for another holder.

    Args:
        path: The lock file; it stays, empty, in an existing folder.
        wait_s: Longest wait, in seconds; 0 tries once.
        busy: What to say when it is still held.

    Raises:
        CommitConflictError: another process still holds it.
    """
    import fcntl

    with path.open("a") as file:
        deadline = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() >= deadline:
                    held = f"Another process has held {path} for {wait_s:g} s. Make the call again when it is done."
                    raise CommitConflictError(busy or held) from error
                time.sleep(_POLL_S)
        yield
