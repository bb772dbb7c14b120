"""Count, Sum and Mean: differences of running sums. Sums of integers are kept as they are, those of doubles in limbs."""

from __future__ import annotations

from typing import cast

import numpy as np
import pyarrow as pa

from featurestore.compute.forms.form import WindowTotals
from featurestore.compute.forms.limbs import number_of
from featurestore.compute.forms.measure import Measure, RowSql, sum_measure
from featurestore.compute.wide import Wide
from featurestore.lake.session import quote
from featurestore.spec.aggregations import Aggregation, Sum


class CountForm:
    """Number of rows."""

    def measures(self, aggregation: Aggregation, rows: RowSql) -> tuple[Measure, ...]:
        """List one: the count of rows."""
        return (sum_measure("count", f"count_if({rows.condition(aggregation)})"),)

    def finalize(self, aggregation: Aggregation, measures: tuple[Measure, ...], window: WindowTotals) -> pa.Array:
        """Return int64, 0 without events."""
        return pa.array(window.difference(measures[0]))


class SumForm:
    """Sum of a column, exact."""

    def measures(self, aggregation: Aggregation, rows: RowSql) -> tuple[Measure, ...]:
        """List one sum for integers; the sums of the limbs for doubles."""
        aggregation = cast(Sum, aggregation)
        number = number_of(aggregation.column, aggregation, rows, aggregation.resolution_bits)
        return number.totals() if number.kind == "double" else (number.total(),)

    def finalize(self, aggregation: Aggregation, measures: tuple[Measure, ...], window: WindowTotals) -> pa.Array:
        """Return int64 or double, 0 without events."""
        return pa.array(_total(measures, window))


class MeanForm(SumForm):
    """Sum divided by the number of values that are not NULL."""

    def measures(self, aggregation: Aggregation, rows: RowSql) -> tuple[Measure, ...]:
        """List the sum's measures, then the count of values."""
        aggregation = cast(Sum, aggregation)
        count = sum_measure("count", f"count_if({rows.condition(aggregation, quote(aggregation.column))})")
        return (*super().measures(aggregation, rows), count)

    def finalize(self, aggregation: Aggregation, measures: tuple[Measure, ...], window: WindowTotals) -> pa.Array:
        """Return double, NULL without values."""
        count = window.difference(measures[-1])
        total = _total(measures[:-1], window)
        empty = count == 0
        return pa.array(total / np.where(empty, 1, count), mask=empty)


def _total(measures: tuple[Measure, ...], window: WindowTotals) -> np.ndarray:
    """Return the sums, those of doubles rounded once."""
    limbs = [window.difference(measure) for measure in measures]
    return limbs[0] if len(limbs) == 1 else np.ldexp(Wide.of(limbs).nearest(), measures[0].exponent)
