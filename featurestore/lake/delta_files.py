"""Delta tables of others as lists of files: what is deleted stays deleted, and every file has all columns of its table.

A table with deletion vectors or column mapping is one entry of that list, which deltalake scans; its rows are in no order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from featurestore.errors import FeatureStoreError
from featurestore.lake.column_files import parquet_batches
from featurestore.lake.delta_runtime import deltalake_at
from featurestore.lake.file_names import scheme_of
from featurestore.lake.files import committed_files
from featurestore.lake.frames import FrameDoor, plain_reader

# What changes nothing in how the files of a version are read.
_PLAIN_FEATURES = {"timestampNtz", "vacuumProtocolCheck", "v2Checkpoint"}
# What a list of files cannot express, and deltalake's own scan reads: rows that are deleted beside their file, renamed columns.
_SCANNED_FEATURES = {"deletionVectors", "columnMapping"}
_WAY_OUT = "Write its rows to Parquet files with the program that made it, and give those."


@dataclass(frozen=True)
class DeltaFile:
    """One file of the newest version of a table, or the whole version.

    Args:
        path: Where it lies; the folder, where it is the whole version.
        schema: The table's columns, which every file is read with.
        values: Column to the one value that all rows have: partition columns. Columns that the file lacks otherwise are NULL.
        version: The version, where it is scanned as a whole.
    """

    path: Path
    schema: pa.Schema
    values: dict[str, Any] = field(default_factory=dict)
    version: int | None = None

    def batches(self, needed: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Read the file in the table's columns.

        Args:
            needed: Columns that must have the table's types; others stay as the file has them. ``None``: all.

        Raises:
            ArrowException, OSError: it is damaged or missing.
        """
        for batch in parquet_batches(self.path) if self.version is None else self._scan(self.version):
            columns = [self._column(batch, each, needed is None or each.name in needed) for each in self.schema]
            yield pa.RecordBatch.from_arrays(columns, names=self.schema.names)

    def _scan(self, version: int) -> Iterator[pa.RecordBatch]:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError

        try:
            with deltalake_at(self.path.absolute(), FeatureStoreError):
                reader = pa.RecordBatchReader.from_stream(DeltaTable(str(self.path), version=version).scan())
        except DeltaError as error:
            raise pa.ArrowInvalid(str(error)) from error
        yield from plain_reader(reader, FrameDoor("Delta table", FeatureStoreError))

    def _column(self, batch: pa.RecordBatch, wanted: pa.Field, is_needed: bool) -> pa.Array:
        if wanted.name in self.values:
            return pa.repeat(pa.scalar(self.values[wanted.name]).cast(wanted.type), batch.num_rows)
        if wanted.name in batch.schema.names:
            column = batch.column(wanted.name)
            return column.cast(wanted.type) if is_needed else column
        return pa.nulls(batch.num_rows, wanted.type)


def delta_files(folder: Path, error: type[FeatureStoreError]) -> list[DeltaFile]:
    """List the files of the newest version of the Delta table in a folder, sorted by name.

    Args:
        folder: The table's folder.
        error: What to raise.

    Raises:
        FeatureStoreError: its log is damaged, it has no rows, it reads files that lie elsewhere, or it uses features that are
            unknown here.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        with deltalake_at(folder.absolute(), error):
            table = DeltaTable(str(folder.absolute()))
            is_scanned = _is_scanned(folder, table, error)
            schema = pa.schema(table.schema().to_arrow())
            files = committed_files(folder, pa.RecordBatchReader.from_stream(table.get_add_actions(flatten=True)).read_all())
    except DeltaError as refused:
        raise error(f"The Delta table {folder} cannot be read: {str(refused).rstrip('.')}. {_WAY_OUT}") from refused
    if not files:
        raise error(f"The Delta table {folder} has no rows. Take it out of the input.")
    names = [unquote(file.name) for file in files]  # a log writes them as parts of an address
    for name in names:
        if scheme_of(name) or Path(name).is_absolute() or ".." in Path(name).parts:
            raise error(f"The Delta table {folder} reads {name!r}, which lies outside of it. {_WAY_OUT}")
    if is_scanned:
        return [DeltaFile(folder, schema, version=int(table.version()))]
    return [DeltaFile(folder / name, schema, dict(file.partition)) for name, file in zip(names, files, strict=True)]


def _is_scanned(folder: Path, table: Any, error: type[FeatureStoreError]) -> bool:
    """Tell whether a table must be scanned; refuse one that uses what neither way can read."""
    protocol = table.protocol()
    features = set(protocol.reader_features or ())
    unknown = sorted(features - _PLAIN_FEATURES - _SCANNED_FEATURES)
    if unknown:
        raise error(f"The Delta table {folder} uses {', '.join(unknown)}, which cannot be read here. {_WAY_OUT}")
    return protocol.min_reader_version == 2 or not features.isdisjoint(_SCANNED_FEATURES)
