"""Input files: finding them, and checking before anything is read that each is what its name says."""

from __future__ import annotations

import os
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from featurestore.errors import IngestError, did_you_mean
from featurestore.lake.bounds import Bounds
from featurestore.lake.column_files import BATCH_ROWS, arrow_batches, arrow_shape, parquet_batches, parquet_shape
from featurestore.lake.delta_files import DeltaFile, delta_files
from featurestore.lake.endings import ARROW, CSV, JSON_LINES, PARQUET, ending_of
from featurestore.lake.file_names import check_regular, files_named
from featurestore.lake.frames import FrameDoor, open_frame
from featurestore.lake.ingestion.csv_header import CsvFile, read_header
from featurestore.lake.ingestion.json_lines import JsonFile, check_json_lines
from featurestore.lake.ingestion.parquet_size import ParquetSize, size_of
from featurestore.lake.ingestion.text_files import open_bytes
from featurestore.spec.csv_format import Csv

DELTA = "Delta"
_BLOCK_BYTES = 1 << 20


class Expected(Protocol):
    """What files are expected to have: those of an event source, or those that a mapping reads."""

    @property
    def name(self) -> str:
        """What to call it in errors."""

    @property
    def types(self) -> dict[str, str]:
        """The columns, with their types."""

    @property
    def csv(self) -> Csv | None:
        """How CSV is written."""

    @property
    def event_id(self) -> str | None:
        """The column that identifies."""

    @property
    def event_time(self) -> str:
        """The column that says when."""

    def may_lack(self, column: str) -> bool:
        """Tell whether a file without a column is accepted."""


@dataclass(frozen=True)
class InputFile:
    """A file that has been opened once and is what its name says.

    ``columns`` are in the file's order; of JSON lines the keys of the first lines, and those of the schema that come later.
    ``rows`` is known of Parquet and Arrow IPC only, ``size`` of Parquet, ``csv`` of CSV, ``json`` of JSON lines; ``delta`` is what a
    file of a Delta table is there. ``needed`` are the columns that become events.
    """

    path: Path
    format: str
    columns: tuple[str, ...]
    rows: int | None = None
    size: ParquetSize | None = None
    csv: CsvFile | None = None
    json: JsonFile | None = None
    delta: DeltaFile | None = None
    needed: Collection[str] = ()

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """Read a file of columns batch by batch: Parquet, with at most ``rows`` each, Arrow IPC, or one of a Delta table.

        Raises:
            ArrowException, OSError: it is damaged.
            IngestError: a column that is needed has a type that cannot be read.
        """
        if self.delta is not None:
            yield from self.delta.batches(self.needed)
        elif self.format == ARROW:
            door = FrameDoor(f"file {self.path}", IngestError, needed=self.needed)
            schema, _ = arrow_shape(self.path)
            yield from open_frame(pa.RecordBatchReader.from_batches(schema, arrow_batches(self.path)), door)
        else:
            yield from parquet_batches(self.path, rows=rows)


def find_files(rows: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[Path]:
    """List the files, and folders that are Delta tables, that a path, a glob, a directory (and all below it) or a list stands for.

    They are in the order of their names. Hidden files, names with a leading underscore and unfinished downloads in directories
    are left alone.

    Raises:
        IngestError: nothing matches, a format is unknown, or files of a Delta table are named one by one.
    """
    given = [rows] if isinstance(rows, (str, os.PathLike)) else rows
    paths = [path for each in given for path in files_named(each, IngestError)]
    for path in paths:
        if not path.is_dir():
            ending_of(path, IngestError)
    return sorted(dict.fromkeys(paths))


def check_files(paths: Iterable[Path], source: Expected, *, csv: Csv | None = None, bounds: Bounds) -> list[InputFile]:
    """Check what ``find_files`` has found, the files of Delta tables one by one.

    Raises:
        IngestError: as ``check_file``; or a Delta table cannot be read.
    """
    checked = []
    for path in paths:
        checked += _check_delta(path, source) if path.is_dir() else [check_file(path, source, csv=csv, bounds=bounds)]
    return checked


def check_file(path: Path, source: Expected, *, csv: Csv | None = None, bounds: Bounds) -> InputFile:
    """Open a file and compare it with its name and its source's schema.

    Args:
        path: The file.
        source: Whose schema it must have.
        csv: How it is written, if it is CSV; as the source says by default.
        bounds: What reading it may cost.

    Raises:
        IngestError: it is empty, damaged, of another format, lacks a column, is beyond the bounds, or is no regular file.
    """
    ending = ending_of(path, IngestError)
    kind = ending.format
    check_regular(path, IngestError)
    try:
        if path.stat().st_size == 0:
            raise IngestError(f"{path} is empty (0 bytes). Deliver it again, or take it out of the input.")
        how = csv or source.csv or Csv()
        if kind == CSV:
            file = _check_csv(path, source, how, bounds)
        elif kind == JSON_LINES:
            found = check_json_lines(path, source.types, bounds)
            file = InputFile(path, JSON_LINES, found.columns, json=found)
        else:
            file = _check_columns_file(path, kind, source, bounds)
        if ending.compression is not None:
            _read_to_the_end(path, kind, how.encoding if kind == CSV else "utf-8", bounds)
    except (OSError, EOFError, zlib.error) as error:
        raise IngestError(
            f"{path} cannot be read: {str(error).rstrip('.')}. Nothing was committed; deliver it again, whole and readable."
        ) from error
    check_columns(file.columns, source, str(path), hint=file.csv.hint if file.csv is not None else "")
    return file


def check_columns(columns: Iterable[str], source: Expected, what: str, *, hint: str = "") -> None:
    """Compare an input's columns with the schema of its source; other columns may have any names.

    Raises:
        IngestError: a column of the schema is missing that is not optional, or there twice.
    """
    have = Counter(columns)
    twice = [column for column in source.types if have[column] > 1]
    if twice:
        raise IngestError(f"{what} has the column {twice[0]!r} twice. Rename one; nothing of it was committed.")
    missing = [column for column in source.types if column not in have and not source.may_lack(column)]
    if missing:
        spelled = [column for column in have if column.lower() == missing[0].lower()]
        near = f" It has {spelled[0]!r}; upper and lower case count." if spelled else did_you_mean(missing[0], have)
        optional = "" if missing[0] in (source.event_id, source.event_time) else _say_optional(missing[0])
        raise IngestError(
            f"{what} has no column {missing[0]!r}, which source {source.name!r} declares"
            f"{f' (and {len(missing) - 1} more: {missing[1:]})' if missing[1:] else ''}.{near}{hint}{optional} "
            "Nothing of it was committed."
        )


def _say_optional(column: str) -> str:
    return f" If files may lack it, say optional=({column!r},)."


def _check_delta(folder: Path, source: Expected) -> list[InputFile]:
    files = delta_files(folder, IngestError)
    columns = tuple(files[0].schema.names)
    check_columns(columns, source, f"The Delta table {folder}")
    return [InputFile(file.path, DELTA, columns, delta=file, needed=source.types) for file in files]


def _check_columns_file(path: Path, kind: str, source: Expected, bounds: Bounds) -> InputFile:
    try:
        schema, rows = parquet_shape(path) if kind == PARQUET else arrow_shape(path)
        size = size_of(path, bounds) if kind == PARQUET else None
    except pa.ArrowException as error:
        raise IngestError(f"{path} is not a whole {kind} file ({error}). Nothing of it was committed.") from error
    return InputFile(path, kind, tuple(schema.names), rows, size, needed=source.types)


def _read_to_the_end(path: Path, kind: str, encoding: str, bounds: Bounds) -> None:
    """Decompress a file before anything of the call is committed: DuckDB takes a zstd file that was cut off for a whole one."""
    with open_bytes(path, kind, bounds, encoding=encoding) as opened:
        while opened.read(_BLOCK_BYTES):
            pass


def _check_csv(path: Path, source: Expected, csv: Csv, bounds: Bounds) -> InputFile:
    found = read_header(path, csv, source.types, bounds)
    return InputFile(path, CSV, found.columns, csv=found)
