"""Point-in-time retrieval of one view: a spine row and a window become two bounds, two bounds two ledger rows, two rows a difference.

1. As_of becomes the view's floor step: ``right`` [n], and per window ``left`` [n] (``Clock.window``).
2. Rows come sorted by (code, as_of). Shifting by a window keeps the order, so every search and gather runs through memory
   forwards.
3. Each distinct bound is searched once (``LedgerReader.probe``), each measure gathered once per bound; forms turn the
   differences into values. The cost depends on the rows and the number of features, never on the length of a window.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa

from featurestore.compute.asof import LedgerReader
from featurestore.compute.derive import needed_features
from featurestore.compute.folds import InvertibleFold, RunningFold, ScopedFold
from featurestore.compute.forms import FORMS, measures_of
from featurestore.compute.measure import Measure
from featurestore.compute.probes import Column, Probes, Stretch, stretches
from featurestore.compute.state import ViewState
from featurestore.compute.versions import ReadVersions
from featurestore.errors import VersionError
from featurestore.lake.layout import Layout
from featurestore.lake.table import Table
from featurestore.spec.registry import Features, Registry
from featurestore.spec.view import Feature, FeatureView
from featurestore.timeline import Window


@dataclass(eq=False)
class _Totals:
    """Totals of one view at one bound per row; each measure is gathered once."""

    probes: Probes
    columns: dict[str, Column] = field(default_factory=dict)

    def column(self, measure: Measure) -> Column:
        if measure.name not in self.columns:
            assert isinstance(measure.fold, RunningFold)
            self.columns[measure.name] = measure.fold.total(measure.name, self.probes)
        return self.columns[measure.name]


@dataclass(frozen=True, eq=False)
class _Edges:
    """The totals at both edges of a window: what a form sees."""

    feature: str
    right: _Totals
    left: _Totals | None
    right_us: np.ndarray
    left_us: np.ndarray | None

    def difference(self, measure: Measure) -> np.ndarray:
        assert isinstance(measure.fold, InvertibleFold)
        right = self.right.column(measure)
        if self.left is None:
            return np.asarray(right)
        steps = self.right.probes.bounds - self.left.probes.bounds
        return measure.fold.difference(np.asarray(right), np.asarray(self.left.column(measure)), steps, what=self.feature)

    def carried(self, measure: Measure) -> pa.Array:
        return self.right.column(measure)

    def between(self, measure: Measure) -> pa.Array:
        assert isinstance(measure.fold, ScopedFold)
        return measure.fold.between(measure.name, self._stretches, len(self.right.probes))

    @cached_property
    def _stretches(self) -> tuple[Stretch, ...]:
        return stretches(self.left.probes if self.left else None, self.right.probes)


@dataclass(frozen=True, eq=False)
class ViewQuery:
    """The features of one view that a call asks for, against one snapshot of its ledger."""

    state: ViewState
    reader: LedgerReader
    features: tuple[Feature, ...]

    @property
    def view(self) -> FeatureView:
        """The view."""
        return self.state.view

    def base_columns(self, codes: np.ndarray, as_of_us: np.ndarray) -> dict[str, pa.Array]:
        """Compute the features that are aggregations, for rows sorted by (code, as_of)."""
        clock, delay = self.state.clock, Window.parse(self.view.delay) if self.view.delay else None
        totals: dict[str, tuple[_Totals, np.ndarray]] = {}

        def at(name: str, bounds: np.ndarray) -> tuple[_Totals, np.ndarray]:
            if name not in totals:
                totals[name] = _Totals(self.reader.probe(codes, bounds)), clock.starts_us(bounds)
            return totals[name]

        values = {}
        for feature in self.features:
            if feature.aggregation is None or feature.window is None:
                continue
            right_step, left_step = clock.window(as_of_us, feature.window, delay)
            right, right_us = at("right", right_step)
            left, left_us = (None, None) if left_step is None else at(feature.window.text, left_step)
            measures = measures_of(self.view, feature.aggregation)
            form = FORMS[type(feature.aggregation)]
            edges = _Edges(feature.column, right, left, right_us, left_us)
            values[feature.name] = form.finalize(feature.aggregation, measures, edges)
        return values


def view_queries(
    layout: Layout, registry: Registry, features: Features, *, versions: ReadVersions | None = None
) -> list[ViewQuery]:
    """Open the ledgers that a list of features needs, one query a view, in the order of the first feature of each.

    Args:
        layout: The store.
        registry: Its definitions.
        features: What is asked for.
        versions: What an earlier answer read; the newest by default.

    Raises:
        VersionError: a view is not among the versions, or had another definition then.
    """
    by_view: dict[str, list[Feature]] = {}
    for feature in registry.resolve(features):
        by_view.setdefault(feature.view, []).append(feature)
    queries = []
    for name, wanted in by_view.items():
        view = registry.views[name]
        pinned = versions.of(name) if versions else None
        state = ViewState(layout, view, Table.open(layout.events(view.source.name), pinned.events if pinned else None))
        if pinned and pinned.fingerprint != state.fingerprint:
            raise VersionError(
                f"View {name!r} is no longer defined as it was when these versions were read (fingerprint {pinned.fingerprint}, "
                f"now {state.fingerprint}). Apply the old definition again, or leave versions= out."
            )
        table = Table.open(state.ledger_path, pinned.ledger) if pinned else None
        queries.append(ViewQuery(state, LedgerReader(state, table=table), tuple(needed_features(view, wanted))))
    return queries
