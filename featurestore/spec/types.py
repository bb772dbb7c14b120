"""Types of columns: the words that a schema uses, and what each is in SQL and in Arrow.

A schema type is a word of this table and of no other: whoever adds one adds it here, and in ``lake/ingestion/columns.py`` how
it is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

SQL_TYPES = {
    "int64": "BIGINT",
    "int32": "INTEGER",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "bool": "BOOLEAN",
    "timestamp": "TIMESTAMPTZ",
    "date": "DATE",
}

SCHEMA_TYPES = tuple(SQL_TYPES)


def arrow_type(kind: str) -> pa.DataType:
    """Return the Arrow type of a schema type.

    >>> arrow_type("timestamp")
    TimestampType(timestamp[us, tz=UTC])
    """
    return _arrow_types()[kind]


def arrow_schema(schema: Iterable[tuple[str, str]]) -> pa.Schema:
    """Return the Arrow schema of a source's ``schema``, as committed: without the partition column.

    >>> arrow_schema([("event_id", "int64"), ("day", "date")])
    event_id: int64
    day: date32[day]
    """
    import pyarrow as pa

    return pa.schema([(column, arrow_type(kind)) for column, kind in schema])


@cache
def _arrow_types() -> dict[str, pa.DataType]:
    """Make the table when it is first asked for: a module of definitions does not need Arrow."""
    import pyarrow as pa

    return {
        "int64": pa.int64(),
        "int32": pa.int32(),
        "double": pa.float64(),
        "string": pa.string(),
        "bool": pa.bool_(),
        "timestamp": pa.timestamp("us", "UTC"),
        "date": pa.date32(),
    }
