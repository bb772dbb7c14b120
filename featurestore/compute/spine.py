"""Spines: any table that Arrow can take becomes codes, instants and untouched columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.compute.keys import key_type
from featurestore.errors import SpineError, did_you_mean


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


def read_spine(rows: Any, *, as_of: str = "as_of") -> Spine:
    """Read a spine.

    Args:
        rows: A pyarrow Table, RecordBatch or reader, a Polars or pandas frame, or anything with ``__arrow_c_stream__``.
        as_of: Name of the as_of column: timestamps of any unit and zone (none means UTC) or dates (their first instant, UTC).

    Raises:
        SpineError: not a table, a column named twice, or no usable as_of column.
    """
    table = _table(rows)
    repeated = {name for name in table.column_names if table.column_names.count(name) > 1}
    if repeated:
        raise SpineError(f"The spine has several columns named {sorted(repeated)[0]!r}; rename all but one.")
    if as_of not in table.column_names:
        raise SpineError(
            f"The spine has no column {as_of!r}; it has {', '.join(table.column_names)}. "
            f"Name the as_of column with as_of=.{did_you_mean(as_of, table.column_names)}"
        )
    moments = table[as_of].combine_chunks()
    if pa.types.is_date(moments.type):
        moments = moments.cast(pa.timestamp("s"))
    if not pa.types.is_timestamp(moments.type):
        raise SpineError(f"The spine's column {as_of!r} is {moments.type}; expected timestamps or dates. Convert it first.")
    if moments.type.unit == "ns":
        moments = pc.floor_temporal(moments, unit="microsecond")
    instants = moments.cast(pa.timestamp("us", moments.type.tz)).cast(pa.int64())
    return Spine(table, np.asarray(pc.fill_null(instants, 0)), np.asarray(instants.is_valid()))


def _table(rows: Any) -> pa.Table:
    if isinstance(rows, pa.Table):
        return rows
    if isinstance(rows, pa.RecordBatch):
        return pa.Table.from_batches([rows])
    if isinstance(rows, pa.RecordBatchReader):
        return rows.read_all()
    if hasattr(rows, "collect") and hasattr(rows, "lazy"):
        rows = rows.collect()
    if hasattr(rows, "__arrow_c_stream__"):
        return pa.table(rows)
    raise SpineError(
        f"A {type(rows).__name__} is no spine. Give a pyarrow Table, a Polars or pandas frame, or anything with __arrow_c_stream__."
    )


def spine_keys(spine: pa.Table, keys: Sequence[str], types: Sequence[str], *, entity: str) -> list[pa.Array]:
    """Return the spine's key columns in the types of the entity's dictionary; what cannot be such a key is NULL.

    Args:
        spine: The caller's table.
        keys: Spine columns, in key order.
        types: Schema types of the keys.
        entity: Name, for errors.

    Raises:
        SpineError: a column is missing or cannot hold such keys.
    """
    arrays = []
    for name, kind in zip(keys, types, strict=True):
        if name not in spine.column_names:
            raise SpineError(
                f"The spine has no column {name!r}, a key of entity {entity!r}; join_keys={{{name!r}: ...}} names another."
                f"{did_you_mean(name, spine.column_names)}"
            )
        column = spine[name].combine_chunks()
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        arrays.append(_as_key(column, name, kind, entity))
    return arrays


def _as_key(column: pa.Array, name: str, kind: str, entity: str) -> pa.Array:
    found = column.type
    is_text = pa.types.is_string(found) or pa.types.is_large_string(found) or pa.types.is_string_view(found)
    if pa.types.is_null(found):
        return column.cast(key_type(kind))
    if kind == "string" and is_text:
        return column.cast(pa.large_string())
    if kind == "int64" and pa.types.is_integer(found):
        # A uint64 beyond int64 cannot be a key of this entity: unknown, like any key never seen.
        fits = pc.less_equal(column, pa.scalar(2**63 - 1, pa.uint64())) if pa.types.is_uint64(found) else None
        return (column if fits is None else pc.if_else(fits, column, pa.scalar(None, found))).cast(pa.int64())
    if kind == "int64" and pa.types.is_floating(found):
        whole = pc.fill_null(pc.equal(pc.floor(column), column), False)
        if pc.all(pc.or_(whole, pc.or_(column.is_null(), pc.is_nan(column).fill_null(True)))).as_py() is not False:
            return pc.if_else(whole, column, pa.scalar(None, found)).cast(pa.int64(), safe=False)
    raise SpineError(f"The spine's column {name!r} is {found}; the keys of entity {entity!r} are {kind}. Convert it first.")
