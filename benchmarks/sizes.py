"""Sizes: how many events, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass

_UNITS = {"k": 1_000, "m": 1_000_000}


@dataclass(frozen=True)
class Size:
    """A number of events over ten years, and the questions that fit it.

    >>> Size.parse("10m").events, Size.parse("10m").spine_rows
    (10000000, 500000)
    """

    name: str
    events: int

    @classmethod
    def parse(cls, text: str) -> Size:
        """Read ``100k``, ``1m``, ``50m`` or plain digits.

        Raises:
            ValueError: it is none of these.
        """
        digits, unit = (text[:-1], _UNITS[text[-1]]) if text[-1:] in _UNITS else (text, 1)
        if not digits.isdigit() or int(digits) * unit < 1000:
            raise ValueError(f"{text!r} is no size of at least 1k; write 1m, 10m or 50m.")
        return cls(text, int(digits) * unit)

    @property
    def is_full(self) -> bool:
        """Whether questions have the size that the targets name; smaller ones are scaled down."""
        return self.events >= 10_000_000

    @property
    def is_a_look(self) -> bool:
        """Whether it is too small to measure anything: it shows that all works, and is kept in no committed record."""
        return self.events < 1_000_000

    @property
    def spine_rows(self) -> int:
        """Rows of a training set."""
        return 500_000 if self.is_full else self.events // 10

    @property
    def yardstick_rows(self) -> int:
        """Rows of a training set in the proportion that the target names: 500,000 for 50 M events."""
        return min(max(self.events // 100, 1_000), 500_000)

    @property
    def few_rows(self) -> int:
        """Rows for peers whose cost grows with the window."""
        return 100_000 if self.is_full else self.events // 50

    @property
    def users(self) -> int:
        """Users among made-up events: a million at 50 M."""
        return max(self.events // 50, 100)

    @property
    def skus(self) -> int:
        """SKUs among made-up events: 20,000 at 50 M."""
        return max(self.events // 2_500, 20)

    @property
    def stream_rows(self) -> int:
        """Rows of a training set that is written, not returned."""
        return 5_000_000 if self.is_full else self.events

    @property
    def month_rows(self) -> int:
        """Rows of the month that is ingested; fewer would measure what a call costs without rows."""
        return min(max(self.events // 25, 400_000), 2_000_000) if self.events >= 1_000_000 else self.events // 2

    @property
    def peer_bound_s(self) -> float:
        """Seconds that a peer may take."""
        return 60.0 if self.events <= 1_000_000 else 300.0 if self.events <= 10_000_000 else 900.0
