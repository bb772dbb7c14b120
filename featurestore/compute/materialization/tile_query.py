"""The query of tiles: a view's events, added up by key and step."""

from __future__ import annotations

from collections.abc import Sequence

from featurestore.compute.forms import view_measures
from featurestore.compute.forms.measure import LOCAL_US, ORIGIN_DAY, STEP, TIME_US, Measure, rows_of
from featurestore.lake.session import quote
from featurestore.spec.view import FeatureView
from featurestore.timeline import DAY_US, HOUR_US, Interval, utc_offsets


def tile_sql(
    view: FeatureView,
    scan: str,
    *,
    interval: Interval,
    timezone: str,
    naive_timezone: str,
    measures: Sequence[Measure] | None = None,
    by: Sequence[str] | None = None,
    also: str | None = None,
) -> str:
    """Render the query that aggregates a view's events into one row per key and step.

    Args:
        view: The view.
        scan: SQL of the events to read.
        interval: Only events whose time, by the view's clock column, lies in it.
        timezone: The store's business time zone.
        naive_timezone: The zone in which conditions read clocks and days.
        measures: What to aggregate; all of the view's by default.
        by: SQL of the columns that make up a key; the view's key columns by default.
        also: Condition on the events, over ``TIME_US`` and ``LOCAL_US`` too; none by default.

    Returns:
        A query with the columns ``key_0``, ``key_1`` and so on, ``step`` and one per measure, in no order.
    """
    rows = rows_of(view, naive_timezone)
    time = quote(view.event_time)
    measures = view_measures(view, naive_timezone) if measures is None else measures
    keys = [quote(column) for _, column in view.key_columns] if by is None else by
    conditions = [rows.condition(aggregation) for aggregation in view.aggregations]
    where = [*(f"{key} IS NOT NULL" for key in keys), *([also] if also else [])]
    if "TRUE" not in conditions:
        where.append(f"({' OR '.join(dict.fromkeys(conditions))})")
    timed = f"""SELECT *, epoch_us({time}) AS {TIME_US}, {TIME_US} + {_shift_sql(interval, timezone)} AS {LOCAL_US}
    FROM {scan}
    WHERE {time} >= make_timestamptz({interval.start_us}) AND {time} < make_timestamptz({interval.end_us})"""
    first, *others = _prepared(measures) or [[]]
    columns = ",\n       ".join([f"{_STEP_SQL[view.grain]} AS {STEP}", *first])
    inner = f"SELECT *, {columns}\n  FROM (\n    {timed}\n  )\n  WHERE {' AND '.join(where)}"
    for level in others:
        inner = f"SELECT *, {', '.join(level)}\n  FROM (\n  {inner}\n  )"
    outputs = ",\n       ".join(
        [
            *(f"{key} AS key_{i}" for i, key in enumerate(keys)),
            f"{STEP} AS step",
            *(f"{measure.sql} AS {quote(measure.name)}" for measure in measures),
        ]
    )
    return f"SELECT {outputs}\nFROM (\n  {inner}\n)\nGROUP BY {', '.join([*keys, STEP])}"


def _prepared(measures: Sequence[Measure]) -> list[list[str]]:
    """List the columns that measures need computed first, level by level: each uses columns of earlier levels alone.

    DuckDB takes time that grows with the square of the columns to find those of the same SELECT.
    """
    levels: dict[tuple[str, str], int] = {}
    for measure in measures:
        for level, column in enumerate(measure.prepared):
            levels[column] = min(level, levels.get(column, level))
    return [
        [f"{sql} AS {quote(name)}" for (name, sql), own in levels.items() if own == level]
        for level in range(max(levels.values(), default=-1) + 1)
    ]


_STEP_SQL = {
    "1d": f"{LOCAL_US} // {DAY_US} - {-ORIGIN_DAY}",
    "1h": f"({TIME_US} + {-ORIGIN_DAY * DAY_US}) // {HOUR_US} - {-ORIGIN_DAY * 24}",
    "event": TIME_US,
}


def _shift_sql(interval: Interval, timezone: str) -> str:
    """Render the microseconds from UTC to the local clock; a CASE only where the clock changes inside the interval."""
    shifts = [(start, offset - ORIGIN_DAY * DAY_US) for start, offset in utc_offsets(timezone)]
    before = [shift for start, shift in shifts if start <= interval.start_us][-1]
    inside = [(start, shift) for start, shift in shifts if interval.start_us < start < interval.end_us]
    if not inside:
        return str(before)
    whens = "".join(f" WHEN {TIME_US} >= {start} THEN {shift}" for start, shift in reversed(inside))
    return f"CASE{whens} ELSE {before} END"
