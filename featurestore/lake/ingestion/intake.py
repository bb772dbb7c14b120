"""Intake: anything a user brings becomes portions of bounded size that DuckDB can scan twice.

Parquet files are scanned where they lie. CSV and JSON lines become texts, which ``columns`` parses. Frames, tables and
readers are cut into slices.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.errors import IngestError
from featurestore.lake.frames import FrameDoor, is_frame, known_to_duckdb, open_frame
from featurestore.lake.ingestion.inputs import CSV, PARQUET, InputFile, check_columns, check_file, find_files
from featurestore.lake.session import connect, literal, quote
from featurestore.lake.table import parquet_scan_sql
from featurestore.spec.source import EventSource

LINE, IS_ROW = "$line", "$is_row"
"""Columns of portions that come from lines: the line itself, if it is needed, and whether it could be split into columns."""

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
        ends_file: Whether the file has been read to its end: an empty portion after all others.
    """

    label: str
    rows: int
    table: pa.Table | None = None
    scan: str | None = None
    ends_file: bool = False


def check_input(rows: Any, source: EventSource) -> list[InputFile] | pa.RecordBatchReader:
    """Find and check what ``ingest`` was given, before anything is read or committed.

    Args:
        rows: A path, glob, directory or list of these, or anything with ``__arrow_c_stream__``: Arrow tables and
            readers, Polars and pandas frames. A Polars LazyFrame is read in batches.
        source: Whose schema the input must have.

    Raises:
        IngestError: a file is missing, empty, damaged, of another format or lacks a column; or ``rows`` is something else.
    """
    if isinstance(rows, (str, Path)) or (isinstance(rows, (list, tuple)) and all(isinstance(row, (str, Path)) for row in rows)):
        return [check_file(path, source) for path in find_files(rows)]
    if not is_frame(rows):
        raise IngestError(
            f"Cannot ingest a {type(rows).__name__}. Give a path, a glob, a directory, a list of paths, "
            "an Arrow table or reader, or a Polars or pandas frame."
        )
    reader = open_frame(rows, FrameDoor("input", IngestError, needed=source.types))
    check_columns(reader.schema.names, source, f"The {type(rows).__name__}")
    return reader


def portions_of(checked: list[InputFile] | pa.RecordBatchReader, *, limit: int) -> Iterator[Portion]:
    """Cut a checked input into portions of at most ``limit`` rows, in order.

    Raises:
        IngestError: a file turns out to be damaged after its header.
    """
    if isinstance(checked, pa.RecordBatchReader):
        yield from _tables(ROWS, checked, limit=limit)
        return
    for file in checked:
        if file.format == PARQUET:
            yield from _parquet_portions(file, limit)
        else:
            yield from _text_portions(file)
        yield Portion(str(file.path), 0, ends_file=True)


def _parquet_portions(file: InputFile, limit: int) -> Iterator[Portion]:
    rows = file.rows or 0
    if rows <= limit:
        yield Portion(str(file.path), rows, scan=parquet_scan_sql([file.path]))
        return
    with pq.ParquetFile(file.path) as opened:
        try:
            yield from _tables(str(file.path), opened.iter_batches(batch_size=65_536), limit=limit)
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


def _text_portions(file: InputFile) -> Iterator[Portion]:
    """Read CSV or JSON lines as texts; lines that cannot be split come as a last portion of their own."""
    import duckdb

    with connect(file.path.parent) as session:
        try:
            reader = session.sql(_csv_sql(file) if file.format == CSV else _json_lines_sql(file)).to_arrow_reader(65_536)
            yield from _tables(str(file.path), reader, limit=_TEXT_ROWS)
            lines = session.sql(_REJECTED).to_arrow_table()
        except (duckdb.Error, pa.ArrowException) as error:
            raise IngestError(f"{file.path} cannot be read as {file.format}: {error}") from error
    if lines.num_rows:
        nothing = pa.nulls(lines.num_rows, pa.string())
        columns = {LINE: lines[LINE], IS_ROW: pa.array([False] * lines.num_rows), **dict.fromkeys(file.columns, nothing)}
        yield Portion(str(file.path), lines.num_rows, table=pa.table(columns))


_REJECTED = f"SELECT DISTINCT ON (line) trim(coalesce(csv_line, error_message), chr(10)) AS {quote(LINE)} FROM reject_errors"


def _csv_sql(file: InputFile) -> str:
    columns = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in file.columns)
    return (
        f"FROM read_csv({literal(str(file.path))}, columns = {{{columns}}}, header = true, auto_detect = false, "
        f"delim = {literal(file.delimiter)}, quote = '\"', escape = '\"', store_rejects = true)"
    )


def _json_lines_sql(file: InputFile) -> str:
    """Take the objects apart in SQL: DuckDB's own JSON reader drops the lines that it cannot parse."""
    line = quote(LINE)
    columns = ", ".join(
        f"CASE WHEN {quote(IS_ROW)} THEN json_extract_string({line}, {literal(_json_path(column))}) END AS {quote(column)}"
        for column in file.columns
    )
    return (
        f"SELECT {line}, {quote(IS_ROW)}, {columns} FROM (SELECT {line}, "
        f"CASE WHEN json_valid({line}) THEN json_type({line}) = 'OBJECT' ELSE false END AS {quote(IS_ROW)} "
        f"FROM read_csv({literal(str(file.path))}, columns = {{{literal(LINE)}: 'VARCHAR'}}, header = false, "
        f"auto_detect = false, delim = chr(31), quote = '', escape = '', store_rejects = true) WHERE trim({line}) <> '')"
    )


def _json_path(column: str) -> str:
    return '$."' + column.replace('"', '\\"') + '"'
