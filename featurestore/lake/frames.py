"""Frames: the one door for tables that people hold in memory; what comes out is Arrow, in types that all of Arrow can work on.

pandas, Polars and DuckDB are recognised by their class's home and never imported for it. The index of a pandas frame is no
column. Views of texts become texts, dictionaries of views dictionaries of texts, runs their values; all else stays as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.errors import FeatureStoreError

_READER_ROWS = 1_000_000
# What pyarrow raises for values that no Arrow type holds; a sparse column is a TypeError, a long integer an OverflowError.
_INCONVERTIBLE = (pa.ArrowException, TypeError, ValueError, OverflowError, NotImplementedError)
_DECIMAL_OF_INTEGERS = pa.decimal128(38, 0)
_PER_SECOND = {"s": 1, "ms": 1000}
_FIRST_SECOND = -62_135_596_800
_LAST_SECOND = 253_402_300_799
_POLARS_LONG_INTEGERS = ("Int128", "UInt128")


@dataclass(frozen=True)
class FrameDoor:
    """Who takes the frame, for errors.

    Args:
        what: What the frame is to the caller: ``"spine"``.
        refusal: The error of this door.
        needed: The columns that are read; one of the others that Arrow cannot hold becomes its texts instead of an error.
            ``None``: all.
    """

    what: str
    refusal: type[FeatureStoreError]
    needed: Collection[str] | None = None

    def needs(self, name: str) -> bool:
        """Tell whether a column is read."""
        return self.needed is None or name in self.needed

    def refuse(self, name: str, kind: object, why: object) -> FeatureStoreError:
        """Make the error that names a column, its type and what to do."""
        return self.refusal(
            f"The {self.what}'s column {name!r} is {kind}, which cannot be read: {str(why).rstrip('.')}. "
            "Convert it to numbers, texts or times of one type first, or leave it out."
        )


def read_frame(rows: Any, door: FrameDoor) -> pa.Table:
    """Read any kind of frame as a table, in its column order; schema and field metadata stay.

    Args:
        rows: An Arrow table, batch or reader; a pandas frame; a Polars frame or lazy frame; a DuckDB relation; or anything
            with ``__arrow_c_stream__``.
        door: Who takes it.

    Raises:
        FeatureStoreError: of the door's class: no frame, or a column that Arrow has no type for.
    """
    if isinstance(rows, pa.Table):
        return _plain_table(rows, door)
    if _home(rows) == "pandas":
        return _plain_table(_pandas_table(rows, door), door)
    return open_frame(rows, door).read_all()


def open_frame(rows: Any, door: FrameDoor) -> pa.RecordBatchReader:
    """Open any kind of frame for reading batch by batch; otherwise as ``read_frame``."""
    if isinstance(rows, pa.Table) or _home(rows) == "pandas":
        return read_frame(rows, door).to_reader()
    return plain_reader(_arrow_reader(rows, door), door)


def plain_reader(reader: pa.RecordBatchReader, door: FrameDoor) -> pa.RecordBatchReader:
    """Give the columns of a reader types that all of Arrow can work on."""
    schema = pa.schema([_plain_field(field) for field in reader.schema], reader.schema.metadata)
    if schema.equals(reader.schema, check_metadata=True):
        return reader

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in reader:
            yield from _plain_table(pa.Table.from_batches([batch]), door).cast(schema).to_batches()

    return pa.RecordBatchReader.from_batches(schema, batches())


def is_frame(rows: Any) -> bool:
    """Tell whether something may be a frame."""
    return bool(_home(rows)) or hasattr(rows, "__arrow_c_stream__") or hasattr(rows, "__arrow_c_array__")


def known_to_duckdb(table: pa.Table) -> pa.Table:
    """Give a table's columns types and values that DuckDB scans.

    Float16 becomes float32, decimals of over 38 digits shorter ones or texts, and a time beyond the years 1 to 9999 their
    nearest end, which no source takes for a time.
    """
    for i, field in enumerate(table.schema):
        column = table.column(i)
        if pa.types.is_float16(field.type):
            table = table.set_column(i, field.name, column.cast(pa.float32()))
        elif pa.types.is_decimal256(field.type):
            table = table.set_column(i, field.name, _narrow_decimals(column))
        elif pa.types.is_timestamp(field.type) and field.type.unit in _PER_SECOND:
            table = table.set_column(i, field.name, _near_times(column))
    return table


def _near_times(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Move times that microseconds cannot express to the nearest end of the years 1 to 9999."""
    per_second = _PER_SECOND[column.type.unit]
    numbers = pc.max_element_wise(column.cast(pa.int64()), _FIRST_SECOND * per_second, skip_nulls=False)
    return pc.min_element_wise(numbers, _LAST_SECOND * per_second, skip_nulls=False).cast(column.type)


def _narrow_decimals(column: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return column.cast(pa.decimal128(38, column.type.scale))
    except pa.ArrowInvalid:
        return column.cast(pa.string())


def _home(rows: Any) -> str:
    """Name the library of a frame; a frame of a library that builds on pandas is one of pandas."""
    for each in type(rows).__mro__:
        library = each.__module__.partition(".")[0]
        if library in ("pandas", "polars") and each.__name__ in ("DataFrame", "LazyFrame"):
            return library
    return ""


def _arrow_reader(rows: Any, door: FrameDoor) -> pa.RecordBatchReader:
    if isinstance(rows, pa.RecordBatchReader):
        return rows
    if isinstance(rows, pa.RecordBatch):
        return pa.RecordBatchReader.from_batches(rows.schema, [rows])
    if _home(rows) == "polars":
        return _polars_reader(rows, door)
    try:
        if hasattr(rows, "__arrow_c_stream__"):
            return pa.RecordBatchReader.from_stream(rows)
        if hasattr(rows, "__arrow_c_array__"):
            batch = pa.record_batch(rows)
            return pa.RecordBatchReader.from_batches(batch.schema, [batch])
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise door.refusal(
            f"The {door.what}, a {type(rows).__name__}, cannot be read as a table: {str(error).rstrip('.')}. Give a table of "
            "columns."
        ) from error
    raise door.refusal(
        f"A {type(rows).__name__} is no {door.what}. Give a pyarrow Table or reader, a Polars or pandas frame, a DuckDB relation, "
        "or anything with __arrow_c_stream__."
    )


# pandas


def _pandas_table(frame: Any, door: FrameDoor) -> pa.Table:
    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except _INCONVERTIBLE:  # of one column, or a name that stands twice: column by column says which
        columns = [_pandas_column(frame.iloc[:, i], str(name), door) for i, name in enumerate(frame.columns)]
        return pa.table(columns, names=[str(name) for name in frame.columns])


def _pandas_column(series: Any, name: str, door: FrameDoor) -> pa.Array | pa.ChunkedArray:
    """Convert one column; sparse ones become dense, Python integers beyond int64 decimals."""
    try:
        dense = series.sparse.to_dense() if hasattr(series, "sparse") else series
        return pa.array(dense, from_pandas=True)
    except _INCONVERTIBLE as error:
        kind = series.dtype
        why = error
    values = [None if value is None or value != value else value for value in series]
    try:
        if all(isinstance(value, int) for value in values if value is not None):
            return pa.array(values, _DECIMAL_OF_INTEGERS)
    except _INCONVERTIBLE as error:
        why = error
    if door.needs(name):
        raise door.refuse(name, kind, why) from why
    return _texts(values)


def _texts(values: list[Any]) -> pa.Array:
    return pa.array([None if value is None else str(value) for value in values], pa.string())


# Polars


def _polars_reader(frame: Any, door: FrameDoor) -> pa.RecordBatchReader:
    """Read a Polars frame in batches; a lazy one is run batch by batch."""
    import polars as pl

    schema = frame.collect_schema()
    casts = [pl.col(name).cast(pl.Decimal(38, 0)) for name, kind in schema.items() if str(kind) in _POLARS_LONG_INTEGERS]
    for name, kind in schema.items():
        if str(kind) == "Object":
            if door.needs(name):
                raise door.refuse(name, "a Polars Object", "Arrow does not know Python objects")
            casts.append(pl.col(name).map_elements(str, return_dtype=pl.String))
    wanted = frame.with_columns(casts) if casts else frame
    return _polars_batches(wanted, door)


def _polars_batches(frame: Any, door: FrameDoor) -> pa.RecordBatchReader:
    import polars as pl

    if isinstance(frame, pl.DataFrame):
        return pa.RecordBatchReader.from_stream(frame)
    schema = pl.DataFrame(schema=frame.collect_schema()).to_arrow().schema
    batches = (batch for piece in frame.collect_batches(chunk_size=_READER_ROWS) for batch in piece.to_arrow().to_batches())
    return pa.RecordBatchReader.from_batches(schema, batches)


# Arrow


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return the type that a column of this type gets at the door.

    >>> plain_type(pa.string_view())
    DataType(large_string)
    >>> plain_type(pa.int64())
    DataType(int64)
    """
    types = pa.types
    if types.is_string_view(kind):
        return pa.large_string()
    if types.is_binary_view(kind):
        return pa.large_binary()
    if types.is_run_end_encoded(kind):
        return plain_type(kind.value_type)
    if types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, plain_type(kind.value_type), kind.ordered)
    if types.is_list(kind):
        return pa.list_(_plain_field(kind.value_field))
    if types.is_large_list(kind):
        return pa.large_list(_plain_field(kind.value_field))
    if types.is_list_view(kind) or types.is_large_list_view(kind):
        value = _plain_field(kind.value_field)
        return kind if value.equals(kind.value_field) else pa.large_list(value)
    if types.is_fixed_size_list(kind):
        return pa.list_(_plain_field(kind.value_field), kind.list_size)
    if types.is_struct(kind):
        return pa.struct([_plain_field(field) for field in kind.fields])
    return kind


def _plain_field(field: pa.Field) -> pa.Field:
    return field.with_type(plain_type(field.type))


def _plain_table(table: pa.Table, door: FrameDoor) -> pa.Table:
    for i, field in enumerate(table.schema):
        kind = plain_type(field.type)
        if kind != field.type:
            try:
                column = pa.chunked_array([_plain_array(chunk, kind) for chunk in table.column(i).chunks], kind)
            except _INCONVERTIBLE as error:
                raise door.refuse(field.name, field.type, error) from error
            table = table.set_column(i, field.with_type(kind), column)
    return table


def _plain_array(array: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_run_end_encoded(array.type):
        return _plain_array(pc.run_end_decode(array), kind)
    if pa.types.is_dictionary(array.type) and pa.types.is_dictionary(kind):
        return pa.DictionaryArray.from_arrays(
            array.indices, _plain_array(array.dictionary, kind.value_type), ordered=kind.ordered
        )
    if pa.types.is_list_view(array.type) or pa.types.is_large_list_view(array.type):
        # pyarrow's own cast of a view of lists gives an array that is not valid.
        return array if array.type == kind else pa.array(array.to_pylist(), kind)
    return array if array.type == kind else array.cast(kind)
