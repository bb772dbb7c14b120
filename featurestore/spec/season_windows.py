"""Windows as they are declared: texts, offsets, retail seasons, a year before by the calendar; and their JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from itertools import groupby

import numpy as np

from featurestore.calendar import FIRST_YEAR, LAST_YEAR, ORDINARY, SEASONS, retail_season, year_before
from featurestore.errors import DefinitionError, did_you_mean
from featurestore.timeline import AnyWindow, Clock, Edge, Month, Offset, Piece, months_between, parse_window

MAX_YEARS = 100
LONGEST_YEAR_DAYS = 385
"""Between a Spring Festival and the next: 12 or 13 months of the moon."""


@dataclass(frozen=True)
class SeasonWindow:
    """The latest complete occurrences of a retail season: ``SeasonWindow("double11", years=3)``.

    An occurrence is the business month that carries the season's label (``retail_season``), from its first step to its last;
    adjacent months with one label are one occurrence. An occurrence counts if it ended at or before ``floor(as_of)`` less the
    view's delay, so one that is under way does not; of those the latest ``years`` are taken, fewer where the calendar (1900 to
    2099) or the history has fewer. The months stay where they lie: a delay decides which of them are complete, it does not move
    them.

    Args:
        season: A label of the retail calendar other than ``"ordinary"``.
        years: How many occurrences; each season returns about once a year.

    >>> SeasonWindow("double11", years=3).text
    'double11_3y'
    """

    season: str
    years: int = field(kw_only=True)

    def __post_init__(self) -> None:
        if self.season == ORDINARY:
            raise DefinitionError("'ordinary' is no season that returns every year; use a window such as '1y'.")
        if self.season not in SEASONS:
            seasons = [season for season in SEASONS if season != ORDINARY]
            raise DefinitionError(
                f"{self.season!r} is no season of the retail calendar; expected one of {', '.join(map(repr, seasons))}."
                f"{did_you_mean(str(self.season), seasons)}"
            )
        if type(self.years) is not int or not 1 <= self.years <= MAX_YEARS:
            raise DefinitionError(
                f"years of the season {self.season!r} is {self.years!r}; give a number from 1 to {MAX_YEARS}."
            )

    @property
    def text(self) -> str:
        """End of the names of its features."""
        return f"{self.season}_{self.years}y"

    @property
    def length_hours(self) -> None:
        """``None``: months differ in length."""
        return None

    @property
    def look_back_hours(self) -> None:
        """``None``: it differs from as_of to as_of."""
        return None

    def check(self, grain: str) -> None:
        """Accept every grain."""

    def pieces(self, clock: Clock, floor: np.ndarray, delay: int) -> tuple[Piece, ...]:
        """Return one piece per occurrence, the latest first; empty ones where there are fewer."""
        starts, ends = _occurrences(self.season, clock)
        complete = np.searchsorted(ends, floor - delay, side="right")
        return tuple(self._piece(i, starts, ends, complete - i) for i in range(self.years))

    def _piece(self, back: int, starts: np.ndarray, ends: np.ndarray, count: np.ndarray) -> Piece:
        """Return the last of the first ``count`` occurrences at each as_of; an empty piece where ``count`` is not positive."""
        index = np.maximum(count - 1, 0)
        exists = count > 0
        return Piece(
            Edge(f"{self.season} {back} end", np.where(exists, ends[index], starts[0])),
            Edge(f"{self.season} {back} start", np.where(exists, starts[index], starts[0])),
        )


@lru_cache(maxsize=64)
def _occurrences(season: str, clock: Clock) -> tuple[np.ndarray, np.ndarray]:
    """Return the first step of each occurrence of a season and the first step after it, both ascending."""
    months = months_between(Month(FIRST_YEAR, 1), Month(LAST_YEAR, 11))
    runs = [list(run) for label, run in groupby(months, key=lambda month: retail_season(month).label) if label == season]
    bounds = [(_first_step(run[0], clock), _first_step(run[-1].next(), clock)) for run in runs]
    starts, ends = np.array(bounds, np.int64).T
    return starts, ends


def _first_step(month: Month, clock: Clock) -> int:
    return clock.day_step((month.first_day - date(1970, 1, 1)).days)


@dataclass(frozen=True)
class YearBefore:
    """A window as it lay a year before by the retail calendar: ``YearBefore("2h")`` is the same two hours of the same day.

    The day that holds the window's last step decides: ``featurestore.calendar.year_before`` names its counterpart, which is the
    same date, and around the Spring Festival the day as far from the festival before. Both edges move by the steps between the
    first steps of the two days, so 10:00 of 11.11 is compared with 10:00 of 11.11, and the festival's eve with its eve, 353 to
    385 days before. Since days decide, windows of neighbouring days may overlap where one festival is nearer than the other.

    Args:
        window: A length, ``"lifetime"``, ``"ytd"`` or ``"mtd"``; the last two begin with the counterpart's year or month.

    >>> YearBefore("24h").text
    '24h_year_before'
    """

    window: str

    def __post_init__(self) -> None:
        if not isinstance(self.window, str):
            raise DefinitionError(f"A YearBefore takes a length, 'lifetime', 'ytd' or 'mtd', not {self.window!r}.")
        parse_window(self.window)

    @property
    def text(self) -> str:
        """End of the names of its features."""
        return f"{self.window}_year_before"

    @property
    def length_hours(self) -> int | None:
        """Hours that the inner window holds; ``None`` where they have no bound, or differ from as_of to as_of."""
        return parse_window(self.window).length_hours

    @property
    def look_back_hours(self) -> int | None:
        """Hours from its first instant to ``floor(as_of)``, in the longest year; ``None`` where they have no bound."""
        inner = parse_window(self.window).look_back_hours
        return None if inner is None else inner + 24 * LONGEST_YEAR_DAYS

    def check(self, grain: str) -> None:
        """Refuse a grain of which the inner window is no whole multiple, with a ``DefinitionError``."""
        parse_window(self.window).check(grain)

    def pieces(self, clock: Clock, floor: np.ndarray, delay: int) -> tuple[Piece, ...]:
        """Return the inner window's piece, both edges moved back by the same number of steps at each as_of."""
        day = clock.days(floor - delay - 1)
        back = clock.day_steps(day) - clock.day_steps(year_before(day))
        pieces = parse_window(self.window).pieces(clock, floor - back, delay)
        return tuple(Piece(_renamed(piece.right), _renamed(piece.left) if piece.left else None) for piece in pieces)


def _renamed(edge: Edge) -> Edge:
    return Edge(f"year before: {edge.name}", edge.steps)


DeclaredWindow = str | Offset | SeasonWindow | YearBefore


def read_window(declared: DeclaredWindow) -> AnyWindow:
    """Read a window as it is declared: a text, an ``Offset``, a ``SeasonWindow`` or a ``YearBefore``.

    Raises:
        DefinitionError: it is none of these, or a text that is no window.
    """
    return declared if isinstance(declared, Offset | SeasonWindow | YearBefore) else parse_window(declared)


def window_document(declared: DeclaredWindow) -> str | dict[str, object]:
    """Write a declared window as a JSON value."""
    if isinstance(declared, Offset):
        return {"offset": declared.window, "by": declared.by}
    if isinstance(declared, YearBefore):
        return {"year_before": declared.window}
    return {"season": declared.season, "years": declared.years} if isinstance(declared, SeasonWindow) else declared


def window_from(value: str | Mapping[str, object]) -> DeclaredWindow:
    """Read a declared window from ``window_document``'s form."""
    if isinstance(value, str):
        return value
    if "offset" in value:
        return Offset(str(value["offset"]), by=str(value["by"]))
    if "year_before" in value:
        return YearBefore(str(value["year_before"]))
    years = value["years"]
    assert isinstance(years, int)
    return SeasonWindow(str(value["season"]), years=years)
