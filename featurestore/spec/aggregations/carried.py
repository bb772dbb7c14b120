"""First, Last and Recency: what one event says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from featurestore.errors import DefinitionError
from featurestore.spec.aggregations.aggregation import Aggregation, ColumnAggregation


@dataclass(frozen=True)
class Last(ColumnAggregation):
    """Last value that is not NULL, by event time and then event_id; NULL without events."""

    def _accepted_types(self) -> tuple[str, ...]:
        return ("int64", "int32", "double", "string", "bool", "timestamp", "date")

    @property
    def is_carried(self) -> bool:
        """True: the value is that of one event."""
        return True

    def result_type(self, types: Mapping[str, str]) -> str:
        """Return the column's type."""
        return types[self.column]


@dataclass(frozen=True)
class First(Last):
    """First value that is not NULL in the window, by event time and then event_id; NULL without events."""


@dataclass(frozen=True)
class Recency(Aggregation):
    """Days of 24 h from the last matching event to ``floor(as_of)``; double, NULL without events."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.windows:
            raise DefinitionError(f"Recency {self.name!r} takes no windows: it looks back to the first event.")

    @property
    def is_carried(self) -> bool:
        """True: the value is that of one event."""
        return True

    def result_type(self, types: Mapping[str, str]) -> str:
        """Return ``double``."""
        return "double"
