"""The wall clock in expressions: SQL that reads an instant on the clock of a zone, and SQL that places what a clock shows.

In UTC everything is written as it was before stores had a clock of their own, so that the totals of those stores keep their names.
"""

from __future__ import annotations

from datetime import date, datetime

from featurestore.timeline import from_us
from featurestore.timeline.arguments import instant_us

_UTC = "UTC"
# DuckDB takes the second of two hours that a clock shows twice; the first is a day after what it showed the day before, if the
# clock then shows the same. It moves what a clock skips forward, as wanted.
_PLACED = (
    "(list_transform([{wall}], lambda wall__: CASE "
    "WHEN timezone({zone}, timezone({zone}, wall__ - INTERVAL 1 DAY) + INTERVAL 24 HOUR) = wall__ "
    "THEN timezone({zone}, wall__ - INTERVAL 1 DAY) + INTERVAL 24 HOUR ELSE timezone({zone}, wall__) END))[1]"
)


def shown(instant_sql: str, timezone: str) -> str:
    """Write what the clock of a zone shows at an instant: a TIMESTAMP, or the instant itself in UTC, where it says the same.

    >>> print(shown('"at"', "Asia/Shanghai"))
    timezone('Asia/Shanghai', "at")
    """
    return instant_sql if timezone == _UTC else f"timezone({_text(timezone)}, {instant_sql})"


def placed(wall_sql: str, timezone: str) -> str:
    """Write the instant at which the clock of a zone shows a TIMESTAMP or DATE (its midnight).

    What it shows twice is the first of the two, what it skips moves forward by what was skipped (PEP 495, ``fold=0``).
    """
    if timezone == _UTC:
        return f"CAST({wall_sql} AS TIMESTAMPTZ)"
    return _PLACED.format(wall=f"CAST({wall_sql} AS TIMESTAMP)", zone=_text(timezone))


def moment_literal(text: str, timezone: str) -> str:
    """Write ISO text as an instant; a date is the first of its day, and what names no zone is in this one.

    Raises:
        ValueError: it is no ISO text.
    """
    try:
        moment = date.fromisoformat(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
    instant = instant_us(moment, timezone)
    try:
        return f"TIMESTAMPTZ '{from_us(instant).isoformat(sep=' ')}'"
    except OverflowError:  # beyond the years of Python, by the hours between the zone and UTC
        return f"make_timestamptz({instant})"


def _text(timezone: str) -> str:
    return "'" + timezone.replace("'", "''") + "'"
