"""Rows: spines read from files, training sets written to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.errors import SpineError, did_you_mean
from featurestore.lake.file_names import local_path
from featurestore.lake.whole_file import atomic_file, check_replaceable

Action = TypeVar("Action")
_NAMES_A_ZONE = r"\d(Z|[+-]\d\d:?\d\d)$"


def read_rows(path: Path, *, key_types: Mapping[str, str] = MappingProxyType({}), as_of: str = "as_of") -> pa.Table:
    """Read a Parquet, CSV or JSON lines file, by its ending.

    What a CSV passes on stays text as it is written: only keys and the as_of become what they are declared as. An empty field
    is NULL, ``""`` an empty text.

    Args:
        path: The file.
        key_types: Key column to its declared type, ``int64`` or ``string``.
        as_of: Name of the as_of column.

    Raises:
        SpineError: there is no such file, its ending is another, its content is not what the ending says, or a text is no key.
    """
    readers: dict[str, Callable[[Path], pa.Table]] = {
        ".parquet": _read_parquet,
        ".csv": partial(_read_csv, as_of=as_of),
        ".jsonl": partial(_read_json, as_of=as_of),
        ".ndjson": partial(_read_json, as_of=as_of),
    }
    path = local_path(path, SpineError)
    read = _by_ending(path, readers)
    try:
        rows = read(path)
    except FileNotFoundError as error:
        raise SpineError(f"There is no spine {path}.") from error
    except pa.ArrowInvalid as error:
        raise SpineError(f"{path} cannot be read as {path.suffix}: {error}.") from error
    return rows if path.suffix == ".parquet" else _with_integer_keys(rows, path, key_types)


def _with_integer_keys(rows: pa.Table, path: Path, key_types: Mapping[str, str]) -> pa.Table:
    """Turn texts into numbers where integer keys are declared."""
    for i, field in enumerate(rows.schema):
        if key_types.get(field.name) == "int64" and pa.types.is_string(field.type):
            rows = rows.set_column(i, field.name, _integers(rows.column(i), path, field.name))
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


def write_rows(table: pa.Table, path: Path) -> None:
    """Write a table as Parquet or CSV, by the file's ending; the file appears when it is complete.

    Raises:
        SpineError: the ending is another, or CSV was asked for a list column.
    """
    write = writer_for(path)
    try:
        with atomic_file(path) as aside:
            write(table, aside)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise SpineError(f"{path} cannot be written: {error}. Parquet holds every type.") from error


def writer_for(path: Path) -> Callable[[pa.Table, Path], None]:
    """Return what writes a file of this ending.

    Raises:
        SpineError: nothing does.
        StoreError: what lies there is no regular file.
    """
    check_replaceable(local_path(path, SpineError))
    return _by_ending(path, {".parquet": _write_parquet, ".csv": _write_csv})


def _by_ending(path: Path, known: dict[str, Action]) -> Action:
    if path.suffix not in known:
        raise SpineError(f"{path} ends in {path.suffix!r}.{did_you_mean(path.suffix, known)}")
    return known[path.suffix]


def _read_parquet(path: Path) -> pa.Table:
    import pyarrow.parquet as pq

    return pq.read_table(path)


def _read_csv(path: Path, *, as_of: str) -> pa.Table:
    from pyarrow import csv

    with csv.open_csv(path) as opened:
        texts = {name: pa.string() for name in opened.schema.names if name != as_of}
    options = csv.ConvertOptions(
        column_types=texts, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
    )
    return csv.read_csv(path, convert_options=options)


def _read_json(path: Path, *, as_of: str) -> pa.Table:
    """Read JSON lines; an as_of that names its zone stays text: Arrow would make a time without one of it."""
    from pyarrow import json

    rows = json.read_json(path)
    if as_of not in rows.column_names or not pa.types.is_timestamp(rows[as_of].type):
        return rows
    alone = json.ParseOptions(explicit_schema=pa.schema([(as_of, pa.string())]), unexpected_field_behavior="ignore")
    texts = json.read_json(path, parse_options=alone)[as_of]
    if not pc.any(pc.match_substring_regex(texts, _NAMES_A_ZONE)).as_py():
        return rows
    return rows.set_column(rows.column_names.index(as_of), as_of, texts)


def _write_parquet(table: pa.Table, path: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(table, path, compression="zstd")


def _write_csv(table: pa.Table, path: Path) -> None:
    from pyarrow import csv

    csv.write_csv(table, path)
