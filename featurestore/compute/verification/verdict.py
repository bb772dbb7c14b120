"""What verify says: one comparison per view and file, the first difference, and both as text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

EQUAL, DIFFERENT, DAMAGED, NOT_MATERIALIZED = "equal", "different", "damaged", "not materialized"
KEYS, EVENTS, TILES, HOT = "keys", "events", "tiles", "hot"
_YEAR_DIGITS = 4
_NO_HASH = "-"


@dataclass(frozen=True)
class Difference:
    """One committed value that differs from what the events give.

    Args:
        key: The entity's key.
        at: First instant of the step, UTC; ``None`` for a balance, which stands before its partition.
        measure: The column; ``None`` where the whole row is on one side only.
        aggregations: The aggregations that read it.
        committed: Its value in the committed file; ``None`` also where the row is missing.
        recomputed: Its value computed from the events; ``None`` also where the row should not be.
    """

    view: str
    kind: str
    partition: str
    key: tuple[Any, ...]
    at: datetime | None
    measure: str | None
    aggregations: tuple[str, ...]
    committed: Any
    recomputed: Any

    def __str__(self) -> str:
        key = ", ".join(map(repr, self.key))
        step = "" if self.at is None else f", step {self.at.isoformat()}"
        where = f"{self.kind} of view {self.view!r}, partition {self.partition}, key {key}{step}"
        if self.measure is None:
            return f"{where}: committed {_row(self.committed)}, recomputed {_row(self.recomputed)}"
        of = f" (of {', '.join(self.aggregations)})" if self.aggregations else ""
        return f"{where}, {self.measure}{of}: committed {self.committed!r}, recomputed {self.recomputed!r}"


def _row(row: Any) -> str:
    return "no row" if row is None else f"the row {row!r}"


@dataclass(frozen=True)
class Comparison:
    """One committed file, or one month or partition that has none, against what the events say.

    Args:
        partition: Month of the tiles, or first month of the ledger's partition; empty for a view's keys.
        rows: Rows compared.
        committed: Hash of the committed values, 16 hexadecimal digits; ``-`` where there is nothing to hash.
        recomputed: Hash of the values computed from the events.
        state: ``equal``, ``different``, ``damaged`` or ``not materialized``.
        note: What is wrong, and what to do.
        difference: The first one; ``None`` where nothing differs.
    """

    view: str
    kind: str
    partition: str
    rows: int
    committed: str
    recomputed: str
    state: str
    note: str = ""
    difference: Difference | None = None


@dataclass(frozen=True)
class VerifyReport:
    """The result of ``verify``.

    Args:
        comparisons: In the order of views, then keys, events, tiles by month, ledger and balances by partition.
        share: Share of the entities that were looked at.
        elapsed_s: Wall time.
    """

    comparisons: tuple[Comparison, ...]
    share: float
    elapsed_s: float

    @property
    def is_equal(self) -> bool:
        """Whether everything committed is what the events give. What is not materialized yet is no difference."""
        return not self.failures

    @property
    def failures(self) -> tuple[Comparison, ...]:
        """The comparisons that came out different or damaged."""
        return tuple(each for each in self.comparisons if each.state in (DIFFERENT, DAMAGED))

    @property
    def first_difference(self) -> Difference | None:
        """The first value that differs; ``None`` without one."""
        return next((each.difference for each in self.comparisons if each.difference is not None), None)

    def __str__(self) -> str:
        lines = [
            ("view", "what", "partition", "rows", "committed", "recomputed", "state"),
            *(_cells(group) for group in _grouped(self.comparisons)),
        ]
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        table = ["  ".join(_aligned(line, widths)).rstrip() for line in lines]
        notes = [f"{each.kind} of view {each.view!r}, {each.partition}: {each.note}" for each in self.comparisons if each.note]
        first = [f"First difference: {self.first_difference}"] if self.first_difference else []
        return "\n".join([*table, *notes, *first, self._summary()])

    def _summary(self) -> str:
        waiting = sum(each.state == NOT_MATERIALIZED for each in self.comparisons)
        facts = [f"{len(self.comparisons)} comparisons"]
        facts += [f"{len(self.failures)} failed"] if self.failures else ["none failed"]
        facts += [f"{waiting} not materialized yet"] if waiting else []
        facts += [f"{self.share:.1%} of the entities"] if self.share < 1 else []
        return f"{', '.join(facts)}, in {self.elapsed_s:.1f} s"


def _grouped(comparisons: Iterable[Comparison]) -> list[list[Comparison]]:
    """Gather the months of tiles of one year that are all in one state; everything else stands alone."""

    def group(each: Comparison) -> tuple[str, ...]:
        is_month = each.kind in (TILES, EVENTS)
        year = each.partition[:_YEAR_DIGITS] if is_month else each.partition
        return each.view, each.kind, year, each.state

    return [list(members) for _, members in groupby(comparisons, key=group)]


def _cells(group: list[Comparison]) -> tuple[str, ...]:
    first = group[0]
    last = group[-1]
    partition = first.partition if len(group) == 1 else f"{first.partition} .. {last.partition}"
    rows = f"{sum(each.rows for each in group):,}"
    hashes = (_sum([each.committed for each in group]), _sum([each.recomputed for each in group]))
    return first.view, first.kind, partition, rows, *hashes, first.state


def _sum(hashes: list[str]) -> str:
    """Add the hashes of disjoint sets of rows."""
    if _NO_HASH in hashes:
        return _NO_HASH
    return f"{sum(int(each, 16) for each in hashes) % 2**64:016x}"


def _aligned(line: tuple[str, ...], widths: list[int]) -> list[str]:
    is_number = {3}
    return [
        text.rjust(width) if i in is_number else text.ljust(width)
        for i, (text, width) in enumerate(zip(line, widths, strict=True))
    ]
