"""Aggregations: what a feature view computes over each window. Values only; how is compute's question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from featurestore.errors import DefinitionError, did_you_mean
from featurestore.spec.expression import parse
from featurestore.spec.names import checked_name
from featurestore.timeline import Window

PROFILES = {"hour_of_week": 168, "hour_of_day": 24, "day_of_week": 7}


@dataclass(frozen=True)
class Aggregation:
    """What all aggregations have: a name, windows, a condition.

    Args:
        name: Start of the feature names; ``buys`` over ``30d`` becomes ``buys_30d``.
        windows: Lengths such as ``"30d"`` or ``"lifetime"``. None given: lifetime, and no suffix.
        where: SQL condition over the source's columns; rows for which it is not true do not count.
    """

    name: str
    windows: tuple[str, ...] = field(default=(), kw_only=True)
    where: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        checked_name(self.name, "an aggregation")
        given: object = self.windows
        if isinstance(given, str):
            raise DefinitionError(f"windows of {self.name!r} is the text {self.windows!r}; write windows=({self.windows!r},).")
        object.__setattr__(self, "windows", tuple(self.windows))
        if len(set(self.windows)) != len(self.windows):
            raise DefinitionError(f"windows of {self.name!r} repeat: {self.windows}.")
        for window in self.windows:
            Window.parse(window)

    @property
    def input_column(self) -> str | None:
        """The column that is aggregated, if any."""
        return None

    @property
    def is_carried(self) -> bool:
        """Whether the value is carried forward from one event, rather than added up over a window."""
        return False

    def outputs(self) -> tuple[tuple[str, Window], ...]:
        """List ``(feature name without its view, window)``, in declared order."""
        if not self.windows:
            return ((self.name, Window.parse("lifetime")),)
        return tuple((f"{self.name}_{window}", Window.parse(window)) for window in self.windows)

    def check(self, types: Mapping[str, str], *, owner: str) -> None:
        """Check the column and the condition against a source's types.

        Raises:
            DefinitionError: an unknown column, one that this aggregation cannot take, or a bad condition.
        """
        if self.input_column is not None:
            if self.input_column not in types:
                raise DefinitionError(
                    f"{owner}: {self.name!r} aggregates {self.input_column!r}, which is no column of the source."
                    f"{did_you_mean(self.input_column, types)}"
                )
            accepted = self._accepted_types()
            if types[self.input_column] not in accepted:
                raise DefinitionError(
                    f"{owner}: {type(self).__name__} of {self.input_column!r} is not possible: it is "
                    f"{types[self.input_column]}, expected {' or '.join(accepted)}."
                )
        if self.where is not None:
            parse(self.where, types, expected="bool")

    def _accepted_types(self) -> tuple[str, ...]:
        return ("int64", "int32", "double")

    def result_type(self, types: Mapping[str, str]) -> str:
        """Return the type of the feature: a schema type, or ``profile``."""
        raise NotImplementedError


@dataclass(frozen=True)
class ColumnAggregation(Aggregation):
    """An aggregation of one column; NULL values count for nothing."""

    column: str

    @property
    def input_column(self) -> str:
        """The column that is aggregated."""
        return self.column


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


@dataclass(frozen=True)
class Last(ColumnAggregation):
    """Last value that is not NULL, by event time and then event_id; NULL without events."""

    def _accepted_types(self) -> tuple[str, ...]:
        return ("int64", "int32", "double", "string", "bool", "timestamp", "date")

    @property
    def is_carried(self) -> bool:
        """Always."""
        return True

    def result_type(self, types: Mapping[str, str]) -> str:
        """Return the column's type."""
        return types[self.column]


@dataclass(frozen=True)
class Recency(Aggregation):
    """Days of 24 h from the last matching event to ``floor(as_of)``; double, NULL without events."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.windows:
            raise DefinitionError(f"Recency {self.name!r} takes no windows: it looks back to the first event.")

    @property
    def is_carried(self) -> bool:
        """Always."""
        return True

    def result_type(self, types: Mapping[str, str]) -> str:
        """Return ``double``."""
        return "double"


@dataclass(frozen=True)
class Profile(Aggregation):
    """Number of events in each bucket of the business calendar; a fixed-size list of int64.

    Args:
        by: ``"hour_of_week"`` (168 buckets, from Monday 00:00), ``"hour_of_day"`` (24) or ``"day_of_week"`` (7, from Monday).
    """

    by: str = field(default="hour_of_week", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.by not in PROFILES:
            raise DefinitionError(f"Profile {self.name!r} is by {self.by!r}.{did_you_mean(self.by, PROFILES)}")

    @property
    def buckets(self) -> int:
        """Length of the list."""
        return PROFILES[self.by]

    def result_type(self, types: Mapping[str, str]) -> str:
        """Return ``profile``."""
        return "profile"


KINDS: dict[str, type[Aggregation]] = {kind.__name__: kind for kind in (Count, Sum, Mean, Last, Recency, Profile)}


def aggregation_document(aggregation: Aggregation) -> dict[str, object]:
    """Write an aggregation as a JSON value; defaults are left out."""
    document: dict[str, object] = {"kind": type(aggregation).__name__}
    for item in fields(aggregation):
        value = getattr(aggregation, item.name)
        if value != item.default:
            document[item.name] = list(value) if isinstance(value, tuple) else value
    return document


def aggregation_from(document: Mapping[str, object]) -> Aggregation:
    """Read an aggregation from ``aggregation_document``'s form.

    Raises:
        DefinitionError: the kind is unknown.
    """
    kind = str(document["kind"])
    if kind not in KINDS:
        raise DefinitionError(f"{kind!r} is not an aggregation.{did_you_mean(kind, KINDS)}")
    arguments = {name: tuple(value) if isinstance(value, list) else value for name, value in document.items() if name != "kind"}
    return KINDS[kind](**arguments)  # type: ignore[arg-type]
