"""Probes: where some (entity, bound) pairs stand in the partitions of a ledger, and the rows that lie between two of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, TypeAlias, TypeVar

import numpy as np
import pyarrow as pa

from featurestore.compute.search.as_of_search import last_row_within

Column: TypeAlias = np.ndarray | pa.Array
_Kept = TypeVar("_Kept")


class LedgerColumns(Protocol):
    """Columns of a ledger or of balances."""

    @property
    def rows(self) -> int:
        """Number of rows."""
        ...

    def array(self, name: str, rows: np.ndarray | None = None, until: np.ndarray | None = None) -> pa.Array:
        """Return a column as one Arrow array, of which the given rows or ranges are looked at; all by default."""
        ...

    def numbers(self, name: str, rows: np.ndarray | None = None, until: np.ndarray | None = None) -> np.ndarray:
        """Return a column without NULLs as numpy numbers, as wide as they are stored; see ``array``."""
        ...


@dataclass(frozen=True, eq=False)
class TableColumns:
    """Columns of a ledger or of balances that lie in memory."""

    table: pa.Table

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.table.num_rows)

    def array(self, name: str, rows: np.ndarray | None = None, until: np.ndarray | None = None) -> pa.Array:
        """Return a column as one Arrow array."""
        return self.table[name].combine_chunks()

    def numbers(self, name: str, rows: np.ndarray | None = None, until: np.ndarray | None = None) -> np.ndarray:
        """Return a column without NULLs as numpy numbers."""
        return np.asarray(self.array(name).to_numpy())


@dataclass(frozen=True, eq=False)
class Partition:
    """One ledger file and the balances beside it.

    Each entity has a place in the balances: its code, or where they are those of active entities alone (``is_active``), the number
    of its code among those, which are in their column ``step``. Methods that take ``codes`` take places.
    """

    start_step: int
    ledger: LedgerColumns
    balances: LedgerColumns
    is_active: bool = False
    _kept: dict[object, object] = field(default_factory=dict, repr=False)

    @property
    def ends(self) -> np.ndarray:
        """The row after each entity's last one, as wide as they are stored."""
        return self.balances.numbers("ends")

    @property
    def entities(self) -> int:
        """Number of entities that have a balance here."""
        return self.balances.rows

    def places_of(self, codes: np.ndarray) -> np.ndarray:
        """Return the place of each entity's balance (int64); -1 of those that have none here."""
        if not self.is_active:
            return np.where(codes < self.entities, codes, -1)
        known = self.codes
        places = np.searchsorted(known, codes)
        is_here = known.take(places, mode="clip") == codes if len(known) else np.zeros(len(codes), bool)
        return np.where(is_here, places, -1)

    @property
    def codes(self) -> np.ndarray:
        """The code of each place (int64)."""
        return self.balances.numbers("step").astype(np.int64) if self.is_active else np.arange(self.entities)

    def entities_of(self, rows: np.ndarray) -> np.ndarray:
        """Return the entity of each row (int64)."""
        ends = self.ends
        return np.searchsorted(ends, rows.astype(ends.dtype, copy=False), side="right")  # of two widths, all would be widened

    @property
    def steps(self) -> np.ndarray:
        """Step of each ledger row."""
        return self.ledger.numbers("step")

    def starts_of(self, codes: np.ndarray) -> np.ndarray:
        """Return the first row of each entity (int64)."""
        return np.where(codes > 0, self.balances.numbers("ends", codes - 1).take(codes - 1, mode="clip").astype(np.int64), 0)

    def ends_of(self, codes: np.ndarray) -> np.ndarray:
        """Return the row after the last one of each entity (int64)."""
        return self.balances.numbers("ends", codes).take(codes).astype(np.int64)

    def last_row_before(self, codes: np.ndarray, bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find the last row of each known entity before a step; see ``as_of_search.last_row_before``."""
        low, high = self.starts_of(codes), self.ends_of(codes)
        return last_row_within(self.ledger.numbers("step", low, high), low, high, bounds)

    def of_a_call(self) -> Partition:
        """Return the same partition, of which nothing is kept yet."""
        return Partition(self.start_step, self.ledger, self.balances, self.is_active)

    def keep(self, key: object, make: Callable[[], _Kept]) -> _Kept:
        """Return what ``make`` returns; it is called once per key as long as this snapshot is read."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]  # type: ignore[return-value]


@dataclass(frozen=True, eq=False)
class Landing:
    """The probes that one partition answers.

    Args:
        partition: The partition, the last one that starts before the bound.
        index: Its position among all partitions.
        positions: Positions of the probes (int64).
        codes: The places of their entities in its balances.
        row: The last row of the entity before the bound; meaningless where ``found`` is false.
        found: Whether there is one in this partition.
    """

    partition: Partition
    index: int
    positions: np.ndarray
    codes: np.ndarray
    row: np.ndarray
    found: np.ndarray

    @cached_property
    def next_row(self) -> np.ndarray:
        """First row of the entity at or after the bound; the row after its last one if there is none."""
        return np.where(self.found, self.row + 1, self.partition.starts_of(self.codes))


@dataclass(frozen=True, eq=False)
class Stretch:
    """The rows of one partition that lie between two bounds: all rows of some entities, a part of those of others.

    ``whole`` and ``partial`` are positions of probes (int64), each at most once; a part is the rows ``[low, high)``, never empty.
    ``until`` is the step that each probe looks back from, counted as the partition's steps are.
    """

    partition: Partition
    whole: np.ndarray
    whole_codes: np.ndarray
    partial: np.ndarray
    low: np.ndarray
    high: np.ndarray
    until: np.ndarray


@dataclass(frozen=True, eq=False)
class Probes:
    """Where the totals at some bounds stand. A probe in no landing has no history.

    Args:
        codes: Entity per probe; negative for unknown ones.
        bounds: Step per probe, itself not included.
        partitions: All partitions, ascending.
        landings: The probes by the partition that answers them.
    """

    codes: np.ndarray
    bounds: np.ndarray
    partitions: tuple[Partition, ...]
    landings: tuple[Landing, ...]

    def __len__(self) -> int:
        return len(self.codes)

    @cached_property
    def _of(self) -> np.ndarray:
        """Number of the partition that answers each probe, -1 for none."""
        of = np.full(len(self), -1, np.int64)
        for landing in self.landings:
            of[landing.positions] = landing.index
        return of

    @cached_property
    def _next_row(self) -> np.ndarray:
        """First row of the entity at or after the bound, in the partition that answers the probe."""
        rows = np.zeros(len(self), np.int64)
        for landing in self.landings:
            rows[landing.positions] = landing.next_row
        return rows


def stretches(left: Probes | None, right: Probes, *, until: np.ndarray | None = None) -> tuple[Stretch, ...]:
    """List the rows of each entity with ``left <= step < right``, partition by partition, ascending.

    Args:
        left: Probes at the windows' first steps; ``None`` for the beginning of time.
        right: Probes of the same entities at the steps after the windows.
        until: Steps that are looked back from; by default the right bounds.

    One entity with two rows in each of three partitions, and a window from step 15 to step 33::

        partition    0: steps 0-9     1: steps 10-19     2: steps 20-29     3: steps 30-39
        rows         4, 8             12, 16             22, 27             31, 36
        left                          |---->
        right                                                               ---->|
        stretch                       [16]               all of them        [31]
                                      partial            whole              partial

    The left probe lands in partition 1, the right one in 3. So partition 1 gives the rows from the left bound to the entity's
    end, 3 those from the entity's start to the right bound, and 2, between them, is whole: what a partition keeps of itself (its
    extremes, its first value) answers for it, whatever its length. A window inside one partition is one partial stretch.
    """
    first = np.full(len(right), -1, np.int64) if left is None else left._of
    begins = {landing.index: landing for landing in left.landings} if left else {}
    ends = {landing.index: landing for landing in right.landings}
    last = right._of
    looked_from = right.bounds if until is None else until
    between = []
    for i in range(max(int(first.min(initial=0)), 0), int(last.max(initial=-1)) + 1):
        partition = right.partitions[i]
        whole = np.flatnonzero((first < i) & (last > i) & (right.codes < partition.entities))
        parts = []
        if i in ends:
            at = ends[i].positions
            low = partition.starts_of(ends[i].codes)
            if left is not None:
                low = np.where(first[at] == i, left._next_row[at], low)
            parts.append((at, low, ends[i].next_row))
        if i in begins:
            goes_on = last[begins[i].positions] > i
            codes = begins[i].codes[goes_on]
            parts.append((begins[i].positions[goes_on], begins[i].next_row[goes_on], partition.ends_of(codes)))
        partial, low, high = (np.concatenate(column) for column in zip(*parts, strict=True)) if parts else [_NO_ROWS] * 3
        some = np.flatnonzero(low < high)
        between.append(Stretch(partition, whole, right.codes[whole], partial[some], low[some], high[some], looked_from))
    return tuple(between)


_NO_ROWS = np.zeros(0, np.int64)
