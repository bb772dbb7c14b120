"""The first value of a window: that of the first row with one; a partition is summarised by the first value in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.compute.folds.fold import ScopedFold, Segments
from featurestore.compute.search.probes import Stretch
from featurestore.compute.search.ranges import RowsWithValue


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
        return _first_within(inside, RowsWithValue.of(inside), segments.starts, segments.ends)

    def between(self, name: str, stretches: Sequence[Stretch], probes: int) -> pa.Array:
        """Return the first value of the first stretch that has one."""
        pieces = [pa.nulls(1, self.values)]
        source = np.zeros(probes, np.int64)
        offset = 1
        for stretch in stretches:
            for values, positions in self._candidates(name, stretch):
                pieces.append(values.cast(self.values))
                # Stretches come in ascending order: only what has no value yet takes one.
                rows = offset + np.arange(len(positions))
                is_first = (source[positions] == 0) & np.asarray(values.is_valid())
                source[positions[is_first]] = rows[is_first]
                offset += len(positions)
        return pa.concat_arrays(pieces).take(pa.array(source))

    def _candidates(self, name: str, stretch: Stretch) -> tuple[tuple[pa.Array, np.ndarray], ...]:
        column = stretch.partition.ledger.array(name)
        rows = stretch.partition.keep((name, "rows with value"), lambda: RowsWithValue.of(column))
        whole = stretch.partition.balances.array(name).take(pa.array(stretch.whole_codes))
        return (_first_within(column, rows, stretch.low, stretch.high), stretch.partial), (whole, stretch.whole)

    def merge(self, earlier: pa.Array, later: pa.Array) -> pa.Array:
        """Return the earlier value where there is one, else the later one."""
        return pc.coalesce(earlier, later)


def _first_within(column: pa.Array, rows: RowsWithValue, low: np.ndarray, high: np.ndarray) -> pa.Array:
    """Return the first value in each range of rows ``[low, high)``; NULL where there is none."""
    first = rows.next(low)
    return column.take(pa.array(first, mask=first >= high))
