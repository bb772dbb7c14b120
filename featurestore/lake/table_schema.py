"""Columns of a Delta table: comparing them with what is written, and widening them in the commit that needs it.

Delta's log says the columns of all files once. A new column, or a wider type, is an action of the entry that adds the first file with
it: older files stay, have NULL there, or are cast when they are read (``source_scan.py``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from featurestore.errors import StoreError

_WIDENS = {('"integer"', '"long"'), ('"integer"', '"double"'), ('"long"', '"double"')}
_EARLIER = "featurestore.earlier"
_READABLE_FEATURES = {"timestampNtz"}
_SCHEMA_TYPES = {
    '"long"': "int64",
    '"integer"': "int32",
    '"double"': "double",
    '"string"': "string",
    '"boolean"': "bool",
    '"timestamp"': "timestamp",
    '"date"': "date",
}


def check_features(path: Path, delta: Any) -> None:
    """Raise StoreError where a table uses features that a plain list of files cannot express."""
    protocol = delta.protocol()
    features = set(protocol.reader_features or ())
    if protocol.min_reader_version == 2 or not features <= _READABLE_FEATURES:
        raise StoreError(
            f"{path} uses Delta features that a list of Parquet files cannot express "
            f"({', '.join(sorted(features)) or 'column mapping'}). Another program changed it; restore the table without them."
        )


def column_types(schema: Any) -> dict[str, str]:
    """Map the columns of a Delta schema to the JSON text of their types."""
    return {field.name: json.dumps(json.loads(field.to_json())["type"], sort_keys=True) for field in schema.fields}


def schema_type_of(delta_type: str) -> str | None:
    """Return the word of a source's schema for the JSON text of a Delta type; ``None`` for one that no source has."""
    return _SCHEMA_TYPES.get(delta_type)


def delta_schema(schema: pa.Schema, partition_by: Sequence[str]) -> Any:
    """Return the Delta schema of files and of the partitions that they lie in."""
    from deltalake import Schema

    return Schema.from_arrow(pa.schema([*schema, *(pa.field(column, pa.string()) for column in partition_by)]))


def check_same(path: Path, types: Mapping[str, str], known: Mapping[str, str]) -> None:
    """Raise StoreError where columns to be written are not those that a table has."""
    if types != known:
        raise StoreError(
            f"New rows have the columns {dict(sorted(types.items() - known.items()))} where the table {path} has "
            f"{dict(sorted(known.items() - types.items()))}. A table's columns never change by themselves: apply the changed "
            "source first, or write another table."
        )


def earlier_types(delta: Any) -> dict[str, str | None]:
    """Return the columns of a table that changed, with the JSON text of the type they had first; ``None``: there was none."""
    noted: dict[str, str | None] = json.loads(delta.metadata().configuration.get(_EARLIER, "{}"))
    return noted


def extending_actions(path: Path, delta: Any, wanted: Any, *, has_files: bool) -> list[dict[str, Any]]:
    """Return what a log entry says so that a table also takes rows of a schema; nothing where it does already.

    What changes is noted in the table's configuration, so that it is known how older files differ.

    Args:
        path: The table's folder, for the error.
        delta: The table as deltalake has read it.
        wanted: The Delta schema of what is written.
        has_files: Whether rows are committed; without any, the columns are free.

    Raises:
        StoreError: a column is of a type that rows of the table do not fit into.
    """
    schema = _extended(path, delta.schema(), wanted, has_files=has_files)
    if schema is None:
        return []
    metadata, before = delta.metadata(), column_types(delta.schema())
    changed = {column: before.get(column) for column, kind in column_types(schema).items() if before.get(column) != kind}
    action = {
        "id": metadata.id,
        "name": metadata.name,
        "description": metadata.description,
        "format": {"provider": "parquet", "options": {}},
        "schemaString": schema.to_json(),
        "partitionColumns": metadata.partition_columns,
        "configuration": {**metadata.configuration, _EARLIER: json.dumps(changed | earlier_types(delta))},
        "createdTime": metadata.created_time,
    }
    return [{"metaData": {name: value for name, value in action.items() if value is not None}}]


def _extended(path: Path, known: Any, wanted: Any, *, has_files: bool) -> Any | None:
    """Return the schema of a table that also takes rows of ``wanted``; ``None`` where it does already."""
    from deltalake import Schema

    before, after = column_types(known), column_types(wanted)
    if not has_files:
        return None if before == after else wanted
    narrowed = {column: kind for column, kind in after.items() if not _takes(before.get(column), kind)}
    if narrowed:
        check_same(path, narrowed, {column: before[column] for column in narrowed})
    fields = {field.name: field for field in (*known.fields, *wanted.fields)}
    return None if all(before.get(column) == kind for column, kind in after.items()) else Schema(list(fields.values()))


def _takes(before: str | None, after: str) -> bool:
    return before is None or before == after or (before, after) in _WIDENS
