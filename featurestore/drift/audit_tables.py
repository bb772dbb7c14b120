"""The tables of an audit: where a view's snapshots, sketches and scores are committed, and how they are read.

snapshots   a file a month   (entity, features): the panel at the first instant of the next month
sketches    a file a year    a row per month, feature and segment; the edges and the segments' places in force afterwards
are in the file's metadata
scores      a file a year    a row per month, feature and segment: the monitor's answer, given all months up to it
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.drift.monitor.monitor import DRIFT_SCHEMA
from featurestore.drift.year_files import YEAR, by_partition, read_years
from featurestore.lake.arrow_parquet import no_rows, read_parquet
from featurestore.lake.table import Table
from featurestore.timeline import Month

MONTH, AT = "audit_month", "month"
HISTORY_SCHEMA = pa.schema([("view", pa.string()), *DRIFT_SCHEMA])
EDGES, PLACES = b"edges", b"places"


@dataclass(frozen=True)
class AuditedView:
    """One view's drift tables.

    Args:
        view: Name of the view.
        keys: Key columns, which are no features.
        snapshots: Delta table of snapshots.
        sketches: Delta table of sketches.
        scores: Delta table of scores.
        segments: Pairs of a segment's name and the snapshots' column that says which a row belongs to.
    """

    view: str
    keys: tuple[str, ...]
    snapshots: Path
    sketches: Path
    scores: Path
    segments: tuple[tuple[str, str], ...] = ()


def read_snapshot(audited: AuditedView, month: Month) -> pa.Table | None:
    """Return the committed snapshot of a month; ``None`` when there is none."""
    files = Table.open(audited.snapshots).files(**{MONTH: str(month)})
    return read_parquet(files[0]) if files else None


def last_snapshot(audited: Iterable[AuditedView]) -> Month | None:
    """Return the latest month of which any view has a snapshot."""
    months = [Month.parse(month) for each in audited for month in by_partition(Table.open(each.snapshots), MONTH)]
    return max(months, default=None)


def read_sketches(audited: AuditedView) -> dict[Month, pa.Table]:
    """Return the committed sketches of a view by month, in order of time (``SKETCH_SCHEMA``)."""
    files = [file for _, file in sorted(by_partition(Table.open(audited.sketches), YEAR).items())]
    return {month: part for file in files for month, part in split_months(read_parquet(file)).items()}


def history(audited: AuditedView, *, since: str = "") -> pa.Table:
    """Return all committed scores of a view, or those since a year, in order of time (``HISTORY_SCHEMA``)."""
    return pa.concat_tables([no_rows(HISTORY_SCHEMA), *read_years(audited.scores, since=since)])


def rows_of(table: pa.Table, feature: str, segment: str | None) -> pa.Table:
    """Keep the rows of scores or sketches that are about one feature and segment (``None``: about all its rows)."""
    is_segment = pc.is_null(table["segment"]) if segment is None else pc.equal(table["segment"], segment)
    return table.filter(pc.and_(pc.equal(table["feature"], feature), is_segment))


def split_months(table: pa.Table) -> dict[Month, pa.Table]:
    """Split a table by its ``month`` column -> month to rows, in the order in which the months appear."""
    days: Iterable[date] = pc.unique(table[AT]).to_pylist()
    return {Month.parse(day): table.filter(pc.equal(table[AT], pa.scalar(day))) for day in days}
