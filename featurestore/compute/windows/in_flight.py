"""Rows in flight: those that happened before a bound and were not known yet; found by class of lateness."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from featurestore.compute.items.lists import joined
from featurestore.compute.search.as_of_search import last_row_before

if TYPE_CHECKING:
    from featurestore.compute.folds import AdditiveFold

CLASS, CODE, STEP, KNOWN, SIGN = "class", "code", "step", "known", "sign"


@dataclass(frozen=True, eq=False)
class _Class:
    """Late rows whose lateness is at least ``2^power`` and less than ``2^(power + 1)`` steps, sorted by (code, step)."""

    power: int
    first: int
    codes: np.ndarray
    ends: np.ndarray
    steps: np.ndarray


class LateRows:
    """The signed late rows of a view.

    Args:
        table: ``class`` (the power of two), ``code``, ``step``, ``known`` (the step in which it became known, or ceased to
            count), ``sign``, then one column of signed sums per additive measure; sorted by class, code and step.
    """

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self._steps = _numbers(table, STEP)
        self._known = _numbers(table, KNOWN)
        classes = _numbers(table, CLASS)
        codes = _numbers(table, CODE)
        powers, firsts = np.unique(classes, return_index=True)
        self._classes = []
        for power, first, end in zip(powers, firsts, [*firsts[1:], len(classes)][: len(firsts)], strict=True):
            entities, starts = np.unique(codes[first:end], return_index=True)
            ends = np.append(starts[1:], end - first).astype(np.int64)
            self._classes.append(_Class(int(power), int(first), entities, ends, self._steps[first:end]))
        # Which classes an entity has rows in, as bits.
        self._has = np.zeros(int(codes.max(initial=-1)) + 2, np.uint64)
        for i, each in enumerate(self._classes):
            self._has[each.codes] |= np.uint64(1 << i)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def ranges(self, codes: np.ndarray, bounds: np.ndarray, knowledge: np.ndarray) -> Ranges:
        """Find ranges of rows that hold, per probe, all of its rows in flight.

        Args:
            codes: Entity per probe; negative for unknown ones.
            bounds: Step per probe: rows that happened before it.
            knowledge: Step per probe: rows that were not known before it. Not before ``bounds``.
        """
        bits = self._has.take(np.where((codes >= 0) & (codes < len(self._has)), codes, len(self._has) - 1))
        probes = []
        lows = []
        highs = []
        for i, each in enumerate(self._classes):
            mine = np.flatnonzero(bits & np.uint64(1 << i))
            if not len(mine):
                continue
            of = np.searchsorted(each.codes, codes[mine])
            starts = np.where(of > 0, each.ends.take(of - 1, mode="clip"), 0)
            edges = []
            for bound in (knowledge[mine] - 2 ** (each.power + 1) + 1, bounds[mine]):
                row, found = last_row_before(each.steps, each.ends, of, bound)
                edges.append(np.where(found, row + 1, starts))
            some = edges[0] < edges[1]
            probes.append(mine[some])
            lows.append(edges[0][some] + each.first)
            highs.append(edges[1][some] + each.first)
        return Ranges(self, knowledge, joined(probes), joined(lows), joined(highs))


@dataclass(frozen=True, eq=False)
class Ranges:
    """Ranges of late rows: all rows in flight of each probe are in them, and some that are not."""

    late: LateRows
    knowledge: np.ndarray
    probes: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def rows(self) -> int:
        """Number of rows to look at."""
        return int((self.high - self.low).sum())

    def in_flight(self) -> InFlight:
        """Return the rows in flight among those of the ranges, each of which is looked at."""
        lengths = self.high - self.low
        probes = np.repeat(self.probes, lengths)
        ends = np.cumsum(lengths)
        rows = np.arange(len(probes)) - np.repeat(ends - lengths - self.low, lengths)
        kept = self.late._known[rows] >= self.knowledge[probes]
        probes = probes[kept]
        rows = rows[kept]
        order = np.argsort(probes, kind="stable")
        return InFlight(self.late, len(self.knowledge), probes[order], rows[order])


@dataclass(frozen=True, eq=False)
class InFlight:
    """Pairs of a probe and a row in flight, sorted by probe.

    Args:
        late: The rows.
        count: Number of probes.
        probes: Probe per pair (int64).
        rows: Row per pair.
    """

    late: LateRows
    count: int
    probes: np.ndarray
    rows: np.ndarray

    @cached_property
    def steps(self) -> np.ndarray:
        """Step per pair."""
        return np.asarray(self.late._steps[self.rows])

    @cached_property
    def _ends(self) -> np.ndarray:
        """The pair after the last one of each probe."""
        return np.cumsum(np.bincount(self.probes, minlength=self.count))

    def within(self, right: np.ndarray, left: np.ndarray | None) -> np.ndarray:
        """Say for each pair whether its row lies in ``[left, right)`` of its probe (bool)."""
        inside = self.steps < right[self.probes]
        if left is not None:
            inside &= self.steps >= left[self.probes]
        return np.asarray(inside)

    def sums(self, name: str, fold: AdditiveFold, right: np.ndarray, left: np.ndarray | None) -> np.ndarray:
        """Return per probe the signed sum over its rows in ``[left, right)`` (int64)."""
        values = fold.numpy(self.late.table[name].combine_chunks())[self.rows].astype(np.int64)
        values = values * self.within(right, left)
        # What wraps around 2^64 in passing is exact again after the subtraction.
        running = np.concatenate([np.zeros(1, np.int64), np.cumsum(values)])
        starts = np.concatenate([[0], self._ends[:-1]]) if self.count else self._ends
        return np.asarray(running[self._ends] - running[starts])


def _numbers(table: pa.Table, name: str) -> np.ndarray:
    return np.asarray(table[name].combine_chunks().to_numpy()).astype(np.int64)
