"""Extra columns: what an input has besides its source's columns is reported and otherwise left alone, whatever its name and type.

DuckDB must read them, for the rows that go to quarantine whole. It does not tell names apart that differ only in their case, the
store's own begin with ``$``, and of some Arrow types it can read no value.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pyarrow as pa

from featurestore.errors import IngestError


def is_plain(schema: pa.Schema) -> bool:
    """Tell whether DuckDB can read an input as it is: all names are told apart, none is ours, and all types are known to it."""
    names = {name.lower() for name in schema.names}
    return (
        len(names) == len(schema.names)
        and not any(name.startswith("$") for name in names)
        and all(_is_known(kind, is_nested=False) for kind in schema.types)
    )


def renamed(name: str, number: int) -> str:
    """Name a column after its place in its input as well, from 1; so that it differs from all others, and is none of ours."""
    return f"column {number} ({name})" if name.startswith("$") else f"{name} (column {number})"


def without_odd_columns(table: pa.Table, wanted: Collection[str], label: str) -> pa.Table:
    """Give extra columns names and values that DuckDB can read.

    Args:
        table: The rows.
        wanted: The source's columns, which stay as they are.
        label: Where the rows come from, for errors.

    Raises:
        IngestError: a text of a wanted column is no UTF-8.
    """
    taken = {name.lower() for name in wanted}
    names = []
    columns = []
    for number, (name, column) in enumerate(zip(table.column_names, table.columns, strict=True), 1):
        is_valid = _is_valid(column)
        if name in wanted:
            if not is_valid:
                raise IngestError(f"{label}: texts of column {name!r} are no UTF-8. Decode them first; nothing was committed.")
        else:
            is_known = is_valid and _is_known(column.type, is_nested=False)
            column = column if is_known else _not_kept(column)
            name = renamed(name, number) if name.lower() in taken or name.startswith("$") else name
            taken.add(name.lower())
        names.append(name)
        columns.append(column)
    return pa.table(columns, names=names)


def _is_valid(column: pa.ChunkedArray) -> bool:
    """Tell whether a column holds what its type says: texts made from any bytes end DuckDB's session."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _not_kept(column: pa.ChunkedArray) -> pa.Array:
    """Make a column that stands for one that cannot be read."""
    places = pa.array(np.zeros(len(column), np.int8))
    return pa.DictionaryArray.from_arrays(places, [f"not kept: {column.type}"[:200]])


def _is_known(kind: pa.DataType, *, is_nested: bool) -> bool:
    """Tell whether DuckDB reads every value of a type, and writes it as JSON."""
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return _is_known(kind.storage_type, is_nested=is_nested)
    if types.is_timestamp(kind):  # a year beyond all calendars is moved near at the outermost level alone
        return kind.unit in ("us", "ns") or not is_nested
    if types.is_decimal(kind):
        return bool(kind.scale >= 0 and not types.is_decimal256(kind))
    if types.is_dictionary(kind):
        return not types.is_nested(kind.value_type) and _is_known(kind.value_type, is_nested=True)
    if types.is_nested(kind):
        has_parts = not types.is_union(kind) and kind.num_fields > 0
        return has_parts and all(_is_known(kind.field(i).type, is_nested=True) for i in range(kind.num_fields))
    return not (types.is_float16(kind) or types.is_duration(kind) or types.is_interval(kind) or types.is_run_end_encoded(kind))
