"""Sub-ledgers of buckets: running counts per entity and bucket, and what is carried into each partition.

    inside    items: buckets; rows: where each bucket's steps end; steps, totals: counts since the partition's start
                                                                              made of the partition's tiles alone
    carried   items: buckets; totals: counts before the partition             made of all tiles before it

Long lists of buckets also count groups of them (``compute/items/groups.py``). How they are read: see
``compute/items/histogram_reader.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from featurestore.compute.items.buckets import added_up, fold_buckets
from featurestore.compute.items.files import Files, ItemFold, Items, Names, Numbers
from featurestore.compute.items.groups import MAX_WHOLE, grouped, is_bucket
from featurestore.compute.items.lists import ITEMS, ROWS, STEPS, TOTALS, EntityLists, expanded, joined, list_table, segments
from featurestore.compute.items.occurrences import Occurrences, occurrences
from featurestore.compute.items.parts import Part
from featurestore.compute.search.portions import portions
from featurestore.spec.document import digest

INSIDE, CARRIED = "inside", "carried"
# Pairs of entity and bucket that are added up at once.
_FOLD_CHUNK = 4_000_000


@dataclass(frozen=True)
class HistogramFold(ItemFold):
    """Running counts of buckets.

    Args:
        has_groups: Whether long lists count groups of buckets too, which only a search for a rank needs.
    """

    has_groups: bool

    @property
    def type(self) -> pa.DataType:
        """A list of the bucket numbers of a step, each as often as it occurs."""
        return pa.list_(pa.int64())

    def names(self, items: Items, parts: Sequence[Part]) -> Names:
        """Name what lies inside a partition after its ledger, what is carried into it after all ledgers before it."""
        names: Names = {}
        carried = ""
        for i, part in enumerate(parts):
            before = [carried, parts[i - 1].ledger] if i else []
            carried = digest([items.kind(CARRIED), *before])
            names[items.kind(CARRIED), part.start] = carried
            names[items.kind(INSIDE), part.start] = digest([items.kind(INSIDE), part.ledger])
        return names

    def fold(
        self, items: Items, parts: Sequence[Part], index: int, *, files: Files, tiles: pa.Table, numbers: Numbers
    ) -> dict[str, pa.Table]:
        """Build what is carried into one partition, and what lies inside."""
        tables = {items.kind(CARRIED): self._carried(items, parts, index, files)}
        more = np.zeros(int(tiles["code"].to_numpy().max(initial=-1)) + 1, np.int64)
        pieces = []
        for seen in occurrences(tiles, items.name, more=more, numbers=numbers):
            codes, buckets, rows, steps, totals = fold_buckets(_with_groups(seen) if self.has_groups else seen)
            of = codes - seen.low
            entities = seen.high - seen.low
            steps_of = np.bincount(of, weights=rows, minlength=entities).astype(np.int64)
            pieces.append((np.bincount(of, minlength=entities), buckets, rows, steps_of, steps, totals))
        counts, buckets, rows, steps_of, steps, totals = (joined([each[i] for each in pieces]) for i in range(6))
        tables[items.kind(INSIDE)] = list_table(
            {
                ITEMS: (counts, buckets),
                ROWS: (counts, np.cumsum(rows)),
                STEPS: (steps_of, steps),
                TOTALS: (steps_of, totals),
            }
        )
        return tables

    def _carried(self, items: Items, parts: Sequence[Part], index: int, files: Files) -> pa.Table:
        """Add the counts inside the partition before to what was carried into that one."""
        if not index:
            return list_table({name: (np.zeros(0, np.int64), np.zeros(0, np.int64)) for name in (ITEMS, TOTALS)})
        start = parts[index - 1].start
        carried = files[items.kind(CARRIED), start]
        inside = files[items.kind(INSIDE), start]
        entities = max(len(carried.ends(ITEMS)), len(inside.ends(ITEMS)))
        codes = np.arange(entities)
        weights = segments(carried.ends(ITEMS), codes)[1] + segments(inside.ends(ITEMS), codes)[1]
        pieces = []
        for part in portions(weights, limit=_FOLD_CHUNK):
            size = part.stop - part.start
            both = [_counts(each, codes[part], is_inside=each is inside) for each in (carried, inside)]
            of, buckets, totals = added_up(*(joined([each[i] for each in both]) for i in range(3)))
            if self.has_groups:
                rows, of, buckets = grouped(of, buckets, np.bincount(of, minlength=size) > MAX_WHOLE)
                of, buckets, totals = added_up(of, buckets, totals[rows])
            pieces.append((np.bincount(of, minlength=size), buckets, totals))
        counts, buckets, totals = (joined([each[i] for each in pieces]) for i in range(3))
        return list_table({ITEMS: (counts, buckets), TOTALS: (counts, totals)})


def _with_groups(seen: Occurrences) -> Occurrences:
    """Add occurrences of the groups that those of entities with long lists lie in."""
    of = seen.codes - seen.low
    is_long = np.bincount(of[seen.first], minlength=seen.high - seen.low) > MAX_WHOLE
    if not is_long.any():
        return seen
    rows, of, numbers = grouped(of, seen.items, is_long)
    steps = seen.steps[rows]
    order = np.lexsort((steps, numbers, of))
    return replace(seen, codes=of[order] + seen.low, items=numbers[order], steps=steps[order])


def _counts(file: EntityLists, codes: np.ndarray, *, is_inside: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List ``(position in codes, bucket, count)``: those carried, or those of a whole partition."""
    of, pairs = expanded(file.ends(ITEMS), codes)
    numbers = file.values(ITEMS)[pairs].astype(np.int64)
    kept = is_bucket(numbers)
    of = of[kept]
    pairs = pairs[kept]
    numbers = numbers[kept]
    rows = file.values(ROWS)[pairs].astype(np.int64) - 1 if is_inside else pairs
    return of, numbers, file.values(TOTALS)[rows].astype(np.int64)
