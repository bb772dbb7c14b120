"""What a commit changes of a snapshot: whether it may, what really changes, and the files of the version that follows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from featurestore.errors import CommitConflictError
from featurestore.lake.files import CommittedFile, StagedFile, committed_as

if TYPE_CHECKING:
    from featurestore.lake.table import Table


def check_marks(table: Table, marks: Mapping[str, int]) -> None:
    """Refuse numbers that are not greater than the recorded ones: CommitConflictError."""
    for app_id, number in marks.items():
        recorded = table.mark(app_id)
        if recorded is not None and recorded >= number:
            raise CommitConflictError(
                f"Another writer recorded {app_id!r} = {recorded} in {table.path}; we wanted {number}. Read the table again."
            )


def check_partitions(table: Table, read_version: int | None, partitions: Sequence[Mapping[str, str]]) -> None:
    """Refuse partitions that others have changed after the version that was read, if one is given: CommitConflictError."""
    if read_version is None or read_version == table.version:
        return
    before = type(table).open(table.path, read_version)
    for partition in partitions:
        if {file.name for file in before.files(**partition)} != {file.name for file in table.files(**partition)}:
            raise CommitConflictError(
                f"Another writer changed {dict(partition)} of {table.path} after version {read_version}. Read the table again."
            )


def difference(
    table: Table, add: Sequence[StagedFile], remove: Sequence[CommittedFile], renewed: Collection[str]
) -> tuple[list[tuple[str, StagedFile]], list[CommittedFile]]:
    """Return what really changes: ``(name, file)`` pairs to add, and files to remove.

    Raises:
        CommitConflictError: a file to remove is not committed any more.
    """
    committed = {file.name for file in table.files()}
    wanted = {file.path.relative_to(table.path).as_posix(): file for file in add}
    gone = [file for file in remove if file.name not in wanted]
    missing = [file.name for file in gone if file.name not in committed]
    if missing:
        raise CommitConflictError(f"Another writer removed {missing[0]} of {table.path} before us. Read the table again.")
    return [(name, file) for name, file in wanted.items() if name not in committed or name in renewed], gone


def files_after(
    table: Table, new: Sequence[tuple[str, StagedFile]], gone: Sequence[CommittedFile], modified_ms: int
) -> list[CommittedFile]:
    """List the files of the version that adds and removes these, sorted by name, as its log would tell them."""
    files = {file.name: file for file in table.files()}
    for file in gone:
        del files[file.name]
    files |= {name: committed_as(file, name, modified_ms) for name, file in new}
    return [files[name] for name in sorted(files)]
