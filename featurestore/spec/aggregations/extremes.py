"""Min and Max: the ends of what was seen in a window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from featurestore.spec.aggregations.aggregation import ColumnAggregation


@dataclass(frozen=True)
class Max(ColumnAggregation):
    """Largest value of a column; NULL without values.

    Args:
        column: An integer, double, timestamp or date column.
    """

    def _accepted_types(self) -> tuple[str, ...]:
        return ("int64", "int32", "double", "timestamp", "date")

    def result_type(self, types: Mapping[str, str]) -> str:
        """Return the column's type."""
        return types[self.column]


@dataclass(frozen=True)
class Min(Max):
    """Smallest value of a column; NULL without values."""
