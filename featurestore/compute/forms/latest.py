"""Last and Recency: the row that the search finds carries the last value and its time."""

from __future__ import annotations

from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.compute.forms.form import PieceTotals, WindowTotals
from featurestore.compute.forms.measure import TIME_US, Measure, RowSql, counting, last_measure
from featurestore.lake.session import quote
from featurestore.spec.aggregations import Aggregation, Last
from featurestore.spec.types import arrow_type
from featurestore.timeline import DAY_US


class LastForm:
    """Last value that is not NULL, by event time, ties by event_id."""

    def measures(self, aggregation: Aggregation, rows: RowSql) -> tuple[Measure, ...]:
        """List the last value of a step, and the time it was seen."""
        aggregation = cast(Last, aggregation)
        column = quote(aggregation.column)
        condition = rows.condition(aggregation, column)
        place = f"row({TIME_US}, {quote(rows.event_id)})"
        named = f"max_by({column}, {place}) FILTER (WHERE {condition})"
        value = f"max_by({counting(column, condition)}, {place})"
        kind = arrow_type(rows.types[aggregation.column])
        return last_measure(f"last_{aggregation.column}", value, kind, named=named), _time_where(condition)

    def finalize(self, aggregation: Aggregation, measures: tuple[Measure, ...], window: WindowTotals) -> pa.Array:
        """Return the last value of the latest piece that has one, in the column's type; NULL when none has."""
        return pc.coalesce(*(_inside(piece, measures[0], measures[1]) for piece in window.pieces))


class RecencyForm:
    """Time since the last matching row."""

    def measures(self, aggregation: Aggregation, rows: RowSql) -> tuple[Measure, ...]:
        """List one: the time of a step's last matching row."""
        return (_time_where(rows.condition(aggregation)),)

    def finalize(self, aggregation: Aggregation, measures: tuple[Measure, ...], window: WindowTotals) -> pa.Array:
        """Return days of 24 h from the last matching event to the latest right edge; NULL without events in the window."""
        seen = pc.coalesce(*(_inside(piece, measures[0], measures[0]) for piece in window.pieces))
        elapsed_us = window.pieces[0].right_us - np.asarray(pc.fill_null(seen, 0))
        return pa.array(elapsed_us / DAY_US, mask=np.asarray(pc.is_null(seen)))


def _inside(piece: PieceTotals, value: Measure, time: Measure) -> pa.Array:
    """Return the last value before a piece's right edge; NULL where it was seen before its left one."""
    last = piece.carried(value)
    if piece.left_us is None:
        return last
    is_inside = pc.greater_equal(piece.carried(time), pa.array(piece.left_us))
    return pc.if_else(is_inside, last, pa.scalar(None, last.type))


def _time_where(condition: str) -> Measure:
    """Make the measure of the time of a step's last row that counts."""
    named = f"max({TIME_US}) FILTER (WHERE {condition})"
    return last_measure("last_us", f"max({counting(TIME_US, condition)})", pa.int64(), named=named)
