"""Count, Sum and Mean: what is added up over a window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from featurestore.spec.aggregations.aggregation import Aggregation, FixedPointAggregation


@dataclass(frozen=True)
class Count(Aggregation):
    """Number of events; int64, 0 without events."""

    def result_type(self, types: Mapping[str, str]) -> str:
        """Return ``int64``."""
        return "int64"


@dataclass(frozen=True)
class Sum(FixedPointAggregation):
    """Sum of a column; 0 without events. Integers are exact; doubles are summed in fixed point.

    Args:
        column: An integer or double column.
        resolution_bits: Doubles are rounded to multiples of ``2 ** -resolution_bits``, so totals do not depend on order.
    """

    def result_type(self, types: Mapping[str, str]) -> str:
        """Return ``double`` for doubles, else ``int64``."""
        return "double" if types[self.column] == "double" else "int64"


@dataclass(frozen=True)
class Mean(Sum):
    """Mean of a column; double, NULL without events."""

    def result_type(self, types: Mapping[str, str]) -> str:
        """Return ``double``."""
        return "double"
