"""Sub-ledgers of ranks: the buckets of an entity's values in the order of their steps, laid out so that any rank is found.

    sequence   steps, rows: where the values of each step end (``items/sequences.py``)   made of the partition's tiles alone
    levels     the buckets of these values (``items/bit_levels.py``)                     of the same
    before     items: buckets, ascending; totals: values in them and in those before them, before the partition
                                                                                         made of all tiles before it

How they are read: see ``compute/items/rank_reader.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from featurestore.compute.items.bit_levels import check_levels, levels_of, numbers_at
from featurestore.compute.items.buckets import added_up
from featurestore.compute.items.files import Files, ItemFold, Items, Names, Numbers
from featurestore.compute.items.lists import (
    FIELDS,
    ITEMS,
    STEPS,
    TOTALS,
    EntityLists,
    InMemory,
    expanded,
    joined,
    list_table,
    listed,
    segments,
)
from featurestore.compute.items.parts import Part
from featurestore.compute.items.sequences import item_ends, sequence_of
from featurestore.compute.search.portions import portions
from featurestore.spec.document import digest

SEQUENCE, LEVELS, BEFORE = "sequence", "levels", "before"
# Values, and pairs of entity and bucket, that are added up at once.
_FOLD_CHUNK = 4_000_000


@dataclass(frozen=True)
class RankFold(ItemFold):
    """Running counts of buckets that are many, and read by rank."""

    @property
    def type(self) -> pa.DataType:
        """A list of the bucket numbers of a step, each as often as it occurs."""
        return pa.list_(pa.int64())

    def names(self, items: Items, parts: Sequence[Part]) -> Names:
        """Name what is made of a partition after its ledger, what was before it after all ledgers before it."""
        names: Names = {}
        before = ""
        for i, part in enumerate(parts):
            made_of = [before, parts[i - 1].ledger] if i else []
            before = digest([items.kind(BEFORE), *made_of])
            names[items.kind(BEFORE), part.start] = before
            for what in (SEQUENCE, LEVELS):
                names[items.kind(what), part.start] = digest([items.kind(what), part.ledger])
        return names

    def fold(
        self, items: Items, parts: Sequence[Part], index: int, *, files: Files, tiles: pa.Table, numbers: Numbers
    ) -> dict[str, pa.Table]:
        """Build the sequence and the levels of one partition, and what was before it unless that is there."""
        found = sequence_of(tiles, items.name, numbers=numbers)
        made = {items.kind(SEQUENCE): list_table(found.places), items.kind(LEVELS): levels_of(found.items)}
        if (items.kind(BEFORE), parts[index].start) not in files:
            made[items.kind(BEFORE)] = _before(items, parts, index, files)
        return made


def by_entity(levels: pa.Table, sequence: pa.Table) -> pa.Table:
    """Return what levels and the sequence beside them say of each entity: a sub-ledger whose ``items`` are its values in order.

    Raises:
        StoreError: the levels are of another number of values than the sequence.
    """
    places = EntityLists(InMemory(sequence))
    low, lengths = segments(places.ends(STEPS), np.arange(sequence.num_rows))
    first, end = item_ends(places, low), item_ends(places, low + lengths)
    file = EntityLists(InMemory(levels))
    check_levels(file, int(end[-1]) if len(end) else 0)
    items = numbers_at(file, np.arange(end[-1] if len(end) else 0))
    table = list_table({ITEMS: (end - first, items)})
    for field in FIELDS:
        if field.name != ITEMS:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    return table


def _before(items: Items, parts: Sequence[Part], index: int, files: Files) -> pa.Table:
    """Add the counts inside the partition before to those that were before that one."""
    if not index:
        return list_table({name: (np.zeros(0, np.int64), np.zeros(0, np.int64)) for name in (ITEMS, TOTALS)})
    before, sequence, levels = (files[items.kind(what), parts[index - 1].start] for what in (BEFORE, SEQUENCE, LEVELS))
    codes = np.arange(max(len(before.ends(ITEMS)), len(sequence.ends(STEPS))))
    low, lengths = segments(sequence.ends(STEPS), codes)
    first, end = item_ends(sequence, low), item_ends(sequence, low + lengths)
    weights = segments(before.ends(ITEMS), codes)[1] + end - first
    pieces = []
    for part in portions(weights, limit=_FOLD_CHUNK):
        of, places = listed(first[part], (end - first)[part])
        counted = _counted(before, codes[part]), (of, numbers_at(levels, places), np.ones(len(of), np.int64))
        of, buckets, counts = added_up(*(np.concatenate(column) for column in zip(*counted, strict=True)))
        pairs = np.bincount(of, minlength=part.stop - part.start)
        pieces.append((pairs, buckets, _running(counts, pairs)))
    pairs, buckets, totals = (joined([each[i] for each in pieces]) for i in range(3))
    return list_table({ITEMS: (pairs, buckets), TOTALS: (pairs, totals)})


def _counted(before: EntityLists, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List ``(position in codes, bucket, count)`` of what was before a partition."""
    of, rows = expanded(before.ends(ITEMS), codes)
    totals = before.values(TOTALS)[rows].astype(np.int64)
    counts = np.diff(totals, prepend=0)
    first = np.flatnonzero(np.diff(of, prepend=-1))
    counts[first] = totals[first]
    return of, before.values(ITEMS)[rows].astype(np.int64), counts


def _running(counts: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Add up the counts of each entity, which has so many ``pairs``, from its first bucket on."""
    totals = np.concatenate([[0], np.cumsum(counts)])
    return np.asarray(totals[1:] - np.repeat(totals[np.cumsum(pairs) - pairs], pairs))
