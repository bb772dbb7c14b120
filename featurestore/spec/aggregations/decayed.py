"""Decayed: a sum in which events fade with time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from featurestore.errors import DefinitionError
from featurestore.spec.aggregations.aggregation import Aggregation, checked_resolution
from featurestore.timeline import Window, length_steps

# An event of ten half-lives ago counts for a thousandth.
_HALF_LIVES = 10


@dataclass(frozen=True)
class Decayed(Aggregation):
    """Sum of ``x * 2 ** (-(T - d) / half_life)`` over the events of a window, T = ``floor(as_of)``, d the event's step; double.

    0.0 without events. A window is the difference of two running values, so its absolute error is about 1e-16 of the decayed
    sum of all history, not of the window's own.

    Args:
        column: An integer or double column; ``None`` counts events.
        half_life: Length after which an event counts half; a whole number of the view's steps, such as ``"30d"``.
        resolution_bits: Doubles are summed within a step in multiples of ``2 ** -resolution_bits``, so the order of events
            does not matter.
    """

    ACCEPTED_WINDOWS: ClassVar[tuple[type, ...]] = (Window,)

    column: str | None = None
    half_life: str = field(default="30d", kw_only=True)
    resolution_bits: int = field(default=40, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
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
