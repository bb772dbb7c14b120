"""Sub-ledgers of buckets: running counts per entity and bucket, and what is carried into each partition.

    inside    items: buckets; rows: where each bucket's steps end; steps, totals: counts since the partition's start
                                                                              made of the partition's tiles alone
    carried   items: buckets; totals: counts before the partition             made of all tiles before it

The count of a bucket in a window is the difference of two running totals, as for a sum: two searches per bucket that the
entity has ever filled. Where both edges lie in one partition, what is carried into it cancels out and is not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from featurestore.compute.items.buckets import added_up, fold_buckets
from featurestore.compute.items.files import Files, ItemFold, Items, Names, Numbers
from featurestore.compute.items.lists import ITEMS, ROWS, STEPS, TOTALS, EntityLists, expanded, joined, list_table, segments
from featurestore.compute.items.occurrences import occurrences
from featurestore.compute.items.parts import Part
from featurestore.compute.search import last_row_before
from featurestore.spec.document import digest

INSIDE, CARRIED = "inside", "carried"
# Buckets of probes that are counted at once.
_CHUNK = 1_000_000
# Pairs of entity and bucket that are added up at once.
_FOLD_CHUNK = 4_000_000


@dataclass(frozen=True)
class HistogramFold(ItemFold):
    """Running counts of buckets."""

    @property
    def type(self) -> pa.DataType:
        """A list of the bucket numbers of a step, each as often as it occurs."""
        return pa.list_(pa.int64())

    def names(self, items: Items, parts: Sequence[Part]) -> Names:
        """Name what lies inside a partition after its ledger, what is carried into it after all ledgers before it."""
        found: Names = {}
        carried = ""
        for i, part in enumerate(parts):
            before = [carried, parts[i - 1].ledger] if i else []
            carried = digest([items.kind(CARRIED), *before])
            found[items.kind(CARRIED), part.start] = carried
            found[items.kind(INSIDE), part.start] = digest([items.kind(INSIDE), part.ledger])
        return found

    def fold(
        self, items: Items, parts: Sequence[Part], index: int, *, files: Files, tiles: pa.Table, numbers: Numbers
    ) -> dict[str, pa.Table]:
        """Build what is carried into one partition, and what lies inside."""
        found = {items.kind(CARRIED): self._carried(items, parts, index, files)}
        more = np.zeros(int(tiles["code"].to_numpy().max(initial=-1)) + 1, np.int64)
        made = []
        for seen in occurrences(tiles, items.name, more=more, numbers=numbers):
            codes, buckets, rows, steps, totals = fold_buckets(seen)
            of, entities = codes - seen.low, seen.high - seen.low
            steps_of = np.bincount(of, weights=rows, minlength=entities).astype(np.int64)
            made.append((np.bincount(of, minlength=entities), buckets, rows, steps_of, steps, totals))
        counts, buckets, rows, steps_of, steps, totals = (joined([each[i] for each in made]) for i in range(6))
        found[items.kind(INSIDE)] = list_table(
            {
                ITEMS: (counts, buckets),
                ROWS: (counts, np.cumsum(rows)),
                STEPS: (steps_of, steps),
                TOTALS: (steps_of, totals),
            }
        )
        return found

    def _carried(self, items: Items, parts: Sequence[Part], index: int, files: Files) -> pa.Table:
        """Add the counts inside the partition before to what was carried into that one."""
        if not index:
            return list_table({name: (np.zeros(0, np.int64), np.zeros(0, np.int64)) for name in (ITEMS, TOTALS)})
        start = parts[index - 1].start
        carried, inside = files[items.kind(CARRIED), start], files[items.kind(INSIDE), start]
        entities = max(len(carried.ends(ITEMS)), len(inside.ends(ITEMS)))
        codes = np.arange(entities)
        weights = np.cumsum(segments(carried.ends(ITEMS), codes)[1] + segments(inside.ends(ITEMS), codes)[1])
        made, low = [], 0
        while low < entities:
            before = int(weights[low - 1]) if low else 0
            high = max(int(np.searchsorted(weights, before + _FOLD_CHUNK, side="right")), low + 1)
            found = [_counts(each, codes[low:high], whole=inside) for each in (carried, inside)]
            of, buckets, totals = added_up(*(joined([each[i] for each in found]) for i in range(3)))
            made.append((np.bincount(of, minlength=high - low), buckets, totals))
            low = high
        counts, buckets, totals = (joined([each[i] for each in made]) for i in range(3))
        return list_table({ITEMS: (counts, buckets), TOTALS: (counts, totals)})


def _counts(file: EntityLists, codes: np.ndarray, *, whole: EntityLists) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List ``(position in codes, bucket, count)``: those carried, or those of a whole partition."""
    of, pairs = expanded(file.ends(ITEMS), codes)
    buckets = file.values(ITEMS)[pairs].astype(np.int64)
    rows = file.values(ROWS)[pairs].astype(np.int64) - 1 if file is whole else pairs
    return of, buckets, file.values(TOTALS)[rows].astype(np.int64)


class HistogramReader:
    """Counts buckets between steps.

    Args:
        items: The list column.
        parts: The partitions.
        files: Their files.
    """

    def __init__(self, items: Items, parts: Sequence[Part], files: Files) -> None:
        self._parts = parts
        self._carried = [files[items.kind(CARRIED), part.start] for part in parts]
        self._inside = [files[items.kind(INSIDE), part.start] for part in parts]
        self._firsts = np.array([part.first for part in parts], np.int64)

    def counts(
        self, codes: np.ndarray, edges: Sequence[tuple[int, np.ndarray]]
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Count the values per bucket, a bounded number of probes at a time.

        Args:
            codes: Entity per probe, negative for unknown ones.
            edges: ``(sign, bounds)``: what lies before each probe's bound counts ``sign`` times.

        Yields:
            ``(ends, buckets, counts)`` of the next probes: per probe where its buckets end; buckets ascending inside a probe,
            and their counts, which are not 0.
        """
        of = [np.searchsorted(self._firsts, bounds, side="left") - 1 for _, bounds in edges]
        weights = np.cumsum(self._weights(codes, of))
        low = 0
        while low < len(codes):
            before = int(weights[low - 1]) if low else 0
            high = max(int(np.searchsorted(weights, before + _CHUNK, side="right")), low + 1)
            probes = slice(low, high)
            yield self._chunk(codes[probes], [(sign, bounds[probes]) for sign, bounds in edges], [each[probes] for each in of])
            low = high

    def _weights(self, codes: np.ndarray, of: Sequence[np.ndarray]) -> np.ndarray:
        """Bound the number of buckets to be looked at, per probe."""
        weights = np.zeros(len(codes), np.int64)
        for i in range(len(self._parts)):
            for partition in of:
                mine = np.flatnonzero(partition == i)
                for file in (self._carried[i], self._inside[i]) if len(mine) else ():
                    weights[mine] += segments(file.ends(ITEMS), codes[mine])[1]
        return weights

    def _chunk(
        self, codes: np.ndarray, edges: Sequence[tuple[int, np.ndarray]], of: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        for i in np.unique(np.concatenate(of)).tolist():
            if i < 0:
                continue
            times = sum(
                (sign * (partition == i) for (sign, _), partition in zip(edges, of, strict=True)), np.zeros(1, np.int64)
            )
            found.append(_scaled(self._carried[i], codes, times))
            for (sign, bounds), partition in zip(edges, of, strict=True):
                found.append(_counted(self._inside[i], codes, np.where(partition == i, sign, 0), bounds))
        probe, buckets, counts = added_up(*(joined([each[j] for each in found]) for j in range(3)))
        return np.cumsum(np.bincount(probe, minlength=len(codes))), buckets, counts


def _scaled(file: EntityLists, codes: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List ``(position in codes, bucket, count)`` of what is carried, ``times`` over."""
    mine = np.flatnonzero(times)
    of, pairs = expanded(file.ends(ITEMS), codes[mine])
    counts = file.values(TOTALS)[pairs] * times[mine][of]
    return mine[of], file.values(ITEMS)[pairs].astype(np.int64), counts


def _counted(
    file: EntityLists, codes: np.ndarray, sign: np.ndarray, bounds: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List ``(position in codes, bucket, count)`` of what lies inside a partition before each bound, with a sign."""
    mine = np.flatnonzero(sign)
    of, pairs = expanded(file.ends(ITEMS), codes[mine])
    if not len(pairs):
        return (np.zeros(0, np.int64),) * 3
    row, found = last_row_before(file.values(STEPS), file.values(ROWS), pairs, bounds[mine][of])
    pairs, of, row = pairs[found], of[found], row[found]
    return mine[of], file.values(ITEMS)[pairs].astype(np.int64), file.values(TOTALS)[row] * sign[mine][of]
