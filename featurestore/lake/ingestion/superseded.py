"""Superseded versions: what corrections replaced stays readable from the first day."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from featurestore.lake.append import append_unseen
from featurestore.lake.ingestion.contents import BEATEN
from featurestore.lake.layout import Layout
from featurestore.lake.session import connect, quote
from featurestore.lake.table import Table, parquet_scan_sql
from featurestore.spec.source import EventSource
from featurestore.spec.types import arrow_schema

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def keep_superseded(session: DuckDBPyConnection, layout: Layout, source: EventSource) -> None:
    """Append the beaten versions of the session's batch, but for those that are there and known at least as early."""
    known_at = quote(source.ingested_at or source.event_time)
    event_id = quote(source.event_id)
    same = f"old.{event_id} = new.{event_id} AND old.content_hash = new.content_hash AND old.{known_at} <= new.{known_at}"
    append_unseen(session, BEATEN, path=layout.superseded(source.name), same=same, order_by=(event_id, "content_hash"))


def read_superseded(layout: Layout, source: EventSource) -> pa.Table:
    """Read the versions of a source's events that others replaced.

    A version that was later delivered with an earlier ingested_at is listed with both, and one that counts again
    (because the version that beat it turned out to be the earlier one) stays listed: as knowledge, both are true.

    Returns:
        The schema's columns and ``content_hash``, sorted by event_id and hash.
    """
    path = layout.superseded(source.name)
    files = Table.open(path).files()
    schema = arrow_schema(source.schema).append(pa.field("content_hash", pa.string()))
    if not files:
        return schema.empty_table()
    with connect(path) as session:
        order = f"{quote(source.event_id)}, content_hash"
        found: pa.Table = session.sql(f"FROM {parquet_scan_sql(files)} ORDER BY {order}").to_arrow_table()
    return found.cast(schema)
