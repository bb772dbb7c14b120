"""What a table no longer needs: replaced files, entries of its log, all of it.

Opening a table reads its newest checkpoint and every commit after it. A commit writes a checkpoint every 32 versions and deletes
nothing of the log, since pins name old versions; it is shortened here, where the versions to be kept are known. deltalake says which
files no version needs, and we delete them: it would write two entries of its own, not flushed, into the log.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from featurestore.errors import StoreError
from featurestore.lake.checkpoint_sums import checkpoint_damage, sum_path
from featurestore.lake.checkpoints import ENDING, mend_checkpoints, write_checkpoint
from featurestore.lake.delta_runtime import deltalake_at
from featurestore.lake.files import LOG
from featurestore.lake.storage import STORAGE, Listed
from featurestore.lake.table import Table

COMMITS_UNTIL_CHECKPOINT = 10
RETENTION_HOURS = 24 * 7


def vacuum(path: Path, *, retention_hours: int = 24 * 7, keep_versions: Sequence[int] = ()) -> list[str]:
    """Delete files that no kept version needs: removed ones and orphans of crashed writers.

    Args:
        path: The table's folder.
        retention_hours: Younger files stay; it must exceed the longest write, or it deletes what others have staged.
        keep_versions: Versions whose files stay, for instance those that training sets were read from.

    Returns:
        The names of the deleted files.

    Raises:
        StoreError: a kept version can no longer be read, or ``retention_hours`` is below 1.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    check_retention(retention_hours)
    if Table.open(path).version < 0:
        return []
    STORAGE.check_open(path)
    mend_checkpoints(path)  # deltalake would begin at a damaged one
    keep = list(keep_versions) or None
    options = {"dry_run": True, "enforce_retention_duration": False, "full": True}
    try:
        for version in keep_versions:  # each entry whole: what a version needs is read from them
            Table.open(path, version)
        with deltalake_at(path):
            unneeded = DeltaTable(str(path)).vacuum(retention_hours=retention_hours, keep_versions=keep, **options)
    except (DeltaError, StoreError) as error:
        kept = ", ".join(map(str, keep_versions)) or "none"
        raise StoreError(
            f"Cannot vacuum {path}, whose versions to be kept are {kept}: {error}. Unpin what can no longer be read, or publish it "
            "anew."
        ) from error
    STORAGE.settle()
    for name in unneeded:
        STORAGE.delete(path / name)
    return sorted(unneeded)


def check_retention(hours: int) -> None:
    """Refuse a retention that leaves other writers no time.

    Raises:
        StoreError: it is below 1 hour.
    """
    if hours < 1:
        raise StoreError(f"retention_hours={hours} would delete files that other writers have staged; give at least 1.")


def shorten_log(path: Path, *, retention_hours: int, keep_versions: Iterable[int] = ()) -> int:
    """Write a checkpoint if many commits came after the last one, and delete the entries that no kept version needs.

    Args:
        path: The table's folder.
        retention_hours: Versions that were the newest one at any time within so many hours stay.
        keep_versions: Versions that stay, however old.

    Returns:
        The number of deleted log entries and checkpoints.
    """
    log = path / LOG
    commits = _versions(log, ".json")
    if not commits:
        return 0
    mend_checkpoints(path)  # no entry goes that a damaged one should stand for
    checkpoints = _versions(log, ENDING)
    newest = max(commits)
    if newest - max(checkpoints, default=-1) > COMMITS_UNTIL_CHECKPOINT:
        write_checkpoint(path)
        checkpoints = _versions(log, ENDING)
    since_s = time.time() - retention_hours * 3600
    # A version was the newest one until the next was committed.
    recent = [
        version for version, entry in commits.items() if version == newest or _is_since(commits.get(version + 1), since_s)
    ]
    oldest = min([*recent, *keep_versions])
    sound = (version for version, file in checkpoints.items() if checkpoint_damage(file.path) is None)
    start = max((version for version in sound if version <= oldest), default=0)
    unneeded = [entry for kind in (checkpoints, commits) for version, entry in sorted(kind.items()) if version < start]
    for entry in unneeded:
        STORAGE.delete(entry.path)
        if entry.path.name.endswith(ENDING):
            STORAGE.delete(sum_path(entry.path))
    return len(unneeded)


def discard(path: Path, *, retention_hours: int) -> list[str]:
    """Delete a whole table, unless it was written to lately; a reader finds all of it or none.

    Args:
        path: The table's folder.
        retention_hours: A table with a younger file stays.

    Returns:
        The names of the deleted Parquet files, relative to the folder.
    """
    files = STORAGE.list_files(path)
    if max((file.modified_s for file in files), default=0.0) > time.time() - retention_hours * 3600:
        return []
    STORAGE.delete_all(path)
    return [file.path.relative_to(path).as_posix() for file in files if file.path.suffix == ".parquet"]


def _versions(log: Path, ending: str) -> dict[int, Listed]:
    """Map versions to the files of a log that have an ending: entries or checkpoints."""
    files = {file.path.name.removesuffix(ending): file for file in STORAGE.list_files(log, ending=ending)}
    return {int(version): file for version, file in files.items() if version.isdecimal()}


def _is_since(entry: Listed | None, since_s: float) -> bool:
    return entry is not None and entry.modified_s >= since_s
