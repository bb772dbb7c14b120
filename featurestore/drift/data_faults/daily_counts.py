"""The daily counts of a source as arrays: what its faults are looked for in."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from featurestore.timeline import Month

HOURS = 24


@dataclass(frozen=True, eq=False)
class DailyCounts:
    """Daily counts as arrays over ``D`` days, by event type (``None`` where the source has none), and by type and column.

    Attributes:
        first: Day with index 0.
        size: D.
        rows: [D] events.
        early: [D] events whose event_time lies after their ingested_at.
        hours: [D, 24] events by hour of the day.
        present: [D] events in which the column is not NULL.
        log_mean: [D] mean of log10 of the column's absolute values; NaN on days without any. Only columns of numbers.
        log_sd: [D] their standard deviation, likewise.
    """

    first: date
    size: int
    rows: dict[str | None, np.ndarray]
    early: dict[str | None, np.ndarray]
    hours: dict[str | None, np.ndarray]
    present: dict[tuple[str | None, str], np.ndarray] = field(default_factory=dict)
    log_mean: dict[tuple[str | None, str], np.ndarray] = field(default_factory=dict)
    log_sd: dict[tuple[str | None, str], np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, days: pa.Table) -> DailyCounts:
        """Unpack daily counts (``lake.daily.DAY_SCHEMA``), at least one row; the last month is filled up to its end."""
        number = days["day"].cast(pa.int32()).to_numpy()
        start = int(number.min())
        last = Month.parse(date(1970, 1, 1) + timedelta(days=int(number.max()))).next().first_day
        size = (last - date(1970, 1, 1)).days - start
        kinds, columns = (days[name].combine_chunks().dictionary_encode(null_encoding="encode") for name in ("type", "column"))
        code = kinds.indices.to_numpy().astype(np.int64) * len(columns.dictionary) + columns.indices.to_numpy()
        order = np.argsort(code, kind="stable")
        groups = np.split(order, np.flatnonzero(np.diff(code[order])) + 1)
        keys = {(kinds[int(at[0])].as_py(), columns[int(at[0])].as_py()): at for at in groups}
        arrays = {
            name: days[name].to_numpy(zero_copy_only=False).astype(float)
            for name in ("rows", "present", "log_mean", "log_sd", "early")
        }
        daily = cls(date(1970, 1, 1) + timedelta(days=start), size, {}, {}, {})

        def spread(values: np.ndarray, at: np.ndarray, empty: float) -> np.ndarray:
            filled = np.full(size, empty)
            filled[number[at] - start] = values[at]
            return filled

        for (kind, column), at in keys.items():
            if column is None:
                daily.rows[kind], daily.early[kind] = spread(arrays["rows"], at, 0.0), spread(arrays["early"], at, 0.0)
                hours = np.zeros((size, HOURS))
                hours[number[at] - start] = (
                    days["hours"].take(pa.array(at)).combine_chunks().flatten().to_numpy().reshape(-1, HOURS)
                )
                daily.hours[kind] = hours
            else:
                daily.present[kind, column] = spread(arrays["present"], at, 0.0)
                if not np.isnan(arrays["log_mean"][at]).all():
                    daily.log_mean[kind, column] = spread(arrays["log_mean"], at, np.nan)
                    daily.log_sd[kind, column] = spread(arrays["log_sd"], at, np.nan)
        return daily

    def date(self, day: int) -> date:
        """Return the date of a day's index."""
        return self.first + timedelta(days=day)

    def month(self, day: int) -> Month:
        """Return the month of a day's index."""
        return Month.parse(self.date(day))
