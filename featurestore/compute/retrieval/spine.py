"""Spines: any table that Arrow can take becomes codes, instants and untouched columns."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.compute.keys import key_type
from featurestore.compute.retrieval.moments import instants_of, one_kind
from featurestore.compute.retrieval.spine_files import SpineTexts, read_spine_files
from featurestore.errors import SpineError, did_you_mean
from featurestore.lake.frames import FrameDoor, open_frame, plain_reader, read_frame

_EXACT_IN_DOUBLE = 2**53
_DOOR = FrameDoor("spine", SpineError)


@dataclass(frozen=True, eq=False)
class Spine:
    """Rows to be enriched.

    Args:
        table: The caller's table, as it came.
        as_of_us: Instant of knowledge per row, microseconds UTC; 0 where NULL.
        has_as_of: False where as_of is NULL.
    """

    table: pa.Table
    as_of_us: np.ndarray
    has_as_of: np.ndarray


def read_spine(rows: Any, *, as_of: str = "as_of", timezone: str) -> Spine:
    """Read the rows of a caller as a spine.

    Args:
        rows: Any kind of frame, as in ``lake.frames``.
        as_of: Name of the as_of column: timestamps of any unit and zone, dates (their first instant) or ISO texts of both.
        timezone: The zone of what names none.

    Raises:
        SpineError: not a table, a column named twice, or no usable as_of column.
    """
    table = read_table(one_kind(rows, as_of, timezone))
    repeated = {name for name in table.column_names if table.column_names.count(name) > 1}
    if repeated:
        raise SpineError(f"The spine has several columns named {sorted(repeated)[0]!r}; rename all but one.")
    if as_of not in table.column_names:
        raise SpineError(
            f"The spine has no column {as_of!r}; it has {', '.join(table.column_names)}. "
            f"Name the as_of column with as_of=.{did_you_mean(as_of, table.column_names)}"
        )
    instants = _instants(table[as_of], as_of, timezone)
    return Spine(table, np.asarray(pc.fill_null(instants, 0)), np.asarray(instants.is_valid()))


def _instants(column: pa.ChunkedArray, name: str, timezone: str) -> pa.Array:
    moments = _decoded(column)
    if _is_untyped(moments):
        return pa.nulls(len(moments), pa.int64())
    return instants_of(moments, name, timezone)


def _is_untyped(column: pa.Array) -> bool:
    """Tell whether a column says nothing of its type: only NULLs, or no row of what pandas makes of an empty list."""
    return pa.types.is_null(column.type) or (len(column) == 0 and pa.types.is_floating(column.type))


def _decoded(column: pa.ChunkedArray) -> pa.Array:
    if pa.types.is_dictionary(
        column.type
    ):  # each chunk by itself: together they may have more values than an index has numbers
        column = pa.chunked_array([chunk.dictionary_decode() for chunk in column.chunks], column.type.value_type)
    return column.combine_chunks()


def read_table(rows: Any, *, what: str = "spine") -> pa.Table:
    """Read any kind of frame as a table; see ``lake.frames``.

    Args:
        rows: The frame.
        what: What it is, for errors.

    Raises:
        SpineError: it is no table, or Arrow has no type for a column of it.
    """
    return read_frame(rows, FrameDoor(what, SpineError))


def spine_batches(
    rows: Any, *, batch_rows: int, timezone: str = "UTC", texts: SpineTexts | None = None
) -> tuple[pa.Schema, Iterator[pa.Table]]:
    """Read a spine piece by piece.

    Args:
        rows: A file of any known ending, a folder, a Delta table, a glob or a list of these; a reader of batches, or anything that
            ``read_table`` takes.
        batch_rows: Rows of a piece; the last has fewer.
        timezone: The zone of times that name none.
        texts: Names the as_of column; what the texts of CSV and JSON lines are read as.

    Returns:
        ``(schema, pieces)``, in the spine's order.

    Raises:
        SpineError: no file matches, a file cannot be read, or the files' columns differ.
    """
    texts = texts or SpineTexts()
    paths = [rows] if isinstance(rows, str | os.PathLike) else rows
    if isinstance(paths, list | tuple) and all(isinstance(path, str | os.PathLike) for path in paths):
        reader = plain_reader(pa.RecordBatchReader.from_batches(*read_spine_files(paths, texts)), _DOOR)
    else:
        reader = open_frame(one_kind(rows, texts.as_of, timezone), _DOOR)
    return reader.schema, _pieces(reader.schema, reader, batch_rows)


def _pieces(schema: pa.Schema, batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    """Cut and join batches to tables of so many rows."""
    held = list[pa.RecordBatch]()
    count = 0
    for batch in batches:
        while batch.num_rows:
            part = batch.slice(0, rows - count)
            batch = batch.slice(part.num_rows)
            held.append(part)
            count += part.num_rows
            if count == rows:
                yield pa.Table.from_batches(held, schema)
                held = []
                count = 0
    if held:
        yield pa.Table.from_batches(held, schema)


def one_piece(table: pa.Table) -> pa.Table:
    """Put the chunks of a table together, unless dictionaries of them have together more values than their index has numbers."""
    try:
        return table.combine_chunks()
    except pa.ArrowInvalid:
        return table


def spine_keys(spine: pa.Table, keys: Sequence[str], types: Sequence[str], *, entity: str) -> tuple[list[pa.Array], np.ndarray]:
    """Return the spine's key columns in the types of the entity's dictionary, and which rows have a key.

    Args:
        spine: The caller's table.
        keys: Spine columns, in key order.
        types: Schema types of the keys.
        entity: Name, for errors.

    Returns:
        ``(columns, has_key)``: a column is NULL where the value is, and where it can be no key of this type; ``has_key`` is
        false where a value is NULL, or NaN in a column of doubles.

    Raises:
        SpineError: a column is missing or cannot hold such keys.
    """
    columns = []
    has_key = np.ones(spine.num_rows, bool)
    for name, kind in zip(keys, types, strict=True):
        if name not in spine.column_names:
            raise SpineError(
                f"The spine has no column {name!r}, a key of entity {entity!r}; join_keys={{{name!r}: ...}} names another."
                f"{did_you_mean(name, spine.column_names)}"
            )
        column = _decoded(spine[name])
        has_key &= ~np.asarray(column.is_null(nan_is_null=pa.types.is_floating(column.type)))
        columns.append(_as_key(column, name, kind, entity))
    return columns, has_key


def _as_key(column: pa.Array, name: str, kind: str, entity: str) -> pa.Array:
    actual = column.type
    if _is_untyped(column):
        return pa.nulls(len(column), key_type(kind))
    if kind == "string" and isinstance(column, pa.UuidArray):
        return pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.large_string())
    is_text = pa.types.is_string(actual) or pa.types.is_large_string(actual) or pa.types.is_string_view(actual)
    if kind == "string" and (is_text or pa.types.is_integer(actual)):
        return column.cast(pa.large_string())
    if kind == "int64" and pa.types.is_decimal(actual):
        return _whole_decimals(column, name, entity)
    if kind == "int64" and pa.types.is_integer(actual):
        if actual == pa.uint64():
            # Beyond int64 there is no key of this entity: unknown, like any key never seen.
            column = pc.if_else(pc.less_equal(column, pa.scalar(2**63 - 1, actual)), column, pa.scalar(None, actual))
        return column.cast(pa.int64())
    if kind == "int64" and pa.types.is_floating(actual):
        return _whole(column, name, entity)
    raise SpineError(f"The spine's column {name!r} is {actual}; the keys of entity {entity!r} are {kind}. Convert it first.")


def _whole_decimals(column: pa.Array, name: str, entity: str) -> pa.Array:
    """Convert decimals to int64 keys: beyond int64 there is none (NULL), and fractions are refused."""
    wrong = next((value for value in column.to_pylist() if value is not None and value != value.to_integral_value()), None)
    if wrong is not None:
        raise SpineError(
            f"The spine's column {name!r} is {column.type} and holds {wrong}; the keys of entity {entity!r} are int64. "
            "Convert the column to int64."
        )
    whole = (None if value is None else int(value) for value in column.to_pylist())
    return pa.array([value if value is not None and -(2**63) <= value < 2**63 else None for value in whole], pa.int64())


def _whole(column: pa.Array, name: str, entity: str) -> pa.Array:
    """Convert doubles to int64 keys: what pandas makes of integers with gaps. NaN is NULL; other doubles are refused."""
    numbers = column.to_numpy(zero_copy_only=False).astype(float)
    wrong = ~np.isnan(numbers) & ((np.floor(numbers) != numbers) | (np.abs(numbers) > _EXACT_IN_DOUBLE))
    if wrong.any():
        raise SpineError(
            f"The spine's column {name!r} is {column.type} and holds {float(numbers[wrong][0])}; the keys of entity {entity!r} are "
            "int64, and only whole numbers up to 2^53 are exact in a double. Convert the column to int64."
        )
    return pa.array(np.nan_to_num(numbers).astype(np.int64), mask=np.isnan(numbers))
