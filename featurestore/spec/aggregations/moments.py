"""Var, Std and Trend: how values scatter, and how they move with time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from featurestore.spec.aggregations.aggregation import FixedPointAggregation


@dataclass(frozen=True)
class Var(FixedPointAggregation):
    """Sample variance of a column, ``(n * sum(x^2) - sum(x)^2) / (n * (n - 1))``; double, NULL for fewer than two values.

    The sums are exact integers of any size and divided last, so a small scatter around a large mean is right: the standard
    deviation of 1e9 + N(0, 1) is 1.

    Args:
        column: An integer or double column.
        resolution_bits: As of ``Sum``.
    """

    def result_type(self, types: Mapping[str, str]) -> str:
        """Return ``double``."""
        return "double"


@dataclass(frozen=True)
class Std(Var):
    """Sample standard deviation of a column, the square root of ``Var``; double, NULL for fewer than two values."""


@dataclass(frozen=True)
class Trend(FixedPointAggregation):
    """Slope of the least-squares line of a column over time, per day of 24 h; double, NULL with fewer than two distinct steps.

    The time of a value is its step: the day, hour or microsecond of the view's grain. Exact as ``Var`` is.

    Args:
        column: An integer or double column.
        resolution_bits: As of ``Sum``.
    """

    def result_type(self, types: Mapping[str, str]) -> str:
        """Return ``double``."""
        return "double"
