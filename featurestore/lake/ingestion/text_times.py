"""Times and dates that are written as text: what they say, or why they cannot be understood.

    date    2024-01-05, 2024/1/5, 2024.01.05, 20240105; 5 Jan 2024, January 5, 2024, Fri, 05 Jan 2024
    time    T or a blank, then 10:00, 10:00:30, 10:00:30.123456789 (cut to microseconds), 1000, 100030, 24:00 (the day's end)
    half    AM, PM, a.m., p.m.: hours 1 to 12 only
    zone    Z, UTC, GMT; +8, +08, +0800, +08:00, UTC+8; Asia/Shanghai, Etc/GMT-8; +08:00[Asia/Shanghai]

Nothing else is understood, and nothing is left out: a text with one word more is refused as a whole. So is a date whose day and
month could be either (05/01/2024), an abbreviation that means several zones (CST, IST, EST) and a leap second.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from enum import IntEnum
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from featurestore.timeline import from_us, to_us

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTH = (
    "(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    "|nov(?:ember)?|dec(?:ember)?)"
)
_WEEKDAY = "(?:(?P<weekday>mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?,? )?"
_YEAR, _DAY = r"(?P<year>\d{4})(?!\d)", r"(?P<day>\d{1,2})(?!\d)"
_DATES = tuple(
    re.compile(pattern, re.IGNORECASE | re.ASCII)
    for pattern in (
        rf"{_YEAR}(?P<mark>[-/.])(?P<month>\d{{1,2}})(?P=mark){_DAY}",
        r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)(?!\d)",
        rf"{_WEEKDAY}{_DAY}(?P<mark>[ -]){_MONTH}(?P=mark){_YEAR}",
        rf"{_WEEKDAY}{_MONTH} {_DAY},? {_YEAR}",
    )
)
_EITHER_ORDER = re.compile(r"\d{1,2}([-/.])\d{1,2}\1(?:\d{4}|\d\d)(?!\d)")
_TIME = re.compile(
    r"(?P<mark>T|,? )(?P<hour>\d\d?)(?!\d)(?::(?P<minute>\d\d)(?!\d)(?::(?P<second>\d\d)(?!\d)(?:[.,](?P<fraction>\d+))?)?)?",
    re.IGNORECASE | re.ASCII,
)
_BASIC_TIME = re.compile(
    r"(?P<mark>T)(?P<hour>\d\d)(?P<minute>\d\d)(?:(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?(?!\d)", re.IGNORECASE | re.ASCII
)
_HALF = re.compile(r" ?([ap])(?:m|\.m\.)(?![a-z.])", re.IGNORECASE)
_ZERO = re.compile("(?:UTC|GMT|UT|Z)", re.IGNORECASE)
_OFFSET = re.compile(
    r"(?:UTC|GMT)? ?(?P<sign>[+-])(?:(?P<hours>\d\d?)(?::(?P<minutes>\d\d)(?::(?P<seconds>\d\d))?)?|(?P<digits>\d{4}|\d{6}))",
    re.IGNORECASE | re.ASCII,
)
_BARE_OFFSET = re.compile("[+-][0-9]+")
_BRACKETED = re.compile(r"(?P<offset>[^\[\]]*)\[(?P<name>[^\[\]]+)\]")
_PLACE = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)+")
_ABBREVIATION = re.compile("[A-Z]{2,5}")
_MAX_OFFSET = timedelta(hours=16)
_MICROSECOND_DIGITS = 6
_MAX_LENGTH = 200


class Fault(IntEnum):
    """Why a text is no time, or no date."""

    UNPARSABLE = 0
    WORDS = 1
    ABBREVIATION = 2
    UNKNOWN_ZONE = 3
    EITHER_ORDER = 4
    LEAP_SECOND = 5
    TIME_OF_DAY = 6


_INSTEAD = "write an offset such as +08:00, or a name such as Asia/Shanghai"
REASONS = {
    Fault.UNPARSABLE: "unparsable {column}",
    Fault.WORDS: "words behind the time in {column}",
    Fault.ABBREVIATION: "abbreviation of several zones in {column}: " + _INSTEAD,
    Fault.UNKNOWN_ZONE: "unknown zone in {column}: " + _INSTEAD,
    Fault.EITHER_ORDER: "day and month in either order in {column}: write year-month-day",
    Fault.LEAP_SECOND: "leap second in {column}",
    Fault.TIME_OF_DAY: "time of day in the date {column}",
}
"""Reasons of the quarantine; ``{column}`` is the column's name."""


@dataclass(frozen=True)
class TextTime:
    """What a text says.

    Args:
        us: Microseconds since 1970: of UTC where the text names a zone or an offset, else of a wall clock.
        is_naive: Whether it names neither.
        is_repeated: Whether the clocks of the zone that it names show it twice; ``us`` is the first.
        is_skipped: Whether the clocks of the zone that it names skip it; ``us`` is later by what was skipped.
    """

    us: int
    is_naive: bool = False
    is_repeated: bool = False
    is_skipped: bool = False


def read_time(text: str) -> TextTime | Fault | None:
    """Read the text of a time; ``None`` for one of blanks.

    >>> read_time("2024-01-05 10:00:00 PM").us == read_time("2024-01-05T22:00").us
    True
    >>> read_time("2024-01-05 10:00 CST").name
    'ABBREVIATION'
    """
    words = " ".join(text.split())
    if not words:
        return None
    read = _read_clock(words) if len(words) < _MAX_LENGTH else Fault.UNPARSABLE
    if isinstance(read, Fault):
        return read
    clock, rest = read
    try:
        if bracketed := _BRACKETED.fullmatch(rest):
            return _placed_twice(clock, bracketed["offset"].strip(), bracketed["name"])
        zone = _read_zone(rest)
        return zone if isinstance(zone, Fault) else _placed(clock, zone)
    except (OverflowError, ValueError):
        return Fault.UNPARSABLE


def read_day(text: str) -> int | Fault | None:
    """Read the text of a date as days since 1970: the day that it writes, with midnight behind it at most.

    >>> read_day("1970-01-02"), read_day("1970-01-02T00:00:00Z"), read_day("1970-01-02 10:00").name
    (1, 1, 'TIME_OF_DAY')
    """
    words = " ".join(text.split())
    if not words:
        return None
    read = _read_clock(words) if len(words) < _MAX_LENGTH else Fault.UNPARSABLE
    if isinstance(read, Fault):
        return read
    clock, rest = read
    zone = _read_zone(rest)
    if isinstance(zone, Fault):
        return zone
    since = clock - datetime(1970, 1, 1)
    return Fault.TIME_OF_DAY if since.seconds or since.microseconds else since.days


def _read_clock(text: str) -> tuple[datetime, str] | Fault:
    """Read the wall clock at the beginning; what follows it is a zone, or nothing that is understood."""
    found = next((match for pattern in _DATES if (match := pattern.match(text))), None)
    if found is None:
        return Fault.EITHER_ORDER if _EITHER_ORDER.match(text) else Fault.UNPARSABLE
    try:
        day = _day(found)
    except ValueError:
        return Fault.UNPARSABLE
    midnight = datetime(day.year, day.month, day.day)
    rest = text[found.end() :]
    time = _TIME.match(rest) or _BASIC_TIME.match(rest)
    if time is None:
        return Fault.UNPARSABLE if _BARE_OFFSET.fullmatch(rest.strip()) else (midnight, rest.strip())
    rest = rest[time.end() :]
    half = _HALF.match(rest)
    rest = rest[half.end() if half else 0 :].strip()
    # An hour alone is one behind T, or before AM and PM; numbers behind it may be minutes.
    is_hour_alone = time["minute"] is None and half is None
    if is_hour_alone and (time["mark"] not in ("T", "t") or _BARE_OFFSET.match(rest)):
        return Fault.UNPARSABLE
    elapsed = _elapsed(time, half)
    if isinstance(elapsed, Fault):
        return elapsed
    try:
        return midnight + elapsed, rest
    except OverflowError:
        return Fault.UNPARSABLE


def _day(found: re.Match[str]) -> date:
    parts = found.groupdict()
    month = parts["month"].lower()
    number = int(month) if month.isdigit() else _MONTHS.index(month[:3]) + 1
    day = date(int(parts["year"]), number, int(parts["day"]))
    if parts.get("weekday") and _DAYS.index(parts["weekday"].lower()[:3]) != day.weekday():
        raise ValueError(f"{day} is no {parts['weekday']}")
    return day


def _elapsed(time: re.Match[str], half: re.Match[str] | None) -> timedelta | Fault:
    """Return how long after midnight a wall clock shows a time; 24:00 is the day's end."""
    hour, minute, second = (int(time[part] or 0) for part in ("hour", "minute", "second"))
    if half is not None:
        if not 1 <= hour <= 12:
            return Fault.UNPARSABLE
        hour = hour % 12 + (12 if half[1] in "pP" else 0)
    micros = int((time["fraction"] or "")[:_MICROSECOND_DIGITS].ljust(_MICROSECOND_DIGITS, "0"))
    if (hour, minute, second) == (23, 59, 60):
        return Fault.LEAP_SECOND
    is_end = hour == 24 and not (minute or second or (time["fraction"] or "").strip("0"))
    if (hour > 23 and not is_end) or minute > 59 or second > 59:
        return Fault.UNPARSABLE
    return timedelta(hours=hour, minutes=minute, seconds=second, microseconds=micros)


@lru_cache(maxsize=1024)
def _read_zone(text: str) -> timezone | ZoneInfo | Fault | None:
    """Read what stands behind a time; ``None`` where nothing does."""
    if not text:
        return None
    if _ZERO.fullmatch(text):
        return timezone.utc
    if offset := _OFFSET.fullmatch(text):
        return _offset(offset)
    if text in _zone_names():
        return ZoneInfo(text)
    if _ABBREVIATION.fullmatch(text):
        return Fault.ABBREVIATION
    return Fault.UNKNOWN_ZONE if _PLACE.fullmatch(text) else Fault.WORDS


def _offset(found: re.Match[str]) -> timezone | Fault:
    digits = found["digits"]
    parts = (digits[:2], digits[2:4], digits[4:]) if digits else (found["hours"], found["minutes"], found["seconds"])
    hours, minutes, seconds = (int(part or 0) for part in parts)
    length = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    if minutes > 59 or seconds > 59 or length >= _MAX_OFFSET:
        return Fault.UNKNOWN_ZONE
    return timezone(-length if found["sign"] == "-" else length)


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    """Name the zones whose names say where: those without a place are abbreviations (EST, MET) or mean several (PRC)."""
    return frozenset(name for name in available_timezones() if "/" in name)


def _placed(clock: datetime, zone: timezone | ZoneInfo | None) -> TextTime:
    """Place a wall clock in the zone that stands behind it, as PEP 495 reads it with ``fold=0``."""
    if zone is None:
        return TextTime(to_us(clock), is_naive=True)
    first = clock.replace(tzinfo=zone)
    before, after = (first.replace(fold=fold).utcoffset() or timedelta() for fold in (0, 1))
    return TextTime(to_us(clock) - before // timedelta(microseconds=1), is_repeated=before > after, is_skipped=before < after)


def _placed_twice(clock: datetime, offset: str, name: str) -> TextTime | Fault:
    """Place a wall clock behind which an offset, or nothing, and a zone in brackets stand; both must agree."""
    zone, at = _read_zone(name), _read_zone(offset)
    if isinstance(zone, Fault) or isinstance(at, Fault):
        return zone if isinstance(zone, Fault) else at  # type: ignore[return-value]
    read = _placed(clock, at or zone)
    agrees = at is None or zone is None or from_us(read.us).astimezone(zone).replace(tzinfo=None) == clock
    return read if agrees else Fault.UNKNOWN_ZONE
