"""Superseded versions: what corrections replaced stays readable from the first day.

A version that was later delivered with an earlier ingested_at is listed with both, and one that counts again (because the version
that beat it turned out to be the earlier one) stays listed: as knowledge, both are true.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from featurestore.lake.append import append_unseen
from featurestore.lake.ingestion.contents import BEATEN, hash_column
from featurestore.lake.layout import Layout
from featurestore.lake.session import quote
from featurestore.lake.source_scan import source_scan_sql
from featurestore.spec.source import EventSource
from featurestore.spec.types import arrow_schema

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def keep_superseded(session: DuckDBPyConnection, layout: Layout, source: EventSource) -> None:
    """Append the beaten versions of the session's batch, but for those that are listed as known at least as early."""
    known_at = quote(source.ingested_at or source.event_time)
    event_id = quote(source.event_id)
    content = quote(hash_column(source))
    same = f"old.{event_id} = new.{event_id} AND old.{content} = new.{content} AND old.{known_at} <= new.{known_at}"
    append_unseen(
        session,
        BEATEN,
        path=layout.superseded(source.name),
        same=same,
        order_by=(event_id, content),
        scan=partial(source_scan_sql, source),
        schema=arrow_schema((*source.schema, (hash_column(source), "string"))),
    )
