"""Months of the business calendar."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import numpy as np

from featurestore.errors import DefinitionError
from featurestore.timeline.clock import Clock
from featurestore.timeline.instants import DAY_US, HOUR_US, Interval, day_start_us, local_us
from featurestore.timeline.windows import Window

# Years that a month may have: wider than the times that ingest accepts (1800 to 2299).
FIRST_YEAR, LAST_YEAR = 1790, 2310


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
        """Read ``"2024-08"`` (a day after it is ignored), a date or a month.

        Raises:
            DefinitionError: anything else.
        """
        if isinstance(text, Month):
            return text
        if isinstance(text, date):
            return cls(text.year, text.month)
        return _parsed(str(text))

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


@lru_cache(maxsize=4_096)
def _parsed(text: str) -> Month:
    parts = re.fullmatch(r"(\d{4})-(\d{2})(-\d{2})?", text)
    if not parts:
        raise DefinitionError(f"{text!r} is not a month. Write it as '2024-08'.")
    return Month(int(parts[1]), int(parts[2]))


def months_between(first: Month, last: Month) -> list[Month]:
    """List the months from ``first`` to ``last``, both included; empty when ``last`` is before ``first``."""
    count = (last.year - first.year) * 12 + last.month - first.month + 1
    return [first.shift(i) for i in range(count)]
