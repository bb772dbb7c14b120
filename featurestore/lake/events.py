"""Reading committed events: which files an interval of time needs."""

from __future__ import annotations

from featurestore.lake.layout import Layout
from featurestore.lake.table import CommittedFile, Table
from featurestore.spec.source import EventSource
from featurestore.timeline import Interval, to_us


def event_files(
    layout: Layout,
    source: EventSource,
    *,
    interval: Interval | None = None,
    time_column: str | None = None,
    version: int | None = None,
) -> list[CommittedFile]:
    """List the committed files that may hold events of an interval, sorted by name.

    Args:
        layout: The store.
        source: Whose events.
        interval: Half-open; ``None`` means all.
        time_column: A timestamp column; the source's event_time by default. A file without a value in it is left out, one
            without statistics is kept.
        version: Version of the events table; the newest by default.
    """
    files = Table.open(layout.events(source.name), version).files()
    if interval is None:
        return files
    column = time_column or source.event_time
    return [file for file in files if _overlaps(file, column, interval)]


def time_span(layout: Layout, source: EventSource, *, version: int | None = None) -> Interval | None:
    """Return ``[first event_time, just behind the last)`` of the committed events from statistics; ``None`` without events."""
    files = Table.open(layout.events(source.name), version).files()
    if not files:
        return None
    first = min(to_us(file.minimum[source.event_time]) for file in files)
    last = max(to_us(file.maximum[source.event_time]) for file in files)
    return Interval(first, last + 1)


def _overlaps(file: CommittedFile, column: str, interval: Interval) -> bool:
    if file.null_count.get(column) == file.rows:
        return False
    low, high = file.minimum.get(column), file.maximum.get(column)
    if low is None or high is None:
        return True
    return to_us(low) < interval.end_us and to_us(high) >= interval.start_us
