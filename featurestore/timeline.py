"""Time: instants, intervals, windows, grains, steps and months.

An instant is an int64 of microseconds since 1970-01-01 UTC. A step is an int64 whose meaning its grain gives:

    grain "1d"     days of the business calendar since 1970-01-01 (23 or 25 hours on days of a clock change)
    grain "1h"     3600 s since 1970-01-01 UTC
    grain "event"  microseconds since 1970-01-01 UTC: the identity

``Clock`` is the only place that turns instants into steps, and ``Clock.window`` the only one that decides which
steps a window holds: training, batch and online all ask it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from featurestore.errors import DefinitionError

UTC = timezone.utc
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
GRAINS = ("1d", "1h", "event")
# Years that a month may have: wider than the times that ingest accepts (1800 to 2299).
FIRST_YEAR, LAST_YEAR = 1790, 2310
# Years in which clocks may change; before and after, the first and the last offset hold.
_FIRST_CHANGE, _LAST_CHANGE = 1900, 2200

_WINDOW = re.compile(r"([1-9][0-9]{0,4})([hdy])")
_HOURS = {"h": 1, "d": 24, "y": 24 * 365}


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


@dataclass(frozen=True)
class Window:
    """A length: whole hours, or ``None`` for ``lifetime``. ``1y`` is 365 days.

    >>> Window.parse("10y").hours
    87600
    """

    text: str
    hours: int | None

    @classmethod
    def parse(cls, text: str) -> Window:
        """Read ``"1h"``, ``"30d"``, ``"10y"`` or ``"lifetime"``.

        Raises:
            DefinitionError: anything else.
        """
        if text == "lifetime":
            return cls("lifetime", None)
        found = _WINDOW.fullmatch(text) if isinstance(text, str) else None
        if not found:
            raise DefinitionError(
                f"{text!r} is not a window. Write a whole number of hours, days or years ('6h', '30d', '10y') or 'lifetime'."
            )
        return cls(text, int(found[1]) * _HOURS[found[2]])

    def steps(self, grain: str) -> int | None:
        """Count the grain's steps in this window; ``None`` for ``lifetime``.

        Raises:
            DefinitionError: the window is not a whole multiple of the grain.
        """
        if self.hours is None:
            return None
        if grain == "1d":
            if self.hours % 24:
                raise DefinitionError(f"Window {self.text!r} is not a whole number of days, the view's grain. Use grain='1h'.")
            return self.hours // 24
        return self.hours if grain == "1h" else self.hours * HOUR_US


@lru_cache(maxsize=32)
def utc_offsets(timezone_name: str) -> tuple[tuple[int, int], ...]:
    """List a zone's offsets from UTC: ``(from_us, offset_us)``, ascending, the first from the beginning of time.

    Raises:
        DefinitionError: the zone is unknown.
    """
    zone = zone_of(timezone_name)
    moment, end = datetime(_FIRST_CHANGE, 1, 1, tzinfo=UTC), datetime(_LAST_CHANGE, 1, 1, tzinfo=UTC)
    offset = _offset_us(zone, moment)
    found = [(-(2**63), offset)]
    while moment < end:
        later = moment + timedelta(days=7)
        after = _offset_us(zone, later)
        if after != offset:
            low, high = to_us(moment), to_us(later)
            while high - low > 1_000_000:
                middle = (low + high) // 2_000_000 * 1_000_000
                low, high = (middle, high) if _offset_us(zone, from_us(middle)) == offset else (low, middle)
            offset = after
            found.append((high, offset))
        moment = later
    return tuple(found)


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
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise DefinitionError(f"{name!r} is not a time zone. Use an IANA name such as 'Asia/Shanghai' or 'UTC'.") from error


def local_us(instants_us: np.ndarray, timezone_name: str) -> np.ndarray:
    """Shift UTC microseconds to the wall clock of a zone (int64 in, int64 out)."""
    offsets = utc_offsets(timezone_name)
    if len(offsets) == 1:
        return instants_us + offsets[0][1]
    starts = np.array([start for start, _ in offsets], np.int64)
    shifts = np.array([shift for _, shift in offsets], np.int64)
    return instants_us + shifts[np.searchsorted(starts, instants_us, side="right") - 1]


def day_start_us(day: int, timezone_name: str) -> int:
    """Return the first instant of a local day (days since 1970-01-01)."""
    offsets = utc_offsets(timezone_name)
    starts = [start for start, _ in offsets]
    low = bisect_right(starts, day * DAY_US - 15 * HOUR_US) - 1
    high = bisect_right(starts, day * DAY_US + 15 * HOUR_US)
    candidates = []
    for i in range(max(low, 0), high):
        end = starts[i + 1] if i + 1 < len(starts) else 2**63
        instant = max(day * DAY_US - offsets[i][1], starts[i])
        if instant < end and (instant + offsets[i][1]) // DAY_US >= day:
            candidates.append(instant)
    return min(candidates)


@dataclass(frozen=True)
class Clock:
    """A grain in a business time zone: the one place where instants become steps.

    >>> clock = Clock("1d", "Asia/Shanghai")
    >>> clock.start_us(clock.step(to_us(datetime(2024, 1, 1, 16)))) == to_us(datetime(2024, 1, 1, 16))
    True
    """

    grain: str
    timezone: str

    def __post_init__(self) -> None:
        if self.grain not in GRAINS:
            raise DefinitionError(f"{self.grain!r} is not a grain. Use one of {', '.join(map(repr, GRAINS))}.")
        zone_of(self.timezone)

    def floor(self, instants_us: np.ndarray) -> np.ndarray:
        """Return the step that holds each instant (int64 microseconds in, int64 steps out)."""
        if self.grain == "event":
            return instants_us
        if self.grain == "1h":
            return instants_us // HOUR_US
        return local_us(instants_us, self.timezone) // DAY_US

    def step(self, instant_us: int) -> int:
        """Return the step that holds one instant."""
        return int(self.floor(np.array([instant_us], np.int64))[0])

    def start_us(self, step: int) -> int:
        """Return the first instant of a step."""
        if self.grain == "event":
            return step
        return step * HOUR_US if self.grain == "1h" else day_start_us(step, self.timezone)

    def starts_us(self, steps: np.ndarray) -> np.ndarray:
        """Return the first instant of each step (int64 in, int64 out)."""
        if self.grain == "event":
            return steps
        if self.grain == "1h":
            return steps * HOUR_US
        unique, inverse = np.unique(steps, return_inverse=True)
        return np.array([self.start_us(int(step)) for step in unique], np.int64)[inverse]

    def ceil(self, instant_us: int) -> int:
        """Return the first step that starts at or after an instant."""
        step = self.step(instant_us)
        return step if self.start_us(step) == instant_us else step + 1

    def window(self, as_of_us: np.ndarray, window: Window, delay: Window | None = None) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the steps ``[left, right)`` of a window at each as_of; ``left`` is ``None`` for ``lifetime``.

        ``right`` is ``floor(as_of) - delay`` and ``left`` is ``right - window``: an event at exactly the floor is
        outside, one at exactly ``floor - window`` inside.

        Returns:
            ``(right, left)``: the bounds to subtract totals between, right first since it always exists.
        """
        right = self.floor(as_of_us)
        if delay is not None:
            right = right - _required(delay.steps(self.grain))
        length = window.steps(self.grain)
        return right, None if length is None else right - length


def _required(steps: int | None) -> int:
    if steps is None:
        raise DefinitionError("A delay needs a length; 'lifetime' has none.")
    return steps


@dataclass(frozen=True, order=True)
class Month:
    """A month of the business calendar: ``Month(2024, 8)``, written ``2024-08``.

    >>> Month.parse("2024-12").next()
    Month(year=2025, month=1)
    """

    year: int
    month: int

    def __post_init__(self) -> None:
        if not (1 <= self.month <= 12 and FIRST_YEAR <= self.year < LAST_YEAR):
            raise DefinitionError(f"There is no month {self.year}-{self.month} between {FIRST_YEAR} and {LAST_YEAR}.")

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"

    @classmethod
    def parse(cls, text: str | Month | date) -> Month:
        """Read ``"2024-08"`` (a day behind it is ignored), a date or a month.

        Raises:
            DefinitionError: anything else.
        """
        if isinstance(text, Month):
            return text
        if isinstance(text, date):
            return cls(text.year, text.month)
        found = re.fullmatch(r"(\d{4})-(\d{2})(-\d{2})?", str(text))
        if not found:
            raise DefinitionError(f"{text!r} is not a month. Write it as '2024-08'.")
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def of(cls, instant_us: int, timezone_name: str) -> Month:
        """Return the business month that holds an instant."""
        day = int(local_us(np.array([instant_us], np.int64), timezone_name)[0]) // DAY_US
        return cls.parse(date(1970, 1, 1) + timedelta(days=day))

    @property
    def first_day(self) -> date:
        """The month's first day."""
        return date(self.year, self.month, 1)

    def shift(self, months: int) -> Month:
        """Return the month so many months later (earlier when negative)."""
        index = self.year * 12 + self.month - 1 + months
        return Month(index // 12, index % 12 + 1)

    def next(self) -> Month:
        """Return the following month."""
        return self.shift(1)

    def window(self, clock: Clock) -> Window:
        """Return the month's length as a window: at grain ``"1d"`` its days of the calendar, else its hours.

        >>> Month(2024, 3).window(Clock("1d", "Europe/Berlin")).hours, Month(2024, 3).window(Clock("1h", "Europe/Berlin")).hours
        (744, 743)
        """
        if clock.grain == "1d":
            return Window(str(self), (self.next().first_day - self.first_day).days * 24)
        interval = self.interval(clock.timezone)
        return Window(str(self), (interval.end_us - interval.start_us) // HOUR_US)

    def interval(self, timezone_name: str) -> Interval:
        """Return ``[first instant of the month, first instant of the next)`` in a business zone."""
        bounds = [day_start_us((month.first_day - date(1970, 1, 1)).days, timezone_name) for month in (self, self.next())]
        return Interval(bounds[0], bounds[1])


def months_between(first: Month, last: Month) -> list[Month]:
    """List the months from ``first`` to ``last``, both included; empty when ``last`` is before ``first``."""
    count = (last.year - first.year) * 12 + last.month - first.month + 1
    return [first.shift(i) for i in range(count)]
