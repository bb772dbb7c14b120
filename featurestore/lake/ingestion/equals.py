"""Equals: what identifies the rows of a source that has no event_id.

A row is known by a digest of the columns of the source's first declaration, but ingested_at, and by its number among equal rows
of its file (or of the load, where rows come from no file). So a file that is delivered again, or overlaps another, brings only
what is new of it, and rows that are equal in one file are so many events. Where a file is committed in several batches, its rows
are counted on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from featurestore.lake.ingestion.batch import INPUT, VALID, Batch
from featurestore.lake.ingestion.contents import content_hash_sql
from featurestore.lake.ingestion.lines import POSITION
from featurestore.lake.session import quote
from featurestore.spec.source import HIDDEN_ID, EventSource

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_NUMBERED, _COUNTED = "numbered", "counted"


def number_equals(batch: Batch) -> None:
    """Give each valid row of a batch its id, where its source has none. To be called once for each batch, in order."""
    session, source = batch.session, batch.source
    if source.event_id is not None:
        return
    _count_on(session, first=not batch.is_continued)
    session.execute(f"""
        CREATE OR REPLACE TEMP TABLE {_NUMBERED} AS
        SELECT position, input, digest, coalesce(before, 0) + row_number() OVER (
            PARTITION BY input, digest ORDER BY position
        ) AS number
        FROM (SELECT {quote(POSITION)} AS position, {quote(INPUT)} AS input, {_digest_sql(source)} AS digest FROM {VALID})
        LEFT JOIN {_COUNTED} USING (input, digest)""")
    session.execute(
        f"UPDATE {VALID} SET {quote(HIDDEN_ID)} = digest || '-' || number FROM {_NUMBERED} WHERE position = {quote(POSITION)}"
    )


def _digest_sql(source: EventSource) -> str:
    return content_hash_sql(source, [column for column in source.first_columns if column != source.ingested_at])


def _count_on(session: DuckDBPyConnection, *, first: bool) -> None:
    """Fill the table of how often each digest was seen before in the file that the batch before did not end."""
    if first:
        session.execute(f"CREATE OR REPLACE TEMP TABLE {_COUNTED} (input INTEGER, digest VARCHAR, before BIGINT)")
        return
    session.execute(f"""
        CREATE OR REPLACE TEMP TABLE {_COUNTED} AS
        SELECT input, digest, max(before) AS before
        FROM (SELECT input, digest, number AS before FROM {_NUMBERED} UNION ALL FROM {_COUNTED})
        WHERE input = (SELECT max(input) FROM {_NUMBERED})
        GROUP BY ALL""")
