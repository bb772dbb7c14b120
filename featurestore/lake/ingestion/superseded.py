"""Superseded versions: what corrections replaced stays readable from the first day.

Every delivery of a content that does not count is listed, once for each ``ingested_at``, with its place (``listed.py``): what counts
is a function of all deliveries, in whatever order they came. One that counts again stays listed.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from featurestore.lake.append import append_unseen
from featurestore.lake.ingestion.contents import BEATEN
from featurestore.lake.ingestion.listed import PLACE, hash_column, listed_scan_sql
from featurestore.lake.layout import Layout, raise_versions
from featurestore.lake.session import quote
from featurestore.lake.store_format import PLACES
from featurestore.spec.source import EventSource
from featurestore.spec.types import arrow_schema

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def keep_superseded(session: DuckDBPyConnection, layout: Layout, source: EventSource) -> None:
    """Append the beaten versions of the session's batch, but for those that are listed."""
    if session.execute(f"SELECT 1 FROM {BEATEN} LIMIT 1").fetchall():
        raise_versions(layout, PLACES)
    known_at = quote(source.ingested_at or source.event_time)
    event_id = quote(source.id_column)
    content = quote(hash_column(source))
    same = f"old.{event_id} = new.{event_id} AND old.{content} = new.{content} AND old.{known_at} = new.{known_at}"
    append_unseen(
        session,
        BEATEN,
        path=layout.superseded(source.name),
        same=same,
        order_by=(event_id, content),
        scan=partial(listed_scan_sql, source),
        schema=arrow_schema((*source.stored.items(), (hash_column(source), "string"), (PLACE, "int64"))),
    )
