"""The business months of a set of instants: where rows go, and the bounds to select them by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from featurestore.lake.session import quote
from featurestore.timeline import Interval, Month, months_between

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True)
class Months:
    """Ascending business months that hold rows, each with its interval and the number of rows."""

    months: tuple[Month, ...]
    intervals: tuple[Interval, ...]
    rows: tuple[int, ...]

    @classmethod
    def of(cls, instants_us: np.ndarray, timezone: str) -> Months:
        """Count instants (int64 microseconds UTC, any order) by business month; months without any are left out."""
        if not len(instants_us):
            return cls((), (), ())
        first = Month.of(int(instants_us.min()), timezone)
        last = Month.of(int(instants_us.max()), timezone)
        months = months_between(first, last)
        intervals = [month.interval(timezone) for month in months]
        bounds = [interval.start_us for interval in intervals] + [intervals[-1].end_us]
        counts = np.diff(np.searchsorted(np.sort(instants_us), bounds)).tolist()
        kept = [i for i, count in enumerate(counts) if count]
        return cls(tuple(months[i] for i in kept), tuple(intervals[i] for i in kept), tuple(counts[i] for i in kept))

    @classmethod
    def of_rows(cls, session: DuckDBPyConnection, sql: str, *, column: str, timezone: str) -> Months:
        """Count the rows of a query by business month of a TIMESTAMPTZ column that is never NULL."""
        instants = session.sql(f"SELECT epoch_us({quote(column)}) AS instant FROM ({sql})").fetchnumpy()["instant"]
        return cls.of(instants, timezone)

    def __iter__(self) -> Iterator[tuple[Month, Interval, int]]:
        return iter(zip(self.months, self.intervals, self.rows, strict=True))

    def index_sql(self, column: str) -> str:
        """Render the position of a TIMESTAMPTZ column's month among these; NULL outside all of them."""
        cases = [f"WHEN {within_sql(column, interval)} THEN {i}" for i, interval in enumerate(self.intervals)]
        return f"CASE {' '.join(cases)} END"


def within_sql(column: str, interval: Interval) -> str:
    """Render the condition that a TIMESTAMPTZ column lies in ``[start, end)``."""
    name = quote(column)
    return f"{name} >= make_timestamptz({interval.start_us}) AND {name} < make_timestamptz({interval.end_us})"
