"""Intake: anything a user brings becomes portions of bounded size that DuckDB can scan twice.

Parquet files are scanned where they lie. CSV and JSON lines become texts, which ``columns`` parses. Frames, tables, readers, Arrow
IPC, the files of Delta tables and Parquet files that are too large for that are cut into slices, by rows and by bytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.errors import IngestError
from featurestore.lake.bounds import Bounds
from featurestore.lake.column_files import BATCH_ROWS
from featurestore.lake.endings import CSV, JSON_LINES, PARQUET
from featurestore.lake.frames import FrameDoor, is_frame, known_to_duckdb, open_frame
from featurestore.lake.ingestion.csv_header import CsvFile
from featurestore.lake.ingestion.csv_portions import CsvReading
from featurestore.lake.ingestion.extra_columns import is_plain
from featurestore.lake.ingestion.ingest_report import FileLines
from featurestore.lake.ingestion.inputs import InputFile, check_columns, check_files, find_files
from featurestore.lake.ingestion.json_lines import JsonFile, JsonReading
from featurestore.lake.ingestion.lines import LINE, POSITION
from featurestore.lake.session import quote
from featurestore.lake.table import parquet_scan_sql
from featurestore.spec.csv_format import Csv
from featurestore.spec.source import EventSource

ROWS = "rows"
"""Label of portions that come from no file."""

_TEXT_ROWS = 500_000
_READER_ROWS = 1_000_000
_FEWEST_ROWS = 256
_FILE_ROW = "file_row_number"


@dataclass(frozen=True)
class Portion:
    """A bounded piece of an input.

    Args:
        label: File that it comes from, or what the caller passed.
        rows: Row count.
        table: The rows, or ``None`` when ``scan`` says where they are.
        scan: A FROM item of DuckDB's, with the position of each row.
        csv: How the texts of its numbers are written.
        ends_file: Whether the file has been read to its end: an empty portion after all others.
        lines: What became of its lines, of a file of CSV or JSON lines that ends.
        is_text: Whether it comes from lines, its values being texts.
        size_bytes: What it takes in memory.
        extra_columns: Columns of the file that the schema does not name and that are not in the table.
        reasons: Why its rows may be none, besides those of lines; the column ``REASON`` says it.
    """

    label: str
    rows: int
    table: pa.Table | None = None
    scan: str | None = None
    csv: Csv | None = None
    ends_file: bool = False
    lines: FileLines | None = None
    is_text: bool = False
    size_bytes: int = 0
    extra_columns: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


def check_input(
    rows: Any, source: EventSource, *, csv: Csv | None = None, bounds: Bounds | None = None
) -> list[InputFile] | pa.RecordBatchReader:
    """Find and check what ``ingest`` was given, before anything is read or committed.

    Args:
        rows: A path, glob, directory or list of these, or anything with ``__arrow_c_stream__``: Arrow tables and
            readers, Polars and pandas frames. A Polars LazyFrame is read in batches.
        source: Whose schema the input must have.
        csv: How CSV files are written; as the source says by default.
        bounds: What reading them may cost; ``Bounds()`` by default.

    Raises:
        IngestError: a file is missing, empty, damaged, of another format, beyond the bounds or lacks a column; or
            ``rows`` is something else.
    """
    if isinstance(rows, (str, Path)) or (isinstance(rows, (list, tuple)) and all(isinstance(row, (str, Path)) for row in rows)):
        return check_files(find_files(rows), source, csv=csv, bounds=bounds or Bounds())
    if not is_frame(rows):
        raise IngestError(
            f"Cannot ingest a {type(rows).__name__}. Give a path, a glob, a directory, a list of paths, "
            "an Arrow table or reader, or a Polars or pandas frame."
        )
    reader = open_frame(rows, FrameDoor("input", IngestError, needed=source.types))
    check_columns(reader.schema.names, source, f"The {type(rows).__name__}")
    return reader


def portions_of(
    checked: list[InputFile] | pa.RecordBatchReader, *, limit: int, bounds: Bounds | None = None
) -> Iterator[Portion]:
    """Cut a checked input into portions of at most ``limit`` rows, in order.

    Args:
        checked: What ``check_input`` returned.
        limit: Rows of a portion, at most.
        bounds: How many bytes a portion may have, but for single rows; ``Bounds()`` by default.

    Raises:
        IngestError: a file turns out to be damaged after its header.
    """
    bounds = bounds or Bounds()
    if isinstance(checked, pa.RecordBatchReader):
        yield from _tables(ROWS, checked, limit, bounds)
        return
    for file in checked:
        if file.csv is not None:
            yield from _csv_portions(file.csv)
        elif file.json is not None:
            yield from _json_lines_portions(file.json)
        else:
            yield from _column_portions(file, limit, bounds)


def _column_portions(file: InputFile, limit: int, bounds: Bounds) -> Iterator[Portion]:
    """Scan a Parquet file where it lies; read a large one, one of a Delta table, or Arrow IPC batch by batch."""
    label, size = str(file.path), file.size
    fits = size is not None and size.rows <= limit and size.decoded_bytes <= bounds.batch_bytes
    if size is not None and fits and file.format == PARQUET and _is_scannable(file.path):
        yield Portion(label, size.rows, scan=_numbered_scan(file.path), size_bytes=size.decoded_bytes)
    else:
        rows = BATCH_ROWS
        if size is not None:
            rows = min(max(bounds.portion_bytes // max(size.longest_row_bytes, 1), _FEWEST_ROWS), BATCH_ROWS)
        try:
            yield from _tables(label, file.batches(rows), limit, bounds)
        except (pa.ArrowException, OSError) as error:
            raise IngestError(f"{file.path} is damaged: {error}. Deliver it again.") from error
    yield Portion(label, 0, ends_file=True)


def _is_scannable(file: Path) -> bool:
    schema = pq.read_schema(file)
    return is_plain(schema) and _FILE_ROW not in map(str.lower, schema.names)


def _numbered_scan(file: Path) -> str:
    """Render a scan of a Parquet file with the position of each row; its rows come in any order."""
    scan = parquet_scan_sql([file], options=f"{_FILE_ROW} = true")
    return f"(SELECT * EXCLUDE ({_FILE_ROW}), {_FILE_ROW} AS {quote(POSITION)} FROM {scan})"


def _tables(label: str, batches: Iterable[pa.RecordBatch], limit: int, bounds: Bounds) -> Iterator[Portion]:
    for table in _gathered(batches, rows=min(limit, _READER_ROWS), size_bytes=bounds.portion_bytes):
        yield Portion(label, table.num_rows, table=table, size_bytes=table.nbytes)


def _gathered(batches: Iterable[pa.RecordBatch], *, rows: int, size_bytes: int) -> Iterator[pa.Table]:
    waiting: list[pa.RecordBatch] = []
    count = size = 0
    for batch in batches:
        most = max(min(rows, size_bytes * batch.num_rows // max(batch.nbytes, 1)), 1)
        for start in range(0, batch.num_rows, most):
            piece = batch.slice(start, most)
            if waiting and (count + piece.num_rows > rows or size + piece.nbytes > size_bytes):
                yield _table(waiting)
                waiting = []
                count = size = 0
            waiting.append(piece)
            count += piece.num_rows
            size += piece.nbytes
    if waiting:
        yield _table(waiting)


def _table(batches: list[pa.RecordBatch]) -> pa.Table:
    return known_to_duckdb(pa.Table.from_batches(batches))


def _csv_portions(file: CsvFile) -> Iterator[Portion]:
    """Read CSV as texts; lines that are no records come as portions of their own."""
    reading = CsvReading(file)
    with _reading(file.path, CSV):
        for _, tables in groupby(reading.tables(), key=lambda table: LINE in table.column_names):
            batches = (batch for table in tables for batch in table.to_batches())
            for portion in _tables(str(file.path), batches, _TEXT_ROWS, file.bounds):
                yield replace(portion, csv=file.csv, is_text=True)
    yield Portion(str(file.path), 0, ends_file=True, lines=reading.counted)


def _json_lines_portions(file: JsonFile) -> Iterator[Portion]:
    """Read JSON lines as texts, with the lines themselves."""
    reading = JsonReading(file)
    with _reading(file.path, JSON_LINES):
        batches = (batch for table in reading.tables() for batch in table.to_batches())
        for portion in _tables(str(file.path), batches, _TEXT_ROWS, file.bounds):
            yield replace(portion, extra_columns=file.extra_columns, is_text=True)
    yield Portion(str(file.path), 0, ends_file=True, lines=reading.counted)


@contextmanager
def _reading(path: Path, kind: str) -> Iterator[None]:
    import duckdb

    try:
        yield
    except (duckdb.Error, pa.ArrowException, OSError, EOFError, zlib.error) as error:
        raise IngestError(f"{path} cannot be read as {kind}: {error}") from error
