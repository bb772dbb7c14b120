"""What all aggregations have in common: a name, windows, a condition, perhaps a column."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from featurestore.errors import DefinitionError, did_you_mean
from featurestore.spec.defaults import ChangedDefault, UndeclaredInt
from featurestore.spec.expression import parse
from featurestore.spec.names import checked_name
from featurestore.spec.season_windows import DeclaredWindow, SeasonWindow, YearBefore, read_window
from featurestore.timeline import AnyWindow, Offset, ToDate, Window


@dataclass(frozen=True)
class Aggregation:
    """What all aggregations have: a name, windows, a condition.

    Args:
        name: Start of the feature names; ``buys`` over ``30d`` becomes ``buys_30d``.
        windows: Lengths such as ``"30d"`` or ``"lifetime"``, ``"ytd"`` and ``"mtd"`` (the business year or month to date),
            ``Offset``, ``SeasonWindow`` and ``YearBefore`` objects. Without any: lifetime, and no suffix.
        where: SQL condition over the source's columns; rows for which it is not true do not count.
    """

    ACCEPTED_WINDOWS: ClassVar[tuple[type, ...]] = (Window, ToDate, Offset, SeasonWindow, YearBefore)
    # Fields that only reading depends on: the running totals stay when they change.
    FIELDS_READ_LATER: ClassVar[frozenset[str]] = frozenset({"name", "windows"})
    CHANGED_DEFAULTS: ClassVar[Mapping[str, ChangedDefault[Any]]] = {}
    # Whether it adds values up: not those of a column whose magnitude knows no bound.
    ADDS_UP: ClassVar[bool] = False

    name: str
    windows: tuple[DeclaredWindow, ...] = field(default=(), kw_only=True)
    where: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        checked_name(self.name, "an aggregation")
        windows: object = self.windows
        if isinstance(windows, DeclaredWindow):
            what = "the text" if isinstance(windows, str) else "one window,"
            raise DefinitionError(f"windows of {self.name!r} is {what} {windows!r}; write windows=({windows!r},).")
        object.__setattr__(self, "windows", tuple(self.windows))
        for declared in self.windows:
            if not isinstance(read_window(declared), self.ACCEPTED_WINDOWS):
                raise DefinitionError(
                    f"{type(self).__name__} {self.name!r} cannot look back over {declared!r}. "
                    f"It takes {' and '.join(kind.__name__ for kind in self.ACCEPTED_WINDOWS)}."
                )
        if len(set(self.windows)) != len(self.windows):
            raise DefinitionError(f"windows of {self.name!r} repeat: {self.windows}.")

    @property
    def input_column(self) -> str | None:
        """The column that is aggregated, if any."""
        return None

    @property
    def is_carried(self) -> bool:
        """Whether the value is carried forward from one event, rather than added up over a window."""
        return False

    @property
    def takes_any_window(self) -> bool:
        """Whether its running totals serve windows that it does not declare."""
        return "windows" in self.FIELDS_READ_LATER

    def outputs(self) -> tuple[tuple[str, AnyWindow], ...]:
        """List ``(feature name without its view, window)``, in declared order."""
        if not self.windows:
            return ((self.name, Window.parse("lifetime")),)
        return tuple((f"{self.name}_{window.text}", window) for window in map(read_window, self.windows))

    def check(self, types: Mapping[str, str], *, owner: str, wide: Collection[str] = ()) -> None:
        """Check the column and the condition against a source's types, and its columns without bound.

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
            if self.ADDS_UP and self.input_column in wide:
                raise DefinitionError(
                    f"{owner}: {type(self).__name__} of {self.input_column!r} is not possible: its source declares wide values "
                    "in it, whose sum has no bound. Take Min, Max, Last, First or Quantile of it, or take the column out of wide=, "
                    "which quarantines what lies beyond 2^62."
                )
        if self.where is not None:
            parse(self.where, types, expected="bool")

    def _accepted_types(self) -> tuple[str, ...]:
        return ("int64", "int32", "double")

    def check_grain(self, grain: str) -> None:
        """Check the lengths that are not windows against a view's grain.

        Raises:
            DefinitionError: one is not a whole number of steps.
        """
        return

    @property
    def memory_hours(self) -> int | None:
        """How far back an event still counts for something, whatever the window; ``None`` where nothing is forgotten."""
        return None

    def half_life_steps(self, grain: str) -> int | None:
        """Return the steps of a grain after which an event counts half; ``None`` where all of a window count alike."""
        return None

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


RESOLUTION = ChangedDefault(recorded=40, today=UndeclaredInt(64))


@dataclass(frozen=True)
class FixedPointAggregation(ColumnAggregation):
    """An aggregation of numbers whose sums are exact: doubles are rounded to a declared resolution first."""

    CHANGED_DEFAULTS: ClassVar[Mapping[str, ChangedDefault[Any]]] = {"resolution_bits": RESOLUTION}
    ADDS_UP: ClassVar[bool] = True

    resolution_bits: int = field(default=RESOLUTION.today, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        checked_resolution(self.resolution_bits, self.name)


def checked_resolution(bits: int, name: str) -> None:
    """Check the number of bits after the binary point.

    Raises:
        DefinitionError: it is not from 0 to 64.
    """
    if not 0 <= bits <= 64:
        raise DefinitionError(f"resolution_bits of {name!r} is {bits}; it must be from 0 to 64.")
