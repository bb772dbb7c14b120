"""Time: instants, intervals, windows, grains, steps and months.

An instant is an int64 of microseconds since 1970-01-01 UTC. A step is an int64 whose meaning its grain gives:

    grain "1d"     days of the business calendar since 1970-01-01 (23 or 25 hours on days of a clock change)
    grain "1h"     3600 s since 1970-01-01 UTC
    grain "event"  microseconds since 1970-01-01 UTC: the identity

``Clock`` is the only place that turns instants into steps, and a window's ``pieces`` the only one that decides which steps
it holds: training, batch and online all ask it.
"""

from __future__ import annotations

from featurestore.timeline.clock import GRAINS, AnyWindow, Clock, Edge, Piece
from featurestore.timeline.instants import (
    DAY_US,
    EPOCH,
    HOUR_US,
    UTC,
    Interval,
    day_start_us,
    day_starts_us,
    from_us,
    instants_us,
    local_us,
    placed_us,
    to_us,
    utc_offsets,
    zone_of,
)
from featurestore.timeline.month import Month, months_between
from featurestore.timeline.windows import Offset, ToDate, Window, length_steps, parse_window

__all__ = [
    "DAY_US",
    "EPOCH",
    "GRAINS",
    "HOUR_US",
    "UTC",
    "AnyWindow",
    "Clock",
    "Edge",
    "Interval",
    "Month",
    "Offset",
    "Piece",
    "ToDate",
    "Window",
    "day_start_us",
    "day_starts_us",
    "from_us",
    "instants_us",
    "length_steps",
    "local_us",
    "months_between",
    "parse_window",
    "placed_us",
    "to_us",
    "utc_offsets",
    "zone_of",
]
