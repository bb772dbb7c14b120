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
    """Sum of a column; 0 without events. Integers are exact; doubles are summed in fixed point and rounded once: 0.1 gives 0.1.

    Args:
        column: An integer or double column.
        resolution_bits: Doubles are rounded to multiples of ``2 ** -resolution_bits``, so totals do not depend on order. With 64,
            every double that ingest takes fits. Up to 60, totals take half the columns, and a magnitude of
            ``2 ** (95 - resolution_bits)`` or more is refused when it is materialized. An aggregation that a store recorded
            with another default (40 in 0.1) keeps it until this says otherwise.
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
