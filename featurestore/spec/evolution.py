"""Evolution of a source: what its schema gains is noted with it, so that rows of before are read as they were meant.

A source carries in ``earlier`` how it differs from what its first rows had: a column that was not there is NULL in them, a
narrower type is widened when they are read. What views do not read of it changes neither their totals nor their fingerprints.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping

from featurestore.spec.source import EventSource

WIDENS = {("int32", "int64"), ("int32", "double"), ("int64", "double")}
"""Pairs of types of which the second can take the first's values; all of them, or (int64 to double) most."""


def with_earlier(source: EventSource, earlier: Mapping[str, str | None]) -> EventSource:
    """Return a source that carries what some of its columns were at first; see ``EventSource.earlier``."""
    changed = copy.copy(source)
    object.__setattr__(changed, "earlier", tuple(sorted(earlier.items())))
    return changed


def first_types(source: EventSource) -> dict[str, str | None]:
    """Return what the columns of a source were when rows were committed first; ``None``: there was no such column."""
    return {**source.types, **dict(source.earlier)}


def evolved(source: EventSource, first: Mapping[str, str | None]) -> EventSource:
    """Return a source as the next definition of one that rows were committed under, of which ``first`` are the first types.

    >>> from featurestore.shop.events import events
    >>> evolved(events, {column: kind for column, kind in events.schema if column != "sku_id"}).earlier
    (('sku_id', None),)
    """
    return with_earlier(source, {column: first.get(column) for column, kind in source.schema if first.get(column) != kind})


def source_notes(before: EventSource, after: EventSource) -> Iterator[str]:
    """Say what becomes of the rows of a source whose definition changes."""
    added = [column for column in after.types if column not in before.types]
    if added:
        yield f"new: {', '.join(added)}, metadata: older rows answer NULL"
    for column, kind in after.schema:
        if before.types.get(column, kind) != kind:
            yield f"{column} {before.types[column]} -> {kind}, metadata: older rows are widened as they are read"
    gone = [column for column in before.types if column not in after.types]
    if gone:
        yield f"no longer declared: {', '.join(gone)}, which no row has"
    if before.ingested_at is None and after.ingested_at is not None:
        yield f"older rows count as known since their {after.event_time}"
