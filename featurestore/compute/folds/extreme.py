"""Minimum and maximum: not invertible, so a partition is summarised by the extremes in it, and a window's ends are looked at.

A window is the rows between two bounds: ranges of rows in the partitions at its ends, answered by ``compute/search/ranges.py``, and
one summary of each partition between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.compute.folds.fold import ScopedFold, Segments
from featurestore.compute.search.probes import Stretch
from featurestore.compute.search.ranges import BlockExtremes, Reduce, Take, next_with_value, over_ranges


@dataclass(frozen=True)
class ExtremeFold(ScopedFold):
    """The smallest or largest of numbers, timestamps or dates; NULL where a step has none.

    Args:
        values: Their Arrow type.
        is_largest: Whether the maximum is meant.
    """

    values: pa.DataType
    is_largest: bool

    @property
    def type(self) -> pa.DataType:
        """Arrow type of the values."""
        return self.values

    def summary(self, inside: pa.Array, segments: Segments) -> pa.Array:
        """Return each entity's extreme; NULL where it has no value."""
        extremes = np.zeros(len(segments.ends), self._number)
        has_value = np.zeros(len(segments.ends), bool)
        if len(segments.active):
            starts = segments.starts[segments.active]
            extremes[segments.active] = self._reduce.reduceat(self._filled(inside), starts)
            has_value[segments.active] = np.logical_or.reduceat(np.asarray(inside.is_valid()), starts)
        return self._arrow(extremes, has_value)

    def between(self, name: str, stretches: Sequence[Stretch], probes: int) -> pa.Array:
        """Return the extreme over all stretches; NULL where they hold no value."""
        extremes = np.full(probes, self._neutral)
        has_value = np.zeros(probes, bool)
        for stretch in stretches:
            codes = stretch.whole_codes
            whole = stretch.partition.balances.array(name, codes).take(pa.array(codes))
            parts = (stretch.whole, self._filled(whole), np.asarray(whole.is_valid())), self._partial(name, stretch)
            for positions, values, is_there in parts:
                extremes[positions] = self._reduce(extremes[positions], values)
                has_value[positions] |= is_there
        return self._arrow(extremes, has_value)

    def merge(self, earlier: pa.Array, later: pa.Array) -> pa.Array:
        """Return the extreme of both; NULL where neither has one."""
        choose = pc.max_element_wise if self.is_largest else pc.min_element_wise
        return choose(earlier, later, skip_nulls=True)

    def _partial(self, name: str, stretch: Stretch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return positions, extremes, and whether there is one, of the parts of entities' rows."""
        partition = stretch.partition
        column = partition.ledger.array(name, stretch.low, stretch.high)
        extremes = over_ranges(
            self._taking(column),
            len(column),
            stretch.low,
            stretch.high,
            reduce=self._reduce,
            blocks=lambda: partition.keep(
                (name, "extremes"), lambda: BlockExtremes(self._filled(partition.ledger.array(name)), self._reduce)
            ),
        )
        has_value = extremes != self._neutral
        doubtful = np.flatnonzero(~has_value)
        if len(doubtful):  # nothing there, or a value that is the neutral one
            low, high = stretch.low[doubtful], stretch.high[doubtful]
            has_value[doubtful] = next_with_value(column, low, high) < high
        return stretch.partial, extremes, has_value

    def _taking(self, column: pa.Array) -> Take:
        """Return what gives the values of some rows as numbers, NULLs as the neutral one."""
        if not column.null_count and (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            numbers = np.asarray(column.to_numpy())
            return lambda rows: numbers.take(rows).astype(self._number, copy=False)
        return lambda rows: self._filled(column.take(pa.array(rows)))

    @property
    def _reduce(self) -> Reduce:
        return np.maximum if self.is_largest else np.minimum

    @property
    def _number(self) -> np.dtype:
        """The numpy type in which extremes are taken: times and dates are integers."""
        return np.dtype(np.float64 if pa.types.is_floating(self.values) else np.int64)

    @property
    def _neutral(self) -> np.generic:
        if self._number.kind == "f":
            return np.float64(-np.inf if self.is_largest else np.inf)
        return np.int64(-(2**63) if self.is_largest else 2**63 - 1)

    def _filled(self, column: pa.Array) -> np.ndarray:
        """Return a column as numbers, NULLs as the neutral one."""
        if pa.types.is_date32(column.type):
            column = column.cast(pa.int32())
        return np.asarray(pc.fill_null(column.cast(pa.from_numpy_dtype(self._number)), self._neutral))

    def _arrow(self, extremes: np.ndarray, has_value: np.ndarray) -> pa.Array:
        numbers = pa.array(np.where(has_value, extremes, np.zeros(1, self._number)), mask=~has_value)
        if pa.types.is_date32(self.values):
            numbers = numbers.cast(pa.int32())
        return numbers.cast(self.values)
