"""What a section finds: rows of the table, each against its target, and series for the picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.sizes import Size


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        what: What is compared with what.
        measured: The number; ``None`` when it could not be had, and ``note`` says why.
        at_most: Target, if it is an upper one.
        at_least: Target, if it is a lower one.
        unit: ``""`` for a ratio, else what follows the number.
        wall: The same ratio of wall seconds; ``measured`` is of CPU seconds.
        bound: ``">="`` where the number is only known to be at least that.
        note: Absolute numbers, and whether answers were equal.
    """

    what: str
    measured: float | None = None
    at_most: float | None = None
    at_least: float | None = None
    unit: str = ""
    wall: float | None = None
    bound: str = ""
    note: str = ""

    @property
    def target(self) -> str:
        """The target in words."""
        if self.at_most is not None:
            return f"<= {plain(self.at_most)}{self.unit}"
        return f">= {plain(self.at_least)}{self.unit}" if self.at_least is not None else "-"

    @property
    def verdict(self) -> str:
        """``met``, or how far away."""
        if self.measured is None:
            return "not measured"
        if self.at_most is not None:
            return "met" if self.measured <= self.at_most else f"{self.measured / self.at_most:.2f} x too much"
        if self.at_least is not None:
            return "met" if self.measured >= self.at_least else f"{self.at_least / self.measured:.2f} x too little"
        return "-"


@dataclass(frozen=True)
class Findings:
    """Rows, and series of ``name -> [(x, cost), ...]`` for the picture."""

    rows: tuple[Row, ...]
    series: Mapping[str, list[tuple[float, float]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Bench:
    """What a section is given: how big, and where things are kept.

    Args:
        size: Of the data.
        data: Folder of stores, events and environments; kept between runs.
        runs: Calls that a median is taken of.
        has_peers: Whether peers are asked (their environments are made on first use).
    """

    size: Size
    data: Path
    runs: int = 5
    has_peers: bool = True


def plain(number: float | None) -> str:
    """Write a number with as many digits as are read, rounded: 3 of them, all before the point.

    >>> plain(1.3053), plain(0.968), plain(27.96), plain(1234.5), plain(0.01234)
    ('1.31', '0.97', '28.0', '1,234', '0.0123')
    """
    if number is None:
        return "-"
    size = abs(number)
    if size < 0.1:
        return f"{number:.3g}"
    return f"{number:.2f}" if size < 9.995 else f"{number:.1f}" if size < 99.95 else f"{number:,.0f}"


def seconds(cost: Mapping[str, float]) -> str:
    """Write a cost's CPU seconds."""
    return f"{plain(cost['cpu_s'])} CPU-s"


def gibibytes(size: float) -> float:
    """Return bytes in GiB."""
    return size / 2**30
