"""What tests of mappings share: a source of the usual columns, and its committed events."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa

import featurestore as fs
from featurestore.lake.session import connect
from featurestore.lake.table import Table, parquet_scan_sql

SCHEMA = {"event_id": "string", "event_time": "timestamp", "event_type": "string", "user_id": "int64", "amount": "double"}


def source_of(mapping: fs.Mapping | None, *, schema: dict[str, str] = SCHEMA, **more: Any) -> fs.EventSource:
    """Declare a source with a mapping."""
    event_id = "event_id" if "event_id" in schema else None
    return fs.EventSource("events", schema=schema, event_time="event_time", event_id=event_id, mapping=mapping, **more)


def store_of(folder: Path, *sources: fs.EventSource, timezone: str = "UTC") -> fs.FeatureStore:
    """Make a store with these sources."""
    store = fs.FeatureStore(folder / "store", timezone=timezone)
    store.apply(list(sources))
    return store


def events_of(
    store: fs.FeatureStore, name: str = "events", *, order: str = "event_time, event_type"
) -> list[dict[str, object]]:
    """Read the committed events."""
    path = store.layout.events(name)
    with connect(path) as session:
        files = Table.open(path).files()
        table: pa.Table = session.sql(f"FROM {parquet_scan_sql(files)} ORDER BY {order}").to_arrow_table()
    return table.to_pylist()


def utc(*parts: int) -> datetime:
    """Make an instant."""
    return datetime(*parts, tzinfo=timezone.utc)  # type: ignore[misc, arg-type]
