"""Functions of a session that read times: wall clocks in the zone of their source, and texts.

DuckDB's own ``timezone()`` takes the later of two hours that a clock change repeats, and its casts drop the words behind a time. In
Arrow batches these cost .08 s for a million wall clocks; texts that are not plain ISO go through Python, at .004 ms each.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from featurestore.lake.ingestion.text_times import Fault, TextTime, read_day, read_time
from featurestore.timeline import placed_us

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PLACE, READ_TIME, READ_DAY = "place_wall_clock", "read_time_text", "read_day_text"
"""Functions: microseconds of a wall clock to microseconds UTC; a text to microseconds UTC; a text to days since 1970."""

_REFUSED = -(2**62)
# Further away is no time at all, and what is added here must not overflow.
_MAX_US = 2**61


def refused(fault: Fault) -> int:
    """Return what the functions of texts give instead of a number for a text that they cannot read."""
    return _REFUSED - fault


def is_read_sql(number: str) -> str:
    """Render the condition that a function of texts could read one."""
    return f"{number} > {_REFUSED}"


@dataclass
class WallClocks:
    """The zone of times that name none, and what was noticed while they were read.

    Args:
        timezone: The zone.
        naive: Times that named no zone.
        repeated_hours: Times that the clocks of their zone show twice; the first was taken.
        skipped_hours: Times that the clocks of their zone skip; they were moved forward by what was skipped.
        is_counting: Whether what is read now counts; what is read a second time does not.
    """

    timezone: str
    naive: int = 0
    repeated_hours: int = 0
    skipped_hours: int = 0
    is_counting: bool = True
    _lock: Lock = field(default_factory=Lock, repr=False)

    def register(self, session: DuckDBPyConnection) -> None:
        """Give a session the functions; they are called once for each value, whatever DuckDB's plan is."""
        create: Any = session.create_function  # whose stubs take enumerations, which other versions of DuckDB have elsewhere
        for name, function, kind in (
            (PLACE, self._place, "BIGINT"),
            (READ_TIME, self._read_times, "VARCHAR"),
            (READ_DAY, _read_days, "VARCHAR"),
        ):
            create(name, function, [kind], "BIGINT", type="arrow", null_handling="special", side_effects=True)

    def _count(self, naive: int, repeated: int, skipped: int) -> None:
        if self.is_counting and (naive or repeated or skipped):
            with self._lock:  # DuckDB's threads call at once
                self.naive += naive
                self.repeated_hours += repeated
                self.skipped_hours += skipped

    def _place(self, clocks: pa.ChunkedArray) -> pa.Array:
        is_null = np.asarray(clocks.is_null())
        known = np.clip(np.asarray(clocks.fill_null(0)), -_MAX_US, _MAX_US)
        if self.timezone == "UTC":
            self._count(int(np.count_nonzero(~is_null)), 0, 0)
            return pa.array(known, mask=is_null)
        instants, repeated, skipped = placed_us(known, self.timezone)
        counted = (~is_null, repeated & ~is_null, skipped & ~is_null)
        self._count(*(int(np.count_nonzero(each)) for each in counted))
        return pa.array(instants, mask=is_null)

    def _read_times(self, texts: pa.ChunkedArray) -> pa.Array:
        numbers: list[int | None] = []
        naive: list[int] = []
        repeated = skipped = 0
        for i, text in enumerate(texts.to_pylist()):
            read = None if text is None else read_time(text)
            if isinstance(read, TextTime):
                numbers.append(read.us)
                repeated += read.is_repeated
                skipped += read.is_skipped
                if read.is_naive:
                    naive.append(i)
            else:
                numbers.append(None if read is None else refused(read))
        self._count(0, repeated, skipped)
        if naive:
            placed = self._place(pa.chunked_array([pa.array([numbers[i] for i in naive], pa.int64())]))
            for i, instant_us in zip(naive, placed.to_pylist(), strict=True):
                numbers[i] = instant_us
        return pa.array(numbers, pa.int64())


def _read_days(texts: pa.ChunkedArray) -> pa.Array:
    days = [None if text is None else read_day(text) for text in texts.to_pylist()]
    return pa.array([refused(day) if isinstance(day, Fault) else day for day in days], pa.int64())
