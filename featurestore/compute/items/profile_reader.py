"""Reading sub-ledgers of profiles: how often each bucket occurs between steps.

1. What lies before an edge is what was before its partition, and the items inside it before the edge. Where both edges lie in one
   partition, the first of these cancels out and is not read.
2. A short range of items is counted one by one. Of a long one the counts at the whole blocks nearest to its ends are subtracted, and
   the items between these blocks and its ends, a quarter of a block each on average, counted one by one: an entity with a hundred
   thousand items costs what others do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from featurestore.compute.items.files import Files, Items
from featurestore.compute.items.lists import ITEMS, TOTALS, EntityLists, segments
from featurestore.compute.items.parts import Part
from featurestore.compute.items.profiles import BEFORE, BLOCK, SEQUENCE
from featurestore.compute.items.sequences import Edges, Share, shares

# Probes that are counted at once.
_PROBES = 4_096
# Below so many items no count exceeds 32 bits; narrow counts are read and written in half the time.
_NARROW = 2**31

Times: TypeAlias = np.ndarray | tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class _Counts:
    """Counts per probe and bucket, added up in place.

    Args:
        table: [probes, buckets].
    """

    table: np.ndarray

    def add_rows(self, owners: np.ndarray, counts: np.ndarray, starts: np.ndarray, *, sign: int) -> None:
        """Add rows of counts, each beginning at a place of ``counts``, or take them off; no owner occurs twice."""
        if not len(owners):
            return
        change = np.add if sign > 0 else np.subtract
        rows = sliding_window_view(counts, self.table.shape[1])[starts]
        if len(owners) == len(self.table):
            change(self.table, rows, out=self.table, casting="same_kind")
        else:
            self.table[owners] = change(self.table[owners], rows)

    def add_listed(self, owners: np.ndarray, low: np.ndarray, lengths: np.ndarray, buckets: np.ndarray, times: Times) -> None:
        """Add what is listed at ranges of ``buckets``, each of ``lengths`` from ``low`` on, so many times.

        ``times`` is a number per range, or the numbers themselves and where each range of them begins.
        """
        cells = np.repeat(owners * self.table.shape[1], lengths)
        offsets = np.cumsum(lengths) - lengths
        rows = np.arange(len(cells))
        cells += buckets.take(rows + np.repeat(low - offsets, lengths))
        if isinstance(times, tuple):
            numbers, starts = times
            rows += np.repeat(starts - offsets, lengths)
            listed = numbers.take(rows)
        else:
            listed = np.repeat(times, lengths)
        np.add.at(self.table.reshape(-1), cells, listed.astype(self.table.dtype))


class ProfileReader:
    """Counts buckets between steps.

    Args:
        items: The list column.
        parts: The partitions.
        files: Their files.
    """

    def __init__(self, items: Items, parts: Sequence[Part], files: Files) -> None:
        self._before = [files[items.kind(BEFORE), part.start] for part in parts]
        self._sequences = [files[items.kind(SEQUENCE), part.start] for part in parts]
        self._firsts = np.array([part.first for part in parts], np.int64)

    def counts(self, codes: np.ndarray, edges: Edges, *, buckets: int) -> np.ndarray:
        """Count the items in each of the buckets ``[0, buckets)``.

        Args:
            codes: Entity per probe, negative for unknown ones.
            edges: ``(sign, bounds)``: what lies before each probe's bound counts ``sign`` times, 1 or -1.
            buckets: How many there are.

        Returns:
            int64 [probes, buckets].
        """
        items = sum(int(each.ends(ITEMS)[-1]) for each in self._sequences if len(each.ends(ITEMS)))
        out = np.zeros((len(codes), buckets), np.int32 if items < _NARROW else np.int64)
        for share in shares(self._sequences, self._firsts, codes, edges):
            for start in range(0, len(share.probes), _PROBES):
                part = share.chosen(slice(start, start + _PROBES))
                counted = _Counts(np.zeros((len(part.probes), buckets), out.dtype))
                _add_inside(counted, self._sequences[part.part], part)
                _add_before(counted, self._before[part.part], part)
                if part.sign > 0:
                    out[part.probes] += counted.table
                else:
                    out[part.probes] -= counted.table
        return out.astype(np.int64, copy=False)


def _add_inside(counted: _Counts, file: EntityLists, share: Share) -> None:
    """Add the counts of the share's ranges of items."""
    is_long = share.high - share.low > BLOCK
    short, long = np.flatnonzero(~is_long), np.flatnonzero(is_long)
    ranges = [(short, share.low[short], share.high[short], np.ones(len(short), np.int8))]
    if len(long):
        first = share.first[long]
        starts, lengths = segments(file.ends(TOTALS), share.codes[long])
        buckets = counted.table.shape[1]
        for edge, sign in ((share.low[long], -1), (share.high[long], 1)):
            blocks = np.minimum((edge - first + BLOCK // 2) // BLOCK, lengths // buckets)
            some = np.flatnonzero(blocks)
            counted.add_rows(long[some], file.values(TOTALS), (starts + (blocks - 1) * buckets)[some], sign=sign)
            # What lies between the edge and the whole block nearest to it, on either side.
            block = first + blocks * BLOCK
            times = np.where(edge > block, sign, -sign).astype(np.int8)
            ranges.append((long, np.minimum(edge, block), np.maximum(edge, block), times))
    owners, low, high, times = (np.concatenate(column) for column in zip(*ranges, strict=True))
    counted.add_listed(owners, low, high - low, file.values(ITEMS), times)


def _add_before(counted: _Counts, file: EntityLists, share: Share) -> None:
    """Add the counts before the share's partition."""
    owners = np.flatnonzero(share.is_carried)
    codes = share.codes[owners]
    starts, counts = segments(file.ends(TOTALS), codes)
    low, lengths = segments(file.ends(ITEMS), codes)
    is_row = counts > lengths
    counted.add_rows(owners[is_row], file.values(TOTALS), starts[is_row], sign=1)
    counted.add_listed(owners, low, lengths, file.values(ITEMS), (file.values(TOTALS), starts))
