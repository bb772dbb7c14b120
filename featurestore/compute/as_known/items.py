"""Items as known: distinct items, quantiles and profiles, from the known events of whole windows.

A row in flight can change how many items a window holds only together with all other rows of the window, so these are read:
for the rows of a spine that have rows in flight, a bounded number of them at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.compute.as_known.tail import Tails
from featurestore.compute.forms.measure import Measure
from featurestore.compute.items.buckets import added_up, ranked
from featurestore.compute.state import ViewState
from featurestore.timeline import AnyWindow, Piece


@dataclass(frozen=True, eq=False)
class ItemReader:
    """Items in windows of some rows of a spine.

    Args:
        state: The view.
        tails: Of the rows, from the first step of their longest window on.
        table: Their known steps: ``key_0`` (row), ``step`` and the list columns.
    """

    state: ViewState
    tails: Tails
    table: pa.Table
    _flat: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=dict)

    def window(self, feature: str, window: AnyWindow) -> ItemWindow:
        """Return what a form sees of a window; ``feature`` is named by errors."""
        pieces = window.pieces(self.state.clock, self.tails.knowledge, self.state.view.delay_steps)
        return ItemWindow(self, tuple(pieces))

    def flat(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return row, step and item number of each item of a list column."""
        if name not in self._flat:
            lists = self.table[name].combine_chunks()
            of = np.asarray(pc.list_parent_indices(lists)).astype(np.int64)
            values = pc.list_flatten(lists)
            if not pa.types.is_integer(values.type):
                values = values.dictionary_encode().indices
            rows, steps = (self.table[column].to_numpy()[of] for column in ("key_0", "step"))
            self._flat[name] = rows, steps, np.asarray(values).astype(np.int64)
        return self._flat[name]


@dataclass(frozen=True, eq=False)
class ItemWindow:
    """The items in one window per row."""

    reader: ItemReader
    pieces: Sequence[Piece]

    def distinct(self, measure: Measure) -> np.ndarray:
        """Return the number of distinct items (int64)."""
        rows, _, _ = self._counted(measure)
        return np.bincount(rows, minlength=len(self.reader.tails.codes))

    def counts(self, measure: Measure, *, buckets: int) -> np.ndarray:
        """Return the counts per bucket; see ``ProfileReader.counts``."""
        out = np.zeros((len(self.reader.tails.codes), buckets), np.int64)
        rows, numbers, counts = self._counted(measure)
        out[rows, numbers] = counts
        return out

    def ranked(self, measure: Measure, *, q: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the bucket at a rank, and whether there is one; see ``RankReader.ranked``."""
        rows, buckets, counts = self._counted(measure)
        lengths = np.bincount(rows, minlength=len(self.reader.tails.codes))
        at_rank = np.zeros(len(lengths), np.int64)
        at_rank[lengths > 0] = buckets[ranked(np.cumsum(lengths), counts, q)[lengths > 0]]
        return at_rank, lengths > 0

    def _counted(self, measure: Measure) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return row, item and how often it occurs, sorted by both, each pair once."""
        rows, steps, items = self.reader.flat(measure.name)
        inside = np.zeros(len(rows), bool)
        for piece in self.pieces:
            within = steps < piece.right.steps[rows]
            inside |= within if piece.left is None else within & (steps >= piece.left.steps[rows])
        return added_up(rows[inside], items[inside], np.ones(int(inside.sum()), np.int64))
