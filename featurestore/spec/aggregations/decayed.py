"""Decayed: a sum in which events fade with time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from featurestore.errors import DefinitionError
from featurestore.spec.aggregations.aggregation import RESOLUTION, Aggregation, checked_resolution
from featurestore.spec.defaults import ChangedDefault, UndeclaredStr
from featurestore.timeline import Window, length_steps

# An event of ten half-lives ago counts for a thousandth.
_HALF_LIVES = 10
_RELATIVE_TO = ChangedDefault(recorded="history", today=UndeclaredStr("window"))


@dataclass(frozen=True)
class Decayed(Aggregation):
    """Sum of ``x * 2 ** (-(T - d) / half_life)`` over the events of a window, T = ``floor(as_of)``, d the event's step; double.

    0.0 without events. Its error is some 1e-15 of the sum of the magnitudes in the window, whatever lies before it.

    Args:
        column: An integer or double column; ``None`` counts events.
        half_life: Length after which an event counts half; a whole number of the view's steps, such as ``"30d"``.
        resolution_bits: Doubles are summed within a step in multiples of ``2 ** -resolution_bits``, so the order of events
            does not matter; see ``Sum``.
        relative_to: ``"window"``: what the error is relative to. ``"history"``, as views recorded by 0.1 have it: a window is
            the difference of two running values, found at the same cost however many steps it has; its absolute error is some
            1e-16 of the decayed sum of all history.
    """

    ACCEPTED_WINDOWS: ClassVar[tuple[type, ...]] = (Window,)
    CHANGED_DEFAULTS: ClassVar[Mapping[str, ChangedDefault[Any]]] = {"resolution_bits": RESOLUTION, "relative_to": _RELATIVE_TO}
    ADDS_UP: ClassVar[bool] = True

    column: str | None = None
    half_life: str = field(default="30d", kw_only=True)
    resolution_bits: int = field(default=RESOLUTION.today, kw_only=True)
    relative_to: str = field(default=_RELATIVE_TO.today, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.relative_to not in ("window", "history"):
            raise DefinitionError(f"relative_to of {self.name!r} is {self.relative_to!r}; use 'window' or 'history'.")
        checked_resolution(self.resolution_bits, self.name)
        self.half_life_steps("1h")

    @property
    def input_column(self) -> str | None:
        """The column that is summed; ``None`` where events are counted."""
        return self.column

    def check_grain(self, grain: str) -> None:
        """Check that the half-life is a whole number of steps."""
        self.half_life_steps(grain)

    def half_life_steps(self, grain: str) -> int:
        """Return the half-life in steps of a grain.

        Raises:
            DefinitionError: it is not a whole number of them.
        """
        try:
            return length_steps(self.half_life, grain)
        except DefinitionError as error:
            raise DefinitionError(f"half_life of {self.name!r}: {error}") from error

    @property
    def memory_hours(self) -> int:
        """Ten half-lives: an older event counts for less than a thousandth."""
        return _HALF_LIVES * self.half_life_steps("1h")

    def result_type(self, types: Mapping[str, str]) -> str:
        """Return ``double``."""
        return "double"
