"""Spines in files: what paths, patterns and folders name, read as one table batch by batch."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.errors import IngestError, SpineError
from featurestore.lake.bounds import Bounds
from featurestore.lake.column_files import arrow_batches, arrow_shape, parquet_batches, parquet_shape
from featurestore.lake.delta_files import delta_files
from featurestore.lake.endings import ARROW, CSV, PARQUET, Ending, ending_of
from featurestore.lake.file_names import files_named
from featurestore.lake.ingestion.csv_header import CsvFile, read_header
from featurestore.lake.ingestion.csv_portions import CsvReading
from featurestore.lake.ingestion.lines import LINE
from featurestore.lake.ingestion.text_files import open_bytes
from featurestore.spec.csv_format import Csv

# A record of texts may have so many bytes: Arrow reads block by block, and no record may reach over three.
_BLOCK_BYTES = 32 << 20
_NAMES_A_ZONE = r"\d(Z|[+-]\d\d:?\d\d)$"

Batches = Callable[[], Iterator[pa.RecordBatch]]


@dataclass(frozen=True)
class SpineTexts:
    """What the texts of CSV and JSON lines are read as: keys and the as_of; all else of a CSV stays as it is written.

    Args:
        as_of: Name of the as_of column.
        key_types: Key column to its declared type, ``int64`` or ``string``.
        csv: How CSV files are written, if that is said; then the as_of stays text too.
    """

    as_of: str = "as_of"
    key_types: Mapping[str, str] = field(default_factory=dict)
    csv: Csv | None = None


@dataclass(frozen=True)
class _SpineFile:
    path: Path
    schema: pa.Schema
    batches: Batches


def read_spine_files(paths: Sequence[str | os.PathLike[str]], texts: SpineTexts) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Read the files of a spine, in order; of texts each file is read whole.

    Args:
        paths: Files of any known ending, folders (a Delta table is read as one), patterns. A name that exists is no pattern.
        texts: What texts are read as.

    Returns:
        ``(schema, batches)``.

    Raises:
        SpineError: nothing matches, a file cannot be read, a text is no key, or the files' columns differ.
    """
    files = [file for path in paths for named in files_named(path, SpineError) for file in _opened(named, texts)]
    if not files:
        raise SpineError("The list of files is empty. Give the files of the spine.")
    first = files[0]
    for file in files:
        if not file.schema.equals(first.schema):
            raise SpineError(
                f"The columns of {file.path} differ from those of {first.path}. Write the files of a spine with one schema."
            )
    return first.schema, (batch for file in files for batch in file.batches())


def _opened(path: Path, texts: SpineTexts) -> list[_SpineFile]:
    if path.is_dir():
        tables = delta_files(path, SpineError)
        return [
            _SpineFile(each.path, each.schema.remove_metadata(), partial(_guarded, each.path, each.batches)) for each in tables
        ]
    ending = ending_of(path, SpineError)
    with _translating(path):
        if ending.format not in (PARQUET, ARROW):
            table = _read_text(path, ending, texts)
            return [_SpineFile(path, table.schema, lambda: iter(table.to_batches()))]
        schema, _ = parquet_shape(path) if ending.format == PARQUET else arrow_shape(path)
    read = parquet_batches if ending.format == PARQUET else arrow_batches
    return [_SpineFile(path, schema.remove_metadata(), partial(_guarded, path, partial(read, path)))]


def _guarded(path: Path, batches: Batches) -> Iterator[pa.RecordBatch]:
    with _translating(path):
        yield from batches()


@contextmanager
def _translating(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise SpineError(f"There is no spine {path}.") from error
    except IngestError as error:  # of the one place that opens texts
        raise SpineError(str(error)) from error
    except (pa.ArrowException, OSError, EOFError, zlib.error, UnicodeError) as error:
        if "straddling" in str(error):
            raise SpineError(
                f"{path} has a record of more than {_BLOCK_BYTES >> 20} MiB. Write it as Parquet, or leave what is so long out."
            ) from error
        raise SpineError(f"{path} cannot be read as {path.suffix}: {str(error).rstrip('.')}.") from error


def _read_text(path: Path, ending: Ending, texts: SpineTexts) -> pa.Table:
    with open_bytes(path, ending.format, Bounds()) as opened:
        rows = _read_csv(path, opened, ending, texts) if ending.format == CSV else _read_json(path, opened, ending, texts)
    return _with_integer_keys(rows, path, texts.key_types)


def _read_csv(path: Path, opened: IO[bytes], ending: Ending, texts: SpineTexts) -> pa.Table:
    """Read a CSV: an empty field is NULL, ``""`` an empty text."""
    from pyarrow import csv

    wanted = {texts.as_of, *texts.key_types}
    found = read_header(path, texts.csv or Csv(), wanted, Bounds())
    if texts.csv is not None or (found.delimiter != ending.delimiter and wanted & set(found.columns)):
        return _read_records(found)
    parsed = csv.ParseOptions(delimiter=ending.delimiter, newlines_in_values=True)
    blocks = csv.ReadOptions(block_size=_BLOCK_BYTES)
    with (
        open_bytes(path, ending.format, Bounds()) as again,
        csv.open_csv(again, read_options=blocks, parse_options=parsed) as header,
    ):
        kinds = {name: pa.string() for name in header.schema.names if name != texts.as_of}
    options = csv.ConvertOptions(
        column_types=kinds, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
    )
    return csv.read_csv(opened, read_options=blocks, parse_options=parsed, convert_options=options)


def _read_records(file: CsvFile) -> pa.Table:
    """Read a CSV that is written in another way than Arrow expects; a spine has no quarantine, so each line must be a record."""
    reading = CsvReading(file)
    tables = [table for table in reading.tables() if LINE not in table.column_names]
    if reading.counted is not None and reading.counted.quarantined_lines:
        numbers = ", ".join(map(str, reading.counted.quarantined_at))
        raise SpineError(
            f"{file.path} has {reading.counted.quarantined_lines:,} lines that are no records (the first: {numbers}). Correct them, "
            f"or say how the file is written.{f' {reading.counted.hint}' if reading.counted.hint else ''}"
        )
    nothing = pa.table({name: pa.nulls(0, pa.string()) for name in file.columns})
    return pa.concat_tables(tables) if tables else nothing


def _read_json(path: Path, opened: IO[bytes], ending: Ending, texts: SpineTexts) -> pa.Table:
    """Read JSON lines; an as_of that names its zone stays text: Arrow would make a time without one of it."""
    from pyarrow import json

    blocks = json.ReadOptions(block_size=_BLOCK_BYTES)
    rows = json.read_json(opened, read_options=blocks)
    if texts.as_of not in rows.column_names or not pa.types.is_timestamp(rows[texts.as_of].type):
        return rows
    alone = json.ParseOptions(explicit_schema=pa.schema([(texts.as_of, pa.string())]), unexpected_field_behavior="ignore")
    with open_bytes(path, ending.format, Bounds()) as again:
        written = json.read_json(again, read_options=blocks, parse_options=alone)[texts.as_of]
    if not pc.any(pc.match_substring_regex(written, _NAMES_A_ZONE)).as_py():
        return rows
    return rows.set_column(rows.column_names.index(texts.as_of), texts.as_of, written)


def _with_integer_keys(rows: pa.Table, path: Path, key_types: Mapping[str, str]) -> pa.Table:
    """Turn texts into numbers where integer keys are declared."""
    for i, column in enumerate(rows.schema):
        if key_types.get(column.name) == "int64" and pa.types.is_string(column.type):
            rows = rows.set_column(i, column.name, _integers(rows.column(i), path, column.name))
    return rows


def _integers(texts: pa.ChunkedArray, path: Path, name: str) -> pa.ChunkedArray:
    """Convert texts to int64; to decimals if one is beyond it, to doubles if all are written so (7.0, as pandas does)."""
    trimmed = pc.utf8_trim_whitespace(texts)
    whole = pc.if_else(pc.equal(trimmed, ""), None, pc.replace_substring_regex(trimmed, r"^\+", ""))
    for kind in (pa.int64(), pa.decimal128(38, 0), pa.float64()):
        try:
            return whole.cast(kind)
        except pa.ArrowInvalid:
            continue
    matches = pc.match_substring_regex(whole, r"^-?[0-9]+(\.0*)?$")
    wrong = whole.filter(pc.invert(matches))
    raise SpineError(
        f"{path} has {wrong[0].as_py() if len(wrong) else name!r} in the column {name!r}, a key of type int64. Write whole numbers, "
        "and nothing where there is none."
    )
