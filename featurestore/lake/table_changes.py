"""What a commit changes of a snapshot: whether it may, what really changes, and the files of the version that follows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from featurestore.errors import CommitConflictError
from featurestore.lake.files import CommittedFile, StagedFile, committed_as


def check_marks(path: Path, marks: Mapping[str, int], *, recorded: Callable[[str], int | None]) -> None:
    """Refuse numbers that are not greater than the recorded ones.

    Raises:
        CommitConflictError: another writer took one.
    """
    for app_id, number in marks.items():
        known = recorded(app_id)
        if known is not None and known >= number:
            raise CommitConflictError(
                f"Another writer recorded {app_id!r} = {known} in {path}; we wanted {number}. Read the table again."
            )


def check_partitions(
    path: Path,
    partitions: Iterable[Mapping[str, str]],
    *,
    before: Sequence[CommittedFile],
    after: Sequence[CommittedFile],
) -> None:
    """Refuse partitions of which two versions hold other files.

    Raises:
        CommitConflictError: names the first.
    """
    for partition in partitions:
        held, holds = (
            {file.name for file in files if partition.items() <= file.partition.items()} for files in (before, after)
        )
        if held != holds:
            raise CommitConflictError(
                f"Another writer changed {dict(partition)} of {path} after the version that was read. Read the table again."
            )


def difference(
    path: Path,
    files: Iterable[CommittedFile],
    *,
    add: Sequence[StagedFile],
    remove: Sequence[CommittedFile],
    renewed: Collection[str],
) -> tuple[list[tuple[str, StagedFile]], list[CommittedFile]]:
    """Return what really changes: ``(name, file)`` pairs to add, and files to remove.

    Raises:
        CommitConflictError: a file to remove is not committed any more.
    """
    committed = {file.name for file in files}
    wanted = {file.path.relative_to(path).as_posix(): file for file in add}
    gone = [file for file in remove if file.name not in wanted]
    missing = [file.name for file in gone if file.name not in committed]
    if missing:
        raise CommitConflictError(f"Another writer removed {missing[0]} of {path} before us. Read the table again.")
    return [(name, file) for name, file in wanted.items() if name not in committed or name in renewed], gone


def files_after(
    files: Iterable[CommittedFile],
    *,
    new: Sequence[tuple[str, StagedFile]],
    gone: Sequence[CommittedFile],
    modified_ms: int,
) -> list[CommittedFile]:
    """List the files of the version that adds and removes these, sorted by name, as its log would tell them."""
    known = {file.name: file for file in files}
    for file in gone:
        del known[file.name]
    known |= {name: committed_as(file, name, modified_ms) for name, file in new}
    return [known[name] for name in sorted(known)]
