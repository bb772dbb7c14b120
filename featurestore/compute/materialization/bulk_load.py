"""Notices a history that was loaded in bulk: its ingested_at says when it was loaded, not when its events became known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from featurestore.lake.layout import Layout
from featurestore.lake.table import CommittedFile, Table
from featurestore.spec.source import EventSource
from featurestore.timeline import from_us, to_us, zone_of

LATE_DAYS = 90
_NOTED_SHARE = 0.05


def bulk_load_notes(layout: Layout, sources: Iterable[EventSource]) -> tuple[str, ...]:
    """Name the sources of which more than a twentieth of the events were ingested over 90 days after they happened.

    Only statistics of whole files are read, so a load in bulk is noticed and late events among others are not.
    """
    notes = []
    for source in dict.fromkeys(sources):
        if source.ingested_at is None:
            continue
        files = Table.open(layout.events(source.name)).files()
        rows = sum(file.rows for file in files)
        late = _late_files(source, files)
        if late and sum(file.rows for file in late) > _NOTED_SHARE * rows:
            zone = zone_of(source.timezone or layout.naive_timezone)
            until = max(file.maximum[source.ingested_at] for file in late).astimezone(zone).date() + timedelta(days=1)
            notes.append(
                f"{sum(file.rows for file in late) / rows:.0%} of the events of source {source.name!r} were ingested more than "
                f"{LATE_DAYS} days after they happened, so as-known features do not see them until then. If that was the initial "
                f"load of a history, say EventSource(..., initial_load_until='{until}')."
            )
    return tuple(notes)


def _late_files(source: EventSource, files: Sequence[CommittedFile]) -> list[CommittedFile]:
    """List the files of which all events are late, but for those of the initial load."""
    learned = source.ingested_at or source.event_time
    late = []
    until = from_us(to_us(datetime.fromisoformat(source.initial_load_until))) if source.initial_load_until else None
    for file in files:
        first, last = file.smallest(learned), file.largest(source.event_time)
        if first is None or last is None or (until is not None and first < until):
            continue
        if file.largest(learned) is not None and first - last > timedelta(days=LATE_DAYS):
            late.append(file)
    return late
