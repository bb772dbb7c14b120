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
from featurestore.compute.search.decayed_ranges import DecayingRows, left_of
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
            # An entity without rows in the partition has a summary of 0.0, whichever row is looked at.
            last = partition.steps.take(partition.ends.take(stretch.whole_codes) - 1, mode="clip").astype(np.int64)
            whole = partition.balances.numbers(name).take(stretch.whole_codes)
            sums[stretch.whole] += whole * left_of(stretch.until[stretch.whole] - last, self.half_life_steps)
            entities = np.searchsorted(partition.ends, stretch.low, side="right")
            rows = DecayingRows(values, partition.steps, self.half_life_steps)
            until = stretch.until[stretch.partial]
            sums[stretch.partial] += rows.over(stretch.low, stretch.high, until, partition.starts_of(entities))
        return pa.array(sums)

    def merge(self, earlier: pa.Array, later: pa.Array) -> pa.Array:
        """Add; both as of the same step."""
        return pc.add(earlier, later)
