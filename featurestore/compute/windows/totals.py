"""Totals of one view at any step: which partition, which row, which value.

The partition of a bound is the last one that starts before it; the total is the balance there plus the totals on the last
row of the entity before the bound. A bound at or before the first partition has no history: zeros and NULLs. The newest
partition may have balances of its active entities alone: for the others the partition before it answers, whose last row stands.
"""

from __future__ import annotations

from copy import copy
from functools import cached_property

import numpy as np

from featurestore.compute.items.parts import parts_of
from featurestore.compute.keys import check_codes, keys_table
from featurestore.compute.materialization.ledger import months_of
from featurestore.compute.search.hot_copy import ColumnFile
from featurestore.compute.search.probes import Landing, Partition, Probes
from featurestore.compute.state import ACTIVE, BALANCES, KIND, LEDGER, START, ViewState
from featurestore.compute.windows.sub_ledgers import SubLedgerReader
from featurestore.lake.table import CommittedFile, Table
from featurestore.timeline import Month


class LedgerReader:
    """A snapshot of one view's ledger.

    Args:
        state: The view.
        table: Snapshot of its ledger table; the newest by default.

    Raises:
        StoreError: the entity's dictionary knows fewer keys than the balances.
    """

    def __init__(self, state: ViewState, *, table: Table | None = None) -> None:
        self._state = state
        self.table = table or Table.open(state.ledger_path)
        self.ledgers = {file.partition[START]: file for file in self.table.files(**{KIND: LEDGER})}
        active = {file.partition[START]: file for file in self.table.files(**{KIND: ACTIVE})}
        balances = {file.partition[START]: file for file in self.table.files(**{KIND: BALANCES})} | active
        self._balances = tuple(balances.values())
        self._keys: Table | None = None
        self.check_keys()
        hot = state.layout.hot(state.view.name)

        def columns(file: CommittedFile) -> ColumnFile:
            return ColumnFile(file, hot / f"{file.path.stem}.arrow")

        self._partitions = tuple(
            Partition(state.start_step(start), columns(file), columns(balances[start]), start in active)
            for start, file in sorted(self.ledgers.items())
        )
        self._column_files = [each for pair in ((p.ledger, p.balances) for p in self._partitions) for each in pair]
        self._starts = np.array([partition.start_step for partition in self._partitions], np.int64)

    def check_keys(self) -> None:
        """Refuse a dictionary that knows fewer keys than the balances; one that was looked at is not looked at again.

        Raises:
            StoreError: it was lost in part.
        """
        if not self._balances:
            return
        path, types = self._state.layout.keys(self._state.view.entity.name), self._state.view.key_types
        keys = Table.open(keys_table(path, types))
        if keys is not self._keys:
            check_codes(path, types, self._balances)
            self._keys = keys

    @property
    def is_mapped(self) -> bool:
        """Whether all that has been opened are mapped copies, each still the file that it was."""
        opened = vars(self).get("sub_ledgers")
        return all(isinstance(each, ColumnFile) and each.is_mapped for each in self._column_files) and (
            opened is None or opened.is_mapped
        )

    def of_a_call(self) -> LedgerReader:
        """Return the same reader for one call: what that derives of columns (``Partition.keep``) is its own, and goes with it."""
        _ = self.folded, self.sub_ledgers  # made before the copy, so that all calls have the same
        own = copy(self)
        own._partitions = tuple(partition.of_a_call() for partition in self._partitions)
        return own

    @cached_property
    def folded(self) -> dict[Month, str]:
        """The tiles that the ledger was folded from: month to name."""
        months = (months_of(file.path) for file in self.ledgers.values())
        return {Month.parse(month): name for names in months for month, name in names.items()}

    def probe(self, codes: np.ndarray, bounds: np.ndarray) -> Probes:
        """Search the last row of each entity before each bound.

        Args:
            codes: Entity per probe, sorted together with ``bounds`` for speed; negative for unknown ones.
            bounds: Step per probe, itself not included.
        """
        of = np.searchsorted(self._starts, bounds, side="left") - 1
        if self._partitions and self._partitions[-1].is_active:
            newest = np.flatnonzero(of == len(self._partitions) - 1)
            of[newest[self._partitions[-1].places_of(codes[newest]) < 0]] -= 1
        landings = []
        for i in np.flatnonzero(np.bincount(of[of >= 0], minlength=len(self._partitions))):
            partition = self._partitions[i]
            positions = np.flatnonzero((of == i) & (codes >= 0))
            places = partition.places_of(codes.take(positions))
            positions, mine = positions[places >= 0], places[places >= 0]
            row, found = partition.last_row_before(mine, bounds.take(positions))
            landings.append(Landing(partition, int(i), positions, mine, row, found))
        return Probes(codes, bounds, self._partitions, tuple(landings))

    @cached_property
    def sub_ledgers(self) -> SubLedgerReader:
        """The sub-ledgers of the view's items."""
        names = {start: file.path.stem for start, file in self.ledgers.items()}
        months = {start: months_of(file.path) for start, file in self.ledgers.items()}
        return SubLedgerReader(self._state, self.table, parts_of(names, months, clock=self._state.clock))

    @property
    def entities(self) -> int:
        """Number of entities that the newest balances know."""
        last = self._partitions[-2:]  # of the newest one, those that are active in it may be all that are known
        return max((int(each.codes[-1]) + 1 if each.is_active and each.entities else each.entities for each in last), default=0)

    def active_codes(self, left: int, right: int) -> np.ndarray:
        """List the entities that have a row with ``left <= step < right``, ascending (int64)."""
        is_active = np.zeros(self.entities, bool)
        for i, partition in enumerate(self._partitions):
            ends_before = i + 1 < len(self._partitions) and self._starts[i + 1] < left
            if partition.start_step >= right or ends_before:
                continue
            rows = np.flatnonzero((partition.steps >= left) & (partition.steps < right))
            places = partition.entities_of(rows)
            is_active[partition.codes[places] if partition.is_active else places] = True
        return np.flatnonzero(is_active)


def sorted_order(codes: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Return the order that sorts probes by (code, bound), in which the search runs through memory once."""
    low = int(bounds.min(initial=0))
    high = int(bounds.max(initial=0))
    span = high - low + 1
    if (int(codes.max(initial=0)) + 2) * span < 2**62:
        return np.argsort((codes + 1) * span + (bounds - low))  # one sort of packed numbers costs half of two
    return np.lexsort((bounds, codes))
