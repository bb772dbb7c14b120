"""Rows: spines read from files, training sets written to them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from featurestore.errors import SpineError, did_you_mean
from featurestore.lake.whole_file import atomic_file, check_replaceable

Action = TypeVar("Action")


def read_rows(path: Path) -> pa.Table:
    """Read a Parquet, CSV or JSON lines file, by its ending.

    Raises:
        SpineError: there is no such file, its ending is another, or its content is not what the ending says.
    """
    read = _by_ending(path, {".parquet": _read_parquet, ".csv": _read_csv, ".jsonl": _read_json, ".ndjson": _read_json})
    try:
        return read(path)
    except FileNotFoundError as error:
        raise SpineError(f"There is no spine {path}.") from error
    except pa.ArrowInvalid as error:
        raise SpineError(f"{path} cannot be read as {path.suffix}: {error}.") from error


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
    check_replaceable(path)
    return _by_ending(path, {".parquet": _write_parquet, ".csv": _write_csv})


def _by_ending(path: Path, known: dict[str, Action]) -> Action:
    if path.suffix not in known:
        raise SpineError(f"{path} ends in {path.suffix!r}.{did_you_mean(path.suffix, known)}")
    return known[path.suffix]


def _read_parquet(path: Path) -> pa.Table:
    import pyarrow.parquet as pq

    return pq.read_table(path)


def _read_csv(path: Path) -> pa.Table:
    from pyarrow import csv

    return csv.read_csv(path)


def _read_json(path: Path) -> pa.Table:
    from pyarrow import json

    return json.read_json(path)


def _write_parquet(table: pa.Table, path: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(table, path, compression="zstd")


def _write_csv(table: pa.Table, path: Path) -> None:
    from pyarrow import csv

    csv.write_csv(table, path)
