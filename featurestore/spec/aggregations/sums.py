"""Count, Sum and Mean: what is added up over a window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from featurestore.errors import DefinitionError
from featurestore.spec.aggregations.aggregation import Aggregation, ColumnAggregation


@dataclass(frozen=True)
class Count(Aggregation):
    """Number of events; int64, 0 without events."""

    def result_type(self, types: Mapping[str, str]) -> str:
        """Return ``int64``."""
        return "int64"


@dataclass(frozen=True)
class Sum(ColumnAggregation):
    """Sum of a column; 0 without events. Integers are exact; doubles are summed in fixed point.

    Args:
        column: An integer or double column.
        resolution_bits: Doubles are rounded to multiples of ``2 ** -resolution_bits``, so totals do not depend on order.
    """

    resolution_bits: int = field(default=40, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.resolution_bits <= 60:
            raise DefinitionError(f"resolution_bits of {self.name!r} is {self.resolution_bits}; it must be from 0 to 60.")

    def result_type(self, types: Mapping[str, str]) -> str:
        """Return ``double`` for doubles, else ``int64``."""
        return "double" if types[self.column] == "double" else "int64"


@dataclass(frozen=True)
class Mean(Sum):
    """Mean of a column; double, NULL without events."""

    def result_type(self, types: Mapping[str, str]) -> str:
        """Return ``double``."""
        return "double"
