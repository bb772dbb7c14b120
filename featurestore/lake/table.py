"""Delta tables: the only door to deltalake.

DuckDB or pyarrow write immutable Parquet files below a table's folder (``stage``), ``describe`` reads their footers,
``commit`` adds and removes them in one atomic step, ``Table`` is a snapshot of what is committed.

Every commit is a compare-and-swap of the whole table: it is tried against the newest version, and checked again when another
writer was faster. That closes the hole that plain Delta leaves open, where two first-time writers of the same partition both
succeed. deltalake reads logs; their entries are written by ``delta_log.py``, and are on the disk when ``commit`` returns.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from featurestore.errors import CommitConflictError, StoreError
from featurestore.lake.belonging import check_never_was, check_own, forget_version, record_lasting, store_mark
from featurestore.lake.checkpoints import write_due_checkpoint
from featurestore.lake.delta_log import (
    add_action,
    create_actions,
    entry_path,
    mark_action,
    remove_action,
    write_entry,
)
from featurestore.lake.delta_runtime import deltalake_at
from featurestore.lake.digests import note_committed, note_written
from featurestore.lake.files import CommittedFile, StagedFile, committed_files, describe, parquet_scan_sql, stage
from featurestore.lake.log_opening import open_log, read_marks
from featurestore.lake.newest import NewestVersions
from featurestore.lake.retry import retried
from featurestore.lake.storage import STORAGE
from featurestore.lake.table_changes import check_marks, check_partitions, difference, files_after
from featurestore.lake.table_schema import (
    check_features,
    check_same,
    column_types,
    delta_schema,
    earlier_types,
    extending_actions,
)

__all__ = ["CommittedFile", "StagedFile", "Table", "commit", "describe", "parquet_scan_sql", "stage"]

_GAVE_UP = "was committed to by others again and again. Make the call again."


class Table:
    """A snapshot of one Delta table. A table that does not exist has version -1 and no files.

    Attributes:
        path: The table's folder.
        version: The version seen, from 0; -1 without a table.
    """

    def __init__(self, path: Path, version: int, delta: Any) -> None:
        self.path = path
        self.version = version
        # As deltalake read it, or an earlier version with these columns, where we know its files since we committed them.
        self._delta = delta
        self._files: list[CommittedFile] | None = None
        self._marks: dict[str, int] | None = None

    @classmethod
    def open(cls, path: Path, version: int | None = None) -> Table:
        """Return a snapshot. The newest one that this process has read is kept until a later one is committed.

        Args:
            path: The table's folder, absolute.
            version: A committed version; ``None`` is the newest, -1 the empty table before the first commit.

        Raises:
            StoreError: the version is unknown, the log is lost or damaged, the table is another store's, or uses features that a
                plain list of files cannot express (deletion vectors, column mapping).
        """
        if version is not None:
            return cls._read(path, version)
        table = _NEWEST.get(path)
        if table is None:
            table = cls._read(path, None)
            _NEWEST.keep(path, table.version, table)
        return table

    @classmethod
    def _read(cls, path: Path, version: int | None) -> Table:
        """Read a table's log; see ``open``."""
        if version == -1:
            return cls(path, -1, None)
        delta = open_log(path, version)
        if delta is None:
            check_never_was(path)
            return cls(path, -1, None)
        check_features(path, delta)
        table = cls(path, int(delta.version()), delta)
        if version is None:
            _check_trusted(table)
        return table

    @property
    def table_id(self) -> str:
        """What the log calls the table: the same for ever, and another one for any other table."""
        return str(self._delta.metadata().id)

    def files(self, **partition: str) -> list[CommittedFile]:
        """List the committed files, sorted by name; only those of the given partition values, if any."""
        if self._files is None:
            actions = self._delta.get_add_actions(flatten=True) if self._delta is not None else None
            self._files = (
                committed_files(self.path, pa.RecordBatchReader.from_stream(actions).read_all()) if actions is not None else []
            )
        wanted = partition.items()
        return [file for file in self._files if wanted <= file.partition.items()] if partition else list(self._files)

    def mark(self, app_id: str) -> int | None:
        """Return the number that the last commit with this mark recorded; ``None`` without one."""
        if self._delta is None:
            return None
        marks = self.marks()
        if marks is not None:
            return marks.get(app_id)
        with deltalake_at(self.path):
            number = self._delta.transaction_version(app_id)
        return None if number is None else int(number)

    def marks(self) -> dict[str, int] | None:
        """Map each recorded name to its last number; ``None`` where deltalake must be asked for each."""
        if self._marks is None:
            self._marks = read_marks(self.path, self.version)
        return self._marks

    def column_types(self) -> dict[str, str]:
        """Map each column, partition columns included, to the name of its Delta type; empty without a table."""
        return column_types(self._delta.schema()) if self._delta is not None else {}

    def earlier_types(self) -> dict[str, str | None]:
        """Map each column that the table gained, or widened, to the Delta type that it had first; ``None``: there was none."""
        return earlier_types(self._delta) if self._delta is not None else {}


_NEWEST = NewestVersions[Table]()


def _check_trusted(table: Table) -> None:
    """Refuse a newest version of another store, or an older one than was had; what is written next may rest on it."""
    check_own(table.path, table.table_id, table.version, configuration=table._delta.metadata().configuration)
    STORAGE.rests_on(entry_path(table.path, table.version))


def commit(
    path: Path,
    *,
    add: Sequence[StagedFile] = (),
    remove: Sequence[CommittedFile] = (),
    partition_by: Sequence[str] = (),
    marks: Mapping[str, int] | None = None,
    message: str = "",
    read_version: int | None = None,
    schema: pa.Schema | None = None,
    is_lasting: bool = False,
    renewed: Collection[str] = (),
) -> int:
    """Add and remove files of a table in one atomic commit, durable when the call returns, creating the table if need be.

    A file that is added again (content-addressed names), or both added and removed, stays as it is. Commits by others
    that do not touch the same marks, files or partitions are no conflict: the commit is made on top of them.

    Args:
        path: The table's folder.
        add: Files written below it, described.
        remove: Files of an earlier snapshot. They stay on disk until ``vacuum`` (``vacuum.py``).
        partition_by: Partition columns; must be those of the table.
        marks: Numbers to record by name. Each must be greater than the recorded one: the idempotency key of a writer.
        message: Recorded in the log.
        read_version: The version from which the caller decided. If given, no one may have added or removed files in the
            partitions touched here since.
        schema: Columns of the files; needed where the table may not have them: a commit without files creates it with them, and a
            table gains those that it lacks, or takes wider types, in the same commit.
        is_lasting: Whether the table cannot be made again from others: then its loss is told (``belonging.py``).
        renewed: Names, relative to the table's folder, of damaged files that ``add`` holds again: they are recorded as they are now.

    Returns:
        The version that holds the change; the current one when there was nothing to change.

    Raises:
        CommitConflictError: another writer took a mark, removed a file that we remove, or changed a partition.
        StoreError: a file's columns differ from the table's, or from ``schema``.
    """

    def step() -> int:
        table = Table.open(path)
        _check_decided(
            table, marks or {}, read_version, [*(file.partition for file in add), *(file.partition for file in remove)]
        )
        new, gone = difference(path, table.files(), add=add, remove=remove, renewed=renewed)
        if not (new or gone or marks):
            STORAGE.settle()
            return table.version
        table_id = table.table_id if table.version >= 0 else str(uuid.uuid4())
        if is_lasting and table.version < 0:
            forget_version(path)
        _commit_on(table, table_id, new, gone, partition_by, marks or {}, message, schema)
        if is_lasting:
            record_lasting(path, table_id, table.version + 1)
        return table.version + 1

    STORAGE.check_open(path)
    with deltalake_at(path):  # for an entry needs it, even where the table was read before
        return retried(step, on=_OvertakenError, gave_up=f"{path} {_GAVE_UP}")


class _OvertakenError(CommitConflictError):
    """Another writer committed between reading and committing; what was decided may still hold."""


def _check_decided(
    table: Table, marks: Mapping[str, int], read_version: int | None, partitions: Sequence[Mapping[str, str]]
) -> None:
    """Refuse a snapshot that others have changed in what the caller decided on."""
    check_marks(table.path, marks, recorded=table.mark)
    if read_version is not None and read_version != table.version:
        before = Table.open(table.path, read_version)
        check_partitions(table.path, partitions, before=before.files(), after=table.files())


def _commit_on(
    table: Table,
    table_id: str,
    new: Sequence[tuple[str, StagedFile]],
    gone: Sequence[CommittedFile],
    partition_by: Sequence[str],
    marks: Mapping[str, int],
    message: str,
    schema: pa.Schema | None,
) -> None:
    """Commit on exactly this snapshot, or raise _OvertakenError when another writer was faster: the files first, then the entry."""
    now_ms = time.time_ns() // 1_000_000
    columns = _schema_actions(table, table_id, [file.schema for _, file in new], partition_by, schema, now_ms)
    actions = [*columns, *(remove_action(file, now_ms) for file in gone)]
    actions += [add_action(name, file, now_ms) for name, file in new]
    actions += [mark_action(app_id, number) for app_id, number in marks.items()]
    STORAGE.sync(file.path for _, file in new)
    try:
        write_entry(table.path, table.version + 1, actions, now_ms=now_ms, message=message)
    except CommitConflictError as error:
        raise _OvertakenError(f"Another writer committed to {table.path} meanwhile. Make the call again.") from error
    write_due_checkpoint(table.path, table.version + 1)
    note_committed(table.path, {name: file.sha256 for name, file in new})
    for _, file in new:
        note_written(file.path)
    if not columns:
        _keep_next(table, files_after(table.files(), new=new, gone=gone, modified_ms=now_ms), marks)


def _keep_next(table: Table, files: list[CommittedFile], marks: Mapping[str, int]) -> None:
    """Keep the version that we have just made of a snapshot as the newest one: its log need not be read to know it."""
    known = table.marks()
    if known is not None:
        following = Table(table.path, table.version + 1, table._delta)
        following._files, following._marks = files, {**known, **marks}
        _NEWEST.keep(table.path, following.version, following)


def _schema_actions(
    table: Table, table_id: str, files: Sequence[pa.Schema], partition_by: Sequence[str], schema: pa.Schema | None, now_ms: int
) -> list[Any]:
    """Compare files with the table; return what the entry says of its columns: those of a new table, or what an older one gains."""
    wanted = [delta_schema(each, partition_by) for each in (*files, *([schema] if schema is not None else []))]
    if not wanted and table.version < 0:
        raise StoreError(f"{table.path} does not exist, and a commit without files needs a schema to create it.")
    known = column_types(wanted[-1]) if schema is not None or table.version < 0 else table.column_types()
    for each in wanted:
        check_same(table.path, column_types(each), known)
    if table.version < 0:
        return create_actions(table_id, wanted[0], partition_by, now_ms, configuration=store_mark(table.path))
    return [] if schema is None else extending_actions(table.path, table._delta, wanted[-1], has_files=bool(table.files()))
