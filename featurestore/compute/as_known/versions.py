"""Superseded versions with the time in which each counted.

A version counts from when it is known until a version after it is known, in the order in which ingest takes them: by ingested_at, the
columns of order_by, the place in the load. The one that counts now is the last. So which version counts at t depends on the
versions known at t alone.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from featurestore.compute.as_known.knowledge import KNOWN_US, UNTIL_US, known_us_sql
from featurestore.compute.materialization.largest import summable
from featurestore.compute.state import ViewState
from featurestore.lake.digests import sound
from featurestore.lake.ingestion.listed import PLACE, hash_column, listed_sql
from featurestore.lake.session import quote
from featurestore.lake.source_scan import source_scan_sql
from featurestore.lake.spill import spilling_session
from featurestore.lake.table import CommittedFile, Table
from featurestore.timeline import utc_offsets

_IS_CURRENT = '"is current"'


def superseded_versions(state: ViewState, superseded: Table) -> pa.Table:
    """Read the superseded versions that once counted.

    Args:
        state: A view of the source; its snapshot of the events holds the versions that count now.
        superseded: Snapshot of the versions that others replaced.

    Returns:
        The source's columns, ``known us`` and ``until us`` (int64 microseconds UTC), the first before the second.
    """
    source = state.view.source
    columns = ", ".join(quote(column) for column in source.stored)
    event = quote(source.id_column)
    old = listed_sql(source, sound(superseded.files()))
    place, content = quote(PLACE), quote(hash_column(source))
    new = _near(state, superseded)
    id_scope = f"{event}, {_month_sql(state)}" if source.id_scope == "month" else event
    declared = "".join(f"{quote(column)} NULLS FIRST, " for column in source.order_by)
    order = f"{_IS_CURRENT}, {quote(source.ingested_at or source.event_time)}, {declared}{place}, {content}"
    sql = f"""
        WITH versions AS (
            SELECT {columns}, {place}, {content}, FALSE AS {_IS_CURRENT} FROM {old}
            UNION ALL
            SELECT {columns}, NULL, NULL, TRUE FROM {new} new SEMI JOIN {old} old USING ({event})
        ),
        known AS (SELECT *, {known_us_sql(source)} AS {KNOWN_US} FROM versions),
        chain AS (
            SELECT *, min({KNOWN_US}) OVER (
                PARTITION BY {id_scope} ORDER BY {order} ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
            ) AS {UNTIL_US}
            FROM known
        )
        SELECT {_summable_sql(state)}, {KNOWN_US}, {UNTIL_US} FROM chain WHERE NOT {_IS_CURRENT} AND {KNOWN_US} < {UNTIL_US}"""
    with spilling_session(state.layout) as session:
        versions: pa.Table = session.sql(sql).to_arrow_table()
    return versions


def _summable_sql(state: ViewState) -> str:
    """Render a source's columns; a double that no sum of the view can take is NULL, so that correcting it is a way out."""
    limits = summable(state.view)
    return ", ".join(
        f"CASE WHEN abs({name}) < {limits[column]!r} THEN {name} END AS {name}" if column in limits else name
        for column, name in ((column, quote(column)) for column in state.view.source.stored)
    )


def _near(state: ViewState, superseded: Table) -> str:
    """Render a scan of the committed files that may hold an id of the superseded versions."""
    event = state.view.source.id_column
    bounds: list[tuple[Any, Any]] = [(file.minimum.get(event), file.maximum.get(event)) for file in superseded.files()]
    files = state.events.files()
    if all(low is not None and high is not None for low, high in bounds):
        first = min(low for low, _ in bounds)
        last = max(high for _, high in bounds)
        files = [file for file in files if _may_hold(file, event, first, last)] or files[:1]
    return source_scan_sql(state.view.source, sound(files))


def _may_hold(file: CommittedFile, column: str, first: Any, last: Any) -> bool:
    low = file.minimum.get(column)
    high = file.maximum.get(column)
    return low is None or high is None or bool(low <= last and first <= high)


def _month_sql(state: ViewState) -> str:
    """Render the business month of a row's event_time, as a number."""
    time_us = f"epoch_us({quote(state.view.source.event_time)})"
    offsets = utc_offsets(state.layout.timezone)
    whens = "".join(f" WHEN {time_us} >= {start} THEN {offset}" for start, offset in reversed(offsets[1:]))
    shift = f"CASE{whens} ELSE {offsets[0][1]} END" if whens else str(offsets[0][1])
    local = f"make_timestamp({time_us} + {shift})"
    return f"date_trunc('month', {local})"
