"""Totals of one view at any step: which partition, which row, which value.

The partition of a bound is the last one that starts before it; the total is the balance there plus the totals on the last
row of the entity before the bound. A bound at or before the first partition has no history: zeros and NULLs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.compute.hot import ColumnFile
from featurestore.compute.measure import Measure
from featurestore.compute.search import last_row_before
from featurestore.compute.state import BALANCES, KIND, LEDGER, START, ViewState
from featurestore.lake.table import CommittedFile, Table
from featurestore.timeline import Month

Column: TypeAlias = np.ndarray | pa.Array


@dataclass(frozen=True, eq=False)
class Partition:
    """One ledger file and the balances at its start."""

    start_step: int
    ledger: ColumnFile
    balances: ColumnFile

    @cached_property
    def ends(self) -> np.ndarray:
        """Row behind each entity's last one (int64)."""
        return self.balances.numbers("ends").astype(np.int64)

    @property
    def steps(self) -> np.ndarray:
        """Step of each ledger row."""
        return self.ledger.numbers("step")


@dataclass(frozen=True, eq=False)
class Probes:
    """Which ledger rows hold the totals at some bounds: per partition, the probes it answers.

    ``parts`` lists ``(partition, positions, codes, row, found)``; positions in no part have no history.
    """

    count: int
    parts: tuple[tuple[Partition, np.ndarray, np.ndarray, np.ndarray, np.ndarray], ...]

    def column(self, measure: Measure) -> Column:
        """Return a measure's total at each bound: int64 numpy for sums, an Arrow array for carried values."""
        return self._sums(measure) if measure.fold == "sum" else self._carried(measure)

    def _sums(self, measure: Measure) -> np.ndarray:
        out = np.zeros((self.count, *measure.shape), np.int64)
        for partition, positions, codes, row, found in self.parts:
            total = measure.numpy(partition.balances.array(measure.name)).take(codes, axis=0).astype(np.int64)
            values = measure.numpy(partition.ledger.array(measure.name))
            if len(values):
                total += values.take(row, axis=0) * found.reshape(-1, *(1 for _ in measure.shape))
            out[positions] = total
        return out

    def _carried(self, measure: Measure) -> pa.Array:
        source = np.full(self.count, -1, np.int64)
        pieces, offset = [], 0
        for partition, positions, codes, row, found in self.parts:
            inside = partition.ledger.array(measure.name).take(pa.array(row, mask=~found))
            before = partition.balances.array(measure.name).take(pa.array(codes))
            pieces.append(pc.coalesce(inside, before).cast(measure.type))
            source[positions] = offset + np.arange(len(positions))
            offset += len(positions)
        if not pieces:
            return pa.nulls(self.count, measure.type)
        return pa.concat_arrays(pieces).take(pa.array(source, mask=source < 0))


class LedgerReader:
    """A snapshot of one view's ledger.

    Args:
        state: The view.
        table: Snapshot of its ledger table; the newest by default.
    """

    def __init__(self, state: ViewState, *, table: Table | None = None) -> None:
        self.table = table or Table.open(state.ledger_path)
        self._state = state
        self.ledgers = {file.partition[START]: file for file in self.table.files(**{KIND: LEDGER})}
        balances = {file.partition[START]: file for file in self.table.files(**{KIND: BALANCES})}
        hot = state.layout.hot(state.view.name)

        def columns(file: CommittedFile) -> ColumnFile:
            return ColumnFile(file.path, hot / f"{file.path.stem}.arrow")

        self._partitions = [
            Partition(self._start_step(start), columns(file), columns(balances[start]))
            for start, file in sorted(self.ledgers.items())
        ]
        self._starts = np.array([partition.start_step for partition in self._partitions], np.int64)

    def _start_step(self, start: str) -> int:
        return self._state.clock.step(Month.parse(start).interval(self._state.layout.timezone).start_us)

    def probe(self, codes: np.ndarray, bounds: np.ndarray) -> Probes:
        """Search the last row of each entity before each bound.

        Args:
            codes: Entity per probe, sorted together with ``bounds`` for speed; negative for unknown ones.
            bounds: Step per probe, itself not included.
        """
        of = np.searchsorted(self._starts, bounds, side="left") - 1
        parts = []
        for i in np.flatnonzero(np.bincount(of[of >= 0], minlength=len(self._partitions))):
            partition = self._partitions[i]
            positions = np.flatnonzero((of == i) & (codes >= 0) & (codes < len(partition.ends)))
            mine = codes.take(positions)
            row, found = last_row_before(partition.steps, partition.ends, mine, bounds.take(positions))
            parts.append((partition, positions, mine, row, found))
        return Probes(len(codes), tuple(parts))

    @property
    def entities(self) -> int:
        """Number of entities that the newest balances know."""
        return len(self._partitions[-1].ends) if self._partitions else 0

    def active_codes(self, left: int, right: int) -> np.ndarray:
        """List the entities that have a row with ``left <= step < right``, ascending (int64)."""
        is_active = np.zeros(self.entities, bool)
        for i, partition in enumerate(self._partitions):
            ends_before = i + 1 < len(self._partitions) and self._starts[i + 1] < left
            if partition.start_step >= right or ends_before:
                continue
            rows = np.flatnonzero((partition.steps >= left) & (partition.steps < right))
            is_active[np.searchsorted(partition.ends, rows, side="right")] = True
        return np.flatnonzero(is_active)


def sorted_order(codes: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Return the order that sorts probes by (code, bound), in which the search runs through memory once."""
    return np.lexsort((bounds, codes))
