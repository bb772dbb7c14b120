"""Decayed sums over ranges of rows, at a cost per range that hardly knows its length.

1. A short range is written out: each value times what is left of it, added up.
2. Of a long one the rows at its ends are written out; between them lie whole blocks of 64 rows, counted from the entity's first.
   The sum of a block, as of its last row, is a value at that row's step, so the blocks are rows again: go to 1.
3. So nothing but the entity's own rows in the range is ever added, and the order of additions depends on these alone: a
   question answered alone and among others gives the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featurestore.compute.search.portions import portions

BLOCK = 64
# Rows written out at once: indices and values stay in the cache.
_AT_ONCE = 1 << 18


@dataclass(frozen=True, eq=False)
class DecayingRows:
    """Rows, sorted by entity and step, whose values lose half in ``half_life_steps``.

    Args:
        values: One per row (double).
        steps: Step per row.
        half_life_steps: In steps.
    """

    values: np.ndarray
    steps: np.ndarray
    half_life_steps: int

    def left_of(self, steps: np.ndarray) -> np.ndarray:
        """Return what is left of one after so many steps, 0.0 where it is too small for a double."""
        return left_of(steps, self.half_life_steps)

    def over(self, low: np.ndarray, high: np.ndarray, until: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Return the decayed sum of each range of rows ``[low, high)``; 0.0 of an empty one.

        Args:
            low: First row of each range (int64).
            high: The row after the last one of each range.
            until: Step as of which the sum of each range is wanted; not before its last row.
            starts: First row of each range's entity.
        """
        is_long = high - low > 2 * BLOCK
        if not is_long.any():
            return self._written_out(low, high, until)
        sums = np.zeros(len(low))
        short, long = np.flatnonzero(~is_long), np.flatnonzero(is_long)
        sums[short] = self._written_out(low[short], high[short], until[short])
        low, high, until, starts = (each[long] for each in (low, high, until, starts))
        first, end = -((starts - low) // BLOCK), (high - starts) // BLOCK
        head = self._written_out(low, starts + first * BLOCK, until)
        tail = self._written_out(starts + end * BLOCK, high, until)
        blocks, offsets = self._blocks(starts, end)
        sums[long] = head + blocks.over(offsets + first, offsets + end, until, offsets) + tail
        return sums

    def _blocks(self, starts: np.ndarray, ends: np.ndarray) -> tuple[DecayingRows, np.ndarray]:
        """Return the blocks of some entities, up to the last one asked for, as rows; and the first of each range's entity."""
        entities, of = np.unique(starts, return_inverse=True)
        counts = np.zeros(len(entities), np.int64)
        np.maximum.at(counts, of, ends)
        offsets = np.cumsum(counts) - counts
        first = (np.arange(counts.sum()) - np.repeat(offsets, counts)) * BLOCK + np.repeat(entities, counts)
        steps = self.steps.take(first + BLOCK - 1).astype(np.int64)
        return DecayingRows(self._written_out(first, first + BLOCK, steps), steps, self.half_life_steps), offsets[of]

    def _written_out(self, low: np.ndarray, high: np.ndarray, until: np.ndarray) -> np.ndarray:
        sums = np.zeros(len(low))
        some = np.flatnonzero(low < high)
        low, lengths, until = low[some], (high - low)[some], until[some]
        for part in portions(lengths, limit=_AT_ONCE):
            ends = np.cumsum(lengths[part])
            begins = ends - lengths[part]
            rows = np.arange(ends[-1]) + np.repeat(low[part] - begins, lengths[part])
            ages = np.repeat(until[part], lengths[part]) - self.steps.take(rows)
            sums[some[part]] = np.add.reduceat(self.values.take(rows) * self.left_of(ages), begins)
        return sums


def left_of(steps: np.ndarray, half_life_steps: int) -> np.ndarray:
    """Return what is left of one after so many steps, 0.0 where it is too small for a double."""
    left: np.ndarray = np.exp2(np.maximum(steps, 0) / -half_life_steps)
    return left
