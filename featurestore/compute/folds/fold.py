"""What a fold is: how a column of tiles becomes a column of a ledger, and what of it is carried from partition to partition.

There are two kinds, by what stands in a partition's balances:

    running   the total before the partition; a ledger row holds the total since the partition's start, its own step
              included. total(t) is found at one row, whatever lies before it.
    scoped    a summary of the partition itself; a ledger row holds its step's own value. A window is the rows between two
              bounds: parts of two partitions and the summaries of those between.

A fold is a value: everything a measure needs to know about its numbers is in its class and its fields.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from featurestore.compute.search.probes import Column, Probes, Stretch


@dataclass(frozen=True, eq=False)
class Segments:
    """The rows of a partition, sorted by (code, step): entity c owns rows ``[ends[c - 1], ends[c])``.

    Args:
        ends: The row after each entity's last one (int64).
        steps: Step per row (int64).
    """

    ends: np.ndarray
    steps: np.ndarray

    @cached_property
    def starts(self) -> np.ndarray:
        """First row of each entity."""
        return np.concatenate([[0], self.ends[:-1]]).astype(np.int64) if len(self.ends) else self.ends

    @cached_property
    def first(self) -> np.ndarray:
        """Per row, the first row of its entity."""
        return np.repeat(self.starts, self.ends - self.starts)

    @cached_property
    def active(self) -> np.ndarray:
        """The entities that have rows."""
        return np.flatnonzero(self.ends > self.starts)

    @property
    def last(self) -> np.ndarray:
        """The last row of each active entity."""
        rows: np.ndarray = self.ends[self.active] - 1
        return rows


@dataclass(frozen=True)
class Span:
    """The steps ``[start, end)`` between the start of a partition and that of the next one."""

    start: int
    end: int


class RunningFold(ABC):
    """A fold whose balances are totals before the partition. ``what`` names a column in an error."""

    @property
    @abstractmethod
    def type(self) -> pa.DataType:
        """Arrow type of the column."""

    @abstractmethod
    def neutral(self, entities: int) -> pa.Array:
        """Return the balances of entities without history."""

    @abstractmethod
    def inside(self, tiles: pa.Array, segments: Segments, *, what: str) -> pa.Array:
        """Return the ledger column of a partition's tiles."""

    @abstractmethod
    def close(self, before: pa.Array, inside: pa.Array, segments: Segments, span: Span) -> pa.Array:
        """Return the balances at the next partition's start from those at this one's."""

    def check(self, before: pa.Array, inside: pa.Array, segments: Segments, *, what: str) -> None:
        """Raise where a balance and a total inside the partition do not add up exactly; by default they always do."""
        return

    @abstractmethod
    def total(self, name: str, probes: Probes) -> Column:
        """Return the total at each bound."""


class InvertibleFold(RunningFold):
    """A running fold in which a window is the difference of two totals."""

    @abstractmethod
    def total(self, name: str, probes: Probes) -> np.ndarray:
        """Return the total at each bound."""

    @abstractmethod
    def difference(self, right: np.ndarray, left: np.ndarray, steps: np.ndarray, *, what: str) -> np.ndarray:
        """Return what lies between two bounds that are ``steps`` apart, from the totals at both."""

    @abstractmethod
    def add(self, one: np.ndarray, other: np.ndarray, *, what: str) -> np.ndarray:
        """Return what lies in two disjoint windows, from what lies in each."""


class AdditiveFold(InvertibleFold):
    """An invertible fold whose totals are plain sums of the tiles' values: rows can be taken out of a window one by one."""

    @abstractmethod
    def numpy(self, column: pa.Array) -> np.ndarray:
        """Return a column as integers, as wide as they are stored."""

    @abstractmethod
    def arrow(self, totals: np.ndarray) -> pa.Array:
        """Return integers as a column."""


class ScopedFold(ABC):
    """A fold whose balances summarise the partition itself, and whose ledger holds the steps' own values."""

    @property
    @abstractmethod
    def type(self) -> pa.DataType:
        """Arrow type of the column; NULL where a step has nothing."""

    @abstractmethod
    def summary(self, inside: pa.Array, segments: Segments) -> pa.Array:
        """Return each entity's value over the whole partition; NULL where it has none."""

    @abstractmethod
    def between(self, name: str, stretches: Sequence[Stretch], probes: int) -> pa.Array:
        """Return the value over the rows of all stretches, per probe; NULL where they hold none."""

    @abstractmethod
    def merge(self, earlier: pa.Array, later: pa.Array) -> pa.Array:
        """Return the value over two disjoint windows, the first of which lies before the second."""


Fold = RunningFold | ScopedFold
