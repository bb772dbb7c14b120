"""Totals of the pieces of windows: what forms see of a ledger.

Every edge of every window is searched once, whoever asks for it, and every measure gathered once per edge.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa

from featurestore.compute.folds import AdditiveFold, InvertibleFold, RunningFold, ScopedFold
from featurestore.compute.forms.measure import Measure
from featurestore.compute.search.probes import Column, Probes, Stretch, stretches
from featurestore.compute.state import ViewState
from featurestore.compute.windows.in_flight import InFlight
from featurestore.compute.windows.totals import LedgerReader
from featurestore.timeline import AnyWindow, Clock, Edge


@dataclass(frozen=True, eq=False)
class EdgeTotals:
    """Totals of one view at one edge; each measure is gathered once."""

    probes: Probes
    clock: Clock
    _columns: dict[str, Column] = field(default_factory=dict)

    @cached_property
    def starts_us(self) -> np.ndarray:
        """First instant of the edge's steps."""
        return self.clock.starts_us(self.probes.bounds)

    def column(self, measure: Measure) -> Column:
        """Return the totals of a measure whose fold is running."""
        if measure.name not in self._columns:
            assert isinstance(measure.fold, RunningFold)
            self._columns[measure.name] = measure.fold.total(measure.name, self.probes)
        return self._columns[measure.name]

    def since(self, left: EdgeTotals | None) -> tuple[Stretch, ...]:
        """List the rows between another edge and this one, partition by partition."""
        return stretches(left.probes if left else None, self.probes)


@dataclass(frozen=True, eq=False)
class PieceEdges:
    """The totals at both edges of one piece of a window."""

    right: EdgeTotals
    left: EdgeTotals | None

    @property
    def right_us(self) -> np.ndarray:
        """First instant after the piece."""
        return self.right.starts_us

    @property
    def left_us(self) -> np.ndarray | None:
        """First instant of the piece; ``None`` for ``lifetime``."""
        return self.left.starts_us if self.left else None

    def carried(self, measure: Measure) -> pa.Array:
        """Return the last value before the right edge; NULL where there is none."""
        return self.right.column(measure)

    @cached_property
    def stretches(self) -> tuple[Stretch, ...]:
        """The rows of the piece, partition by partition."""
        return self.right.since(self.left)


@dataclass(frozen=True, eq=False)
class Pieces:
    """The pieces of one feature's window, the latest first.

    Args:
        feature: Named by errors.
        pieces: At least one.
        unknown: Rows that were not known yet, to be taken out of what is additive; ``None`` where everything counts.
    """

    feature: str
    pieces: tuple[PieceEdges, ...]
    _reader: LedgerReader
    unknown: InFlight | None = None

    def difference(self, measure: Measure) -> np.ndarray:
        """Return what the pieces hold together of a measure whose fold is invertible."""
        fold = measure.fold
        assert isinstance(fold, InvertibleFold)
        total, *others = (self._within(piece, measure, fold) for piece in self.pieces)
        for other in others:
            total = fold.add(total, other, what=self.feature)
        return total

    def _within(self, piece: PieceEdges, measure: Measure, fold: InvertibleFold) -> np.ndarray:
        total = np.asarray(piece.right.column(measure))
        right = piece.right.probes.bounds
        left = piece.left.probes.bounds if piece.left else None
        if piece.left is not None:
            total = fold.difference(total, np.asarray(piece.left.column(measure)), right - left, what=self.feature)
        if self.unknown is None or not isinstance(fold, AdditiveFold):
            return total
        known: np.ndarray = total - self.unknown.sums(measure.name, fold, right, left)
        return known

    def between(self, measure: Measure) -> pa.Array:
        """Return the value over the steps of all pieces of a measure whose fold is scoped."""
        fold = measure.fold
        assert isinstance(fold, ScopedFold)
        value, *earlier = (fold.between(measure.name, piece.stretches, len(piece.right.probes)) for piece in self.pieces)
        for other in earlier:
            value = fold.merge(other, value)
        return value

    def distinct(self, measure: Measure) -> np.ndarray:
        """Return the number of distinct items in a window of one piece, of a declared length."""
        (piece,) = self.pieces
        right = piece.right.probes
        length = int((right.bounds - piece.left.probes.bounds).max(initial=0)) if piece.left else None
        return self._reader.sub_ledgers.distinct(measure.name, length, right.codes, right.bounds)

    def counts(self, measure: Measure, *, buckets: int) -> np.ndarray:
        """Return what the pieces hold together of each bucket (int64 [n, buckets])."""
        return self._reader.sub_ledgers.counts(measure.name, *self._edges, buckets=buckets)

    def ranked(self, measure: Measure, *, q: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the bucket of the value at a rank of what the pieces hold together, and whether they hold any."""
        return self._reader.sub_ledgers.ranked(measure.name, *self._edges, q=q)

    @property
    def _edges(self) -> tuple[np.ndarray, list[tuple[int, np.ndarray]]]:
        """Codes, and the bounds of all pieces: what lies before a right one counts once, before a left one is taken off."""
        edges = [(1, piece.right.probes.bounds) for piece in self.pieces]
        edges += [(-1, piece.left.probes.bounds) for piece in self.pieces if piece.left]
        return self.pieces[0].right.probes.codes, edges


class PieceReader:
    """Totals of one view for some rows, at any window.

    Args:
        state: The view.
        reader: Its ledger.
        codes: Entity per row, sorted together with ``floor``.
        floor: Step that holds the as_of of each row.
        unknown: Rows that were not known yet.
    """

    def __init__(
        self,
        state: ViewState,
        reader: LedgerReader,
        codes: np.ndarray,
        floor: np.ndarray,
        *,
        unknown: InFlight | None = None,
    ) -> None:
        self._state = state
        self._reader = reader
        self._codes = codes
        self._floor = floor
        self._unknown = unknown
        self._edges: dict[str, EdgeTotals] = {}
        self._windows: dict[AnyWindow, tuple[PieceEdges, ...]] = {}

    def window(self, feature: str, window: AnyWindow) -> Pieces:
        """Return the totals of a feature's window; ``feature`` is named by errors."""
        if window not in self._windows:
            pieces = window.pieces(self._state.clock, self._floor, self._state.view.delay_steps)
            self._windows[window] = tuple(
                PieceEdges(self._at(piece.right), self._at(piece.left) if piece.left else None) for piece in pieces
            )
        return Pieces(feature, self._windows[window], self._reader, self._unknown)

    def _at(self, edge: Edge) -> EdgeTotals:
        if edge.name not in self._edges:
            probes = self._reader.probe(self._codes, edge.steps)
            self._edges[edge.name] = EdgeTotals(probes, self._state.clock)
        return self._edges[edge.name]
