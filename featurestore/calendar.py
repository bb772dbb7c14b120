"""The retail calendar: which season a month belongs to, as a value.

Spring Festival follows the lunar year and moves between January and February; its date comes from ``lunardate``.
A month is *in* the festival when it holds the festival's first day, *before* it and *after* it are its neighbours.
The other seasons are fixed: 618 in June, Double 11 in November.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np

from featurestore.errors import DefinitionError
from featurestore.timeline import Month

ORDINARY = "ordinary"
MID_YEAR = "618"
DOUBLE_11 = "double11"
BEFORE_SPRING_FESTIVAL = "before_spring_festival"
SPRING_FESTIVAL = "spring_festival"
AFTER_SPRING_FESTIVAL = "after_spring_festival"
SEASONS = (ORDINARY, MID_YEAR, DOUBLE_11, BEFORE_SPRING_FESTIVAL, SPRING_FESTIVAL, AFTER_SPRING_FESTIVAL)


# Years whose Spring Festival the library knows.
FIRST_YEAR, LAST_YEAR = 1900, 2099


@dataclass(frozen=True)
class Season:
    """The label of a month in the retail calendar, one of ``SEASONS``."""

    label: str

    @property
    def is_festival(self) -> bool:
        """Whether the month differs from an ordinary one by the calendar alone."""
        return self.label != ORDINARY


@lru_cache(maxsize=256)
def spring_festival(year: int) -> date:
    """Return the first day of the lunar year that begins in ``year``.

    Raises:
        DefinitionError: the library does not know that year (it knows 1900 to 2099).

    >>> spring_festival(2024)
    datetime.date(2024, 2, 10)
    """
    from lunardate import LunarDate

    try:
        day: date = LunarDate(year, 1, 1).to_solar_date()
    except ValueError as error:
        raise DefinitionError(
            f"The Spring Festival of {year} is not known ({error}). Use months from {FIRST_YEAR} to {LAST_YEAR}."
        ) from error
    return day


def days_to_spring_festival(day: date) -> int:
    """Count the days from ``day`` to the nearest Spring Festival; negative after it.

    >>> days_to_spring_festival(date(2024, 2, 1))
    9
    """
    return min(((spring_festival(year) - day).days for year in (day.year - 1, day.year, day.year + 1)), key=abs)


def retail_season(month: Month | date | str) -> Season:
    """Return the season of a month.

    Args:
        month: A ``Month``, its first day, or ``"2024-11"``.

    >>> [retail_season(month).label for month in ("2023-01", "2024-01", "2024-11", "2024-08")]
    ['spring_festival', 'before_spring_festival', 'double11', 'ordinary']
    """
    this = Month.parse(month)
    festival = Month.parse(spring_festival(this.year))
    if this == festival:
        return Season(SPRING_FESTIVAL)
    if this.next() in (festival, Month.parse(spring_festival(this.next().year))):
        return Season(BEFORE_SPRING_FESTIVAL)
    if this == festival.next():
        return Season(AFTER_SPRING_FESTIVAL)
    return Season({6: MID_YEAR, 11: DOUBLE_11}.get(this.month, ORDINARY))


def year_before(days: np.ndarray) -> np.ndarray:
    """Return the day of the year before with which each day is compared (int64 days since 1970-01-01 in and out).

    From 39 days before a Spring Festival to 16 days after its first day, it is the day that lies as far from the Spring
    Festival before; on all other days it is the same date, of 29 February the 28th. The span is as wide as 12 December and
    8 March leave it, so that each festival of a fixed date is compared with itself, and no ordinary day with the weeks before
    or the holidays of the festival. Where the library knows no Spring Festival (see ``spring_festival``) dates alone count.

    >>> days = np.array(["2024-11-11", "2024-02-10", "2024-02-29"], "datetime64[D]")
    >>> year_before(days.astype(np.int64)).astype("datetime64[D]").tolist()
    [datetime.date(2023, 11, 11), datetime.date(2023, 1, 22), datetime.date(2023, 2, 28)]
    """
    dates = days.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    of_month = (dates - months.astype("datetime64[D]")).astype(np.int64)
    lengths = ((months - 11).astype("datetime64[D]") - (months - 12).astype("datetime64[D]")).astype(np.int64)
    same_date = (months - 12).astype("datetime64[D]").astype(np.int64) + np.minimum(of_month, lengths - 1)
    festivals = _spring_festivals()
    nth = np.searchsorted(festivals - _DAYS_COMPARED[0], days, side="right") - 1
    since = days - festivals[np.maximum(nth, 1)]
    by_moon: np.ndarray = festivals[np.maximum(nth, 1) - 1] + since
    return np.where((nth >= 1) & (since <= _DAYS_COMPARED[1]), by_moon, same_date)


@lru_cache(maxsize=1)
def _spring_festivals() -> np.ndarray:
    """Return the first day of every Spring Festival that the library knows, ascending, in days since 1970-01-01."""
    days = [spring_festival(year) for year in range(FIRST_YEAR, LAST_YEAR + 1)]
    return np.array(days, "datetime64[D]").astype(np.int64)


# Days before the festival's first day and after it that are compared by their distance from it.
_DAYS_COMPARED = (39, 16)


def is_peak_day(day: date) -> bool:
    """Tell whether a shop must replan several times on a day: 618, Double 11, and the week before Spring Festival.

    >>> [is_peak_day(date(2024, month, day)) for month, day in ((6, 18), (11, 10), (2, 4), (8, 8))]
    [True, True, True, False]
    """
    return (day.month, day.day) in _PEAKS or 0 < days_to_spring_festival(day) <= _DAYS_BEFORE_SPRING_FESTIVAL


_PEAKS = {(6, 16), (6, 17), (6, 18), (11, 9), (11, 10), (11, 11), (11, 12)}
_DAYS_BEFORE_SPRING_FESTIVAL = 7
