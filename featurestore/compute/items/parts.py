"""The partitions of a ledger, as its sub-ledgers see them, and what their files are called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from featurestore.timeline import Clock, Month


@dataclass(frozen=True)
class Part:
    """One partition.

    Args:
        start: Its name.
        ledger: Name of its ledger file, which stands for its tiles.
        first: Its first step.
        opens: Where the partition before it was cut: months without events belong to the partition after them.
        cut: Step of the first instant after its last month.
    """

    start: str
    ledger: str
    first: int
    opens: int
    cut: int


def parts_of(ledgers: Mapping[str, str], months: Mapping[str, Iterable[str]], *, clock: Clock) -> tuple[Part, ...]:
    """List the partitions in order.

    Args:
        ledgers: Name of a partition to the name of its ledger file.
        months: Name of a partition to its months.
        clock: The view's clock.
    """
    parts: list[Part] = []
    for start, ledger in sorted(ledgers.items()):
        last = max(map(Month.parse, months[start]))
        first = clock.step(Month.parse(start).interval(clock.timezone).start_us)
        cut = clock.step(last.interval(clock.timezone).end_us)
        parts.append(Part(start, ledger, first, parts[-1].cut if parts else first, cut))
    return tuple(parts)


def within_reach(parts: Sequence[Part], index: int, window: int | None) -> list[Part]:
    """List the partitions before one that may have seen an item which still counts in it, the newest first."""
    since = None if window is None else parts[index].opens - window
    return [part for part in reversed(parts[:index]) if since is None or part.cut >= since]


def longest(windows: Iterable[int | None]) -> int | None:
    """Return the longest window; ``None``, that is ``lifetime``, is longer than any."""
    lengths = list(windows)
    return None if None in lengths else max(length for length in lengths if length is not None)


def window_name(window: int | None) -> str:
    """Return the name of a window from its length in steps."""
    return "lifetime" if window is None else str(window)
