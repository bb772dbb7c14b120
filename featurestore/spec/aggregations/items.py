"""Distinct and Quantile: what cannot be counted without knowing which values were there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from featurestore.errors import DefinitionError
from featurestore.spec.aggregations.aggregation import ColumnAggregation
from featurestore.spec.season_windows import YearBefore
from featurestore.timeline import Offset, ToDate, Window, parse_window

# Below it, buckets are finer than a float of 32 bits is worth; above it, neighbouring ones differ by a factor of three.
_SMALLEST_ERROR, _LARGEST_ERROR = 0.0001, 0.5


@dataclass(frozen=True)
class Distinct(ColumnAggregation):
    """Number of distinct values, exact; int64, 0 without values.

    Its running totals are made for the windows that it declares: another window computes the view anew.
    """

    ACCEPTED_WINDOWS = (Window, Offset, YearBefore)
    FIELDS_READ_LATER = frozenset({"name"})

    def __post_init__(self) -> None:
        super().__post_init__()
        for _, window in self.outputs():
            if isinstance(window, Offset | YearBefore) and isinstance(parse_window(window.window), ToDate):
                raise DefinitionError(
                    f"Distinct {self.name!r} cannot look back over {window!r}: it takes windows of one length, such as '30d'."
                )

    def _accepted_types(self) -> tuple[str, ...]:
        return ("int64", "int32", "string", "bool", "timestamp", "date")

    def result_type(self, types: Mapping[str, str]) -> str:
        """Return ``int64``."""
        return "int64"


@dataclass(frozen=True)
class Quantile(ColumnAggregation):
    """The value at rank ``floor(q * (n - 1))`` of the n values in ascending order, from 0; double, NULL without values.

    Args:
        column: An integer or double column.
        q: From 0 (the smallest value) to 1 (the largest); 0.5 is the median, of two middle values the lower.
        error: Largest relative error: x is answered as a value between ``x - error * |x|`` and ``x + error * |x|``; zero is exact.
    """

    FIELDS_READ_LATER = frozenset({"name", "windows", "q"})

    q: float = field(default=0.5, kw_only=True)
    error: float = field(default=0.01, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not _is_number(self.q) or not 0 <= self.q <= 1:
            raise DefinitionError(f"q of {self.name!r} is {self.q!r}; it must be a number from 0 to 1.")
        if not _is_number(self.error) or not _SMALLEST_ERROR <= self.error <= _LARGEST_ERROR:
            raise DefinitionError(
                f"error of {self.name!r} is {self.error!r}; it must be a number from {_SMALLEST_ERROR} to {_LARGEST_ERROR}."
            )

    def result_type(self, types: Mapping[str, str]) -> str:
        """Return ``double``."""
        return "double"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
