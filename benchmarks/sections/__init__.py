"""Sections: one module per question, each with ``measure(bench) -> Findings``; in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.findings import Bench, Findings
from benchmarks.sections import (
    aggregations,
    as_known,
    demo,
    entities,
    feast,
    few,
    growth,
    hot_key,
    ingest,
    large,
    lengths,
    memory,
    peers,
    refresh,
    small_calls,
    start,
    stream,
    wide,
    windows,
    yardstick,
)

SECTIONS: dict[str, Callable[[Bench], Findings]] = {
    "windows": windows.measure,
    "yardstick": yardstick.measure,
    "peers": peers.measure,
    "feast": feast.measure,
    "refresh": refresh.measure,
    "ingest": ingest.measure,
    "memory": memory.measure,
    "start": start.measure,
    "few": few.measure,
    "small_calls": small_calls.measure,
    "demo": demo.measure,
    "hot_key": hot_key.measure,
    "wide": wide.measure,
    "entities": entities.measure,
    "stream": stream.measure,
    "as_known": as_known.measure,
    "aggregations": aggregations.measure,
    "lengths": lengths.measure,
    "growth": growth.measure,
}
"""What ``make bench`` measures."""

LOOK = ("windows", "start", "lengths")
"""What is tried at sizes that are a look."""

UNATTENDED: dict[str, Callable[[Bench], Findings]] = {"large": large.measure}
"""What is measured at sizes that are run once."""
