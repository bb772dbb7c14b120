"""Listed versions: how the table of superseded versions is read, and the places that order versions of one ``ingested_at``.

A version keeps the place of its delivery: 1, 2, ... over all loads, so that what was decided by it is decided so again. Versions that
were listed before places were have none: they come first, one for each content, the earliest, ordered by its hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from featurestore.lake.files import CommittedFile
from featurestore.lake.session import quote
from featurestore.lake.source_scan import has_column, source_scan_sql
from featurestore.spec.source import EventSource

PLACE = "$place"
"""Column of superseded versions: the place of the delivery."""


def hash_column(source: EventSource) -> str:
    """Return the column of superseded versions that holds their content hash: ``content_hash``, unless the source has one."""
    return "$content_hash" if "content_hash" in map(str.lower, source.types) else "content_hash"


def listed_scan_sql(source: EventSource, files: Iterable[CommittedFile]) -> str:
    """Render the FROM item that reads superseded versions: the source's columns, their hash, and their place (NULL without one)."""
    with_place: list[CommittedFile] = []
    without: list[CommittedFile] = []
    for file in files:
        (with_place if has_column(file, PLACE) else without).append(file)
    if not without:
        return source_scan_sql(source, with_place)
    arms = [f"SELECT *, NULL::BIGINT AS {quote(PLACE)} FROM {source_scan_sql(source, without)}"]
    arms += [f"SELECT * FROM {source_scan_sql(source, with_place)}"] if with_place else []
    return f"({' UNION ALL BY NAME '.join(arms)})"


def listed_sql(source: EventSource, files: Sequence[CommittedFile], *, of: str = "") -> str:
    """Render the FROM item of the superseded versions, once each: what a content without a place was delivered as later says nothing.

    Args:
        source: Whose versions they are.
        files: At least one.
        of: SQL after the scan that limits them to some events, such as a semi join.
    """
    scan = listed_scan_sql(source, files)
    place = quote(PLACE)
    if all(file.null_count.get(PLACE) == 0 for file in files):
        return f"(SELECT * FROM {scan} {of})"
    event, content = quote(source.id_column), quote(hash_column(source))
    known_at = quote(source.ingested_at or source.event_time)
    return (
        f"(SELECT * REPLACE (coalesce({place}, 0) AS {place}) FROM {scan} {of} QUALIFY {place} IS NOT NULL OR "
        f"row_number() OVER (PARTITION BY {event}, {content}, {place} IS NULL ORDER BY {known_at}) = 1)"
    )


def next_place(files: Iterable[CommittedFile]) -> int:
    """Return a place after those of all listed versions."""
    return 1 + max((file.largest(PLACE) or 0 for file in files), default=0)
