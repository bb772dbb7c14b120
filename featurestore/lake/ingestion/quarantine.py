"""The quarantine: every invalid row as it came, once, with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from featurestore.lake.append import append_unseen
from featurestore.lake.digests import sound
from featurestore.lake.ingestion.batch import INVALID
from featurestore.lake.ingestion.contents import CONFLICTS
from featurestore.lake.layout import Layout
from featurestore.lake.session import literal, quote, store_session
from featurestore.lake.table import Table, parquet_scan_sql
from featurestore.spec.source import EventSource

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

CONFLICT = "conflict"
"""Reason of a second content in a source that cannot be corrected by plain ingest."""

QUARANTINE_SCHEMA = pa.schema(
    [
        ("row", pa.string()),
        ("reason", pa.string()),
        ("source_file", pa.string()),
        ("row_hash", pa.string()),
        ("quarantined_at", pa.timestamp("us", "UTC")),
    ]
)
"""The row as it came (JSON text; of a line that could not be split the line, as a JSON text), why it is no event, the name of
its file (NULL for rows that came as a table), its hash, and when it was first refused (UTC)."""


def keep_invalid(session: DuckDBPyConnection, layout: Layout, source: EventSource, *, now_us: int) -> None:
    """Append the invalid rows of the session's batch, and its conflicts, to the quarantine."""
    fields = ", ".join(f"{literal(column)}: {quote(column)}" for column in source.types)
    conflicts = (
        f"SELECT to_json({{{fields}}})::VARCHAR AS row, {literal(CONFLICT)} AS reason, NULL AS source_file FROM {CONFLICTS}"
    )
    session.execute(
        "CREATE OR REPLACE TEMP TABLE quarantined AS SELECT row, reason, source_file, md5(row) AS row_hash, "
        f"make_timestamptz({now_us}) AS quarantined_at FROM (FROM {INVALID} UNION ALL {conflicts}) "
        "QUALIFY row_number() OVER (PARTITION BY row_hash ORDER BY reason, source_file) = 1"
    )
    path = layout.quarantine(source.name)
    append_unseen(session, "quarantined", path=path, same="old.row_hash = new.row_hash", order_by=("reason", "row_hash"))


def read_quarantine(layout: Layout, source: EventSource, *, max_per_reason: int | None = None) -> pa.Table:
    """Read a source's invalid rows, each different one once.

    Args:
        layout: The store.
        source: Whose rows.
        max_per_reason: At most so many of each reason, the latest; all by default.

    Returns:
        ``QUARANTINE_SCHEMA``, by reason, the latest first.
    """
    path = layout.quarantine(source.name)
    files = Table.open(path).files()
    if not files:
        return QUARANTINE_SCHEMA.empty_table()
    order = "quarantined_at DESC, row_hash"
    most = (
        ""
        if max_per_reason is None
        else f"QUALIFY row_number() OVER (PARTITION BY reason ORDER BY {order}) <= {max_per_reason:d}"
    )
    with store_session(path) as session:
        rows: pa.Table = session.sql(f"FROM {parquet_scan_sql(sound(files))} {most} ORDER BY reason, {order}").to_arrow_table()
    return rows.cast(QUARANTINE_SCHEMA)


def count_quarantined(layout: Layout, source: EventSource) -> dict[str, int]:
    """Count a source's different invalid rows by reason, reasons ascending."""
    path = layout.quarantine(source.name)
    files = Table.open(path).files()
    if not files:
        return {}
    with store_session(path) as session:
        scan = parquet_scan_sql(files)
        return dict(session.sql(f"SELECT reason, count(*) FROM {scan} GROUP BY reason ORDER BY reason").fetchall())
