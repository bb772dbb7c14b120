"""Candidates: which ids of a batch need a decision, because they are committed already or occur more than once.

Most batches have none, and a plain redelivery is found by comparing columns: hashing is for what is left. ``identity.py`` draws
the session tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from featurestore.lake.digests import sound
from featurestore.lake.ingestion.batch import VALID
from featurestore.lake.ingestion.lines import POSITION
from featurestore.lake.months import Months
from featurestore.lake.session import quote
from featurestore.lake.source_scan import source_scan_sql
from featurestore.lake.table import CommittedFile
from featurestore.spec.source import EventSource

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# The lake's own columns of a session begin with "$", or hold a blank: no column of a source can.
_KEY = '"$key"'
_ROW = quote(POSITION)
_IS_LATER = '"$is_later"'
LATER = "later"
"""Session table of the plain redeliveries that are known later than what is committed; made with ``REMAINING``."""
REMAINING = "remaining"
"""Session table of the batch without plain redeliveries; made only when there are some."""


def near_files(
    session: DuckDBPyConnection, source: EventSource, committed: Sequence[CommittedFile], months: Months
) -> list[CommittedFile]:
    """List the committed files whose months and ranges of ids overlap the batch's: those that may hold one of its ids."""
    event_id = quote(source.id_column)
    low, high = session.execute(f"SELECT min({event_id}), max({event_id}) FROM {VALID}").fetchall()[0]
    if low is None:
        return []
    names = {str(month) for month in months.months}

    def may_hold(file: CommittedFile) -> bool:
        if source.id_scope == "month" and file.partition["month"] not in names:
            return False
        first, last = file.smallest(source.id_column), file.largest(source.id_column)
        return first is None or last is None or (first <= high and low <= last)

    return [file for file in committed if may_hold(file)]


def probe(session: DuckDBPyConnection, source: EventSource, near: Sequence[CommittedFile]) -> list[CommittedFile]:
    """Fill the table ``known`` with the batch's ids that are committed, and list the files that hold them."""
    event_id = quote(source.id_column)
    if not near:
        session.execute(f"CREATE OR REPLACE TEMP TABLE known AS SELECT {event_id} FROM {VALID} LIMIT 0")
        return []
    scan = source_scan_sql(source, sound(near), options="filename = '$file'")
    session.execute(
        f'CREATE OR REPLACE TEMP TABLE known AS SELECT {event_id}, "$file" FROM {scan} SEMI JOIN {VALID} USING ({event_id})'
    )
    names = {name for (name,) in session.execute('SELECT DISTINCT "$file" FROM known').fetchall()}
    return [file for file in near if str(file.path) in names]


def drop_repeated(session: DuckDBPyConnection, source: EventSource, holders: Sequence[CommittedFile]) -> int:
    """Fill the tables ``remaining``, the batch without plain redeliveries, and ``later``, those of them that are to be listed.

    A plain redelivery is equal to a committed row and not known earlier. Most duplicates are of this kind, and comparing columns
    costs a quarter of hashing them. One that is known later is listed, since a correction that lies between the two may come;
    where the batch has other rows of its event, it remains with them.

    Returns:
        How many rows are left out; when none is, the tables are not made.
    """
    known_at, event_id = source.ingested_at, quote(source.id_column)
    pairs = " AND ".join(
        f"b.{quote(column)} {'>=' if column == known_at else 'IS NOT DISTINCT FROM'} c.{quote(column)}"
        for column in source.stored
        if column != source.id_column
    )
    is_later = "false" if known_at is None or source.event_id is None else f"b.{quote(known_at)} > c.{quote(known_at)}"
    (count,) = session.execute(
        f"CREATE OR REPLACE TEMP TABLE repeated AS SELECT b.{_ROW} AS id, {is_later} AS {_IS_LATER} FROM {VALID} b "
        f"JOIN {source_scan_sql(source, holders)} c ON b.{event_id} = c.{event_id} AND {pairs}"
    ).fetchall()[0]
    if not count:
        return 0
    session.execute(
        f"CREATE OR REPLACE TEMP TABLE {REMAINING} AS SELECT * FROM {VALID} b ANTI JOIN repeated r ON b.{_ROW} = r.id"
    )
    session.execute(
        f"CREATE OR REPLACE TEMP TABLE {LATER} AS SELECT b.* FROM {VALID} b JOIN repeated r ON b.{_ROW} = r.id AND r.{_IS_LATER}"
    )
    (back,) = session.execute(
        f"INSERT INTO {REMAINING} SELECT * FROM {LATER} SEMI JOIN {REMAINING} USING ({event_id})"
    ).fetchall()[0]
    if back:
        session.execute(
            f"CREATE OR REPLACE TEMP TABLE {LATER} AS SELECT * FROM {LATER} ANTI JOIN {REMAINING} USING ({event_id})"
        )
    return int(count) - int(back)


def mark_candidates(session: DuckDBPyConnection, source: EventSource, rest: str) -> bool:
    """Fill the table ``candidates`` with the remaining ids that occur more than once; say whether there are any."""
    event_id = quote(source.id_column)
    # Ids that are texts are compared by hash first; a collision only makes a candidate that turns out to be innocent.
    key = event_id if source.stored[source.id_column] == "int64" else f"hash({event_id})"
    keys = np.sort(session.sql(f"SELECT {key} AS {_KEY} FROM {rest}").fetchnumpy()["$key"])
    session.register("twice", pa.table({"$key": np.unique(keys[1:][keys[1:] == keys[:-1]])}))
    (count,) = session.execute(
        f"CREATE OR REPLACE TEMP TABLE candidates AS SELECT {event_id} FROM {rest} SEMI JOIN twice ON {key} = {_KEY} "
        f"UNION SELECT {event_id} FROM {rest} SEMI JOIN known USING ({event_id})"
    ).fetchall()[0]
    session.unregister("twice")
    return bool(count)
