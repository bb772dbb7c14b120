"""Var, Std and Trend: quotients of exact integers, divided last.

With n values x at steps d, and all sums exact in wide integers:

    Var    (n * sum(x^2) - sum(x)^2) / (n * (n - 1))
    Trend  (n * sum(d * x) - sum(d) * sum(x)) / (n * sum(d^2) - sum(d)^2)

Both differences are centred sums times n: taken in doubles, they would lose a scatter of 1 around 1e9. d is a step of the
view's grain since 1970, in hours or microseconds; it is the same in a whole tile, so its sums need no look at the rows.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import pyarrow as pa

from featurestore.compute.forms.form import WindowTotals
from featurestore.compute.forms.limbs import Number, number_of, numbers_of, split_sum, wide_numbers
from featurestore.compute.forms.measure import STEP, Measure, RowSql, sum_measure
from featurestore.errors import StoreError
from featurestore.spec.aggregations import Aggregation, FixedPointAggregation
from featurestore.timeline import DAY_US

# The time of a step by grain: hours fit one limb, microseconds two.
_TIME_SQL = {"1d": f"{STEP} * 24", "1h": STEP, "event": STEP}
_TIME_LIMBS = {"1d": 1, "1h": 1, "event": 2}
_UNITS_PER_DAY = {1: 24, 2: DAY_US}


class VarForm:
    """Sample variance.

    Sums are exact, so n sum(x^2) - sum(x)^2 is never below zero, however large they are: where it is, totals are damaged.
    """

    def measures(self, aggregation: Aggregation, rows: RowSql) -> tuple[Measure, ...]:
        """List the count, the limbs of the sum, and those of the sum of squares."""
        count, number = _count_and_number(cast(FixedPointAggregation, aggregation), rows)
        return count, *number.totals(), *number.squares()

    def finalize(self, aggregation: Aggregation, measures: tuple[Measure, ...], window: WindowTotals) -> pa.Array:
        """Return double, NULL for fewer than two values.

        Raises:
            StoreError: totals are damaged.
        """
        variance, missing = _variance(aggregation.name, measures, window)
        return pa.array(variance, mask=missing)


class StdForm(VarForm):
    """Sample standard deviation."""

    def finalize(self, aggregation: Aggregation, measures: tuple[Measure, ...], window: WindowTotals) -> pa.Array:
        """Return double, NULL for fewer than two values.

        Raises:
            StoreError: totals are damaged.
        """
        variance, missing = _variance(aggregation.name, measures, window)
        return pa.array(np.sqrt(variance), mask=missing)


def _variance(name: str, measures: tuple[Measure, ...], window: WindowTotals) -> tuple[np.ndarray, np.ndarray]:
    count, total, squares = wide_numbers(numbers_of(measures), window)
    n = window.difference(measures[0]).astype(float)
    missing = n < 2
    squared = _checked(name, (count * squares - total * total).to_float(), n)
    centred = np.ldexp(squared, 2 * measures[1].exponent)
    return centred / np.where(missing, 1, n * (n - 1)), missing


def _checked(name: str, squared: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return centred sums of squares times n; refuse those below zero, and counts below zero."""
    is_damaged = (squared < 0) | (n < 0)
    if is_damaged.any():
        worst = int(is_damaged.argmax())
        raise StoreError(
            f"The totals of {name!r} over a window give {n[worst]:.0f} values and {squared[worst]:g} for n times their centred sum "
            "of squares; neither can be below zero, so totals of its view are damaged. Call store.verify() to see which file; delete "
            "it and call store.materialize()."
        )
    return squared


class TrendForm:
    """Slope of the least-squares line over time."""

    def measures(self, aggregation: Aggregation, rows: RowSql) -> tuple[Measure, ...]:
        """List the count, and the limbs of the sums of d, d^2, x and d * x."""
        count, number = _count_and_number(cast(FixedPointAggregation, aggregation), rows)
        n = f"count_if({number.condition})::HUGEINT"
        time = f"({_TIME_SQL[rows.grain]})"
        limbs = _TIME_LIMBS[rows.grain]
        times = split_sum("times", [f"{n} * {time}"], limbs=limbs)
        squared_times = split_sum("squared_times", [f"{n} * {time} * {time}"], limbs=2 * limbs, digits=4)
        return count, *times, *squared_times, *number.totals(), *number.products(time, limbs)

    def finalize(self, aggregation: Aggregation, measures: tuple[Measure, ...], window: WindowTotals) -> pa.Array:
        """Return double per day of 24 h, NULL with fewer than two distinct steps.

        Raises:
            StoreError: totals are damaged.
        """
        numbers = numbers_of(measures)
        n, times, squared_times, total, products = wide_numbers(numbers, window)
        covariance = (n * products - times * total).to_float()
        variance = _checked(aggregation.name, (n * squared_times - times * times).to_float(), n.to_float())
        missing = variance == 0
        slope = covariance / np.where(missing, 1, variance) * _UNITS_PER_DAY[len(numbers[1])]
        return pa.array(np.ldexp(slope, numbers[3][0].exponent), mask=missing)


def _count_and_number(aggregation: FixedPointAggregation, rows: RowSql) -> tuple[Measure, Number]:
    number = number_of(aggregation.column, aggregation, rows, aggregation.resolution_bits)
    return sum_measure("count", f"count_if({number.condition})"), number
