"""The decayed sum of a window, added up from the window's own steps: what happened before it leaves no rounding in it.

1. A ledger row holds the step's own value; a balance the partition's decayed sum as of the entity's last row in it.
2. A window is ranges of rows in the partitions at its ends (``compute/search/decayed_ranges.py``) and one summary of each
   partition between them, all brought forward to its right edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.compute.folds.fold import ScopedFold, Segments
from featurestore.compute.search.decayed_ranges import BLOCK, DecayingRows, left_of
from featurestore.compute.search.probes import Stretch


@dataclass(frozen=True)
class FadingFold(ScopedFold):
    """Doubles that lose half of their value in ``half_life_steps``; never NULL, 0.0 where nothing happened."""

    half_life_steps: int

    @property
    def type(self) -> pa.DataType:
        """``double``."""
        return pa.float64()

    def summary(self, inside: pa.Array, segments: Segments) -> pa.Array:
        """Return each entity's decayed sum as of its last row; 0.0 without rows."""
        sums = np.zeros(len(segments.ends))
        if len(segments.active):
            rows = DecayingRows(inside.to_numpy(), segments.steps, self.half_life_steps)
            low = segments.starts[segments.active]
            sums[segments.active] = rows.over(low, segments.last + 1, segments.steps[segments.last], low)
        return pa.array(sums)

    def between(self, name: str, stretches: Sequence[Stretch], probes: int) -> pa.Array:
        """Return the decayed sum over all stretches, as of the step that each probe looks back from."""
        sums = np.zeros(probes)
        for stretch in stretches:
            partition = stretch.partition
            values = partition.ledger.numbers(name)
            if not len(values):
                continue
            rows = DecayingRows(values, partition.steps, self.half_life_steps)
            low, high = partition.starts_of(stretch.whole_codes), partition.ends_of(stretch.whole_codes)
            until = stretch.until[stretch.whole]
            # Few rows are taken one by one: where partitions are cut then changes no term of the sum.
            is_few = high - low <= 2 * BLOCK
            few, many = np.flatnonzero(is_few), np.flatnonzero(~is_few)
            sums[stretch.whole[few]] += rows.over(low[few], high[few], until[few], low[few])
            last = partition.steps.take(high[many] - 1).astype(np.int64)
            summaries = partition.balances.numbers(name).take(stretch.whole_codes[many])
            sums[stretch.whole[many]] += summaries * left_of(until[many] - last, self.half_life_steps)
            entities = partition.entities_of(stretch.low)
            until = stretch.until[stretch.partial]
            sums[stretch.partial] += rows.over(stretch.low, stretch.high, until, partition.starts_of(entities))
        return pa.array(sums)

    def merge(self, earlier: pa.Array, later: pa.Array) -> pa.Array:
        """Add; both as of the same step."""
        return pc.add(earlier, later)
