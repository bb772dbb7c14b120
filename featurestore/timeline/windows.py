"""Windows: what a feature looks back over, from the floor of its as_of."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

from featurestore.errors import DefinitionError
from featurestore.timeline.clock import Clock, Edge, Piece
from featurestore.timeline.instants import HOUR_US

_WINDOW = re.compile(r"([1-9][0-9]{0,4})([hdy])")
_HOURS = {"h": 1, "d": 24, "y": 24 * 365}
# Text to the numpy unit of the calendar in which it begins.
_TO_DATE = {"ytd": "datetime64[Y]", "mtd": "datetime64[M]"}


@dataclass(frozen=True)
class Window:
    """A length: whole hours, or ``None`` for ``lifetime``. ``1y`` is 365 days.

    >>> Window.parse("10y").hours
    87600
    """

    text: str
    hours: int | None

    @classmethod
    def parse(cls, text: str) -> Window:
        """Read ``"1h"``, ``"30d"``, ``"10y"`` or ``"lifetime"``.

        Raises:
            DefinitionError: anything else.
        """
        if text == "lifetime":
            return cls("lifetime", None)
        parts = _WINDOW.fullmatch(text) if isinstance(text, str) else None
        if not parts:
            raise DefinitionError(
                f"{text!r} is not a window. Write a whole number of hours, days or years ('6h', '30d', '10y') or 'lifetime'; "
                "windows= also takes 'ytd', 'mtd', Offset, SeasonWindow and YearBefore."
            )
        return cls(text, int(parts[1]) * _HOURS[parts[2]])

    @property
    def length_hours(self) -> int | None:
        """Hours that it holds; ``None`` for ``lifetime``."""
        return self.hours

    @property
    def look_back_hours(self) -> int | None:
        """Hours from its first instant to ``floor(as_of)``; ``None`` for ``lifetime``."""
        return self.hours

    def steps(self, grain: str) -> int | None:
        """Count the grain's steps in this window; ``None`` for ``lifetime``.

        Raises:
            DefinitionError: the window is not a whole multiple of the grain.
        """
        if self.hours is None:
            return None
        if grain == "1d":
            if self.hours % 24:
                raise DefinitionError(f"Window {self.text!r} is not a whole number of days, the view's grain. Use grain='1h'.")
            return self.hours // 24
        return self.hours if grain == "1h" else self.hours * HOUR_US

    def check(self, grain: str) -> None:
        """Refuse a grain of which it is not a whole multiple, with a ``DefinitionError``."""
        self.steps(grain)

    def pieces(self, clock: Clock, floor: np.ndarray, delay: int) -> tuple[Piece, ...]:
        """Return ``[floor - delay - length, floor - delay)``."""
        length = self.steps(clock.grain)
        return (Piece(_back(floor, delay), None if length is None else _back(floor, delay + length)),)


@dataclass(frozen=True)
class ToDate:
    """Year to date or month to date: from the first step of the as_of's business year or month to its floor.

    Args:
        text: ``"ytd"`` or ``"mtd"``.
    """

    text: str

    def __post_init__(self) -> None:
        if self.text not in _TO_DATE:
            raise DefinitionError(f"{self.text!r} is not a window to date; write 'ytd' or 'mtd'.")

    @property
    def length_hours(self) -> None:
        """``None``: it differs from as_of to as_of."""
        return None

    @property
    def look_back_hours(self) -> None:
        """``None``: it differs from as_of to as_of."""
        return None

    def check(self, grain: str) -> None:
        """Accept every grain."""

    def pieces(self, clock: Clock, floor: np.ndarray, delay: int) -> tuple[Piece, ...]:
        """Return ``[first step of the year or month - delay, floor - delay)``; empty in the first step itself.

        The year or month is that of the floor; a step belongs to the one that holds its first instant.
        """
        day = clock.days(floor).astype("datetime64[D]")
        firsts, of = np.unique(day.astype(_TO_DATE[self.text]), return_inverse=True)
        days = firsts.astype("datetime64[D]").astype(np.int64)
        starts = np.array([clock.day_step(day) for day in days.tolist()], np.int64)
        return (Piece(_back(floor, delay), Edge(f"{self.text} start - {delay}", starts[of] - delay)),)


def parse_window(text: str) -> Window | ToDate:
    """Read a length (see ``Window.parse``), ``"ytd"`` or ``"mtd"``.

    Raises:
        DefinitionError: anything else.
    """
    return ToDate(text) if isinstance(text, str) and text in _TO_DATE else Window.parse(text)


def length_steps(text: str, grain: str) -> int:
    """Count a grain's steps in a length such as ``"45d"``.

    Raises:
        DefinitionError: it is no whole multiple of the grain, or ``"lifetime"``, which has no length.
    """
    steps = Window.parse(text).steps(grain)
    if steps is None:
        raise DefinitionError("'lifetime' has no length; give hours, days or years, such as '45d'.")
    return steps


@dataclass(frozen=True)
class Offset:
    """A window as it lay some time before: ``Offset("30d", by="1y")`` is ``[floor - by - 30d, floor - by)``.

    Args:
        window: A length, ``"lifetime"``, ``"ytd"`` or ``"mtd"``.
        by: Length by which both edges are moved back; ``"1y"`` is 365 days.

    >>> Offset("30d", by="1y").text
    '30d_offset_1y'
    """

    window: str
    by: str = field(kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.window, str):
            raise DefinitionError(
                f"An Offset takes a length, 'ytd' or 'mtd', not {self.window!r}. To look further back, make by= longer."
            )
        parse_window(self.window)
        _ = self._by_hours

    @property
    def text(self) -> str:
        """End of the names of its features."""
        return f"{self.window}_offset_{self.by}"

    @property
    def length_hours(self) -> int | None:
        """Hours that the inner window holds; ``None`` where they have no bound, or differ from as_of to as_of."""
        return parse_window(self.window).length_hours

    @property
    def look_back_hours(self) -> int | None:
        """Hours from its first instant to ``floor(as_of)``, the offset included; ``None`` where they have no bound."""
        inner = parse_window(self.window).look_back_hours
        return None if inner is None else inner + self._by_hours

    def check(self, grain: str) -> None:
        """Refuse a grain of which window and offset are not whole multiples, with a ``DefinitionError``."""
        parse_window(self.window).check(grain)
        length_steps(self.by, grain)

    def pieces(self, clock: Clock, floor: np.ndarray, delay: int) -> tuple[Piece, ...]:
        """Return the inner window's piece, both edges moved back by the offset."""
        return parse_window(self.window).pieces(clock, floor, delay + length_steps(self.by, clock.grain))

    @property
    def _by_hours(self) -> int:
        return length_steps(self.by, "1h")


def _back(floor: np.ndarray, steps: int) -> Edge:
    return Edge(f"floor - {steps}", floor - steps if steps else floor)
