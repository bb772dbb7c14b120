"""Reading the versions that corrections replaced: what the tests of ingest compare."""

from __future__ import annotations

import pyarrow as pa

from featurestore.lake.layout import Layout
from featurestore.lake.session import connect, quote
from featurestore.lake.table import Table, parquet_scan_sql
from featurestore.spec.source import EventSource
from featurestore.spec.types import arrow_schema


def read_superseded(layout: Layout, source: EventSource) -> pa.Table:
    """Return the schema's columns, ``content_hash`` and ``$place``, sorted by event_id and hash."""
    path = layout.superseded(source.name)
    files = Table.open(path).files()
    schema = arrow_schema((*source.schema, ("content_hash", "string"), ("$place", "int64")))
    if not files:
        return schema.empty_table()
    with connect(path) as session:
        order = f"{quote(source.event_id)}, content_hash"
        rows: pa.Table = session.sql(f"FROM {parquet_scan_sql(files)} ORDER BY {order}").to_arrow_table()
    return rows.cast(schema)
