"""Types of columns: the words that a schema uses, and what each is in SQL and in Arrow.

A schema type is a word of this table and of no other: whoever adds one adds it here, and in ``lake/ingestion/columns.py`` how
it is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING

from featurestore.errors import did_you_mean

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

_OF_PYTHON: dict[object, str] = {
    int: "int64",
    float: "double",
    str: "string",
    bool: "bool",
    datetime: "timestamp",
    date: "date",
}
_OF_ARROW = {
    **{kind: kind for kind in ("int64", "int32", "double", "string", "bool", "timestamp")},
    **dict.fromkeys(("large_string", "string_view"), "string"),
    **dict.fromkeys(("date32", "date64"), "date"),
}
# What other systems call them: a hint must be true, and the nearest spelling of float64 is int64.
_CALLED_ELSEWHERE = {
    **dict.fromkeys(("int", "integer", "long", "bigint", "uint32", "uint64", "hugeint", "int128"), "int64"),
    **dict.fromkeys(("int8", "int16", "uint8", "uint16", "short", "smallint", "tinyint", "byte"), "int32"),
    **dict.fromkeys(("float", "float16", "float32", "float64", "halffloat", "real", "number", "numeric"), "double"),
    **dict.fromkeys(("str", "text", "varchar", "char", "utf8", "object", "category", "categorical", "uuid", "enum"), "string"),
    **dict.fromkeys(("boolean", "bit", "logical"), "bool"),
    **dict.fromkeys(("datetime", "datetime64", "timestamptz", "instant"), "timestamp"),
    **dict.fromkeys(("date32", "date64", "day"), "date"),
}


def schema_type(kind: object) -> str | None:
    """Return the schema type that is meant by a word, a Python type or an Arrow type; ``None`` where none is.

    >>> [schema_type(kind) for kind in ("int64", int, float, datetime, "float64")]
    ['int64', 'int64', 'double', 'timestamp', None]
    """
    if isinstance(kind, str):
        return kind if kind in SQL_TYPES else None
    if isinstance(kind, type):
        return _OF_PYTHON.get(kind)
    return _OF_ARROW.get(_word(kind)) if _is_arrow(kind) else None


def hint_of(kind: object) -> str:
    """Say which schema type may be meant by what is none, for the end of an error message.

    >>> hint_of("float64")
    " Did you mean 'double'?"
    """
    word = _word(kind.__name__ if isinstance(kind, type) else kind)
    if word.startswith("decimal"):
        return " Exact amounts are whole numbers of the smallest unit: 'int64'. Others are 'double'."
    if word in SQL_TYPES or word in _CALLED_ELSEWHERE:
        return f" Did you mean {_CALLED_ELSEWHERE.get(word, word)!r}?"
    return did_you_mean(word, SCHEMA_TYPES) if isinstance(kind, str) else f" Known: {', '.join(SCHEMA_TYPES)}."


def _is_arrow(kind: object) -> bool:
    """Tell whether something is a type of pyarrow, which is not loaded for it."""
    return any(each.__module__ == "pyarrow.lib" and each.__name__ == "DataType" for each in type(kind).__mro__)


def _word(kind: object) -> str:
    """Take a type's word out of its text: ``timestamp`` of ``timestamp[us, tz=UTC]``, ``int64`` of a function of that name."""
    text = getattr(kind, "__name__", None) or str(kind)
    return re.split(r"[^a-z0-9_]", text.strip().lower(), maxsplit=1)[0]


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
