"""How callers write moments, months, lengths and intervals: read in one place for all verbs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np

from featurestore.errors import DefinitionError
from featurestore.timeline.instants import HOUR_US, UTC, Interval, day_start_us, instants_us, to_us
from featurestore.timeline.month import Month
from featurestore.timeline.windows import length_steps

Moment = datetime | date | str | Month
Months = Month | date | str | Iterable[Month | date | str]


def month_list(months: Months, timezone: str) -> list[Month]:
    """List one month or several, ascending, each once; see ``month_of``.

    Raises:
        DefinitionError: there is none.
    """
    named = [months] if isinstance(months, str | Month | date) else list(months)
    if not named:
        raise DefinitionError("No month was given. Name at least one, such as '2024-08'.")
    return sorted({month_of(month, timezone) for month in named})


def month_of(month: Month | date | str, timezone: str) -> Month:
    """Return the business month that is named, or that holds a datetime with a zone.

    >>> month_of(datetime(2024, 7, 31, 20, tzinfo=UTC), "Asia/Shanghai"), month_of("2024-07-31", "Asia/Shanghai")
    (Month(year=2024, month=8), Month(year=2024, month=7))
    """
    if isinstance(month, datetime) and month.utcoffset() is not None:
        return Month.of(to_us(month), timezone)
    return Month.parse(month)


def length_us(length: str | timedelta) -> int:
    """Convert a length such as ``"6h"``, ``"2d"`` or a timedelta to microseconds.

    Raises:
        DefinitionError: it is neither.
    """
    if isinstance(length, timedelta):
        return length // timedelta(microseconds=1)
    try:
        return length_steps(length, "1h") * HOUR_US
    except DefinitionError as error:
        raise DefinitionError(f"{length!r} is no length of time. Write '6h', '2d' or '1y', or give a timedelta.") from error


def instant_us(moment: Moment, timezone: str, *, days_in: str | None = None) -> int:
    """Convert a datetime, a date, a month or ISO text to microseconds UTC.

    Args:
        moment: A date, a month and the text of one are their first instant. A time that names no zone and that the clocks show
            twice is the first of the two, one that they skip moves forward by what was skipped (PEP 495, ``fold=0``).
        timezone: The zone of what names none.
        days_in: The zone of dates and months, where that is another.

    Raises:
        DefinitionError: it is none of these, or NaT.
    """
    if isinstance(moment, str):
        moment = _parsed(moment)
    days_in = days_in or timezone
    if isinstance(moment, Month):
        return moment.interval(days_in).start_us
    if not isinstance(moment, date) or moment != moment:  # NaT of pandas is a datetime that equals nothing
        raise DefinitionError(f"{moment!r} is not a moment. Give a datetime, a date, a month or ISO text.")
    if not isinstance(moment, datetime):
        return day_start_us((moment - date(1970, 1, 1)).days, days_in)
    if moment.utcoffset() is not None:
        return to_us(moment)
    return int(instants_us(np.array([to_us(moment.replace(tzinfo=UTC))], np.int64), timezone)[0])


def _parsed(text: str) -> date | Month:
    """Read ISO text: a date or a month if it says no more, else a datetime, with the zone that it names or without one."""
    if re.fullmatch(r"\d{4}-\d{2}", text):
        return Month.parse(text)
    for kind in (date, datetime):
        with suppress(ValueError):
            return kind.fromisoformat(text)
    raise DefinitionError(
        f"{text!r} is not a moment. Write '2024-08', '2024-08-31' or an ISO timestamp such as '2024-08-31T12:00:00+08:00'."
    )


def month_after(interval: Interval | tuple[Any, Any], timezone: str, *, naive_timezone: str) -> Month:
    """Return the first business month that a half-open interval does not touch.

    Args:
        interval: An interval, or ``(start, end)`` of months, dates or datetimes.
        timezone: The business zone, in which dates and months start.
        naive_timezone: The zone of datetimes that name none.

    Raises:
        DefinitionError: it is neither, or empty.
    """
    if not isinstance(interval, Interval):
        if not isinstance(interval, tuple | list) or len(interval) != 2:
            raise DefinitionError(f"interval is {interval!r}; give (start, end) of months, dates or datetimes.")
        interval = Interval(*(instant_us(edge, naive_timezone, days_in=timezone) for edge in interval))
    if interval.start_us == interval.end_us:
        raise DefinitionError(f"The interval {interval} is empty: its end is not part of it.")
    return Month.of(interval.end_us - 1, timezone).next()
