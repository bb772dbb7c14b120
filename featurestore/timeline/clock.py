"""The clock of a view: instants become steps, and windows the steps that they hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from featurestore.errors import DefinitionError
from featurestore.timeline.instants import DAY_US, HOUR_US, day_start_us, day_starts_us, local_us, zone_of

GRAINS = ("1d", "1h", "event")


@dataclass(frozen=True, eq=False)
class Edge:
    """One bound of a window at each as_of.

    Args:
        name: What the bound is; among the windows of one view, equal names mean equal steps.
        steps: First step at or after the bound, per as_of (int64).
    """

    name: str
    steps: np.ndarray


@dataclass(frozen=True, eq=False)
class Piece:
    """Steps without a gap: those from ``left`` to ``right``, ``right`` itself not included; all before it without a ``left``."""

    right: Edge
    left: Edge | None


class AnyWindow(Protocol):
    """What looks back from an as_of: a length, or anything else that knows which steps it holds."""

    @property
    def text(self) -> str:
        """End of the names of its features, such as ``30d``."""
        ...

    @property
    def length_hours(self) -> int | None:
        """Hours that it holds; ``None`` where that has no bound, or differs from as_of to as_of."""
        ...

    @property
    def look_back_hours(self) -> int | None:
        """Hours from its first instant to ``floor(as_of)``, at most; ``None`` where that has no bound."""
        ...

    def check(self, grain: str) -> None:
        """Refuse a grain whose steps it cannot be counted in.

        Raises:
            DefinitionError: it is not a whole multiple of the grain.
        """
        ...

    def pieces(self, clock: Clock, floor: np.ndarray, delay: int) -> tuple[Piece, ...]:
        """Return the steps that it holds as disjoint pieces, the latest first; a piece may be empty.

        Args:
            clock: Grain and time zone.
            floor: Step that holds each as_of.
            delay: Steps by which the view's windows are moved back.
        """
        ...


@dataclass(frozen=True)
class Clock:
    """A grain in a business time zone: the one place where instants become steps.

    >>> clock = Clock("1d", "Asia/Shanghai")
    >>> clock.start_us(clock.step(0)) == -8 * HOUR_US
    True
    """

    grain: str
    timezone: str

    def __post_init__(self) -> None:
        if self.grain not in GRAINS:
            raise DefinitionError(f"{self.grain!r} is not a grain. Use one of {', '.join(map(repr, GRAINS))}.")
        zone_of(self.timezone)

    def floor(self, instants_us: np.ndarray) -> np.ndarray:
        """Return the step that holds each instant (int64 microseconds in, int64 steps out)."""
        if self.grain == "event":
            return instants_us
        if self.grain == "1h":
            return instants_us // HOUR_US
        return local_us(instants_us, self.timezone) // DAY_US

    def step(self, instant_us: int) -> int:
        """Return the step that holds one instant."""
        return int(self.floor(np.array([instant_us], np.int64))[0])

    def start_us(self, step: int) -> int:
        """Return the first instant of a step."""
        if self.grain == "event":
            return step
        return step * HOUR_US if self.grain == "1h" else day_start_us(step, self.timezone)

    def starts_us(self, steps: np.ndarray) -> np.ndarray:
        """Return the first instant of each step (int64 in, int64 out)."""
        if self.grain == "event":
            return steps
        if self.grain == "1h":
            return steps * HOUR_US
        return day_starts_us(steps, self.timezone)

    def ceil(self, instant_us: int) -> int:
        """Return the first step that starts at or after an instant."""
        step = self.step(instant_us)
        return step if self.start_us(step) == instant_us else step + 1

    def days(self, steps: np.ndarray) -> np.ndarray:
        """Return the local day (since 1970-01-01) that holds the first instant of each step (int64 in, int64 out)."""
        return steps if self.grain == "1d" else local_us(self.starts_us(steps), self.timezone) // DAY_US

    def day_step(self, day: int) -> int:
        """Return the first step that starts on a local day, or after it where none does."""
        return day if self.grain == "1d" else self.ceil(day_start_us(day, self.timezone))

    def day_steps(self, days: np.ndarray) -> np.ndarray:
        """Return the first step that starts on each local day, or after it where none does (int64 in, int64 out)."""
        if self.grain == "1d":
            return days
        starts_us = day_starts_us(days, self.timezone)
        steps = self.floor(starts_us)
        return np.where(self.starts_us(steps) == starts_us, steps, steps + 1)

    def window(self, as_of_us: np.ndarray, window: AnyWindow, *, delay: int = 0) -> tuple[Piece, ...]:
        """Return the steps that a window holds at each as_of, as disjoint pieces, the latest first.

        A plain window is one piece ``[floor(as_of) - delay - length, floor(as_of) - delay)``: an event at exactly the floor is
        outside, one at exactly ``floor - length`` inside.

        Args:
            as_of_us: Instants of knowledge (int64 microseconds).
            window: What looks back.
            delay: Steps by which it is moved back.
        """
        return window.pieces(self, self.floor(as_of_us), delay)
