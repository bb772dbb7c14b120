"""A small log of items, cut into partitions and folded into sub-ledgers in memory."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa

from featurestore.compute.items.files import ItemFold, Items
from featurestore.compute.items.lists import EntityLists
from featurestore.compute.items.parts import Part

Log = list[tuple[int, int, int]]  # entity, item, step


class InMemory:
    """Columns of a table."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def array(self, name: str) -> pa.Array:
        return self._table[name].combine_chunks()


def tiles_of(log: Log, name: str, *, repeats: bool) -> pa.Table:
    """One row per entity and step, its items in a sorted list; each once unless they may repeat."""
    found: dict[tuple[int, int], list[int]] = {}
    for entity, item, step in log:
        found.setdefault((step, entity), []).append(item)
    rows = [(code, step, sorted(items if repeats else set(items))) for (step, code), items in sorted(found.items())]
    columns = zip(*rows, strict=True) if rows else [[]] * 3
    types = (pa.int64(), pa.int64(), pa.list_(pa.int64()))
    return pa.table([pa.array(list(c), t) for c, t in zip(columns, types, strict=True)], names=["code", "step", name])


def numbers(values: pa.Array) -> np.ndarray:
    return np.asarray(values.to_numpy(zero_copy_only=False)).astype(np.int64)


def random_log(seed: int, *, rows: int = 200, entities: int = 4, items: int = 8, steps: int = 60) -> Log:
    """Draw entities, items and steps; few items, so that they come back again and again."""
    rng = np.random.default_rng(seed)
    return [tuple(row) for row in np.stack([rng.integers(0, n, rows) for n in (entities, items, steps)], axis=1).tolist()]


def folded(fold: ItemFold, items: Items, log: Log, edges: list[int]) -> tuple[list[Part], dict[tuple[str, str], EntityLists]]:
    """Cut a log at edges and fold its partitions one after the other; one without rows is left out, as a month is."""
    parts, files = [], {}
    cuts = [[row for row in log if low <= row[2] < high] for low, high in pairwise(edges)]
    for (first, cut), rows in zip(pairwise(edges), cuts, strict=True):
        if rows:
            parts.append(Part(f"{first:04d}", f"ledger {rows}", first, parts[-1].cut if parts else first, cut))
    for i, part in enumerate(parts):
        tiles = tiles_of([row for row in log if part.first <= row[2] < part.cut], items.name, repeats="buckets" in items.name)
        made = fold.fold(items, parts, i, files=files, tiles=tiles, numbers=numbers)
        files |= {(kind, part.start): EntityLists(InMemory(table)) for kind, table in made.items()}
    assert set(fold.names(items, parts)) == set(files)
    return parts, files
