"""When a row became known, and whether that was later than the step in which it happened."""

from __future__ import annotations

from datetime import datetime

from featurestore.compute.forms.measure import LOCAL_US, ORIGIN_DAY, TIME_US
from featurestore.lake.session import quote
from featurestore.spec.source import EventSource
from featurestore.timeline import DAY_US, HOUR_US, Interval, to_us, utc_offsets

KNOWN_US, UNTIL_US = '"known us"', '"until us"'
"""Columns: microseconds UTC since and until when a version counts. The blank keeps them apart from every source's columns."""


def known_us_sql(source: EventSource) -> str:
    """Render since when a row is known: its ingested_at, or its event_time for those of the initial load."""
    happened = f"epoch_us({quote(source.event_time)})"
    if source.ingested_at is None:
        return happened
    learned = f"coalesce(epoch_us({quote(source.ingested_at)}), {happened})"
    if source.initial_load_until is None:
        return learned
    until_us = to_us(datetime.fromisoformat(source.initial_load_until))
    return f"CASE WHEN {learned} < {until_us} THEN {happened} ELSE {learned} END"


def late_sql(grain: str, interval: Interval, timezone: str) -> str:
    """Render a condition that holds for all rows of an interval that became known in a later step, and few others."""
    if grain == "event":
        return f"{KNOWN_US} > {TIME_US}"
    if grain == "1h":
        origin_us = -ORIGIN_DAY * DAY_US
        return f"({KNOWN_US} + {origin_us}) // {HOUR_US} > ({TIME_US} + {origin_us}) // {HOUR_US}"
    # The clock may stand differently when a row becomes known: by at most the spread of the offsets.
    offsets = utc_offsets(timezone)
    later = [offset for i, (_, offset) in enumerate(offsets) if i + 1 == len(offsets) or offsets[i + 1][0] > interval.start_us]
    slack_us = max(later) - min(later)
    return f"{KNOWN_US} > {TIME_US} AND ({KNOWN_US} - {TIME_US} + {LOCAL_US} + {slack_us}) // {DAY_US} > {LOCAL_US} // {DAY_US}"
