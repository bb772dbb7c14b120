"""Count, Sum and Mean: differences of running sums.

Integers are summed as they are. A double x is first rounded to k = round(x * 2^bits), and k is kept as two int64 sums of
its limbs, k = high * 2^32 + low: integer sums are exact and independent of order and batch, and the difference of two
running totals cannot lose a small window behind a large history, as a running double would.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import pyarrow as pa

from featurestore.compute.forms.form import WindowTotals
from featurestore.compute.measure import Measure, Rows, sum_measure
from featurestore.lake.session import quote
from featurestore.spec.aggregations import Aggregation, Mean, Sum

_LIMB_BITS = 32
_LIMB = 2**_LIMB_BITS


class CountForm:
    """Number of rows."""

    def measures(self, aggregation: Aggregation, rows: Rows) -> tuple[Measure, ...]:
        """One count."""
        return (sum_measure("count", f"count_if({rows.condition(aggregation)})"),)

    def finalize(self, aggregation: Aggregation, measures: tuple[Measure, ...], window: WindowTotals) -> pa.Array:
        """Return int64, 0 without events."""
        return pa.array(window.difference(measures[0]))


class SumForm:
    """Sum of a column, exact."""

    def measures(self, aggregation: Aggregation, rows: Rows) -> tuple[Measure, ...]:
        """One sum for integers; the sums of two limbs for doubles."""
        aggregation = cast(Sum, aggregation)
        column = quote(aggregation.column)
        condition = rows.condition(aggregation, column)
        if rows.types[aggregation.column] != "double":
            return (sum_measure(f"sum_{aggregation.column}", f"sum({column}) FILTER (WHERE {condition})"),)
        scaled = f"CAST(round({column} * {2.0**aggregation.resolution_bits!r}) AS HUGEINT)"
        parts = {"high": f"{scaled} // {_LIMB}", "low": f"{scaled} % {_LIMB}"}
        return tuple(
            sum_measure(f"{name}_{aggregation.column}", f"sum({part}) FILTER (WHERE {condition})")
            for name, part in parts.items()
        )

    def finalize(self, aggregation: Aggregation, measures: tuple[Measure, ...], window: WindowTotals) -> pa.Array:
        """Return int64 or double, 0 without events."""
        return pa.array(_total(cast(Sum, aggregation), measures, window))


class MeanForm(SumForm):
    """Sum divided by the number of values that are not NULL."""

    def measures(self, aggregation: Aggregation, rows: Rows) -> tuple[Measure, ...]:
        """The sum's measures, then the count of values."""
        aggregation = cast(Mean, aggregation)
        count = sum_measure("count", f"count_if({rows.condition(aggregation, quote(aggregation.column))})")
        return (*super().measures(aggregation, rows), count)

    def finalize(self, aggregation: Aggregation, measures: tuple[Measure, ...], window: WindowTotals) -> pa.Array:
        """Return double, NULL without values."""
        count = window.difference(measures[-1])
        total = _total(cast(Mean, aggregation), measures[:-1], window)
        empty = count == 0
        return pa.array(total / np.where(empty, 1, count), mask=empty)


def _total(aggregation: Sum, measures: tuple[Measure, ...], window: WindowTotals) -> np.ndarray:
    if len(measures) == 1:
        return window.difference(measures[0])
    high, low = (window.difference(measure) for measure in measures)
    carry = low >> _LIMB_BITS
    shift = _LIMB_BITS - aggregation.resolution_bits
    total: np.ndarray = np.ldexp((high + carry).astype(float), shift) + np.ldexp(
        (low - (carry << _LIMB_BITS)).astype(float), shift - _LIMB_BITS
    )
    return total
