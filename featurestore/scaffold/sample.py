"""Some rows of a file, from its head, its middle and its end: enough to tell what its columns are, whatever its size.

A look must not cost what an ingest costs, so nothing is read whole but small files; what only the rows between would tell, an ingest
tells: its quarantine has the reason of each row.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.errors import IngestError
from featurestore.lake.bounds import Bounds
from featurestore.lake.column_files import arrow_batches, arrow_shape
from featurestore.lake.delta_files import delta_files
from featurestore.lake.endings import ARROW, CSV, JSON_LINES, PARQUET, ending_of
from featurestore.lake.ingestion.csv_header import DELIMITERS
from featurestore.lake.ingestion.csv_records import said_delimiter
from featurestore.lake.ingestion.text_files import guessed_encoding, open_text
from featurestore.spec.csv_format import Csv

HEAD_ROWS, OTHER_ROWS = 40_000, 5_000
_PLACE_BYTES = 1 << 21
_HEADER_LINES = 200
DELTA = "Delta"


@dataclass(frozen=True)
class Sample:
    """Some rows of a file.

    Args:
        path: The file, or the folder of a Delta table.
        format: ``CSV``, ``JSON_LINES``, ``PARQUET``, ``ARROW`` or ``DELTA``.
        columns: Column to values: texts of CSV, what JSON has, what Arrow has; ``None`` for NULL.
        types: Column to Arrow type, of files that have types.
        csv: How it is written, if it is CSV.
        rows: How many rows it has, where that is known without reading it.
        is_whole: Whether these are all of its rows.
    """

    path: Path
    format: str
    columns: dict[str, list[Any]]
    types: dict[str, pa.DataType]
    csv: Csv | None = None
    rows: int | None = None
    is_whole: bool = False


def read_sample(path: Path) -> Sample:
    """Read some rows of a file, or of a Delta table.

    Raises:
        IngestError: it is empty, of an unknown format or not what its name says, or no encoding fits.
    """
    if path.is_dir():
        file = delta_files(path, IngestError)[0]
        return _of_arrow(path, DELTA, file.schema, file.batches(file.schema.names), None)
    ending = ending_of(path, IngestError)
    if path.stat().st_size == 0:
        raise IngestError(f"{path} is empty (0 bytes): there is nothing to look at.")
    try:
        if ending.format == PARQUET:
            return _of_parquet(path)
        if ending.format == ARROW:
            schema, rows = arrow_shape(path)
            return _of_arrow(path, ARROW, schema, arrow_batches(path), rows)
        return _of_json(path) if ending.format == JSON_LINES else _of_csv(path, is_plain=ending.compression is None)
    except (pa.ArrowException, OSError, EOFError, csv.Error, UnicodeError) as error:
        raise IngestError(f"{path} cannot be read as {ending.format}: {str(error).rstrip('.')}.") from error


def _of_parquet(path: Path) -> Sample:
    with pq.ParquetFile(path) as file:
        groups = sorted({0, file.num_row_groups // 2, file.num_row_groups - 1}) if file.num_row_groups else []
        most = [HEAD_ROWS, OTHER_ROWS, OTHER_ROWS]
        parts = [next(file.iter_batches(rows, row_groups=[group])) for group, rows in zip(groups, most, strict=False)]
        schema, rows = file.schema_arrow, file.metadata.num_rows
    table = pa.Table.from_batches(parts, schema)
    return Sample(path, PARQUET, table.to_pydict(), _types(schema), rows=rows, is_whole=table.num_rows == rows)


def _of_arrow(path: Path, kind: str, schema: pa.Schema, batches: Iterator[pa.RecordBatch], rows: int | None) -> Sample:
    taken, count = list[pa.RecordBatch](), 0
    for batch in batches:
        taken.append(batch.slice(0, HEAD_ROWS - count))
        count += taken[-1].num_rows
        if count >= HEAD_ROWS:
            break
    table = pa.Table.from_batches(taken, schema)
    return Sample(
        path, kind, table.to_pydict(), _types(schema), rows=rows, is_whole=rows is not None and table.num_rows == rows
    )


def _types(schema: pa.Schema) -> dict[str, pa.DataType]:
    return dict(zip(schema.names, schema.types, strict=True))


def _of_json(path: Path) -> Sample:
    objects = list[dict[str, Any]]()
    with open_text(path, JSON_LINES, Bounds()) as text:
        for number, line in enumerate(islice(text, HEAD_ROWS), 1):
            if line.strip():
                try:
                    value = json.loads(line)
                except ValueError as error:
                    raise IngestError(f"{path}, line {number}: {error}. Write one JSON object per line.") from error
                if not isinstance(value, dict):
                    raise IngestError(f"{path}, line {number} is no JSON object. Write one per line.")
                objects.append(value)
        is_whole = text.read(1) == ""
    names = dict.fromkeys(name for each in objects for name in each)
    columns = {name: [each.get(name) for each in objects] for name in names}
    return Sample(path, JSON_LINES, columns, {}, rows=len(objects) if is_whole else None, is_whole=is_whole)


def _of_csv(path: Path, *, is_plain: bool) -> Sample:
    encoding = _encoding_of(path)
    delimiter = _delimiter_of(path, encoding)
    options: dict[str, Any] = {} if delimiter == "," else {"delimiter": delimiter}
    options |= {} if encoding == "utf-8" else {"encoding": encoding}
    with open_text(path, CSV, Bounds(), encoding=encoding) as text:
        records = csv.reader((line for line in text if said_delimiter(line) is None), delimiter=delimiter)
        head = list(islice((record for record in records if record), HEAD_ROWS + 1))
        is_whole = next(records, None) is None
    header, *rows = head
    if _is_data(header):
        rows = head
        names = [f"column_{number + 1}" for number in range(len(header))]
        options |= {"header": False, "names": names}
    else:
        names = [name.strip() for name in header]
    if is_plain and not is_whole:
        rows += _rows_within(path, encoding, delimiter)
    fitting = [record for record in rows if len(record) == len(names)]
    columns = {name: [record[i] or None for record in fitting] for i, name in enumerate(names) if name}
    return Sample(path, CSV, columns, {}, Csv(**options), rows=len(rows) if is_whole else None, is_whole=is_whole)


def _delimiter_of(path: Path, encoding: str) -> str:
    """Return the delimiter that gives most of the first records as many fields as the header, of these the one with most fields."""
    with open_text(path, CSV, Bounds(), encoding=encoding) as text:
        lines = list(islice(text, _HEADER_LINES))
    if said := said_delimiter(lines[0]):
        return said
    best, taken = (0.0, 0), ","
    for delimiter in DELIMITERS:
        records = [record for record in csv.reader(lines, delimiter=delimiter) if record]
        width = len(records[0]) if records else 0
        fitting = sum(len(record) == width for record in records) / max(len(records), 1)
        if width > 1 and (fitting, width) > best:
            best, taken = (fitting, width), delimiter
    return taken


def _is_data(header: Sequence[str]) -> bool:
    """Tell whether the first line is one of values: names are no numbers, and not there twice."""
    given = [cell.strip() for cell in header if cell.strip()]
    return len(set(given)) < len(given) or any(cell[:1].isdigit() or cell[:1] in "+-." for cell in given)


def _rows_within(path: Path, encoding: str, delimiter: str) -> list[list[str]]:
    """Read records from the middle and from the end of a plain file; those that a place cuts have other numbers of fields."""
    size = path.stat().st_size
    rows = list[list[str]]()
    for start in (size // 2, max(size - _PLACE_BYTES, 0)):
        with path.open("rb") as file:
            file.seek(start)
            block = file.read(_PLACE_BYTES)
        lines = block.decode(encoding, "replace").splitlines()[1:-1]
        rows += list(islice(csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter), OTHER_ROWS))
    return rows


def _encoding_of(path: Path) -> str:
    """Return UTF-8, or what the file's first bytes look like."""
    with open_text(path, CSV, Bounds()) as text:
        start = text.read(_PLACE_BYTES)
    try:
        start.encode()
    except UnicodeEncodeError:
        return guessed_encoding(start)
    return "utf-8"
