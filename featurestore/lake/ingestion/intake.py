"""Intake: anything a user brings becomes portions of bounded size that DuckDB can scan twice.

Parquet files are scanned where they lie. CSV and JSON lines become texts, which ``columns`` parses. Frames, tables, readers, Arrow
IPC and the files of Delta tables are cut into slices.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.errors import IngestError
from featurestore.lake.endings import CSV, JSON_LINES, PARQUET, compression_of
from featurestore.lake.frames import FrameDoor, is_frame, known_to_duckdb, open_frame
from featurestore.lake.ingestion.csv_header import CsvFile
from featurestore.lake.ingestion.csv_portions import CsvReading
from featurestore.lake.ingestion.extra_columns import is_plain
from featurestore.lake.ingestion.ingest_report import FileLines
from featurestore.lake.ingestion.inputs import InputFile, check_columns, check_files, find_files
from featurestore.lake.ingestion.lines import IS_ROW, LINE
from featurestore.lake.session import connect, literal, literals, path_literal, quote
from featurestore.lake.table import parquet_scan_sql
from featurestore.spec.csv_format import Csv
from featurestore.spec.source import EventSource

ROWS = "rows"
"""Label of portions that come from no file."""

_TEXT_ROWS = 500_000
_READER_ROWS = 1_000_000


@dataclass(frozen=True)
class Portion:
    """A bounded piece of an input.

    Args:
        label: File that it comes from, or what the caller passed.
        rows: Row count.
        table: The rows, or ``None`` when ``scan`` says where they are.
        scan: A DuckDB table function.
        csv: How the texts of its numbers are written.
        ends_file: Whether the file has been read to its end: an empty portion after all others.
        lines: What became of its lines, of a CSV file that ends.
        is_text: Whether it comes from lines, its values being texts.
    """

    label: str
    rows: int
    table: pa.Table | None = None
    scan: str | None = None
    csv: Csv | None = None
    ends_file: bool = False
    lines: FileLines | None = None
    is_text: bool = False


def check_input(rows: Any, source: EventSource, *, csv: Csv | None = None) -> list[InputFile] | pa.RecordBatchReader:
    """Find and check what ``ingest`` was given, before anything is read or committed.

    Args:
        rows: A path, glob, directory or list of these, or anything with ``__arrow_c_stream__``: Arrow tables and
            readers, Polars and pandas frames. A Polars LazyFrame is read in batches.
        source: Whose schema the input must have.
        csv: How CSV files are written; as the source says by default.

    Raises:
        IngestError: a file is missing, empty, damaged, of another format or lacks a column; or ``rows`` is something else.
    """
    if isinstance(rows, (str, Path)) or (isinstance(rows, (list, tuple)) and all(isinstance(row, (str, Path)) for row in rows)):
        return check_files(find_files(rows), source, csv=csv)
    if not is_frame(rows):
        raise IngestError(
            f"Cannot ingest a {type(rows).__name__}. Give a path, a glob, a directory, a list of paths, "
            "an Arrow table or reader, or a Polars or pandas frame."
        )
    reader = open_frame(rows, FrameDoor("input", IngestError, needed=source.types))
    check_columns(reader.schema.names, source, f"The {type(rows).__name__}")
    return reader


def portions_of(
    checked: list[InputFile] | pa.RecordBatchReader, *, limit: int, temp_folder: Path | None = None
) -> Iterator[Portion]:
    """Cut a checked input into portions of at most ``limit`` rows, in order.

    Args:
        checked: What ``check_input`` returned.
        limit: Rows of a portion, at most.
        temp_folder: Where what exceeds the memory may lie meanwhile; ``None``: nowhere, and it fails.

    Raises:
        IngestError: a file turns out to be damaged after its header.
    """
    if isinstance(checked, pa.RecordBatchReader):
        yield from _tables(ROWS, checked, limit=limit)
        return
    for file in checked:
        if file.csv is not None:
            yield from _csv_portions(file.csv, temp_folder)
            continue
        yield from _json_lines_portions(file) if file.format == JSON_LINES else _column_portions(file, limit)
        yield Portion(str(file.path), 0, ends_file=True)


def _column_portions(file: InputFile, limit: int) -> Iterator[Portion]:
    """Scan a Parquet file where it lies; read a large one, one of a Delta table, or Arrow IPC batch by batch."""
    rows = file.rows or 0
    if file.format == PARQUET and rows <= limit and is_plain(pq.read_schema(file.path)):
        yield Portion(str(file.path), rows, scan=parquet_scan_sql([file.path]))
        return
    try:
        yield from _tables(str(file.path), file.batches(), limit=limit)
    except (pa.ArrowException, OSError) as error:
        raise IngestError(f"{file.path} is damaged: {error}. Deliver it again.") from error


def _tables(label: str, batches: Iterable[pa.RecordBatch], *, limit: int) -> Iterator[Portion]:
    for table in _gathered(batches, rows=min(limit, _READER_ROWS)):
        yield Portion(label, table.num_rows, table=table)


def _gathered(batches: Iterable[pa.RecordBatch], *, rows: int) -> Iterator[pa.Table]:
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        for start in range(0, batch.num_rows, rows):
            piece = batch.slice(start, rows)
            if count + piece.num_rows > rows:
                yield _table(waiting)
                waiting = []
                count = 0
            waiting.append(piece)
            count += piece.num_rows
    if waiting:
        yield _table(waiting)


def _table(batches: list[pa.RecordBatch]) -> pa.Table:
    return known_to_duckdb(pa.Table.from_batches(batches))


def _csv_portions(file: CsvFile, temp_folder: Path | None) -> Iterator[Portion]:
    """Read CSV as texts; lines that are no records come as portions of their own."""
    import duckdb

    reading = CsvReading(file, temp_folder)
    try:
        for _, tables in groupby(reading.tables(), key=lambda table: LINE in table.column_names):
            batches = (batch for table in tables for batch in table.to_batches())
            for portion in _tables(str(file.path), batches, limit=_TEXT_ROWS):
                yield replace(portion, csv=file.csv, is_text=True)
    except (duckdb.Error, pa.ArrowException, OSError, EOFError, zlib.error) as error:
        raise IngestError(f"{file.path} cannot be read as {CSV}: {error}") from error
    yield Portion(str(file.path), 0, ends_file=True, lines=reading.counted)


def _json_lines_portions(file: InputFile) -> Iterator[Portion]:
    """Read JSON lines as texts; lines that cannot be read come as a last portion of their own."""
    import duckdb

    with connect(file.path.parent) as session:
        try:
            reader = session.sql(_json_lines_sql(file)).to_arrow_reader(65_536)
            for portion in _tables(str(file.path), reader, limit=_TEXT_ROWS):
                yield replace(portion, is_text=True)
            lines = session.sql(_REJECTED).to_arrow_table()
        except (duckdb.Error, pa.ArrowException) as error:
            raise IngestError(f"{file.path} cannot be read as {file.format}: {error}") from error
    if lines.num_rows:
        nothing = pa.nulls(lines.num_rows, pa.string())
        columns = {LINE: lines[LINE], IS_ROW: pa.array([False] * lines.num_rows), **dict.fromkeys(file.columns, nothing)}
        yield Portion(str(file.path), lines.num_rows, table=pa.table(columns), is_text=True)


_REJECTED = f"SELECT DISTINCT ON (line) trim(coalesce(csv_line, error_message), chr(10)) AS {quote(LINE)} FROM reject_errors"


def _json_lines_sql(file: InputFile) -> str:
    """Take the objects apart in SQL: DuckDB's own JSON reader drops the lines that it cannot parse."""
    line = quote(LINE)
    # All values of a line at once: for each one alone DuckDB would parse it anew, and keep what it parsed.
    values = f"CASE WHEN {quote(IS_ROW)} THEN json_extract_string({line}, {literals(list(map(_pointer, file.columns)))}) END"
    columns = ", ".join(f'"$values"[{number}] AS {quote(column)}' for number, column in enumerate(file.columns, 1))
    return (
        f'SELECT {line}, {quote(IS_ROW)}, {columns} FROM (SELECT *, {values} AS "$values" FROM (SELECT {line}, '
        f"CASE WHEN json_valid({line}) THEN json_type({line}) = 'OBJECT' ELSE false END AS {quote(IS_ROW)} "
        f"FROM read_csv({path_literal(file.path)}, compression = {literal(compression_of(file.path))}, "
        f"columns = {{{literal(LINE)}: 'VARCHAR'}}, header = false, "
        f"auto_detect = false, delim = chr(31), quote = '', escape = '', store_rejects = true) WHERE trim({line}) <> ''))"
    )


def _pointer(column: str) -> str:
    """Write a key as a JSON pointer."""
    return "/" + column.replace("~", "~0").replace("/", "~1")
