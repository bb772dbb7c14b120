"""Reading sub-ledgers of ranks: which bucket holds the value at a rank between steps.

1. What lies before an edge is what was before its partition, and the values inside it before the edge. Where both edges lie in one
   partition, the first of these cancels out. So a window is, per probe, a few ranges of values and a few lists of buckets, each
   added or taken off.
2. The bucket is found bit by bit, the highest first. Of each range the levels tell how many values have a 0 there, of each list a
   bisection does. If these are more than the rank, the bucket has a 0, and all go on with those that have; else a 1, and the
   rank goes down by their number. So the cost follows the bits in which buckets differ, not the values.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from featurestore.compute.items.bit_levels import BIAS, BitLevel, bit_levels
from featurestore.compute.items.files import Files, Items
from featurestore.compute.items.lists import ITEMS, TOTALS, listed, segments
from featurestore.compute.items.parts import Part
from featurestore.compute.items.ranks import BEFORE, LEVELS, SEQUENCE
from featurestore.compute.items.sequences import Edges, Share, shares
from featurestore.compute.search.as_of_search import last_row_within

# Probes that are answered at once: their ranges stay in the cache.
_PROBES = 32_768
# Lists of up to so many buckets are copied together, when few probes look at many partitions.
_COPIED = 65_536
# Where more of them than this share still hold values, none are left out.
_MOST = 0.8

Levels = Sequence[BitLevel]


class _Values(ABC):
    """Values of some probes, narrowed level by level to those whose bits are the probe's bucket's.

    Attributes:
        probes: Probe per group of values.
        signs: How many times the group counts, 1 or -1.
    """

    probes: np.ndarray
    signs: np.ndarray

    @property
    @abstractmethod
    def counts(self) -> np.ndarray:
        """Number of values per group."""

    @abstractmethod
    def with_zero(self, levels: Levels, buckets: np.ndarray) -> np.ndarray:
        """Return how many values of each group have a 0, where ``buckets`` are the bits found so far by probe."""

    @abstractmethod
    def narrow(self, levels: Levels, is_one: np.ndarray) -> None:
        """Go on with those that have a 1, or a 0, by probe."""


@dataclass(eq=False)
class _Ranges(_Values):
    """Ranges of values of one partition.

    Args:
        part: Number of the partition.
        probes: Probe per range.
        signs: How many times each counts, 1 or -1.
        places: Where each range begins, then where each ends [2 n].
    """

    part: int
    probes: np.ndarray
    signs: np.ndarray
    places: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """Number of values per range."""
        return _lengths(self.places)

    def with_zero(self, levels: Levels, buckets: np.ndarray) -> np.ndarray:
        """Look at the bits of the level."""
        self._ones = levels[self.part].ones_before(self.places)
        return _lengths(self.places - self._ones)

    def narrow(self, levels: Levels, is_one: np.ndarray) -> None:
        """Follow the ranges to the next level."""
        goes = np.tile(is_one[self.probes], 2)
        self.places = np.where(goes, levels[self.part].zeros + self._ones, self.places - self._ones)
        kept = _left(self.counts)
        if kept is not None:
            self.probes, self.signs = self.probes[kept], self.signs[kept]
            self.places = self.places[np.concatenate([kept, kept + len(goes) // 2])]


@dataclass(eq=False)
class _Lists(_Values):
    """Lists of buckets before partitions.

    Args:
        buckets: Buckets, ascending in each list.
        totals: Values in them and in those before them in the list.
        probes: Probe per list.
        signs: How many times each counts, 1 or -1.
        low: First bucket of each list.
        high: The one after its last.
    """

    buckets: np.ndarray
    totals: np.ndarray
    probes: np.ndarray
    signs: np.ndarray
    low: np.ndarray
    high: np.ndarray
    _below: np.ndarray = field(init=False)
    _until: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self._below = np.zeros(len(self.low), np.int64)
        self._until = self._total(self.high)

    @property
    def counts(self) -> np.ndarray:
        """Number of values per list."""
        return np.asarray(self._until - self._below)

    def with_zero(self, levels: Levels, buckets: np.ndarray) -> np.ndarray:
        """Look for the first bucket that has a 1."""
        row, found = last_row_within(self.buckets, self.low, self.high, buckets[self.probes] + (1 << levels[0].shift))
        self._middle = np.where(found, row + 1, self.low)
        self._at_middle = self._total(self._middle)
        return np.asarray(self._at_middle - self._below)

    def narrow(self, levels: Levels, is_one: np.ndarray) -> None:
        """Go on before or after that bucket."""
        goes = is_one[self.probes]
        self.low = np.where(goes, self._middle, self.low)
        self._below = np.where(goes, self._at_middle, self._below)
        self.high = np.where(goes, self.high, self._middle)
        self._until = np.where(goes, self._until, self._at_middle)
        kept = _left(self.counts)
        if kept is not None:
            self.probes, self.signs, self.low, self.high, self._below, self._until = (
                each[kept] for each in (self.probes, self.signs, self.low, self.high, self._below, self._until)
            )

    def _total(self, ends: np.ndarray) -> np.ndarray:
        """Return the running count before each bucket; where none is left, what it was."""
        if not len(self.totals):
            return np.zeros(len(ends), np.int64)
        return np.where(ends > self.low, self.totals.take(ends - 1, mode="clip"), self._below)


def _lengths(places: np.ndarray) -> np.ndarray:
    starts, ends = np.split(places, 2)
    return np.asarray(ends - starts)


def _left(counts: np.ndarray) -> np.ndarray | None:
    """Return which of some ranges or lists still hold values; ``None`` where most do."""
    left = np.flatnonzero(counts)
    return left if len(left) < _MOST * len(counts) else None


class RankReader:
    """Finds ranks between steps.

    Args:
        items: The list column.
        parts: The partitions.
        files: Their files.
    """

    def __init__(self, items: Items, parts: Sequence[Part], files: Files) -> None:
        self._before, self._sequences, levels = (
            [files[items.kind(what), part.start] for part in parts] for what in (BEFORE, SEQUENCE, LEVELS)
        )
        self._levels = list(zip(*map(bit_levels, levels), strict=True))
        self._firsts = np.array([part.first for part in parts], np.int64)

    def ranked(self, codes: np.ndarray, edges: Edges, *, q: float) -> tuple[np.ndarray, np.ndarray]:
        """Find the bucket of the value at rank ``floor(q * (n - 1))`` of n values.

        Args:
            codes: Entity per probe, negative for unknown ones.
            edges: ``(sign, bounds)``: what lies before each probe's bound counts ``sign`` times, 1 or -1.
            q: From 0 to 1.

        Returns:
            ``(bucket, has_value)`` per probe (int64, bool); the bucket is meaningless without values.
        """
        buckets = np.zeros(len(codes), np.int64)
        has_value = np.zeros(len(codes), bool)
        for start in range(0, len(codes), _PROBES):
            part = slice(start, start + _PROBES)
            found = self._found(codes[part], [(sign, bounds[part]) for sign, bounds in edges], q)
            buckets[part], has_value[part] = found
        return buckets, has_value

    def _found(self, codes: np.ndarray, edges: Edges, q: float) -> tuple[np.ndarray, np.ndarray]:
        places = self._places(codes, edges)
        values = _per_probe(len(codes), [(each, each.counts) for each in places])
        rank = np.floor(q * (values - 1)).astype(np.int64)
        buckets = np.full(len(codes), -BIAS)
        for levels in self._levels:
            bit = 1 << levels[0].shift
            if all(level.is_constant for level in levels) and len({level.zeros > 0 for level in levels}) == 1:
                buckets += 0 if levels[0].zeros else bit
                continue
            zeros = _per_probe(len(codes), [(each, each.with_zero(levels, buckets)) for each in places])
            is_one = rank >= zeros
            rank -= np.where(is_one, zeros, 0)
            buckets += is_one * bit
            for each in places:
                each.narrow(levels, is_one)
        return buckets, values > 0

    def _places(self, codes: np.ndarray, edges: Edges) -> list[_Values]:
        """List the ranges of values of each partition, and the lists of buckets before it, that some probes look at."""
        by_part: dict[int, list[Share]] = {}
        for share in shares(self._sequences, self._firsts, codes, edges):
            by_part.setdefault(share.part, []).append(share)
        ranges, lists = list[_Values](), list[_Lists]()
        for i, mine in by_part.items():
            probes, low, high, own = (
                np.concatenate([getattr(share, name) for share in mine]) for name in ("probes", "low", "high", "codes")
            )
            signs = np.repeat([share.sign for share in mine], [len(share.probes) for share in mine])
            some = np.flatnonzero(low < high)
            ranges.append(_Ranges(i, probes[some], signs[some], np.concatenate([low[some], high[some]])))
            start, lengths = segments(self._before[i].ends(ITEMS), own)
            some = np.flatnonzero(np.concatenate([share.is_carried for share in mine]) & (lengths > 0))
            columns = self._before[i].values(ITEMS), self._before[i].values(TOTALS)
            lists.append(_Lists(*columns, probes[some], signs[some], start[some], (start + lengths)[some]))
        return [*ranges, *_copied(lists)]


def _per_probe(probes: int, counts: Sequence[tuple[_Values, np.ndarray]]) -> np.ndarray:
    """Add up counts of groups of values by probe, with their signs."""
    out = np.zeros(probes, np.int64)
    for values, each in counts:
        np.add.at(out, values.probes, values.signs * each)
    return out


def _copied(lists: Sequence[_Lists]) -> Sequence[_Lists]:
    """Copy lists that hold few buckets together, so that they are narrowed together."""
    lengths = [each.high - each.low for each in lists]
    if len(lists) < 2 or sum(int(each.sum()) for each in lengths) > _COPIED:
        return lists
    rows = [listed(each.low, own)[1] for each, own in zip(lists, lengths, strict=True)]
    buckets, totals = (
        np.concatenate([getattr(each, name)[own].astype(np.int64) for each, own in zip(lists, rows, strict=True)])
        for name in ("buckets", "totals")
    )
    probes, signs = (np.concatenate([getattr(each, name) for each in lists]) for name in ("probes", "signs"))
    ends = np.cumsum(np.concatenate(lengths))
    return [_Lists(buckets, totals, probes, signs, ends - np.concatenate(lengths), ends)]
