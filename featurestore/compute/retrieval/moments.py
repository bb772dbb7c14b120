"""The as_of column of a spine: timestamps, dates or ISO texts, with a zone or in the store's, become instants."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.errors import DefinitionError, SpineError
from featurestore.timeline import DAY_US, day_starts_us, instants_us, to_us
from featurestore.timeline.arguments import instant_us

NAIVE_TIMES = b"featurestore.naive_times"
"""Key in an answer's schema: the zone that an as_of without one was read in."""
_FIRST_AS_OF_US = to_us(datetime(1, 1, 1))
_END_AS_OF_US = to_us(datetime(9999, 12, 31)) + DAY_US


def instants_of(column: pa.Array, name: str, timezone: str) -> pa.Array:
    """Convert an as_of column to int64 microseconds UTC; NULL stays NULL, nanoseconds are cut.

    Args:
        column: Timestamps of any unit, dates (their first instant), or ISO texts of both.
        name: Of the column, for errors.
        timezone: The zone of what names none. A time that the clocks show twice is the first of the two, one that they skip moves
            forward by what was skipped.

    Raises:
        SpineError: the column is of another type, or holds a time that is none or lies outside the years 1 to 9999.
    """
    kind = column.type
    if _is_text(kind):
        return _checked(_of_texts(column, name, timezone), name)
    if pa.types.is_date(kind):
        days = _wall_clock(column.cast(pa.timestamp("ms")), name)
        return _checked(_placed(days, lambda wall: day_starts_us(wall // DAY_US, timezone)), name)
    if not pa.types.is_timestamp(kind):
        raise SpineError(f"The spine's column {name!r} is {kind}; expected timestamps, dates or ISO texts. Convert it first.")
    clock = _wall_clock(column, name)
    return clock if kind.tz is not None else _checked(_placed(clock, lambda wall: instants_us(wall, timezone)), name)


def is_naive(kind: pa.DataType) -> bool:
    """Tell whether values of a type may name no zone."""
    if pa.types.is_dictionary(kind):
        return is_naive(kind.value_type)
    return bool(pa.types.is_date(kind) or _is_text(kind) or (pa.types.is_timestamp(kind) and kind.tz is None))


def one_kind(rows: Any, name: str, timezone: str) -> Any:
    """Return a frame of pandas with instants where its as_of column mixes times, dates and texts; all else as it is.

    Arrow makes one type of such a column: it drops the hours beside a date, and reads a time without a zone as UTC beside one
    that has one.
    """
    if type(rows).__name__ != "DataFrame" or name not in rows.columns or str(getattr(rows[name], "dtype", "")) != "object":
        return rows
    values = [None if value is None or value != value else value for value in rows[name]]
    kinds = {_kind(value) for value in values if value is not None}
    if len(kinds) < 2 or None in kinds:
        return rows
    instants = [None if value is None else _instant(value, name, timezone) for value in values]
    moments = _checked(pa.array(instants, pa.int64()), name).cast(pa.timestamp("us", "UTC"))
    return rows.assign(**{name: moments.to_pandas().set_axis(rows.index)})


def _kind(value: object) -> str | None:
    if isinstance(value, datetime):
        return "naive" if value.utcoffset() is None else "aware"
    return "date" if isinstance(value, date) else "text" if isinstance(value, str) else None


def _instant(value: Any, name: str, timezone: str) -> int:
    try:
        return instant_us(value, timezone)
    except DefinitionError as error:
        raise SpineError(f"The spine's column {name!r} holds {value!r}: {error}") from error


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _of_texts(column: pa.Array, name: str, timezone: str) -> pa.Array:
    texts = column.dictionary_encode()
    known = pa.array([_instant(text, name, timezone) for text in texts.dictionary.to_pylist()], pa.int64())
    return known.take(texts.indices)


def _wall_clock(moments: pa.Array, name: str) -> pa.Array:
    """Return what timestamps say, in microseconds."""
    if moments.type.unit == "ns":
        moments = pc.floor_temporal(moments, unit="microsecond")
    try:
        return _checked(moments.cast(pa.timestamp("us", moments.type.tz)).cast(pa.int64()), name)
    except pa.ArrowInvalid as error:
        raise SpineError(f"The spine's column {name!r} holds a time that microseconds cannot express: {error}.") from error


def _placed(wall_clock: pa.Array, place: Callable[[np.ndarray], np.ndarray]) -> pa.Array:
    instants = place(np.asarray(pc.fill_null(wall_clock, 0)))
    return pa.array(instants, pa.int64(), mask=np.asarray(wall_clock.is_null()))


def _checked(instants: pa.Array, name: str) -> pa.Array:
    bounds = pc.min_max(instants).as_py()
    if bounds["min"] is not None and not (bounds["min"] >= _FIRST_AS_OF_US and bounds["max"] < _END_AS_OF_US):
        raise SpineError(
            f"The spine's column {name!r} runs from {bounds['min']} to {bounds['max']} (microseconds since 1970 UTC); "
            "expected times from the years 1 to 9999. Correct or leave out the others."
        )
    return instants
