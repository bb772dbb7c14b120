"""The first value of a window: that of the first row with one; a partition is summarised by the first value in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.compute.folds.fold import ScopedFold, Segments
from featurestore.compute.search.probes import Stretch
from featurestore.compute.search.ranges import next_with_value


@dataclass(frozen=True)
class FirstFold(ScopedFold):
    """Values of any type, NULL where a step has none.

    Args:
        values: Their Arrow type.
    """

    values: pa.DataType

    @property
    def type(self) -> pa.DataType:
        """Arrow type of the values."""
        return self.values

    def summary(self, inside: pa.Array, segments: Segments) -> pa.Array:
        """Return each entity's first value; NULL where it has none."""
        return _first_within(inside, segments.starts, segments.ends)

    def between(self, name: str, stretches: Sequence[Stretch], probes: int) -> pa.Array:
        """Return the first value of the first stretch that has one."""
        pieces = [pa.nulls(1, self.values)]
        source = np.zeros(probes, np.int64)
        offset = 1
        for stretch in stretches:
            # Stretches come in ascending order: only what has no value yet takes one.
            for values, positions in self._candidates(name, stretch, source == 0):
                pieces.append(values.cast(self.values))
                rows = offset + np.arange(len(positions))
                is_first = np.asarray(values.is_valid())
                source[positions[is_first]] = rows[is_first]
                offset += len(positions)
        return pa.concat_arrays(pieces).take(pa.array(source))

    def _candidates(self, name: str, stretch: Stretch, is_open: np.ndarray) -> tuple[tuple[pa.Array, np.ndarray], ...]:
        """Return values and positions of the open ones of a stretch; no position is both partial and whole."""
        partial, whole = np.flatnonzero(is_open[stretch.partial]), np.flatnonzero(is_open[stretch.whole])
        low, high, codes = stretch.low[partial], stretch.high[partial], stretch.whole_codes[whole]
        column = stretch.partition.ledger.array(name, low, high)
        firsts = stretch.partition.balances.array(name, codes).take(pa.array(codes))
        return (_first_within(column, low, high), stretch.partial[partial]), (firsts, stretch.whole[whole])

    def merge(self, earlier: pa.Array, later: pa.Array) -> pa.Array:
        """Return the earlier value where there is one, else the later one."""
        return pc.coalesce(earlier, later)


def _first_within(column: pa.Array, low: np.ndarray, high: np.ndarray) -> pa.Array:
    """Return the first value in each range of rows ``[low, high)``; NULL where there is none."""
    first = next_with_value(column, low, high)
    return column.take(pa.array(first, mask=first >= high))
