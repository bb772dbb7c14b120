"""Last and Recency: the row that the search finds carries the last value and its time."""

from __future__ import annotations

from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.compute.forms.form import WindowTotals
from featurestore.compute.measure import ARROW_TYPES, TIME_US, Measure, Rows, last_measure
from featurestore.lake.session import quote
from featurestore.spec.aggregations import Aggregation, Last
from featurestore.timeline import DAY_US


class LastForm:
    """Last value that is not NULL, by event time, ties by event_id."""

    def measures(self, aggregation: Aggregation, rows: Rows) -> tuple[Measure, ...]:
        """The value, and the time it was seen."""
        aggregation = cast(Last, aggregation)
        column = quote(aggregation.column)
        matching = f"FILTER (WHERE {rows.condition(aggregation, column)})"
        value = f"max_by({column}, row({TIME_US}, {quote(rows.event_id)})) {matching}"
        kind = ARROW_TYPES[rows.types[aggregation.column]]
        return last_measure(f"last_{aggregation.column}", value, kind), _time_of(f"max({TIME_US}) {matching}")

    def finalize(self, aggregation: Aggregation, measures: tuple[Measure, ...], window: WindowTotals) -> pa.Array:
        """Return the column's type; NULL when the last value lies before the window."""
        value = window.carried(measures[0])
        if window.left_us is None:
            return value
        inside = pc.greater_equal(window.carried(measures[1]), pa.array(window.left_us))
        return pc.if_else(inside, value, pa.scalar(None, value.type))


class RecencyForm:
    """Time since the last matching row."""

    def measures(self, aggregation: Aggregation, rows: Rows) -> tuple[Measure, ...]:
        """The time of the last matching row."""
        return (_time_of(f"max({TIME_US}) FILTER (WHERE {rows.condition(aggregation)})"),)

    def finalize(self, aggregation: Aggregation, measures: tuple[Measure, ...], window: WindowTotals) -> pa.Array:
        """Return days of 24 h from the last matching event to the right edge; NULL without events in the window."""
        seen = window.carried(measures[0])
        missing = np.asarray(pc.is_null(seen))
        if window.left_us is not None:
            missing |= np.asarray(pc.fill_null(seen, 0)) < window.left_us
        elapsed_us = window.right_us - np.asarray(pc.fill_null(seen, 0))
        return pa.array(elapsed_us / DAY_US, mask=missing)


def _time_of(sql: str) -> Measure:
    return last_measure("last_us", sql, pa.int64())
