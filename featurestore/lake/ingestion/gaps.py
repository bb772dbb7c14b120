"""Gaps: rows whose file lacks a column that their source declares.

A missing column says nothing. So a redelivery of an event takes what is known of it, first from the version whose other columns are
equal, then from the one that counts, then from another version of the same batch; an event that is new has NULL. Only then are
contents compared: a file of before a column was declared, delivered again, changes nothing. When it became known is taken from a
version that is equal otherwise, and from no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from featurestore.errors import IngestError
from featurestore.lake.ingestion.batch import VALID, Gap
from featurestore.lake.ingestion.candidates import near_files, probe
from featurestore.lake.months import Months
from featurestore.lake.session import quote
from featurestore.lake.source_scan import source_scan_sql
from featurestore.lake.table import CommittedFile
from featurestore.spec.source import EventSource

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_COMMITTED, _SUPERSEDED, _DELIVERED = 2, 1, 0


_ROW, _SAME = '"lacking row"', '"lacks nothing else"'


def fill_gaps(
    session: DuckDBPyConnection,
    source: EventSource,
    gaps: Sequence[Gap],
    *,
    timezone: str,
    committed: Sequence[CommittedFile],
    superseded: Sequence[CommittedFile],
) -> None:
    """Fill in what rows of a batch come without, from other versions of their events.

    It may be done again, when another writer has committed meanwhile.

    Args:
        session: Holds the batch.
        source: Whose rows they are.
        gaps: Which rows lack what.
        timezone: Business time zone.
        committed: All files of the events table.
        superseded: All files of the superseded table.
    """
    if not gaps:
        return
    if "rowid" in map(str.lower, source.types):  # it hides the number that DuckDB gives each row
        raise IngestError(
            f"{gaps[0].label} has no column {gaps[0].columns[0]!r}, which each file of a source with a column named rowid must have. "
            "Add the column, without values. Nothing of it was committed."
        )
    months = Months.of_rows(session, f"FROM {VALID}", column=source.event_time, timezone=timezone)
    holders = probe(session, source, near_files(session, source, committed, months))
    files = [(own, rank) for own, rank in ((holders, _COMMITTED), (superseded, _SUPERSEDED)) if own]
    # Rows that lack less are filled first: they may be what others take from.
    for columns in sorted(dict.fromkeys(gap.columns for gap in gaps), key=len):
        rows = " OR ".join(f"(rowid >= {gap.first} AND rowid < {gap.end})" for gap in gaps if gap.columns == columns)
        if _mark(session, source, rows, superseded):
            _fill(session, source, columns, files, months)


def _mark(session: DuckDBPyConnection, source: EventSource, rows: str, superseded: Sequence[CommittedFile]) -> int:
    """Fill the table ``lacking`` with the rows whose event has other versions: usually few, or none."""
    event_id = quote(source.id_column)
    ids = [f"SELECT {event_id} FROM known", f"SELECT {event_id} FROM {VALID} WHERE NOT ({rows})"]
    ids += [f"SELECT {event_id} FROM {source_scan_sql(source, superseded)}"] if superseded else []
    (count,) = session.execute(
        f"CREATE OR REPLACE TEMP TABLE lacking AS SELECT b.* FROM (SELECT rowid AS {_ROW}, * FROM {VALID} WHERE {rows}) b "
        f"SEMI JOIN ({' UNION ALL '.join(ids)}) USING ({event_id})"
    ).fetchall()[0]
    return int(count)


def _fill(
    session: DuckDBPyConnection,
    source: EventSource,
    columns: Sequence[str],
    files: Sequence[tuple[Sequence[CommittedFile], int]],
    months: Months,
) -> None:
    every = ", ".join(quote(column) for column in source.stored)
    event_id = quote(source.id_column)
    arms = [f'SELECT {every}, {rank} AS "known rank" FROM {source_scan_sql(source, own)}' for own, rank in files]
    arms.append(f'SELECT {every}, {_DELIVERED} AS "known rank" FROM {VALID} WHERE rowid NOT IN (SELECT {_ROW} FROM lacking)')
    known = " UNION ALL ".join(f"(SELECT * FROM ({arm}) SEMI JOIN lacking USING ({event_id}))" for arm in arms)
    month = months.index_sql(source.event_time) if source.id_scope == "month" else "0"
    own = [column for column in source.types if column not in columns and column != source.ingested_at]
    same = " AND ".join(f"b.{quote(column)} IS NOT DISTINCT FROM v.{quote(column)}" for column in own)
    taken = ", ".join(f"v.{quote(column)}" for column in columns)
    known_at = quote(source.ingested_at or source.event_time)
    session.execute(
        f"CREATE OR REPLACE TEMP TABLE filled AS SELECT b.{_ROW}, ({same}) AS {_SAME}, {taken} "
        f'FROM (SELECT *, {month} AS "known month" FROM lacking) b JOIN (SELECT *, {month} AS "known month" FROM ({known})) v '
        f'ON b.{event_id} = v.{event_id} AND b."known month" = v."known month" QUALIFY row_number() OVER '
        f'(PARTITION BY b.{_ROW} ORDER BY ({same}) DESC, v."known rank" DESC, v.{known_at} DESC, {taken}) = 1'
    )
    values = ", ".join(
        f"{name} = CASE WHEN f.{_SAME} THEN f.{name} ELSE {VALID}.{name} END"
        if column == source.ingested_at
        else f"{name} = f.{name}"
        for column, name in ((column, quote(column)) for column in columns)
    )
    session.execute(f"UPDATE {VALID} SET {values} FROM filled f WHERE {VALID}.rowid = f.{_ROW}")
    session.execute("DROP TABLE lacking")
    session.execute("DROP TABLE filled")
