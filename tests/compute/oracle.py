"""The naive answer: a double loop over spine rows and events, with zoneinfo and Python integers. Slow and plain on purpose."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from fractions import Fraction
from zoneinfo import ZoneInfo

UTC = timezone.utc
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


def in_window(
    stepped: list[tuple[object, dict]], as_of: datetime, window: str, *, grain: str, zone: str, delay: str | None
) -> list[dict]:
    """The events with ``floor(as_of) - delay - window <= step < floor(as_of) - delay``."""
    right = floor_step(as_of, grain, zone)
    if delay:
        right = back(right, hours_of(delay), grain)
    hours = hours_of(window)
    left = None if hours is None else back(right, hours, grain)
    return [event for step, event in stepped if step < right and (left is None or step >= left)]


def count(events):
    return len(events)


def total(events, column):
    values = [event[column] for event in events if event[column] is not None]
    if any(isinstance(value, float) for value in values):
        return float(sum(Fraction(round(Fraction(value) * 2**40), 2**40) for value in values))
    return sum(values)


def mean(events, column):
    values = [event[column] for event in events if event[column] is not None]
    return total(events, column) / len(values) if values else None


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


def month_of(moment: datetime, zone: str) -> str:
    local: date = moment.astimezone(ZoneInfo(zone)).date()
    return f"{local:%Y-%m}"
