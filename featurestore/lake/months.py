"""The business months of a set of instants: where rows go, and the bounds to select them by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from featurestore.lake.session import quote
from featurestore.timeline import Interval, Month, months_between


@dataclass(frozen=True)
class Months:
    """Ascending business months, each with its interval and a row count."""

    months: tuple[Month, ...]
    intervals: tuple[Interval, ...]
    rows: tuple[int, ...]

    @classmethod
    def of(cls, instants_us: np.ndarray, timezone: str) -> Months:
        """Count instants (int64 microseconds UTC, any order) by business month; months without any are left out."""
        if not len(instants_us):
            return cls((), (), ())
        first, last = Month.of(int(instants_us.min()), timezone), Month.of(int(instants_us.max()), timezone)
        months = months_between(first, last)
        intervals = [month.interval(timezone) for month in months]
        starts = np.array([interval.start_us for interval in intervals[1:]], np.int64)
        counts = np.bincount(np.searchsorted(starts, instants_us, side="right"), minlength=len(months)).tolist()
        kept = [i for i, count in enumerate(counts) if count]
        return cls(tuple(months[i] for i in kept), tuple(intervals[i] for i in kept), tuple(counts[i] for i in kept))

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
