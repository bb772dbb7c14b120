"""Identity: which rows of a batch are new, which are redeliveries, and which content of an event counts.

1. Gate. Sort the ids of the batch (numpy): which occur twice? Probe the ids of committed files whose [min, max] overlaps
   the batch, with the batch as the hash build side: which are known?
   No such id, as in most batches: every row is new, and nothing below runs.
2. Gather every version of these candidate ids: from the batch, from the committed files that hold one, and from the
   superseded versions. A version's content is the hash of all columns but ingested_at.
3. Per event and content the earliest ingested_at stays. The content with the greatest (ingested_at, hash) counts.
   This is a function of the set of versions ever delivered, so the order of delivery never matters.
4. Hand on: winners to write, committed rows to remove, beaten versions to keep.

A source without ingested_at knows no newest: the committed content stays and others are conflicts, or with ``replace``
the delivered content counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from featurestore.lake.ingestion.batch import VALID
from featurestore.lake.months import Months
from featurestore.lake.session import literal, quote
from featurestore.lake.table import CommittedFile, parquet_scan_sql
from featurestore.spec.source import EventSource
from featurestore.timeline import Month

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

REMAINING = "remaining"
WINNERS, REMOVED, BEATEN, CONFLICTS = "winners", "removed", "beaten", "conflicts"
"""Session tables of the result: rows to write; (file, row) to remove; superseded versions; rows for the quarantine."""


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
    """

    added: int
    duplicates: int
    corrections: int
    conflicts: int
    fresh_sql: str
    months: Months
    touched: tuple[CommittedFile, ...] = ()
    redelivered: Mapping[Month, int] = field(default_factory=dict)


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

    may_conflict = source.ingested_at is None and not replace
    delivered = months_of(f"FROM {VALID}")
    rows = sum(delivered.rows)
    holders = _probe(session, source, _near(session, source, committed, delivered))
    repeated = _drop_repeated(session, source, holders) if holders and not replace else 0
    rest = REMAINING if repeated else VALID
    if not _mark_candidates(session, source, rest):
        _clear(session, source)
        fresh = f"SELECT {_columns(source)} FROM {rest}"
        months = months_of(fresh) if repeated else delivered
        return Verdict(rows - repeated, repeated, 0, 0, fresh, months, redelivered=_missing_rows(delivered, months))
    _gather_versions(session, source, [(rest, "batch"), *_scans(holders, superseded)], delivered)
    _rank_contents(session, source, replace)
    _split(session, source, may_conflict=may_conflict)
    added, corrections, conflicts, candidates = _counts(session, may_conflict)
    names = {name for (name,) in session.execute(f"SELECT DISTINCT file FROM {REMOVED}").fetchall()}
    for table in ("versions", "contents", "known", "repeated"):  # as large as the batch when all of it is corrected
        session.execute(f"DROP TABLE IF EXISTS {table}")
    event_id = quote(source.event_id)
    fresh = f"SELECT {_columns(source)} FROM {rest} ANTI JOIN candidates USING ({event_id}) UNION ALL FROM {WINNERS}"
    months = months_of(fresh)
    return Verdict(
        added=rows - repeated - candidates + added,
        duplicates=repeated + candidates - added - corrections - conflicts,
        corrections=corrections,
        conflicts=conflicts,
        fresh_sql=fresh,
        months=months,
        touched=tuple(file for file in holders if str(file.path) in names),
        redelivered=_missing_rows(delivered, months),
    )


def _missing_rows(delivered: Months, fresh: Months) -> dict[Month, int]:
    """Count the rows of each month that were delivered and are not written."""
    written = dict(zip(fresh.months, fresh.rows, strict=True))
    gaps = {month: rows - written.get(month, 0) for month, rows in zip(delivered.months, delivered.rows, strict=True)}
    return {month: gap for month, gap in gaps.items() if gap > 0}


def _clear(session: DuckDBPyConnection, source: EventSource) -> None:
    """Leave the result tables empty."""
    for table, more in ((WINNERS, ""), (BEATEN, ", '' AS content_hash"), (CONFLICTS, "")):
        session.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT {_columns(source)}{more} FROM {VALID} LIMIT 0")
    session.execute(f"CREATE OR REPLACE TEMP TABLE {REMOVED} (file VARCHAR, row BIGINT)")


def _columns(source: EventSource) -> str:
    return ", ".join(quote(column) for column in source.types)


def _near(
    session: DuckDBPyConnection, source: EventSource, committed: Sequence[CommittedFile], months: Months
) -> list[CommittedFile]:
    """List the committed files that may hold an id of the batch."""
    event_id = quote(source.event_id)
    low, high = session.execute(f"SELECT min({event_id}), max({event_id}) FROM {VALID}").fetchall()[0]
    if low is None:
        return []
    names = {str(month) for month in months.months}

    def may_hold(file: CommittedFile) -> bool:
        if source.id_scope == "month" and file.partition["month"] not in names:
            return False
        first, last = file.minimum.get(source.event_id), file.maximum.get(source.event_id)
        return first is None or last is None or (first <= high and low <= last)

    return [file for file in committed if may_hold(file)]


def _probe(session: DuckDBPyConnection, source: EventSource, near: Sequence[CommittedFile]) -> list[CommittedFile]:
    """Fill the table ``known`` with the batch's ids that are committed, and list the files that hold them."""
    event_id = quote(source.event_id)
    if not near:
        session.execute(f"CREATE OR REPLACE TEMP TABLE known AS SELECT {event_id} FROM {VALID} LIMIT 0")
        return []
    scan = parquet_scan_sql(near, options="filename = '$file'")
    session.execute(
        f'CREATE OR REPLACE TEMP TABLE known AS SELECT {event_id}, "$file" FROM {scan} SEMI JOIN {VALID} USING ({event_id})'
    )
    names = {name for (name,) in session.execute('SELECT DISTINCT "$file" FROM known').fetchall()}
    return [file for file in near if str(file.path) in names]


def _drop_repeated(session: DuckDBPyConnection, source: EventSource, holders: Sequence[CommittedFile]) -> int:
    """Fill the table ``remaining``: the batch without plain redeliveries, equal to a committed row and not known earlier.

    Most duplicates are of this kind, and comparing columns costs a quarter of hashing them.

    Returns:
        How many rows are left out; when none is, the table is not made.
    """
    pairs = " AND ".join(
        f"b.{quote(column)} {'>=' if column == source.ingested_at else 'IS NOT DISTINCT FROM'} c.{quote(column)}"
        for column in source.types
        if column != source.event_id
    )
    event_id = quote(source.event_id)
    (count,) = session.execute(
        f"CREATE OR REPLACE TEMP TABLE repeated AS SELECT b.rowid AS id FROM {VALID} b "
        f"JOIN {parquet_scan_sql(holders)} c ON b.{event_id} = c.{event_id} AND {pairs}"
    ).fetchall()[0]
    if count:
        session.execute(
            f"CREATE OR REPLACE TEMP TABLE {REMAINING} AS SELECT b.* FROM {VALID} b ANTI JOIN repeated r ON b.rowid = r.id"
        )
    return int(count)


def _mark_candidates(session: DuckDBPyConnection, source: EventSource, rest: str) -> bool:
    """Fill the table ``candidates`` with the remaining ids that occur more than once; say whether there are any."""
    event_id = quote(source.event_id)
    # Ids that are texts are compared by hash first; a collision only makes a candidate that turns out to be innocent.
    key = event_id if source.types[source.event_id] == "int64" else f"hash({event_id})"
    keys = np.sort(session.sql(f"SELECT {key} AS key FROM {rest}").fetchnumpy()["key"])
    session.register("twice", pa.table({"key": np.unique(keys[1:][keys[1:] == keys[:-1]])}))
    (count,) = session.execute(
        f"CREATE OR REPLACE TEMP TABLE candidates AS SELECT {event_id} FROM {rest} SEMI JOIN twice ON {key} = twice.key "
        f"UNION SELECT {event_id} FROM {rest} SEMI JOIN known USING ({event_id})"
    ).fetchall()[0]
    session.unregister("twice")
    return bool(count)


def _scans(holders: Sequence[CommittedFile], superseded: Sequence[CommittedFile]) -> list[tuple[str, str]]:
    """List what else may hold versions, as ``(relation, origin)``."""
    found = []
    if holders:
        found.append((parquet_scan_sql(holders, options="filename = '$file', file_row_number = true"), "committed"))
    if superseded:
        found.append((parquet_scan_sql(superseded), "superseded"))
    return found


def _gather_versions(
    session: DuckDBPyConnection, source: EventSource, relations: Sequence[tuple[str, str]], months: Months
) -> None:
    """Fill the table ``versions``: every version of the candidates, its origin, content hash and month."""
    columns, event_id = _columns(source), quote(source.event_id)
    known_at = quote(source.ingested_at or source.event_time)

    def version(relation: str, origin: str) -> str:
        file, row = ('"$file"', "file_row_number") if origin == "committed" else ("NULL::VARCHAR", "NULL::BIGINT")
        return (
            f'SELECT {columns}, {literal(origin)} AS "$origin", {file} AS "$file", {row} AS "$row" '
            f"FROM {relation} SEMI JOIN candidates USING ({event_id})"
        )

    gathered = " UNION ALL ".join(version(relation, origin) for relation, origin in relations)
    month = months.index_sql(source.event_time) if source.id_scope == "month" else "0"
    session.execute(
        f'CREATE OR REPLACE TEMP TABLE versions AS SELECT *, {known_at} AS "$known_at", {content_hash_sql(source)} AS "$hash", '
        f'{month} AS "$month" FROM ({gathered}) WHERE "$month" IS NOT NULL'
    )


def content_hash_sql(source: EventSource) -> str:
    """Render the hash of a row's content: all columns but ingested_at, by name, each with its length."""
    texts = []
    for column, kind in sorted(source.schema):
        if column != source.ingested_at:
            text = f"epoch_us({quote(column)})::VARCHAR" if kind == "timestamp" else f"{quote(column)}::VARCHAR"
            texts.append(f"coalesce(length({text}) || ':' || {text}, '-')")
    return f"md5(concat({', '.join(texts)}))"


def _rank_contents(session: DuckDBPyConnection, source: EventSource, replace: bool) -> None:
    """Fill the table ``contents``: one row per event and content; of each event the winner has ``$place`` 1."""
    if source.ingested_at is not None:
        order = '"$since" DESC, "$hash" DESC'
    elif replace:
        order = '"$in_batch" > 0 DESC, "$since" DESC, "$hash" DESC'
    else:
        order = '"$in_table" DESC, "$in_batch" > 0 DESC, "$since", "$hash"'
    event = f'{quote(source.event_id)}, "$month"'
    session.execute(f"""
        CREATE OR REPLACE TEMP TABLE contents AS
        SELECT *,
            row_number() OVER (PARTITION BY {event} ORDER BY {order}) AS "$place",
            bool_or("$in_table") OVER (PARTITION BY {event}) AS "$is_known_event"
        FROM (
            SELECT {event}, "$hash",
                min("$known_at") AS "$since",
                min("$known_at") FILTER ("$origin" = 'committed') AS "$in_table_since",
                bool_or("$origin" = 'committed') AS "$in_table",
                bool_or("$origin" <> 'batch') AS "$is_known",
                count(*) FILTER ("$origin" = 'batch') AS "$in_batch"
            FROM versions
            GROUP BY {event}, "$hash"
        )""")


def _split(session: DuckDBPyConnection, source: EventSource, *, may_conflict: bool) -> None:
    """Fill the tables of winners, removed rows, beaten versions and conflicts."""
    event = f'{quote(source.event_id)}, "$month"'
    changed = '"$place" = 1 AND "$in_table_since" IS DISTINCT FROM "$since"'
    columns = ", ".join(
        f'c."$since" AS {quote(column)}' if column == source.ingested_at else f"v.{quote(column)}" for column in source.types
    )

    def one_of_each(condition: str, more: str = "") -> str:
        return f"""
            SELECT {columns}{more} FROM versions v JOIN contents c USING ({event}, "$hash")
            WHERE {condition}
            QUALIFY row_number() OVER (PARTITION BY {event}, "$hash") = 1"""

    removed = f"""
        SELECT "$file" AS file, "$row" AS row FROM versions SEMI JOIN (SELECT {event} FROM contents WHERE {changed}) USING ({event})
        WHERE "$origin" = 'committed'"""
    for table, sql in {
        WINNERS: one_of_each(changed),
        REMOVED: removed,
        BEATEN: one_of_each("false" if may_conflict else '"$place" > 1', ', v."$hash" AS content_hash'),
        CONFLICTS: one_of_each('"$place" > 1 AND NOT "$is_known"' if may_conflict else "false"),
    }.items():
        session.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS {sql}")


def _counts(session: DuckDBPyConnection, may_conflict: bool) -> tuple[int, int, int, int]:
    """Count new events, corrections, conflicts and all batch rows among the candidates."""
    (row,) = session.execute("""
        SELECT
            count(*) FILTER ("$place" = 1 AND NOT "$is_known_event"),
            count(*) FILTER (NOT "$is_known" OR ("$place" = 1 AND "$in_batch" > 0 AND NOT "$in_table" AND "$is_known_event")),
            coalesce(sum("$in_batch") FILTER ("$place" > 1 AND NOT "$is_known"), 0),
            coalesce(sum("$in_batch"), 0)
        FROM contents""").fetchall()
    added, new_contents, in_conflict, candidates = (int(value) for value in row)
    if may_conflict:
        return added, 0, in_conflict, candidates
    return added, max(new_contents - added, 0), 0, candidates
