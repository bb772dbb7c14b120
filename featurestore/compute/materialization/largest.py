"""The event whose double stops a view: which it is, where it lies, and the ways out."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from featurestore.compute.forms.limbs import TWO_DIGITS_UP_TO
from featurestore.compute.state import ViewState
from featurestore.lake.session import quote
from featurestore.lake.table import CommittedFile
from featurestore.spec.aggregations import Decayed, FixedPointAggregation, Var
from featurestore.spec.view import FeatureView
from featurestore.timeline import Interval, Month

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def largest_event(
    state: ViewState, session: DuckDBPyConnection, files: Iterable[CommittedFile], interval: Interval
) -> str | None:
    """Say which event has the largest double that a view adds up, and what can be done about it.

    Args:
        state: The view.
        session: Where to look it up.
        files: Those that hold the events.
        interval: Only events whose time, by the view's clock column, lies in it.

    Returns:
        Sentences; ``None`` where every double fits.
    """
    source, limits = state.view.source, summable(state.view)
    if not limits:
        return None
    event_id, happened, clock = quote(source.id_column), quote(source.event_time), quote(state.view.event_time)
    over = "greatest({})".format(
        ", ".join(f"coalesce(abs({quote(column)}) / {limit!r}, 0)" for column, limit in limits.items())
    )
    rows = session.sql(
        f"SELECT {event_id}, epoch_us({happened}), {', '.join(map(quote, limits))} FROM {state.scan_sql(files)} "
        f"WHERE {clock} >= make_timestamptz({interval.start_us}) AND {clock} < make_timestamptz({interval.end_us}) "
        f"ORDER BY {over} DESC LIMIT 1"
    ).fetchall()
    if not rows:
        return None
    name, time_us, *values = rows[0]
    beyond = [(abs(value), column) for value, column in zip(values, limits, strict=True) if abs(value or 0) >= limits[column]]
    if not beyond:
        return None
    value, column = max(beyond)
    return (
        f"The event {name!r} of source {source.name!r}, of the month {Month.of(time_us, state.layout.timezone)}, has {value:g} in "
        f"{column!r}, of which the view takes less than {limits[column]:g}. Correct the event: ingest it again with another value or "
        "none (replace=True where the source has no ingested_at). Or leave it out by a where, or declare other resolution_bits."
    )


def summable(view: FeatureView) -> dict[str, float]:
    """Map the doubles that a view adds up to the magnitude from which on they do not fit."""
    limits: dict[str, float] = {}
    for aggregation in view.aggregations:
        column = aggregation.input_column
        if isinstance(aggregation, FixedPointAggregation | Decayed) and column and view.source.types[column] == "double":
            limits[column] = min(limits.get(column, math.inf), _limit(aggregation))
    return limits


def _limit(aggregation: FixedPointAggregation | Decayed) -> float:
    bits = aggregation.resolution_bits
    if bits <= TWO_DIGITS_UP_TO:
        return 2.0 ** (95 - bits)
    # The highest of four digits is an int64; squared, less of it fits.
    return 2.0 ** ((143 if isinstance(aggregation, Var) else 159) - bits)
