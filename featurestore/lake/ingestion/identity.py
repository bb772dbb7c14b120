"""Identity: which rows of a batch are new, which are redeliveries, and which content of an event counts.

1. Gate. Sort the ids of the batch (numpy): which occur twice? Probe the ids of committed files whose [min, max] overlaps
   the batch, with the batch as the hash build side: which are known? (``candidates.py``)
   No such id, as in most batches: every row is new, and nothing below runs.
2. Gather every version of these candidate ids: from the batch, from the committed files that hold one, and from the
   superseded versions. A version's content is the hash of all columns but ingested_at. (``contents.py``)
3. Order the versions of an event by (ingested_at, the columns of order_by, place), a content with one ingested_at once. Of the
   last ones of equal content the first counts. This is a function of the set of versions ever delivered, so the order of
   delivery decides nothing but the place, which is kept (``listed.py``).
4. Hand on: winners to write, committed rows to remove, beaten versions to keep. What was delivered again with another ingested_at is
   kept with these: a correction that lies between the two may still come.

A source without ingested_at knows no newest: the committed content stays, else the first by place, and others are conflicts; so
they are in a source without event_id, where they can differ in columns that were declared later only. With ``replace`` the delivered
content counts, and of several the last by (order_by, place).

The session's tables, from the batch to the result. ``id`` is the source's event_id, ``*`` are the schema's columns; committed and
superseded are files of the lake::

    batch ------+-- known       id, $file        ids of the batch in committed files, and which file holds them
    (valid *,   |   repeated    id, $is_later    position of a row of the batch that is committed so, then or earlier
    $position)  |   later       *, $position     rows of the batch that are committed so, but earlier; they are listed with the beaten
                |
                +-- remaining   *, $position     batch without repeated; when none is repeated, batch itself goes on as the rest
                      |
                      +-- twice       $key    ids that the rest holds twice, or hashes of them when they are texts
                      +-- candidates  id      ids of the rest that are in twice, or in known
                            |                 ... all other rows of the rest are new
    committed,              |
    superseded -------- versions    *, $origin, $file, $row, $place, $known_at, $hash, $month
                            |                 a row for each version of a candidate; $file and $row of committed ones
                            |                 $month tells events apart in a source whose ids are unique in a month only
                        contents    id, $month, $hash, $known_at, $place, $is_current, $in_table, $is_known, $in_batch,
                            |       $number, $last_hash, $counts, $is_known_event
                            |                 a row for each content and time of an event, numbered in their order
                            +-- winners       *                          what counts and is not committed just so
                            +-- removed       file, row                  committed rows that give way to a winner
                            +-- beaten        *, content_hash, $place    what does not count (none where they conflict)
                            +-- conflicts     *                          delivered contents that may not replace a committed one

Event 7 is committed as A, known at 9:00. A batch brings A of 9:00, A of 12:00, B of 11:00 and, as event 8, C::

    known       7            repeated  A of 9:00 and of 12:00; remaining holds B and C, and A of 12:00 again because of B
    candidates  7            C is new
    versions    7 A committed 9:00, 7 B batch 11:00, 7 A batch 12:00
    contents    7 A $number 1, 7 B $number 2, 7 A $number 3, which counts
    winners A of 12:00       removed the row of A   beaten A of 9:00 and B   conflicts none
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from featurestore.lake.ingestion.batch import VALID
from featurestore.lake.ingestion.candidates import REMAINING, drop_repeated, mark_candidates, near_files, probe
from featurestore.lake.ingestion.contents import (
    REMOVED,
    WINNERS,
    add_later,
    clear_results,
    columns_sql,
    count_contents,
    gather_versions,
    rank_contents,
    split_contents,
)
from featurestore.lake.months import Months
from featurestore.lake.session import quote
from featurestore.lake.table import CommittedFile
from featurestore.spec.source import EventSource
from featurestore.timeline import Month

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True)
class Verdict:
    """What a batch means against the committed events.

    Args:
        added: Events seen for the first time.
        duplicates: Identical redeliveries.
        corrections: Other contents of known events.
        conflicts: Other contents in a source that cannot be corrected by plain ingest.
        fresh_sql: The rows to write, in the schema's columns.
        months: Their business months.
        touched: Committed files that hold rows of ``REMOVED``.
        redelivered: Month to rows of the batch that are not written.
        by_place: Events of which the batch holds several contents that only their place in it tells apart.
        is_whole: Whether ``fresh_sql`` is the batch, all of it.
    """

    added: int
    duplicates: int
    corrections: int
    conflicts: int
    fresh_sql: str
    months: Months
    touched: tuple[CommittedFile, ...] = ()
    redelivered: Mapping[Month, int] = field(default_factory=dict)
    by_place: int = 0
    is_whole: bool = False


def judge(
    session: DuckDBPyConnection,
    source: EventSource,
    *,
    timezone: str,
    committed: Sequence[CommittedFile],
    superseded: Sequence[CommittedFile],
    replace: bool,
) -> Verdict:
    """Compare the session's batch with the committed events.

    Args:
        session: Holds the table ``batch``.
        source: Whose rows they are.
        timezone: Business time zone.
        committed: All files of the events table.
        superseded: All files of the superseded table.
        replace: Whether a source without ingested_at takes the delivered content.
    """

    def months_of(sql: str) -> Months:
        return Months.of_rows(session, sql, column=source.event_time, timezone=timezone)

    may_conflict = source.event_id is None or (source.ingested_at is None and not replace)
    delivered = months_of(f"FROM {VALID}")
    rows = sum(delivered.rows)
    holders = probe(session, source, near_files(session, source, committed, delivered))
    repeated = drop_repeated(session, source, holders) if holders and not replace else 0
    rest = REMAINING if repeated else VALID
    if not mark_candidates(session, source, rest):
        clear_results(session, source)
        if repeated:
            add_later(session, source, superseded)
        fresh = f"SELECT {columns_sql(source)} FROM {rest}"
        months = months_of(fresh) if repeated else delivered
        missing = _missing_rows(delivered, months)
        return Verdict(rows - repeated, repeated, 0, 0, fresh, months, redelivered=missing, is_whole=not repeated)
    gather_versions(session, source, rest, delivered, holders=holders, superseded=superseded)
    rank_contents(session, source, replace=replace, may_conflict=may_conflict)
    split_contents(session, source, may_conflict=may_conflict)
    if repeated:
        add_later(session, source, superseded)
    counts = count_contents(session, source, may_conflict=may_conflict)
    names = {name for (name,) in session.execute(f"SELECT DISTINCT file FROM {REMOVED}").fetchall()}
    for table in ("versions", "contents", "known", "repeated", "later"):  # as large as the batch when all of it is corrected
        session.execute(f"DROP TABLE IF EXISTS {table}")
    event_id = quote(source.id_column)
    fresh = f"SELECT {columns_sql(source)} FROM {rest} ANTI JOIN candidates USING ({event_id}) UNION ALL FROM {WINNERS}"
    months = months_of(fresh)
    return Verdict(
        added=rows - repeated - counts.rows + counts.added,
        duplicates=repeated + counts.rows - counts.added - counts.corrections - counts.conflicts,
        corrections=counts.corrections,
        conflicts=counts.conflicts,
        fresh_sql=fresh,
        months=months,
        touched=tuple(file for file in holders if str(file.path) in names),
        redelivered=_missing_rows(delivered, months),
        by_place=counts.by_place,
    )


def _missing_rows(delivered: Months, fresh: Months) -> dict[Month, int]:
    """Count the rows of each month that were delivered and are not written."""
    written = dict(zip(fresh.months, fresh.rows, strict=True))
    gaps = {month: rows - written.get(month, 0) for month, rows in zip(delivered.months, delivered.rows, strict=True)}
    return {month: gap for month, gap in gaps.items() if gap > 0}
