"""The door to local caches: files that are derived from what is committed, may be deleted at any time and are then made again.

They are atomic and not durable: after a power cut one may be missing, which costs the time to make it again. Their content is flushed
before their name appears all the same: a file of the right length with other bytes would have to be made again, too.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from featurestore.lake.whole_file import ABANDONED_S, atomic_file, translating


@contextmanager
def cache_file(path: Path) -> Iterator[Path]:
    """Give a path to write to, and make it appear under its name when the block ends.

    Raises:
        StoreError: it cannot be written.
    """
    with atomic_file(path, syncs_content=True) as aside:
        yield aside


def drop_copy(path: Path) -> None:
    """Delete a damaged copy, if this user may; whoever still maps it keeps reading it."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


def drop_others(folder: Path, *, ending: str, keep: Collection[str]) -> None:
    """Delete the cached files that no one needs, and what killed writers have left; whoever still maps one keeps reading it.

    Args:
        folder: The cache's own.
        ending: Of its files' names.
        keep: Names that stay, without the ending.
    """
    with translating(folder, "deleted"):
        for file in folder.glob(f"*{ending}"):
            if file.name.removesuffix(ending) not in keep:
                file.unlink(missing_ok=True)
        _drop_abandoned(folder)


def drop_folders(folder: Path, *, ending: str, keep: Collection[str]) -> None:
    """Delete the folders of caches that no one needs, as ``drop_others`` deletes files; one that is written to stays.

    Args:
        folder: Holds a folder for each cache, and these hold files.
        ending: Of their names.
        keep: Names of those that stay.
    """
    with translating(folder, "deleted"):
        for cache in folder.iterdir() if folder.is_dir() else ():
            if cache.name not in keep and cache.is_dir():
                drop_others(cache, ending=ending, keep=())
                with suppress(OSError):
                    cache.rmdir()


def _drop_abandoned(folder: Path) -> None:
    for left in folder.glob(".*.tmp"):
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > ABANDONED_S:
                left.unlink()
