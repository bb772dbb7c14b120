"""The naive answer: a double loop over spine rows and events, with zoneinfo and Python integers. Slow and plain on purpose."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta, timezone
from fractions import Fraction
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from featurestore.spec import SeasonWindow, YearBefore
from featurestore.timeline import Offset

UTC = timezone.utc
Window = str | Offset | SeasonWindow | YearBefore
# First days of Spring Festivals, as published.
FESTIVALS = [
    date(2015, 2, 19), date(2016, 2, 8), date(2017, 1, 28), date(2018, 2, 16), date(2019, 2, 5), date(2020, 1, 25),
    date(2021, 2, 12), date(2022, 2, 1), date(2023, 1, 22), date(2024, 2, 10), date(2025, 1, 29),
]  # fmt: skip
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def floor_step(moment: datetime, grain: str, zone: str):
    """Step of a moment: a date, an hour number, or the moment itself."""
    if grain == "1d":
        return moment.astimezone(ZoneInfo(zone)).date()
    if grain == "1h":
        return int((moment - EPOCH).total_seconds() // 3600)
    return moment


def back(step, hours: int, grain: str):
    """The step that lies so many hours of window before."""
    if grain == "1d":
        return step - timedelta(days=hours // 24)
    return step - hours if grain == "1h" else step - timedelta(hours=hours)


@cache
def first_instant(step, grain: str, zone: str) -> datetime:
    if grain == "1d":
        return datetime(step.year, step.month, step.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    return EPOCH + timedelta(hours=step) if grain == "1h" else step


def hours_of(window: str) -> int | None:
    if window == "lifetime":
        return None
    return int(window[:-1]) * {"h": 1, "d": 24, "y": 24 * 365}[window[-1]]


def steps_of(events: list[dict], *, grain: str, zone: str, time: str) -> list[tuple[object, dict]]:
    """Each event that has a time with its step, in order of time, ties by id."""
    found = sorted((event for event in events if event[time] is not None), key=lambda event: (event[time], event["event_id"]))
    return [(floor_step(event[time], grain, zone), event) for event in found]


def right_step(as_of: datetime, *, grain: str, zone: str, delay: str | None):
    """The step behind a plain window: ``floor(as_of) - delay``."""
    right = floor_step(as_of, grain, zone)
    return back(right, hours_of(delay), grain) if delay else right


def steps_in_window(
    stepped: list[tuple[object, dict]], as_of: datetime, window: Window, *, grain: str, zone: str, delay: str | None
) -> list[tuple[object, dict]]:
    """The events with ``floor(as_of) - delay - window <= step < floor(as_of) - delay``; see ``holds`` for other windows.

    Each comes with its step.
    """
    floor, hours = floor_step(as_of, grain, zone), hours_of(delay) if delay else 0
    return [(step, event) for step, event in stepped if holds(window, step, floor, hours, grain, zone)]


def in_window(stepped: list[tuple[object, dict]], as_of: datetime, window: Window, **options) -> list[dict]:
    """The events of a window; see ``steps_in_window``."""
    return [event for _, event in steps_in_window(stepped, as_of, window, **options)]


def holds(window: Window, step, floor, delay_hours: int, grain: str, zone: str) -> bool:
    """Whether a window, moved back by a delay, holds a step."""
    if isinstance(window, Offset):
        return holds(window.window, step, floor, delay_hours + hours_of(window.by), grain, zone)
    if isinstance(window, YearBefore):
        return holds(window.window, step, a_year_before(floor, delay_hours, grain, zone), delay_hours, grain, zone)
    right = back(floor, delay_hours, grain)
    if isinstance(window, SeasonWindow):
        month, now = (year_month(first_instant(each, grain, zone), zone) for each in (step, right))
        return month in complete_seasons(window.season, now)[: window.years]
    if step >= right:
        return False
    if window in ("ytd", "mtd"):
        parts = 1 if window == "ytd" else 2
        month, now = (year_month(first_instant(each, grain, zone), zone) for each in (back(step, -delay_hours, grain), floor))
        return month[:parts] == now[:parts]
    hours = hours_of(window)
    return hours is None or step >= back(right, hours, grain)


@cache
def a_year_before(floor, delay_hours: int, grain: str, zone: str):
    """The floor as far behind the counterpart of the day that holds the window's last step as it is behind that day."""
    smallest = {"1d": timedelta(days=1), "1h": 1, "event": timedelta(microseconds=1)}[grain]
    last = first_instant(back(floor, delay_hours, grain) - smallest, grain, zone)
    day = last.astimezone(ZoneInfo(zone)).date()
    return floor - (first_step(day, grain, zone) - first_step(counterpart(day), grain, zone))


def counterpart(day: date) -> date:
    """The day of the year before by the distance from the Spring Festival if that is near, else of the same date."""
    for before, festival in pairwise(FESTIVALS):
        if -39 <= (day - festival).days <= 16:
            return before + (day - festival)
    is_leap_day = (day.month, day.day) == (2, 29)
    return date(day.year - 1, day.month, 28 if is_leap_day else day.day)


def first_step(day: date, grain: str, zone: str):
    """The first step that starts on a day, found by trying."""
    step = floor_step(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)), grain, zone)
    if grain == "1h" and first_instant(step, grain, zone).astimezone(ZoneInfo(zone)).date() < day:
        return step + 1
    return step


@cache
def year_month(moment: datetime, zone: str) -> tuple[int, int]:
    local = moment.astimezone(ZoneInfo(zone))
    return local.year, local.month


@cache
def complete_seasons(season: str, now: tuple[int, int]) -> list[tuple[int, int]]:
    """The months of a season before the present one, the latest first, back to 2015."""
    months = [(year, month) for year in range(now[0], 2014, -1) for month in range(12, 0, -1)]
    return [month for month in months if month < now and season_of(month) == season]


def season_of(month: tuple[int, int]) -> str:
    """The season of a month, by the published months of the Spring Festival."""
    index, festivals = month[0] * 12 + month[1], {day.year * 12 + day.month for day in FESTIVALS}
    for label, shift in (("spring_festival", 0), ("before_spring_festival", 1), ("after_spring_festival", -1)):
        if index + shift in festivals:
            return label
    return {6: "618", 11: "double11"}.get(month[1], "ordinary")


def count(events):
    return len(events)


def total(events, column):
    values = [event[column] for event in events if event[column] is not None]
    if any(isinstance(value, float) for value in values):
        return float(sum(Fraction(round(Fraction(value) * 2**64), 2**64) for value in values))
    return sum(values)


def mean(events, column):
    values = [event[column] for event in events if event[column] is not None]
    return total(events, column) / len(values) if values else None


def values_of(events, column):
    """The values that are not NULL, exact: doubles as multiples of 2^-64."""
    found = [event[column] for event in events if event[column] is not None]
    return [Fraction(round(Fraction(value) * 2**64), 2**64) if isinstance(value, float) else Fraction(value) for value in found]


def variance(events, column):
    values = values_of(events, column)
    if len(values) < 2:
        return None
    middle = sum(values) / len(values)
    return float(sum((value - middle) ** 2 for value in values) / (len(values) - 1))


def deviation(events, column):
    found = variance(events, column)
    return None if found is None else found**0.5


def days_of(step, grain: str) -> Fraction:
    """Days since 1970, as least squares takes them."""
    if grain == "1d":
        return Fraction((step - date(1970, 1, 1)).days)
    if grain == "1h":
        return Fraction(step, 24)
    return Fraction((step - EPOCH) // timedelta(microseconds=1), 86_400_000_000)


def slope(stepped, column, grain):
    """Least-squares slope per day of ``(step, event)`` pairs."""
    present = [(days_of(step, grain), event) for step, event in stepped if event[column] is not None]
    if len({day for day, _ in present}) < 2:
        return None
    values = values_of([event for _, event in present], column)
    days = [day for day, _ in present]
    day, value = sum(days) / len(days), sum(values) / len(values)
    above = sum((d - day) * (x - value) for d, x in zip(days, values, strict=True))
    return float(above / sum((d - day) ** 2 for d in days))


def extreme(events, column, choose):
    return choose((event[column] for event in events if event[column] is not None), default=None)


def first(events, column):
    values = [event[column] for event in events if event[column] is not None]
    return values[0] if values else None


def decayed(stepped, right, column, half_life, grain):
    """Sum of ``x * 2^-(age / half-life)`` at a step ``right``; events count one each where ``column`` is None."""
    days = Fraction(hours_of(half_life), 24)
    present = [(step, event) for step, event in stepped if column is None or event[column] is not None]
    return math.fsum(
        (1.0 if column is None else float(event[column])) * 2.0 ** -float((days_of(right, grain) - days_of(step, grain)) / days)
        for step, event in present
    )


def last(events, column):
    values = [event[column] for event in events if event[column] is not None]
    return values[-1] if values else None


def recency(events, row, *, grain, zone, time, delay=None):
    if not events:
        return None
    right = floor_step(row["as_of"], grain, zone)
    if delay:
        right = back(right, hours_of(delay), grain)
    return (first_instant(right, grain, zone) - events[-1][time]) / timedelta(days=1)


def profile(events, time, zone, by):
    counts = [0] * {"hour_of_week": 168, "hour_of_day": 24, "day_of_week": 7}[by]
    for event in events:
        local = event[time].astimezone(ZoneInfo(zone))
        hour, day = local.hour, local.weekday()
        counts[{"hour_of_week": day * 24 + hour, "hour_of_day": hour, "day_of_week": day}[by]] += 1
    return counts


def distinct(events, column):
    return len({event[column] for event in events} - {None})


def is_quantile(found, events, column, q, error):
    """Whether a value lies within the relative error of the one at rank floor(q * (n - 1))."""
    values = sorted(event[column] for event in events if event[column] is not None)
    if not values or found is None:
        return not values and found is None
    exact = values[math.floor(q * (len(values) - 1))]
    return abs(found - exact) <= error * abs(exact)


def month_of(moment: datetime, zone: str) -> str:
    local: date = moment.astimezone(ZoneInfo(zone)).date()
    return f"{local:%Y-%m}"
