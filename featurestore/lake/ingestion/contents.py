"""Contents: every version of an event that was ever delivered, and the one that counts.

A content is what a row says but for when we learned of it; its versions are one content known at several times. ``identity.py``
draws the session tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from featurestore.lake.digests import sound
from featurestore.lake.ingestion.batch import VALID
from featurestore.lake.months import Months
from featurestore.lake.session import literal, quote
from featurestore.lake.source_scan import source_scan_sql
from featurestore.lake.table import CommittedFile
from featurestore.spec.source import EventSource

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

WINNERS, REMOVED, BEATEN, CONFLICTS = "winners", "removed", "beaten", "conflicts"
"""Session tables of the result: rows to write; (file, row) to remove; superseded versions; rows for the quarantine."""


def scans(source: EventSource, holders: Sequence[CommittedFile], superseded: Sequence[CommittedFile]) -> list[tuple[str, str]]:
    """List the scans of files that may hold versions besides the batch, as ``(relation, origin)``."""
    relations = []
    if holders:
        relations.append((source_scan_sql(source, holders, options="filename = '$file', file_row_number = true"), "committed"))
    if superseded:
        relations.append((source_scan_sql(source, sound(superseded)), "superseded"))
    return relations


def gather_versions(
    session: DuckDBPyConnection, source: EventSource, relations: Sequence[tuple[str, str]], months: Months
) -> None:
    """Fill the table ``versions``: every version of the candidates, its origin, content hash and month."""
    columns = columns_sql(source)
    event_id = quote(source.event_id)
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
    """Render the hash of a row's content: all columns but ingested_at, by name, each with its length.

    What a source gains leaves the hashes of rows that have nothing of it: a NULL in a new column says nothing, and a whole number
    is written as such where it became a double.
    """
    texts = []
    earlier = dict(source.earlier)
    for column, kind in sorted(source.schema):
        if column != source.ingested_at:
            name = quote(column)
            text = f"epoch_us({name})::VARCHAR" if kind == "timestamp" else f"{name}::VARCHAR"
            if kind == "double" and earlier.get(column):
                text = f"coalesce(try_cast(CASE WHEN {name} = trunc({name}) THEN {name} END AS BIGINT)::VARCHAR, {text})"
            named = f"'{len(column)}:' || {literal(column)} || " if earlier.get(column, "") is None else ""
            texts.append(f"coalesce({named}length({text}) || ':' || {text}, '{'' if named else '-'}')")
    return f"md5(concat({', '.join(texts)}))"


def hash_column(source: EventSource) -> str:
    """Return the column of superseded versions that holds their content hash: ``content_hash``, unless the source has one."""
    return "$content_hash" if "content_hash" in map(str.lower, source.types) else "content_hash"


def rank_contents(session: DuckDBPyConnection, source: EventSource, replace: bool) -> None:
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


def split_contents(session: DuckDBPyConnection, source: EventSource, *, may_conflict: bool) -> None:
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
        BEATEN: one_of_each("false" if may_conflict else '"$place" > 1', f', v."$hash" AS {quote(hash_column(source))}'),
        CONFLICTS: one_of_each('"$place" > 1 AND NOT "$is_known"' if may_conflict else "false"),
    }.items():
        session.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS {sql}")


def count_contents(session: DuckDBPyConnection, may_conflict: bool) -> tuple[int, int, int, int]:
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


def clear_results(session: DuckDBPyConnection, source: EventSource) -> None:
    """Leave the result tables empty."""
    for table, more in ((WINNERS, ""), (BEATEN, f", '' AS {quote(hash_column(source))}"), (CONFLICTS, "")):
        session.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT {columns_sql(source)}{more} FROM {VALID} LIMIT 0")
    session.execute(f"CREATE OR REPLACE TEMP TABLE {REMOVED} (file VARCHAR, row BIGINT)")


def columns_sql(source: EventSource) -> str:
    """Render the schema's columns as a list for SELECT."""
    return ", ".join(quote(column) for column in source.types)
