"""Instants and intervals, in microseconds UTC, and the wall clocks of business time zones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from featurestore.errors import DefinitionError

UTC = timezone.utc
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
_END_OF_TIME_US = 2**63 - 1
# Years in which clocks may change; before and after, the first and the last offset hold.
_FIRST_CHANGE, _LAST_CHANGE = 1900, 2200


def to_us(moment: datetime) -> int:
    """Convert a datetime to microseconds since the epoch; one without a zone is UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - EPOCH) // timedelta(microseconds=1)


def from_us(instant_us: int) -> datetime:
    """Convert microseconds since the epoch to an aware UTC datetime."""
    return EPOCH + timedelta(microseconds=int(instant_us))


@dataclass(frozen=True)
class Interval:
    """A half-open span of time ``[start_us, end_us)``, in microseconds UTC."""

    start_us: int
    end_us: int

    def __post_init__(self) -> None:
        if self.end_us < self.start_us:
            raise DefinitionError(f"An interval must not end before it starts: {self}.")

    def __str__(self) -> str:
        return f"[{from_us(self.start_us).isoformat()}, {from_us(self.end_us).isoformat()})"


@lru_cache(maxsize=32)
def utc_offsets(timezone_name: str) -> tuple[tuple[int, int], ...]:
    """List a zone's offsets from UTC: ``(from_us, offset_us)``, ascending, the first from the beginning of time.

    Raises:
        DefinitionError: the zone is unknown.
    """
    zone = zone_of(timezone_name)
    moment = datetime(_FIRST_CHANGE, 1, 1, tzinfo=UTC)
    end = datetime(_LAST_CHANGE, 1, 1, tzinfo=UTC)
    offset = _offset_us(zone, moment)
    offsets = [(-(2**63), offset)]
    while moment < end:
        later = moment + timedelta(days=7)
        after = _offset_us(zone, later)
        if after != offset:
            low = to_us(moment)
            high = to_us(later)
            while high - low > 1_000_000:
                middle = (low + high) // 2_000_000 * 1_000_000
                low, high = (middle, high) if _offset_us(zone, from_us(middle)) == offset else (low, middle)
            offset = after
            offsets.append((high, offset))
        moment = later
    return tuple(offsets)


def _offset_us(zone: ZoneInfo, moment: datetime) -> int:
    offset = moment.astimezone(zone).utcoffset()
    assert offset is not None
    return offset // timedelta(microseconds=1)


def zone_of(name: str) -> ZoneInfo:
    """Look a time zone up by its IANA name.

    Raises:
        DefinitionError: the name is unknown.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, TypeError, ValueError, OSError) as error:
        raise DefinitionError(f"{name!r} is not a time zone. Use an IANA name such as 'Asia/Shanghai' or 'UTC'.") from error


def local_us(instants_us: np.ndarray, timezone_name: str) -> np.ndarray:
    """Shift UTC microseconds to the wall clock of a zone (int64 in, int64 out)."""
    offsets = utc_offsets(timezone_name)
    if len(offsets) == 1:
        return instants_us + offsets[0][1]
    starts = np.array([start for start, _ in offsets], np.int64)
    shifts = np.array([shift for _, shift in offsets], np.int64)
    return instants_us + shifts[np.searchsorted(starts, instants_us, side="right") - 1]


def instants_us(wall_clock_us: np.ndarray, timezone_name: str) -> np.ndarray:
    """Place times without a zone in one (int64 microseconds of its wall clock in, int64 microseconds UTC out).

    As PEP 495 reads them with ``fold=0``: a time that the clocks show twice is the first of the two, one that they skip moves
    forward by what was skipped. Both are read with the offset before the change.

    >>> clock = np.array(["2024-11-03T01:30", "2024-03-10T02:30"], "datetime64[us]").astype(np.int64)
    >>> instants_us(clock, "America/New_York").astype("datetime64[us]").astype("datetime64[m]").tolist()
    [datetime.datetime(2024, 11, 3, 5, 30), datetime.datetime(2024, 3, 10, 7, 30)]
    """
    return placed_us(wall_clock_us, timezone_name)[0]


def placed_us(wall_clock_us: np.ndarray, timezone_name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Place wall clocks in a zone, as PEP 495 reads them with ``fold=0``: with the offset before a change.

    Args:
        wall_clock_us: Microseconds since 1970-01-01 00:00 of the clock (int64).
        timezone_name: The zone.

    Returns:
        Microseconds UTC (int64); whether the clocks show it twice (the first is taken); whether they skip it (it is moved forward by
        what is skipped).
    """
    begins, ends, shifts = _changes(timezone_name)
    i = np.searchsorted(ends, wall_clock_us, side="right")
    repeated, skipped = np.zeros((2, len(i)), bool)
    near = np.flatnonzero(wall_clock_us >= begins[i])  # few, if any
    is_back = shifts[i[near]] > shifts[i[near] + 1]
    repeated[near[is_back]] = True
    skipped[near[~is_back]] = True
    return wall_clock_us - shifts[i], repeated, skipped


@lru_cache(maxsize=32)
def _changes(timezone_name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where the clocks show a time twice or skip it, from begin to end, and the offset before each change and after all."""
    offsets = utc_offsets(timezone_name)
    shifts = np.array([shift for _, shift in offsets], np.int64)
    changes = np.array([start for start, _ in offsets[1:]], np.int64)
    ends = np.maximum.accumulate(changes + np.maximum(shifts[:-1], shifts[1:]))
    begins = np.append(changes + np.minimum(shifts[:-1], shifts[1:]), np.iinfo(np.int64).max)
    return begins, ends, shifts


@lru_cache(maxsize=16_384)
def day_start_us(day: int, timezone_name: str) -> int:
    """Return the first instant of a local day (days since 1970-01-01)."""
    return int(day_starts_us(np.array([day], np.int64), timezone_name)[0])


def day_starts_us(days: np.ndarray, timezone_name: str) -> np.ndarray:
    """Return the first instant of each local day (int64 days since 1970-01-01 in, int64 microseconds out)."""
    offsets = utc_offsets(timezone_name)
    starts = np.array([start for start, _ in offsets], np.int64)
    ends = np.append(starts[1:], _END_OF_TIME_US)
    shifts = np.array([shift for _, shift in offsets], np.int64)
    midnights_us = days * DAY_US
    first_us = np.full(len(days), _END_OF_TIME_US)
    # A midnight is read with the offset before, at or after it; the first instant that lies on the day or later counts.
    first = np.maximum(np.searchsorted(starts, midnights_us - 15 * HOUR_US, side="right") - 1, 0)
    last = np.searchsorted(starts, midnights_us + 15 * HOUR_US, side="right") - 1
    for nth in range(int((last - first).max(initial=0)) + 1):
        i = np.minimum(first + nth, last)
        instants = np.maximum(midnights_us - shifts[i], starts[i])
        is_right = (instants < ends[i]) & ((instants + shifts[i]) // DAY_US >= days)
        first_us = np.where(is_right, np.minimum(instants, first_us), first_us)
    return first_us
