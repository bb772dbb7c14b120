"""Ranges of rows: their extremes and their first value, at a cost per range that does not know its length.

1. Few or short ranges: their rows are written out and reduced.
2. Else the rows are cut into blocks of 32 with one extreme each, and a sparse table (Bender and Farach-Colton 2000) keeps the
   extremes of 2^k blocks from each block on, level by level as they are needed. A range is at most 62 rows at its ends,
   written out, and two overlapping runs of whole blocks between them. So a hot entity with 100,000 rows costs what others do.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from featurestore.compute.search.portions import portions

BLOCK = 32
# Rows written out at once: indices and values stay in the cache.
_AT_ONCE = 1 << 18

Reduce = np.ufunc
Take = Callable[[np.ndarray], np.ndarray]


def next_with_value(column: pa.Array, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the first row of each range ``[low, high)`` that is not NULL; ``high`` where there is none.

    Only the bits that say so are read, 64 rows at a time, from the ranges' first rows on.
    """
    validity = column.buffers()[0]
    if not column.null_count or validity is None:
        return np.asarray(np.minimum(low, high))
    words = np.frombuffer(validity, "<u8", count=validity.size // 8)
    tail = np.uint64(int.from_bytes(validity.slice(len(words) * 8).to_pybytes(), "little"))
    end = high + column.offset
    found = np.minimum(low, high) + column.offset
    left = np.flatnonzero(found < end)
    while len(left):
        rows = found[left]
        of = rows >> 6
        read = np.where(of < len(words), words.take(of, mode="clip"), tail) if len(words) else np.full(len(of), tail)
        bits = read >> (rows & 63).astype(np.uint64)
        lowest = np.bitwise_count((bits & (~bits + np.uint64(1))) - np.uint64(1))
        found[left] = np.minimum(np.where(bits > 0, rows + lowest, (of + 1) << 6), end[left])
        left = left[(bits == 0) & (found[left] < end[left])]
    return np.asarray(found - column.offset)


class BlockExtremes:
    """Extremes of blocks of rows, and of runs of blocks.

    Args:
        values: One per row.
        reduce: ``np.minimum`` or ``np.maximum``.
    """

    def __init__(self, values: np.ndarray, reduce: Reduce) -> None:
        self._reduce = reduce
        # By number: two threads that need a level at once make the same one.
        self._levels = {0: reduce.reduceat(values, np.arange(0, len(values), BLOCK))}

    def over(self, first: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Return the extreme of the blocks ``[first, end)``, none of them empty."""
        levels = np.frexp((end - first).astype(float))[1] - 1
        extremes = np.empty(len(first), self._levels[0].dtype)
        for level in np.flatnonzero(np.bincount(levels)):
            mine = np.flatnonzero(levels == level)
            table = self._level(int(level))
            extremes[mine] = self._reduce(table[first[mine]], table[end[mine] - (1 << level)])
        return extremes

    def _level(self, level: int) -> np.ndarray:
        if level not in self._levels:
            below = self._level(level - 1)
            stride = 1 << (level - 1)
            self._levels[level] = self._reduce(below[:-stride], below[stride:])
        return self._levels[level]


def over_ranges(
    take: Take, rows: int, low: np.ndarray, high: np.ndarray, *, reduce: Reduce, blocks: Callable[[], BlockExtremes]
) -> np.ndarray:
    """Return the extreme value of each range of rows ``[low, high)``, none of them empty.

    Args:
        take: Gives the values of some rows.
        rows: Number of all rows.
        low: First row of each range (int64).
        high: The row after the last one of each range.
        reduce: ``np.minimum`` or ``np.maximum``.
        blocks: Gives the extremes of blocks of all rows, if they are needed.
    """
    if int((high - low).sum()) <= rows:
        return _written_out(take, low, high, reduce)
    first = -(-low // BLOCK)
    end = high // BLOCK
    is_long = first < end
    short = np.flatnonzero(~is_long)
    long = np.flatnonzero(is_long)
    extremes = np.empty(len(low), take(low[:1]).dtype)
    extremes[short] = _written_out(take, low[short], high[short], reduce)
    if len(long):
        extremes[long] = blocks().over(first[long], end[long])
        for start, stop in ((low, first * BLOCK), (end * BLOCK, high)):
            ends = long[start[long] < stop[long]]
            extremes[ends] = reduce(extremes[ends], _written_out(take, start[ends], stop[ends], reduce))
    return extremes


def _written_out(take: Take, low: np.ndarray, high: np.ndarray, reduce: Reduce) -> np.ndarray:
    lengths = high - low
    pieces = []
    for part in portions(lengths, limit=_AT_ONCE):
        ends = np.cumsum(lengths[part])
        begins = ends - lengths[part]
        rows = np.arange(ends[-1]) + np.repeat(low[part] - begins, lengths[part])
        pieces.append(reduce.reduceat(take(rows), begins))
    return np.concatenate(pieces) if pieces else take(low)
