"""Sequences: the items of each entity in the order of their steps, so that those between two steps are a range of neighbours.

    steps    the steps that have items
    rows     where the items of each step end, counted from the file's beginning

What lies there, an item or what became of it, is another column's or another file's business.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.compute.items.files import Numbers
from featurestore.compute.items.lists import ROWS, STEPS, EntityLists, segments
from featurestore.compute.search.as_of_search import last_row_within

Edges = Sequence[tuple[int, np.ndarray]]


@dataclass(frozen=True, eq=False)
class ItemSequence:
    """The items of one partition, sorted by (code, step).

    Args:
        steps_of: Number of steps with items per entity.
        steps: Those steps.
        rows: Where the items of each step end.
        items_of: Number of items per entity.
        items: Item numbers.
    """

    steps_of: np.ndarray
    steps: np.ndarray
    rows: np.ndarray
    items_of: np.ndarray
    items: np.ndarray

    @property
    def places(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """The columns that say where the items of each step end; see ``list_table``."""
        return {STEPS: (self.steps_of, self.steps), ROWS: (self.steps_of, self.rows)}


def sequence_of(tiles: pa.Table, column: str, *, numbers: Numbers) -> ItemSequence:
    """Lay out the lists of a partition's tiles entity by entity.

    Args:
        tiles: Columns ``code``, ``step`` and ``column``, a list of items or NULL; sorted by step.
        column: Name of the list column.
        numbers: Turns items into their int64 numbers.
    """
    codes = tiles["code"].to_numpy()
    lists = tiles[column].combine_chunks()
    counts = np.asarray(pc.fill_null(pc.list_value_length(lists), 0)).astype(np.int64)
    rows = np.argsort(codes, kind="stable")
    rows = rows[counts[rows] > 0]
    codes, counts = codes[rows], counts[rows]
    entities = int(codes.max(initial=-1)) + 1
    return ItemSequence(
        steps_of=np.bincount(codes, minlength=entities),
        steps=tiles["step"].to_numpy()[rows],
        rows=np.cumsum(counts),
        items_of=np.bincount(codes, weights=counts, minlength=entities).astype(np.int64),
        items=numbers(lists.take(pa.array(rows)).flatten()),
    )


def items_before(file: EntityLists, codes: np.ndarray, bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find where the items of some entities begin, and where those before a step end.

    Args:
        file: Has the columns ``steps`` and ``rows``.
        codes: Known entities.
        bounds: Step per entity, itself not included.

    Returns:
        ``(first, end)`` (int64): positions of items.
    """
    low, lengths = segments(file.ends(STEPS), codes)
    row, found = last_row_within(file.values(STEPS), low, low + lengths, bounds)
    return item_ends(file, low), item_ends(file, np.where(found, row + 1, low))


def item_ends(file: EntityLists, steps: np.ndarray) -> np.ndarray:
    """Return where the items of the first so many steps of a file end (int64)."""
    rows = file.values(ROWS)
    if not len(rows):
        return np.zeros(len(steps), np.int64)
    return np.where(steps > 0, rows.take(steps - 1, mode="clip"), 0).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Share:
    """What one partition has to say to some probes: a range of items of each, and what was carried into it.

    Args:
        part: Number of the partition.
        sign: How many times it counts, 1 or -1.
        probes: Which probes, ascending.
        codes: Entity per probe.
        first: Position of the entity's first item.
        low: Position of the first item of the range.
        high: The position after its last one.
        is_carried: Whether what is carried into the partition counts, too; else the range begins at another edge.
    """

    part: int
    sign: int
    probes: np.ndarray
    codes: np.ndarray
    first: np.ndarray
    low: np.ndarray
    high: np.ndarray
    is_carried: np.ndarray

    def chosen(self, rows: slice) -> Share:
        """Return the share of some of its probes."""
        probes, codes, first, low, high = (each[rows] for each in (self.probes, self.codes, self.first, self.low, self.high))
        return Share(self.part, self.sign, probes, codes, first, low, high, self.is_carried[rows])


def shares(files: Sequence[EntityLists], firsts: np.ndarray, codes: np.ndarray, edges: Edges) -> Iterator[Share]:
    """List what each partition has to say: what lies before an edge is what was carried into its partition, and what lies inside.

    Where both edges of a piece lie in one partition, the first of the two is the same, and the second a range between them.

    Args:
        files: The places of items in each partition (``items_before``).
        firsts: First step of each partition.
        codes: Entity per probe, negative for unknown ones.
        edges: ``(sign, bounds)``: what lies before each probe's bound counts ``sign`` times, 1 or -1. The n-th edge with -1 is not
            after the n-th with 1.
    """
    rights = [bounds for sign, bounds in edges if sign > 0]
    lefts = [bounds for sign, bounds in edges if sign < 0]
    never = np.full(len(codes), np.iinfo(np.int64).min)
    for right, left in zip_longest(rights, lefts, fillvalue=never):
        of_right, of_left = (np.where(codes < 0, -1, np.searchsorted(firsts, bounds) - 1) for bounds in (right, left))
        is_within = of_right == of_left
        for i, probes in _by_part(of_right):
            mine, within = codes[probes], is_within[probes]
            first, high = items_before(files[i], mine, right[probes])
            low = first.copy()
            _, low[within] = items_before(files[i], mine[within], left[probes[within]])
            yield Share(i, 1, probes, mine, first, low, high, ~within)
        for i, probes in _by_part(np.where(is_within, -1, of_left)):
            mine = codes[probes]
            first, high = items_before(files[i], mine, left[probes])
            yield Share(i, -1, probes, mine, first, first, high, np.ones(len(probes), bool))


def _by_part(of: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """List the partitions that some edges lie in, each with those edges."""
    for i in np.flatnonzero(np.bincount(of + 1)).tolist():
        if i:
            yield i - 1, np.flatnonzero(of == i - 1)
