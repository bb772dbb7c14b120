"""Sub-ledgers of profiles: which of a few buckets each item of an entity fell in, counted at every 64th of them.

    sequence   steps, rows: where the items of each step end (``items/sequences.py``)
               items: the bucket of each item
               totals: counts of all buckets after each whole block of BLOCK items of an entity, one block after the other
                                                                              made of the partition's tiles alone
    before     items: buckets; totals: counts before the partition            made of all tiles before it

An entity with more than a quarter of the buckets before a partition has the counts of all there, and no items: a row of a table.
How they are read: see ``compute/items/profile_reader.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.lib.stride_tricks import sliding_window_view

from featurestore.compute.items.files import Files, ItemFold, Items, Names, Numbers
from featurestore.compute.items.lists import ITEMS, TOTALS, EntityLists, expanded, joined, list_table, listed, segments
from featurestore.compute.items.parts import Part
from featurestore.compute.items.sequences import sequence_of
from featurestore.compute.search.portions import portions
from featurestore.spec.document import digest

SEQUENCE, BEFORE = "sequence", "before"
BLOCK = 64
# An entity is a row of a table if it has more than one in so many buckets.
_SPARSE = 4
# Items, and cells of a table of counts, that are added up at once.
_FOLD_CHUNK = 4_000_000


@dataclass(frozen=True)
class ProfileFold(ItemFold):
    """Running counts of a few buckets.

    Args:
        buckets: How many there are.
    """

    buckets: int

    @property
    def type(self) -> pa.DataType:
        """A list of the buckets of a step, each as often as it occurs."""
        return pa.list_(pa.int64())

    def names(self, items: Items, parts: Sequence[Part]) -> Names:
        """Name sequences after their ledger, what was before a partition after all ledgers before it."""
        names: Names = {}
        before = ""
        for i, part in enumerate(parts):
            made_of = [before, parts[i - 1].ledger] if i else []
            before = digest([items.kind(BEFORE), _SPARSE, *made_of])
            names[items.kind(BEFORE), part.start] = before
            names[items.kind(SEQUENCE), part.start] = digest([items.kind(SEQUENCE), BLOCK, part.ledger])
        return names

    def fold(
        self, items: Items, parts: Sequence[Part], index: int, *, files: Files, tiles: pa.Table, numbers: Numbers
    ) -> dict[str, pa.Table]:
        """Build the sequence of one partition, and what was before it unless that is there."""
        found = sequence_of(tiles, items.name, numbers=numbers)
        blocks = self._blocks(found.items_of, found.items)
        columns = {**found.places, ITEMS: (found.items_of, found.items), TOTALS: blocks}
        made = {items.kind(SEQUENCE): list_table(columns)}
        if (items.kind(BEFORE), parts[index].start) not in files:
            made[items.kind(BEFORE)] = self._before(items, parts, index, files)
        return made

    def _blocks(self, items_of: np.ndarray, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Count the buckets after each whole block of each entity: ``(number of counts per entity, counts)``."""
        blocks_of = items_of // BLOCK
        starts = np.cumsum(items_of) - items_of
        pieces = []
        for part in portions(blocks_of * max(BLOCK, self.buckets), limit=_FOLD_CHUNK):
            blocks = blocks_of[part]
            _, rows = listed(starts[part], blocks * BLOCK)
            cells = np.arange(len(rows)) // BLOCK * self.buckets + items[rows]
            counts = np.bincount(cells, minlength=int(blocks.sum()) * self.buckets).reshape(-1, self.buckets)
            # What all entities before have added up to stands before an entity's first block.
            totals = np.concatenate([np.zeros((1, self.buckets), np.int64), np.cumsum(counts, axis=0)])
            pieces.append((totals[1:] - totals[np.repeat(np.cumsum(blocks) - blocks, blocks)]).reshape(-1))
        return blocks_of * self.buckets, joined(pieces)

    def _before(self, items: Items, parts: Sequence[Part], index: int, files: Files) -> pa.Table:
        """Add the counts inside the partition before to those that were before that one."""
        if not index:
            return list_table({name: (np.zeros(0, np.int64), np.zeros(0, np.int64)) for name in (ITEMS, TOTALS)})
        before, sequence = (files[items.kind(what), parts[index - 1].start] for what in (BEFORE, SEQUENCE))
        codes = np.arange(max(len(before.ends(ITEMS)), len(sequence.ends(ITEMS))))
        weights = self.buckets + segments(sequence.ends(ITEMS), codes)[1]
        pieces = []
        for part in portions(weights, limit=_FOLD_CHUNK):
            counts = self._counted(before, codes[part]) + self._inside(sequence, codes[part])
            is_there = counts > 0
            is_row = np.count_nonzero(is_there, axis=1, keepdims=True) > self.buckets // _SPARSE
            is_listed = is_there & ~is_row
            kept = is_there | is_row
            pieces.append((is_listed.sum(axis=1), np.nonzero(is_listed)[1], kept.sum(axis=1), counts[kept]))
        listed_of, buckets, counts_of, totals = (joined([each[i] for each in pieces]) for i in range(4))
        return list_table({ITEMS: (listed_of, buckets), TOTALS: (counts_of, totals)})

    def _counted(self, before: EntityLists, codes: np.ndarray) -> np.ndarray:
        """Return the counts of some entities before a partition (int64 [entities, buckets])."""
        counts = np.zeros((len(codes), self.buckets), np.int64)
        low, lengths = segments(before.ends(ITEMS), codes)
        starts, totals = segments(before.ends(TOTALS), codes)
        rows = np.flatnonzero(totals > lengths)
        if len(rows):
            counts[rows] = sliding_window_view(before.values(TOTALS), self.buckets)[starts[rows]]
        of, places = listed(low, lengths)
        counts[of, before.values(ITEMS)[places]] = before.values(TOTALS)[places + (starts - low)[of]]
        return counts

    def _inside(self, sequence: EntityLists, codes: np.ndarray) -> np.ndarray:
        """Count the items of some entities in a whole partition (int64 [entities, buckets])."""
        of, rows = expanded(sequence.ends(ITEMS), codes)
        cells = of * self.buckets + sequence.values(ITEMS)[rows]
        return np.bincount(cells, minlength=len(codes) * self.buckets).reshape(-1, self.buckets)
