"""Sub-ledgers of buckets in the form that they had before: read as they are, until the next ``materialize`` makes them anew.

    inside    items: buckets, and groups of them; rows: where each bucket's steps end; steps, totals: running counts
    carried   what all tiles before the partition add up to, which the sequences before it say as well

Snapshots that answers, publications and pins name may have them for ever. Their tiles are told from them and folded in memory.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from featurestore.compute.items.files import Files, ItemFold, Items
from featurestore.compute.items.lists import ITEMS, ROWS, STEPS, TOTALS, EntityLists, InMemory
from featurestore.compute.items.occurrences import changes
from featurestore.compute.items.parts import Part

INSIDE = "inside"
# Numbers of groups of buckets are greater than those of buckets.
_GROUPS_FROM = 2**24


def in_todays_form(items: Items, fold: ItemFold, parts: Sequence[Part], files: Files) -> Files:
    """Return the files of a list column as its fold makes them today: those that are there, or what is made of earlier ones."""
    if not any((items.kind(INSIDE), part.start) in files for part in parts):
        return files
    made: dict[tuple[str, str], EntityLists] = {}
    for i, part in enumerate(parts):
        tiles = _tiles(files[items.kind(INSIDE), part.start], items.name)
        tables = fold.fold(items, parts, i, files=made, tiles=tiles, numbers=lambda values: np.asarray(values.to_numpy()))
        made |= {(kind, part.start): EntityLists(InMemory(table)) for kind, table in tables.items()}
    return made


def _tiles(inside: EntityLists, name: str) -> pa.Table:
    """Tell the tiles of a partition from its counts by bucket and step: ``code``, ``step`` and the list column, sorted by step."""
    ends, rows, steps = inside.ends(ITEMS), inside.values(ROWS), inside.values(STEPS).astype(np.int64)
    pairs = np.repeat(np.arange(len(rows)), np.diff(rows, prepend=0))
    totals = inside.values(TOTALS).astype(np.int64)
    counts = totals - np.where(changes(pairs), 0, np.concatenate([[0], totals[:-1]])[: len(totals)])
    buckets = inside.values(ITEMS).astype(np.int64)[pairs]
    codes = np.searchsorted(ends, pairs, side="right")
    kept = np.flatnonzero(buckets < _GROUPS_FROM)
    kept = kept[np.lexsort((buckets[kept], codes[kept], steps[kept]))]
    codes, steps, buckets, counts = (each[kept] for each in (codes, steps, buckets, counts))
    first = np.flatnonzero(changes(codes, steps))
    offsets = np.append(np.concatenate([[0], np.cumsum(counts)])[first], counts.sum())
    lists = pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pa.array(np.repeat(buckets, counts)))
    return pa.table({"code": codes[first], "step": steps[first], name: lists})
