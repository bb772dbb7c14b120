"""How callers write moments, months, lengths and intervals: read in one place for all verbs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

from featurestore.errors import DefinitionError
from featurestore.timeline.instants import HOUR_US, Interval, day_start_us, to_us
from featurestore.timeline.month import Month
from featurestore.timeline.windows import length_steps

Moment = datetime | date | str | Month
Months = Month | date | str | Iterable[Month | date | str]


def month_list(months: Months) -> list[Month]:
    """List one month or several, ascending, each once.

    Raises:
        DefinitionError: there is none.
    """
    named = [months] if isinstance(months, str | Month | date) else list(months)
    if not named:
        raise DefinitionError("No month was given. Name at least one, such as '2024-08'.")
    return sorted({Month.parse(month) for month in named})


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


def instant_us(moment: Moment, timezone: str = "UTC") -> int:
    """Convert a datetime, a date, a month or ISO text to microseconds UTC; dates and months start in ``timezone``.

    Raises:
        DefinitionError: it is none of these.
    """
    if isinstance(moment, str):
        if len(moment) == 7:
            return Month.parse(moment).interval(timezone).start_us
        try:
            moment = date.fromisoformat(moment) if len(moment) == 10 else datetime.fromisoformat(moment)
        except ValueError as error:
            raise DefinitionError(f"{moment!r} is not a moment. Write '2024-08', '2024-08-31' or an ISO timestamp.") from error
    if isinstance(moment, Month):
        return moment.interval(timezone).start_us
    if isinstance(moment, datetime):
        return to_us(moment)
    if not isinstance(moment, date):
        raise DefinitionError(f"{moment!r} is not a moment. Give a datetime, a date, a month or ISO text.")
    return day_start_us((moment - date(1970, 1, 1)).days, timezone)


def month_after(interval: Interval | tuple[Any, Any], timezone: str) -> Month:
    """Return the first business month that a half-open interval does not touch.

    Args:
        interval: An interval, or ``(start, end)`` of months, dates or datetimes.
        timezone: The business zone, in which dates and months start.

    Raises:
        DefinitionError: it is neither, or empty.
    """
    if not isinstance(interval, Interval):
        if not isinstance(interval, tuple | list) or len(interval) != 2:
            raise DefinitionError(f"interval is {interval!r}; give (start, end) of months, dates or datetimes.")
        interval = Interval(*(instant_us(edge, timezone) for edge in interval))
    if interval.start_us == interval.end_us:
        raise DefinitionError(f"The interval {interval} is empty: its end is not part of it.")
    return Month.of(interval.end_us - 1, timezone).next()
