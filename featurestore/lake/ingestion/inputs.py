"""Input files: finding them, and checking before anything is read that each is what its name says."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.errors import IngestError, did_you_mean
from featurestore.lake.file_names import delta_table_of, files_named, local_path
from featurestore.lake.ingestion.csv_header import CsvFile, read_header
from featurestore.lake.ingestion.text_files import open_text
from featurestore.spec.csv_format import Csv
from featurestore.spec.source import EventSource

PARQUET, CSV, JSON_LINES = "Parquet", "CSV", "JSON lines"
_FORMATS = {
    ".parquet": PARQUET,
    ".pq": PARQUET,
    ".csv": CSV,
    ".tsv": CSV,
    ".csv.gz": CSV,
    ".tsv.gz": CSV,
    ".csv.zst": CSV,
    ".tsv.zst": CSV,
    ".jsonl": JSON_LINES,
    ".ndjson": JSON_LINES,
    ".json": JSON_LINES,
    ".jsonl.gz": JSON_LINES,
    ".ndjson.gz": JSON_LINES,
    ".json.gz": JSON_LINES,
}
_UNFINISHED = (".tmp", ".part", ".partial", ".crdownload")
_SAMPLED_LINES = 10_000


@dataclass(frozen=True)
class InputFile:
    """A file that has been opened once and is what its name says.

    ``columns`` are in the file's order; of JSON lines the keys of the first lines. ``rows`` is known of Parquet only, ``csv`` of CSV.
    """

    path: Path
    format: str
    columns: tuple[str, ...]
    rows: int | None = None
    csv: CsvFile | None = None


def find_files(rows: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[Path]:
    """List the files that a path, a glob, a directory (with all below it) or a list of these stands for.

    Hidden files, names with a leading underscore and unfinished downloads in directories are left alone.

    Raises:
        IngestError: nothing matches, or a format is unknown.
    """
    if isinstance(rows, (str, os.PathLike)):
        paths = _expand(os.fspath(rows))
    else:
        paths = [path for name in rows for path in _expand(os.fspath(name))]
    for path in paths:
        format_of(path)
    return list(dict.fromkeys(paths))


def files_below(folder: Path) -> list[Path]:
    """List the finished files below a folder, sorted."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and is_finished(path.relative_to(folder)))


def is_finished(relative: Path) -> bool:
    """Tell whether a file below a folder is meant to be read: not hidden, not marked by an underscore, no unfinished download."""
    hidden = any(part.startswith((".", "_")) for part in relative.parts)
    return not hidden and not relative.name.lower().endswith(_UNFINISHED)


def format_of(path: Path) -> str:
    """Return the format that a file's name announces.

    Raises:
        IngestError: the suffix is unknown.
    """
    name = path.name.lower()
    for suffix in sorted(_FORMATS, key=len, reverse=True):
        if name.endswith(suffix):
            return _FORMATS[suffix]
    raise IngestError(f"{path} has no known format. Name it by what it is: {', '.join(_FORMATS)}.")


def check_file(path: Path, source: EventSource, *, csv: Csv | None = None) -> InputFile:
    """Open a file and compare it with its name and its source's schema.

    Args:
        path: The file.
        source: Whose schema it must have.
        csv: How it is written, if it is CSV; as the source says by default.

    Raises:
        IngestError: it is empty, damaged, of another format, or lacks a column.
    """
    kind = format_of(path)
    try:
        if path.stat().st_size == 0:
            raise IngestError(f"{path} is empty (0 bytes). Deliver it again, or take it out of the input.")
        if kind == CSV:
            file = _check_csv(path, source, csv or source.csv or Csv())
        else:
            file = _check_parquet(path) if kind == PARQUET else _check_json_lines(path)
    except (OSError, EOFError, zlib.error) as error:
        raise IngestError(f"{path} cannot be read: {error}.") from error
    check_columns(file.columns, source, str(path), hint=file.csv.hint if file.csv is not None else "")
    return file


def check_columns(columns: Iterable[str], source: EventSource, what: str, *, hint: str = "") -> None:
    """Compare an input's columns with the schema of its source.

    Raises:
        IngestError: a column of the schema is missing, or two columns of the input have one name.
    """
    have = list(columns)
    twice = sorted({column for column in have if have.count(column) > 1})
    if twice:
        raise IngestError(f"{what} has the column {twice[0]!r} twice. Rename one; nothing of it was committed.")
    missing = [column for column in source.types if column not in have]
    if missing:
        raise IngestError(
            f"{what} has no column {missing[0]!r}, which source {source.name!r} declares"
            f"{f' (and {len(missing) - 1} more: {missing[1:]})' if missing[1:] else ''}.{did_you_mean(missing[0], have)}{hint} "
            "Nothing of it was committed."
        )


def _expand(text: str) -> list[Path]:
    path = local_path(text, IngestError)
    files = files_below(path) if path.is_dir() else files_named(path)
    if not files:
        raise IngestError(f"{text!r} names no file. Give an existing file, a directory with files, or a glob that matches.")
    table = next(filter(None, map(delta_table_of, files)), None)
    if table is not None:
        raise IngestError(
            f"{text!r} names files of the Delta table {table}, where deleted rows lie too. Give its rows instead: "
            f"deltalake.DeltaTable({str(table)!r}).to_pyarrow_table()."
        )
    return [file.absolute() for file in files]


def _check_parquet(path: Path) -> InputFile:
    try:
        with pq.ParquetFile(path) as file:
            return InputFile(path, PARQUET, tuple(file.schema_arrow.names), file.metadata.num_rows)
    except pa.ArrowException as error:
        raise IngestError(f"{path} is not a whole Parquet file ({error}). Nothing of it was committed.") from error


def _check_csv(path: Path, source: EventSource, csv: Csv) -> InputFile:
    found = read_header(path, csv, source.types)
    return InputFile(path, CSV, found.columns, csv=found)


def _check_json_lines(path: Path) -> InputFile:
    keys: dict[str, None] = {}
    with open_text(path, JSON_LINES) as text:
        for number, line in enumerate(text):
            if number == _SAMPLED_LINES:
                break
            try:
                value = json.loads(line) if line.strip() else {}
            except ValueError:
                continue
            if isinstance(value, dict):
                keys.update(dict.fromkeys(value))
    if not keys:
        raise IngestError(f"{path} holds no JSON object in its first lines. JSON lines have one object per line, not an array.")
    return InputFile(path, JSON_LINES, tuple(keys))
