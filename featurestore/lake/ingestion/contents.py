"""Contents: every version of an event that was ever delivered, and the one that counts.

A content is what a row says but for when we learned of it; its versions are one content known at several times. ``identity.py``
draws the session tables.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from featurestore.lake.digests import sound
from featurestore.lake.ingestion.batch import VALID
from featurestore.lake.ingestion.candidates import LATER
from featurestore.lake.ingestion.lines import POSITION
from featurestore.lake.ingestion.listed import PLACE, hash_column, listed_sql, next_place
from featurestore.lake.months import Months
from featurestore.lake.session import literal, quote
from featurestore.lake.source_scan import source_scan_sql
from featurestore.lake.table import CommittedFile
from featurestore.spec.source import EventSource

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

WINNERS, REMOVED, BEATEN, CONFLICTS = "winners", "removed", "beaten", "conflicts"
"""Session tables of the result: rows to write; (file, row) to remove; superseded versions; rows for the quarantine."""


def gather_versions(
    session: DuckDBPyConnection,
    source: EventSource,
    rest: str,
    months: Months,
    *,
    holders: Sequence[CommittedFile],
    superseded: Sequence[CommittedFile],
) -> None:
    """Fill the table ``versions``: every version of the candidates, its origin, place, content hash and month.

    Args:
        session: Holds the batch and the candidates.
        source: Whose versions they are.
        rest: Session table of the batch's rows that are looked at.
        months: Those of the batch.
        holders: Committed files that hold candidates. Such a row comes after all listed versions, or it would not be there.
        superseded: All files of the superseded table.
    """
    of = f"SEMI JOIN candidates USING ({quote(source.id_column)})"
    place = next_place(superseded)
    arms = [_version(source, f"{rest} {of}", "batch", place=f"{place + 1} + {quote(POSITION)}")]
    if holders:
        scan = source_scan_sql(source, holders, options="filename = '$file', file_row_number = true")
        arms.append(_version(source, f"{scan} {of}", "committed", place=str(place), file='"$file"', row="file_row_number"))
    if superseded:
        arms.append(_version(source, listed_sql(source, sound(superseded), of=of), "superseded", place=quote(PLACE)))
    month = months.index_sql(source.event_time) if source.id_scope == "month" else "0"
    session.execute(
        f'CREATE OR REPLACE TEMP TABLE versions AS SELECT *, {_known_at_sql(source)} AS "$known_at", '
        f'{content_hash_sql(source)} AS "$hash", {month} AS "$month" FROM ({" UNION ALL ".join(arms)}) WHERE "$month" IS NOT NULL'
    )


def _version(
    source: EventSource, relation: str, origin: str, *, place: str, file: str = "NULL::VARCHAR", row: str = "NULL::BIGINT"
) -> str:
    return (
        f'SELECT {columns_sql(source)}, {literal(origin)} AS "$origin", {file} AS "$file", {row} AS "$row", '
        f'({place})::BIGINT AS "$place" FROM {relation}'
    )


def _known_at_sql(source: EventSource) -> str:
    """Render when a version was learned of; where nothing says it, when it happened."""
    happened = quote(source.event_time)
    return happened if source.ingested_at is None else f"coalesce({quote(source.ingested_at)}, {happened})"


def add_later(session: DuckDBPyConnection, source: EventSource, superseded: Sequence[CommittedFile]) -> None:
    """Add the plain redeliveries that are known later than what is committed to the beaten versions, each once."""
    columns = columns_sql(source)
    session.execute(
        f"INSERT INTO {BEATEN} SELECT {columns}, {content_hash_sql(source)}, min({next_place(superseded) + 1} + {quote(POSITION)}) "
        f"FROM {LATER} GROUP BY {columns}"
    )


def content_hash_sql(source: EventSource, columns: Collection[str] | None = None) -> str:
    """Render the hash of a row's content: all columns but ingested_at, or those that are given, by name, each with its length.

    What a source gains leaves the hashes of rows that have nothing of it: a NULL in a new column says nothing, and a whole number
    is written as such where it became a double.
    """
    texts = []
    earlier = dict(source.earlier)
    for column, kind in sorted(source.schema):
        if column in columns if columns is not None else column != source.ingested_at:
            name = quote(column)
            text = f"epoch_us({name})::VARCHAR" if kind == "timestamp" else f"{name}::VARCHAR"
            if kind == "double" and earlier.get(column):
                text = f"coalesce(try_cast(CASE WHEN {name} = trunc({name}) THEN {name} END AS BIGINT)::VARCHAR, {text})"
            named = f"'{len(column)}:' || {literal(column)} || " if earlier.get(column, "") is None else ""
            texts.append(f"coalesce({named}length({text}) || ':' || {text}, '{'' if named else '-'}')")
    return f"md5(concat({', '.join(texts)}))"


def rank_contents(session: DuckDBPyConnection, source: EventSource, *, replace: bool, may_conflict: bool) -> None:
    """Fill the table ``contents``: a row for each content of an event and time at which it was learned of, in their order.

    Of each event one row has ``$counts``: of the last rows of equal content the first.
    """
    declared = [quote(column) for column in source.order_by]
    by_column = [f"{column} NULLS FIRST" for column in declared]
    if may_conflict:
        order = ['"$is_current"', '"$in_batch" > 0', '"$place" DESC', '"$hash" DESC']
    elif source.ingested_at is None:
        order = [*by_column, '"$place"', '"$hash"']
    else:
        order = ['"$known_at"', *by_column, '"$place"', '"$hash"']
    # A content that is delivered again with the same ingested_at says nothing new; with replace=True it is the newest.
    place = "max" if replace else "min"
    event = f'{quote(source.id_column)}, "$month"'
    content = ", ".join([event, '"$hash"', *declared, *([] if may_conflict else ['"$known_at"'])])
    at = 'versions."$known_at"'
    known_at = f'{"min" if may_conflict else ""}({at}) AS "$known_at"'
    session.execute(f"""
        CREATE OR REPLACE TEMP TABLE contents AS
        WITH delivered AS (
            SELECT {event}, "$hash", {"".join(f"{column}, " for column in declared)}{known_at},
                {place}("$place") AS "$place",
                bool_or("$origin" = 'committed') AS "$is_current",
                coalesce(min({at}) FILTER ("$origin" = 'committed') = min({at}), false) AS "$in_table",
                bool_or("$origin" <> 'batch') AS "$is_known",
                count(*) FILTER ("$origin" = 'batch') AS "$in_batch"
            FROM versions
            GROUP BY {content}
        ),
        numbered AS (
            SELECT *,
                row_number() OVER (PARTITION BY {event} ORDER BY {", ".join(order)}) AS "$number",
                last_value("$hash") OVER (
                    PARTITION BY {event} ORDER BY {", ".join(order)} ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
                ) AS "$last_hash"
            FROM delivered
        )
        SELECT *,
            "$number" = 1 + coalesce(max("$number") FILTER ("$hash" <> "$last_hash") OVER (PARTITION BY {event}), 0) AS "$counts",
            bool_or("$is_current") OVER (PARTITION BY {event}) AS "$is_known_event"
        FROM numbered""")


def split_contents(session: DuckDBPyConnection, source: EventSource, *, may_conflict: bool) -> None:
    """Fill the tables of winners, removed rows, beaten versions and conflicts."""
    event = f'{quote(source.id_column)}, "$month"'
    changed = '"$counts" AND NOT "$in_table"'

    def one_of_each(condition: str, more: str = "") -> str:
        return f"""
            SELECT {columns_sql(source, of="v")}{more} FROM versions v JOIN contents c USING ({event}, "$hash", "$known_at")
            WHERE {condition}
            QUALIFY row_number() OVER (PARTITION BY {event}, "$hash", "$known_at") = 1"""

    removed = f"""
        SELECT "$file" AS file, "$row" AS row FROM versions SEMI JOIN (SELECT {event} FROM contents WHERE {changed}) USING ({event})
        WHERE "$origin" = 'committed'"""
    listed = f', v."$hash" AS {quote(hash_column(source))}, c."$place" AS {quote(PLACE)}'
    for table, sql in {
        WINNERS: one_of_each(changed),
        REMOVED: removed,
        BEATEN: one_of_each("false" if may_conflict else 'NOT "$counts"', listed),
        CONFLICTS: one_of_each('NOT "$counts" AND NOT "$is_known"' if may_conflict else "false"),
    }.items():
        kind = "TABLE" if table == REMOVED else "TEMP TABLE"  # who writes months side by side sees the first alone
        session.execute(f"CREATE OR REPLACE {kind} {table} AS {sql}")


@dataclass(frozen=True)
class Counts:
    """What the candidates of a batch are: new events, corrections, rows in conflict, all rows, and events decided by place."""

    added: int
    corrections: int
    conflicts: int
    rows: int
    by_place: int


def count_contents(session: DuckDBPyConnection, source: EventSource, *, may_conflict: bool) -> Counts:
    """Count the candidates of a batch by what becomes of them."""
    event = f'{quote(source.id_column)}, "$month"'
    corrections = 0
    (row,) = session.execute("""
        SELECT
            count(*) FILTER ("$counts" AND NOT "$is_known_event"),
            count(*) FILTER ("$counts" AND "$in_batch" > 0 AND "$is_known" AND NOT "$is_current" AND "$is_known_event"),
            coalesce(sum("$in_batch") FILTER (NOT "$counts" AND NOT "$is_known"), 0),
            coalesce(sum("$in_batch"), 0)
        FROM contents""").fetchall()
    added, restored, conflicts, rows = (int(value) for value in row)
    if not may_conflict:
        # A stretch of equal contents of which none was known before is one content more.
        (new,) = session.execute(f"""
            SELECT count(*) FROM (
                SELECT "$stretch" FROM (
                    SELECT *, "$number" - row_number() OVER (PARTITION BY {event}, "$hash" ORDER BY "$number") AS "$stretch"
                    FROM contents
                )
                GROUP BY {event}, "$hash", "$stretch"
                HAVING NOT bool_or("$is_known")
            )""").fetchall()[0]
        corrections = max(int(new) + (restored if source.ingested_at is None else 0) - added, 0)
    return Counts(added, corrections, conflicts if may_conflict else 0, rows, _count_by_place(session, source, may_conflict))


def _count_by_place(session: DuckDBPyConnection, source: EventSource, may_conflict: bool) -> int:
    """Count the events of which the batch holds contents that nothing but their place tells apart."""
    event = f'{quote(source.id_column)}, "$month"'
    keys = [] if may_conflict else [*map(quote, source.order_by), *(['"$known_at"'] if source.ingested_at else [])]
    (count,) = session.execute(f"""
        SELECT count(*) FROM (
            SELECT DISTINCT {event} FROM (
                SELECT {event} FROM contents WHERE "$in_batch" > 0{' AND NOT "$is_known_event"' if may_conflict else ""}
                GROUP BY {", ".join([event, *keys])} HAVING count(*) > 1
            )
        )""").fetchall()[0]
    return int(count)


def clear_results(session: DuckDBPyConnection, source: EventSource) -> None:
    """Leave the result tables empty."""
    listed = f", '' AS {quote(hash_column(source))}, 0::BIGINT AS {quote(PLACE)}"
    for table, more in ((WINNERS, ""), (BEATEN, listed), (CONFLICTS, "")):
        session.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT {columns_sql(source)}{more} FROM {VALID} LIMIT 0")
    session.execute(f"CREATE OR REPLACE TABLE {REMOVED} (file VARCHAR, row BIGINT)")


def columns_sql(source: EventSource, *, of: str = "") -> str:
    """Render the columns that are kept of an event as a list for SELECT."""
    return ", ".join(f"{of}.{quote(column)}" if of else quote(column) for column in source.stored)
