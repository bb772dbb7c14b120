"""Reading sub-ledgers of buckets: which bucket at a rank, between steps.

1. The count of a bucket in a window is the difference of two running totals, as for a sum. Up to four lists of an entity say
   it: what is carried into the partition of each edge, and what lies inside it before the edge. Where both edges lie in one
   partition, what is carried into it cancels out and is not read.
2. A rank is found from coarse to fine. Short lists are listed whole. Of long ones first the coarsest groups are counted, and
   of the group that holds the rank the groups or buckets in it, so that their length hardly matters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from featurestore.compute.items.buckets import added_up, ranked
from featurestore.compute.items.files import Files, Items
from featurestore.compute.items.groups import SHIFTS, STRIDE, is_bucket
from featurestore.compute.items.histograms import CARRIED, INSIDE
from featurestore.compute.items.lists import ITEMS, ROWS, STEPS, TOTALS, EntityLists, joined, listed, segments
from featurestore.compute.items.parts import Part
from featurestore.compute.search.as_of_search import last_row_before
from featurestore.compute.search.portions import portions

# Numbers in the lists of probes that are counted at once.
_CHUNK = 250_000
# Most cells of a table of counts by probe and group; beyond them, what occurs is sorted instead.
_CELLS = 8_000_000

Edges = Sequence[tuple[int, np.ndarray]]
_Counted = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class _Place:
    """The list of one file for each of some probes.

    Args:
        file: The file.
        probes: Which probes, ascending.
        codes: Entity per probe; it has numbers in the file.
        signs: How many times its counts count.
        bounds: Only what lies before this step; ``None`` where nothing inside a partition is meant.
        low: Position of the first number of each list to look at.
        high: The position after the last one.
        has_groups: Whether these are groups.
    """

    file: EntityLists
    probes: np.ndarray
    codes: np.ndarray
    signs: np.ndarray
    bounds: np.ndarray | None
    low: np.ndarray
    high: np.ndarray
    has_groups: bool = False

    def chosen(self, rows: np.ndarray | slice) -> _Place:
        """Return the place for some of its probes."""
        bounds = None if self.bounds is None else self.bounds[rows]
        probes, codes, signs, low, high = (each[rows] for each in (self.probes, self.codes, self.signs, self.low, self.high))
        return _Place(self.file, probes, codes, signs, bounds, low, high, self.has_groups)

    def between(self, first: int, end: int) -> _Place:
        """Return the place for the probes ``[first, end)``, numbered from 0."""
        low, high = np.searchsorted(self.probes, (first, end))
        part = self.chosen(slice(low, high))
        return replace(part, probes=part.probes - first)

    def first_from(self, numbers: np.ndarray) -> np.ndarray:
        """Return the first position of each list whose number is not below that of ``numbers``."""
        ends = self.file.ends(ITEMS)
        row, found = last_row_before(self.file.values(ITEMS), ends, self.codes, numbers)
        return np.where(found, row + 1, segments(ends, self.codes)[0])

    def within(self, first: np.ndarray, width: int) -> _Counted:
        """Count the numbers in ``[first, first + width)`` of each list."""
        low = self.first_from(first)
        high = np.minimum(low + width, self.file.ends(ITEMS).take(self.codes))
        return self.counted(low, high, end=first + width)

    def counted(self, low: np.ndarray, high: np.ndarray, *, end: np.ndarray | None = None) -> _Counted:
        """List ``(probe, number, count)`` at the positions ``[low, high)`` of each list, of numbers below ``end``.

        Counts are doubles, which is what numpy adds up: exact below 2^53.
        """
        of, pairs = listed(low, high - low)
        numbers = self.file.values(ITEMS)[pairs].astype(np.int64)
        if end is not None:
            kept = np.flatnonzero(numbers < end[of])
            of = of[kept]
            pairs = pairs[kept]
            numbers = numbers[kept]
        signs = self.signs[of]
        if self.bounds is not None and len(pairs):
            pairs, found = last_row_before(self.file.values(STEPS), self.file.values(ROWS), pairs, self.bounds[of])
            signs = signs * found
        return self.probes[of], numbers, np.multiply(self.file.values(TOTALS)[pairs], signs, dtype=np.float64)


class HistogramReader:
    """Finds ranks between steps.

    Args:
        items: The list column.
        parts: The partitions.
        files: Their files.
    """

    def __init__(self, items: Items, parts: Sequence[Part], files: Files) -> None:
        self._carried = [files[items.kind(CARRIED), part.start] for part in parts]
        self._inside = [files[items.kind(INSIDE), part.start] for part in parts]
        self._firsts = np.array([part.first for part in parts], np.int64)

    def ranked(self, codes: np.ndarray, edges: Edges, *, q: float) -> tuple[np.ndarray, np.ndarray]:
        """Find the bucket of the value at rank ``floor(q * (n - 1))`` of n values, of a fold with groups.

        Args:
            codes: Entity per probe, negative for unknown ones.
            edges: ``(sign, bounds)``: what lies before each probe's bound counts ``sign`` times.
            q: From 0 to 1.

        Returns:
            ``(bucket, has_value)`` per probe (int64, bool); the bucket is meaningless without values.
        """
        bucket = np.zeros(len(codes), np.int64)
        has_value = np.zeros(len(codes), bool)
        for first, end, places in self._chunks(codes, edges):
            bucket[first:end], has_value[first:end] = _ranked(places, end - first, q)
        return bucket, has_value

    def _chunks(self, codes: np.ndarray, edges: Edges) -> Iterator[tuple[int, int, list[_Place]]]:
        """Cut probes into ranges ``[first, end)``, each with its places, that look at a bounded number of numbers."""
        places = list(self._places(codes, edges))
        weights = np.ones(len(codes), np.int64)
        for place in places:
            weights[place.probes] += place.high - place.low
        for probes in portions(weights, limit=_CHUNK):
            first, end = probes.start, probes.stop
            yield first, end, [part for place in places if len((part := place.between(first, end)).probes)]

    def _places(self, codes: np.ndarray, edges: Edges) -> Iterator[_Place]:
        """List where the counts of some probes are found."""
        of = [np.searchsorted(self._firsts, bounds, side="left") - 1 for _, bounds in edges]
        for i in np.unique(np.concatenate(of)).tolist():
            if i < 0:
                continue
            times = np.zeros(len(codes), np.int64)
            for (sign, bounds), partition in zip(edges, of, strict=True):
                is_here = partition == i
                times += sign * is_here
                yield from _listed(self._inside[i], codes, sign * is_here, bounds)
            yield from _listed(self._carried[i], codes, times, None)


def _listed(file: EntityLists, codes: np.ndarray, signs: np.ndarray, bounds: np.ndarray | None) -> Iterator[_Place]:
    """Make a place of the probes whose list in a file is short, and one of those whose list has groups."""
    probes = np.flatnonzero(signs)
    low, lengths = segments(file.ends(ITEMS), codes[probes])
    kept = lengths > 0
    probes, low, high = probes[kept], low[kept], (low + lengths)[kept]
    if not len(probes):
        return
    place = _Place(file, probes, codes[probes], signs[probes], None if bounds is None else bounds[probes], low, high)
    is_short = is_bucket(file.values(ITEMS)[high - 1])
    if not is_short.all():
        long = place.chosen(np.flatnonzero(~is_short))
        coarsest = np.full(len(long.codes), len(SHIFTS) * STRIDE - STRIDE // 2)
        yield replace(long, low=long.first_from(coarsest), has_groups=True)
    if is_short.any():
        yield place.chosen(np.flatnonzero(is_short))


def _ranked(places: Sequence[_Place], probes: int, q: float) -> tuple[np.ndarray, np.ndarray]:
    """Descend from groups to buckets: the bucket of the value at rank ``floor(q * (n - 1))`` of each probe's n values.

    A long list holds its buckets and, as further numbers, the groups of 4, 16 and 64 of them (``items/groups.py``). A probe with
    30 values in buckets 3, 17, 18, 21 and 90, and the median, rank 14::

        level 3   groups of 64   0: 26 values    1: 4            ranks 0-25 lie in group 0: rank 14 in it
        level 2   groups of 16   0: 2    1: 24                   ranks 2-25 lie in group 1: rank 12 in it
        level 1   groups of 4    4: 9    5: 15                   ranks 9-23 lie in group 5: rank 3 in it
        level 0   buckets        20: 0   21: 15                  bucket 21

    Each level looks at the numbers of one group alone, 4 at the most, so a list of thousands of buckets costs a few searches. A
    short list has no groups: its buckets are counted into the same cells at every level.

    Returns:
        ``(bucket, has_value)`` per probe.
    """
    long = [place for place in places if place.has_groups]
    short = [place.counted(place.low, place.high) for place in places if not place.has_groups]
    buckets = joined([part[1] for part in short])
    shifts = (0, *SHIFTS)
    top = len(SHIFTS)
    counted = [place.counted(place.low, place.high) for place in long]
    groups = [part[1] - top * STRIDE for part in counted]
    probe = joined([part[0] for part in (*short, *counted)])
    count = _joined([part[2] for part in (*short, *counted)])
    group, rank, has_value = _coarsest(probe, joined([buckets >> shifts[top], *groups]), count, probes=probes, q=q)
    probe = probe[: len(buckets)]
    count = count[: len(buckets)]
    for level in range(top - 1, -1, -1):
        shift = shifts[level]
        width = 1 << (shifts[level + 1] - shifts[level])
        kept = np.flatnonzero(buckets >> shifts[level + 1] == group[probe])
        probe = probe[kept]
        buckets = buckets[kept]
        count = count[kept]
        first = group * width
        below = [place.within(first[place.probes] + level * STRIDE, width) for place in long]
        cells = [probe * width + ((buckets >> shift) - first[probe])]
        cells += [each[0] * width + (each[1] - level * STRIDE - first[each[0]]) for each in below]
        counts = _joined([count, *(each[2] for each in below)])
        at, rank = _at_rank(_table(joined(cells), counts, shape=(probes, width)), rank)
        group = first + at
    return group, has_value


def _coarsest(
    probe: np.ndarray, number: np.ndarray, count: np.ndarray, *, probes: int, q: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the group of each probe that holds the rank, the rank in it, and whether there is one."""
    values = np.bincount(probe, weights=count, minlength=probes)
    rank = np.floor(q * (values - 1))
    has_value = values > 0
    if not len(number):
        return np.zeros(probes, np.int64), rank, has_value
    lowest = number.min()
    number = number - lowest
    is_there = np.zeros(int(number.max()) + 1, bool)
    is_there[number] = True
    names = np.flatnonzero(is_there)
    if probes * len(names) <= _CELLS:
        cells = probe * len(names) + (np.cumsum(is_there) - 1)[number]
        at, rank = _at_rank(_table(cells, count, shape=(probes, len(names))), rank)
        return names[at] + lowest, rank, has_value
    probe, number, count = added_up(probe, number, count)
    lengths = np.bincount(probe, minlength=probes)
    ends = np.cumsum(lengths)
    rows = np.minimum(ranked(ends, count, q), len(number) - 1)
    total = np.concatenate([[0.0], np.cumsum(count)])
    return number[rows] + lowest, rank - (total[rows] - total[ends - lengths]), has_value


def _at_rank(counts: np.ndarray, rank: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the column of each row that holds its rank, and the rank in that column."""
    running = np.cumsum(counts, axis=1)
    at = np.minimum((running <= rank[:, None]).sum(axis=1), counts.shape[1] - 1)
    rows = np.arange(len(at))
    return at, rank - (running[rows, at] - counts[rows, at])


def _table(cells: np.ndarray, counts: np.ndarray, *, shape: tuple[int, int]) -> np.ndarray:
    """Add up counts by cell of a table."""
    return np.bincount(cells, weights=counts, minlength=shape[0] * shape[1]).reshape(shape)


def _joined(counts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0), *counts])
