"""Point-in-time retrieval of one view: a window becomes edges, an edge a ledger row, two rows a difference.

1. Each window becomes the steps that it holds at each as_of: one or more pieces, each a right and a left edge [n]
   (``Clock.window``).
2. Rows come sorted by (code, as_of). Shifting by a window keeps the order, so every search and gather runs through memory
   forwards.
3. Each distinct edge is searched once (``LedgerReader.probe``), each measure gathered once per edge; forms turn the
   differences into values. The cost depends on the rows and the number of features, never on the length of a window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from featurestore.compute.forms import FORMS, measures_of
from featurestore.compute.state import ViewState
from featurestore.compute.windows.opened_views import open_view
from featurestore.compute.windows.pieces import PieceReader
from featurestore.compute.windows.totals import LedgerReader
from featurestore.compute.windows.versions import ReadVersions
from featurestore.errors import VersionError
from featurestore.lake.layout import Layout
from featurestore.lake.table import Table
from featurestore.spec.lineage import needed_features
from featurestore.spec.registry import Registry
from featurestore.spec.resolution import Features
from featurestore.spec.view import Feature, FeatureView
from featurestore.timeline import AnyWindow


class WindowReader(Protocol):
    """What forms read a window's totals from."""

    def window(self, feature: str, window: AnyWindow) -> Any:
        """Return the totals of a feature's window: what of ``WindowTotals`` its form asks for."""
        ...


@dataclass(frozen=True, eq=False)
class ViewQuery:
    """The features of one view that a call asks for, against one snapshot of its ledger."""

    state: ViewState
    reader: LedgerReader
    features: tuple[Feature, ...]

    @property
    def superseded_version(self) -> int | None:
        """Version of the table of superseded versions that is read; ``None`` where none is."""
        return None

    @property
    def view(self) -> FeatureView:
        """The view that the features are of."""
        return self.state.view

    def base_columns(self, codes: np.ndarray, as_of_us: np.ndarray) -> dict[str, pa.Array]:
        """Compute the features that are aggregations, for rows sorted by code and the step of as_of."""
        return self.finalized(PieceReader(self.state, self.reader, codes, self.state.clock.floor(as_of_us)), self.features)

    def finalized(self, totals: WindowReader, features: Sequence[Feature]) -> dict[str, pa.Array]:
        """Return the values of those features that are aggregations."""
        values = {}
        for feature in features:
            if feature.aggregation is None or feature.window is None:
                continue
            measures = measures_of(self.view, feature.aggregation, self.state.layout.naive_timezone)
            window = totals.window(feature.column, feature.window)
            values[feature.name] = FORMS[type(feature.aggregation)].finalize(feature.aggregation, measures, window)
        return values


@dataclass(frozen=True, eq=False)
class LedgerOpener:
    """Opens the ledgers of views, each once, and the events of a source once: all that a call reads of a source is one snapshot.

    Args:
        layout: The store.
        versions: What an earlier answer read; the newest by default.
    """

    layout: Layout
    versions: ReadVersions | None = None
    _opened: dict[str, tuple[ViewState, LedgerReader]] = field(default_factory=dict)
    _events: dict[tuple[str, int | None], Table] = field(default_factory=dict)

    def query(self, view: FeatureView, features: Sequence[Feature]) -> ViewQuery:
        """Return the query for some features of a view and those that these need.

        Raises:
            VersionError: the view is not among the versions, or had another definition then.
        """
        if view.name not in self._opened:
            self._opened[view.name] = self._open(view)
        return ViewQuery(*self._opened[view.name], tuple(needed_features(view, features)))

    def queries(self, registry: Registry, features: Sequence[Feature]) -> list[ViewQuery]:
        """Return one query per view, in the order of the first feature of each; features of joined views are left out."""
        by_view: dict[str, list[Feature]] = {}
        for feature in features:
            if feature.view in registry.views:
                by_view.setdefault(feature.view, []).append(feature)
        return [self.query(registry.views[name], wanted) for name, wanted in by_view.items()]

    def _open(self, view: FeatureView) -> tuple[ViewState, LedgerReader]:
        pinned = self.versions.of(view.name) if self.versions else None
        source, version = view.source.name, pinned.events if pinned else None
        if (source, version) not in self._events:
            self._events[source, version] = Table.open(self.layout.events(source), version)
        if pinned is None:
            return open_view(self.layout, view, self._events[source, version])
        state = ViewState(self.layout, view, self._events[source, version])
        if pinned.fingerprint != state.fingerprint:
            raise VersionError(
                f"View {view.name!r} is no longer defined as it was when these versions were read (fingerprint "
                f"{pinned.fingerprint}, now {state.fingerprint}). Apply the old definition again, or leave versions= out."
            )
        return state, LedgerReader(state, table=Table.open(state.ledger_path, pinned.ledger))


def view_queries(layout: Layout, registry: Registry, features: Features) -> list[ViewQuery]:
    """Open the newest ledgers that some features are read from; see ``LedgerOpener.queries``."""
    return LedgerOpener(layout).queries(registry, registry.resolve(features))
