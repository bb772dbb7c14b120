"""Times that a source does not read as they are: numbers since 1970, and dates whose day and month could be either.

A mapping says how they are meant. Which comes first of day and month is told by a day beyond the twelfth; where none is in sight, it
is asked, or must be said.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import product

from featurestore.timeline import EPOCH

EPOCHS = {"s": 1, "ms": 1_000, "us": 1_000_000}
"""Unit to how many of them are a second."""
_FIRST_S, _LAST_S = 315_532_800, 4_102_444_800  # 1980 to 2100
_DAYS = tuple("".join(parts) for mark in "/-." for parts in ((f"%d{mark}%m{mark}%Y",), (f"%m{mark}%d{mark}%Y",)))
_CLOCKS = ("", " %H:%M", " %H:%M:%S", "T%H:%M:%S", " %I:%M %p", " %I:%M:%S %p")


def unit_of(values: Sequence[int]) -> str | None:
    """Return ``s``, ``ms`` or ``us`` where all numbers are instants of our time in it.

    >>> unit_of([1260759144]), unit_of([1260759144000]), unit_of([7, 1260759144]), unit_of([])
    ('s', 'ms', None, None)
    """
    for unit, factor in EPOCHS.items():
        if values and all(_FIRST_S * factor <= value < _LAST_S * factor for value in values):
            return unit
    return None


def formats_of(values: Sequence[str]) -> tuple[str, ...]:
    """Return the formats, as ``strptime`` has them, in which all of some texts are times: two where day and month could be either.

    >>> formats_of(["12/1/2010 8:26", "12/31/2010 9:00"]), formats_of(["05.01.2024"])
    (('%m/%d/%Y %H:%M',), ('%d.%m.%Y', '%m.%d.%Y'))
    """
    formats = (day + clock for clock, day in product(_CLOCKS, _DAYS))
    return tuple(each for each in formats if values and all(moment(value, each) is not None for value in values))


def moment(value: str, form: str) -> datetime | None:
    """Read a text by a format; ``None`` if it is written otherwise."""
    try:
        return datetime.strptime(value.strip(), form)
    except ValueError:
        return None


def instant(value: int, unit: str) -> datetime:
    """Return the instant that a number since 1970 stands for, in UTC."""
    return (EPOCH + timedelta(microseconds=value * (1_000_000 // EPOCHS[unit]))).replace(tzinfo=None)
