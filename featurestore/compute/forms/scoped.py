"""Min, Max and First: the value over the steps of the window, of the steps' own values."""

from __future__ import annotations

from typing import cast

import pyarrow as pa

from featurestore.compute.folds import ExtremeFold, FirstFold
from featurestore.compute.forms.form import WindowTotals
from featurestore.compute.forms.measure import TIME_US, Measure, RowSql, counting
from featurestore.lake.session import quote
from featurestore.spec.aggregations import Aggregation, ColumnAggregation, Max
from featurestore.spec.document import digest
from featurestore.spec.types import arrow_type


class ExtremeForm:
    """The smallest or the largest value.

    Args:
        is_largest: Whether the largest is meant.
    """

    def __init__(self, *, is_largest: bool) -> None:
        self._is_largest = is_largest

    def measures(self, aggregation: Aggregation, rows: RowSql) -> tuple[Measure, ...]:
        """List one: the extreme of a step."""
        column = cast(Max, aggregation).column
        function = "max" if self._is_largest else "min"
        condition = rows.condition(aggregation, quote(column))
        named = f"{function}({quote(column)}) FILTER (WHERE {condition})"
        fold = ExtremeFold(arrow_type(rows.types[column]), self._is_largest)
        sql = f"{function}({counting(quote(column), condition)})"
        return (Measure(f"{function}_{column}_{digest(named)[:12]}", sql, fold),)

    def finalize(self, aggregation: Aggregation, measures: tuple[Measure, ...], window: WindowTotals) -> pa.Array:
        """Return the extreme in the column's type; NULL without values."""
        return window.between(measures[0])


class FirstForm:
    """First value that is not NULL, by event time, ties by event_id."""

    def measures(self, aggregation: Aggregation, rows: RowSql) -> tuple[Measure, ...]:
        """List one: the first value of a step."""
        column = cast(ColumnAggregation, aggregation).column
        condition = rows.condition(aggregation, quote(column))
        place = f"row({TIME_US}, {quote(rows.event_id)})"
        named = f"min_by({quote(column)}, {place}) FILTER (WHERE {condition})"
        sql = f"min_by({counting(quote(column), condition)}, {place})"
        return (Measure(f"first_{column}_{digest(named)[:12]}", sql, FirstFold(arrow_type(rows.types[column]))),)

    def finalize(self, aggregation: Aggregation, measures: tuple[Measure, ...], window: WindowTotals) -> pa.Array:
        """Return the first value in the column's type; NULL without values."""
        return window.between(measures[0])
