"""Tables written batch by batch, in the format that a file's ending says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.errors import FeatureStoreError
from featurestore.lake.endings import ARROW, CSV, JSON_LINES, PARQUET, Ending


class BatchWriter(Protocol):
    """What takes batches one after the other."""

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Write one."""


@contextmanager
def table_writer(path: Path, ending: Ending, schema: pa.Schema) -> Iterator[BatchWriter]:
    """Open a file for batches of these columns.

    Times are written as ISO text in CSV and JSON lines, and numbers that JSON has no word for (NaN, infinite) as text.

    Args:
        path: Where; the name need not have the ending.
        ending: What to write.
        schema: The columns. Their metadata is kept by Parquet and Arrow IPC.

    Raises:
        ArrowException: the format cannot hold a column, such as lists in CSV.
    """
    with _opened(path, ending) as sink, _WRITERS[ending.format](sink, ending, schema) as writer:
        yield writer


def check_writable(schema: pa.Schema, ending: Ending, error: type[FeatureStoreError]) -> None:
    """Try each column, so that one that a format has no type for is named before anything is computed.

    Args:
        schema: The columns.
        ending: What is going to be written.
        error: What to raise.

    Raises:
        FeatureStoreError: the format cannot hold a column.
    """
    for column in schema:
        alone = pa.schema([column.with_nullable(True)])
        try:
            with _WRITERS[ending.format](pa.BufferOutputStream(), ending, alone) as writer:
                writer.write_batch(pa.RecordBatch.from_arrays([pa.nulls(1, column.type)], schema=alone))
        except (pa.ArrowException, TypeError) as refused:
            more = "" if ending.format == PARQUET else " Parquet holds most types."
            raise error(
                f"The column {column.name!r} is {column.type}, for which {ending.format} has no type. Convert it to another first, "
                f"or leave it out.{more}"
            ) from refused


@contextmanager
def _opened(path: Path, ending: Ending) -> Iterator[Any]:
    with pa.OSFile(str(path), "wb") as raw:
        if ending.compression is None:
            yield raw
        else:
            with pa.CompressedOutputStream(raw, ending.compression) as stream:
                yield stream


@contextmanager
def _parquet_writer(sink: Any, ending: Ending, schema: pa.Schema) -> Iterator[BatchWriter]:
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        yield writer


@contextmanager
def _arrow_writer(sink: Any, ending: Ending, schema: pa.Schema) -> Iterator[BatchWriter]:
    # A file may have one dictionary for a column, and batches come with one each.
    plain = pa.schema(
        [field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field for field in schema],
        schema.metadata,
    )
    with pa.ipc.new_file(sink, plain) as writer:
        yield _Plain(writer, plain)


class _Plain:
    """Writes batches without dictionaries."""

    def __init__(self, writer: Any, schema: pa.Schema) -> None:
        self._writer = writer
        self._schema = schema

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Write one."""
        self._writer.write_batch(batch if batch.schema == self._schema else batch.cast(self._schema))


@contextmanager
def _csv_writer(sink: Any, ending: Ending, schema: pa.Schema) -> Iterator[BatchWriter]:
    from pyarrow import csv

    with csv.CSVWriter(sink, schema, write_options=csv.WriteOptions(delimiter=ending.delimiter)) as writer:
        yield writer


@contextmanager
def _json_writer(sink: Any, ending: Ending, schema: pa.Schema) -> Iterator[BatchWriter]:
    yield _JsonLines(sink)


class _JsonLines:
    """Writes each row as an object on a line of its own."""

    def __init__(self, sink: Any) -> None:
        self._sink = sink

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Write one."""
        lines = [json.dumps(_plain(row), ensure_ascii=False, allow_nan=False, default=_text) for row in batch.to_pylist()]
        self._sink.write("".join(f"{line}\n" for line in lines).encode())


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not abs(value) < float("inf"):
        return str(value)
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _text(value: Any) -> str:
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)


_WRITERS: dict[str, Callable[[Any, Ending, pa.Schema], Any]] = {
    PARQUET: _parquet_writer,
    CSV: _csv_writer,
    JSON_LINES: _json_writer,
    ARROW: _arrow_writer,
}
