"""Occurrences: the items of a partition's tiles, flat and sorted by entity, item and step, a range of entities at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.compute.search.portions import portions

CHUNK = 4_000_000


@dataclass(frozen=True, eq=False)
class Occurrences:
    """Items of the entities ``[low, high)``, sorted by (code, item, step).

    Args:
        low: First entity.
        high: The entity after the last one.
        codes: Entity per occurrence.
        items: Item number per occurrence.
        steps: Step per occurrence.
    """

    low: int
    high: int
    codes: np.ndarray
    items: np.ndarray
    steps: np.ndarray

    @cached_property
    def is_first(self) -> np.ndarray:
        """Whether an occurrence is its entity's first of its item."""
        return changes(self.codes, self.items)

    @cached_property
    def first(self) -> np.ndarray:
        """Index of each pair's first occurrence; a pair is an entity and an item."""
        return np.flatnonzero(self.is_first)

    @cached_property
    def last(self) -> np.ndarray:
        """Index of each pair's last occurrence."""
        return np.flatnonzero(np.concatenate([self.is_first[1:], np.ones(min(len(self.codes), 1), bool)]))


def changes(*columns: np.ndarray) -> np.ndarray:
    """Say where a row differs from the one before it in one of the columns; the first always does.

    >>> changes(np.array([1, 1, 1, 2]), np.array([5, 5, 6, 6]))
    array([ True, False,  True,  True])
    """
    differs = np.ones(len(columns[0]), bool)
    if len(differs):
        differs[1:] = False
        for column in columns:
            differs[1:] |= column[1:] != column[:-1]
    return differs


def occurrences(
    tiles: pa.Table, column: str, *, more: np.ndarray, numbers: Callable[[pa.Array], np.ndarray]
) -> Iterator[Occurrences]:
    """Cut the lists of a partition's tiles into ranges of entities, bounded in size, and sort each.

    Args:
        tiles: Columns ``code``, ``step`` and ``column``, a list of items or NULL; sorted by step.
        column: Name of the list column.
        more: Per entity, how many other values its range will need; as long as the entities to cover, those without tiles
            included.
        numbers: Turns items into their int64 numbers.

    Yields:
        Ranges that follow one another and cover all entities, at least one entity each.
    """
    codes = tiles["code"].to_numpy()
    steps = tiles["step"].to_numpy()
    lists = tiles[column].combine_chunks()
    counts = np.asarray(pc.fill_null(pc.list_value_length(lists), 0)).astype(np.int64)
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(more)))
    weights = more + np.bincount(codes, weights=counts, minlength=len(more)).astype(np.int64)
    for part in portions(weights, limit=CHUNK):
        low, high = part.start, part.stop
        rows = order[(ends[low - 1] if low else 0) : ends[high - 1]]
        items = numbers(lists.take(pa.array(rows)).flatten())
        repeated = np.repeat(rows, counts[rows])
        sort = np.lexsort((items, codes[repeated]))
        repeated = repeated[sort]
        yield Occurrences(low, high, codes[repeated], items[sort], steps[repeated])
