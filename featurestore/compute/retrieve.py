"""Point-in-time retrieval of one view: a window becomes edges, an edge a ledger row, two rows a difference.

1. Each window becomes the steps that it holds at each as_of: one or more pieces, each a right and a left edge [n]
   (``Clock.window``).
2. Rows come sorted by (code, as_of). Shifting by a window keeps the order, so every search and gather runs through memory
   forwards.
3. Each distinct edge is searched once (``LedgerReader.probe``), each measure gathered once per edge; forms turn the
   differences into values. The cost depends on the rows and the number of features, never on the length of a window.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from featurestore.compute.asof import LedgerReader
from featurestore.compute.derive import needed_features
from featurestore.compute.forms import FORMS, measures_of
from featurestore.compute.pieces import PieceReader
from featurestore.compute.state import ViewState
from featurestore.compute.versions import ReadVersions
from featurestore.errors import VersionError
from featurestore.lake.layout import Layout
from featurestore.lake.table import Table
from featurestore.spec.registry import Features, Registry
from featurestore.spec.view import Feature, FeatureView


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
        """Compute the features that are aggregations, for rows sorted by code and the step of as_of."""
        totals = PieceReader(self.state, self.reader, codes, self.state.clock.floor(as_of_us))
        values = {}
        for feature in self.features:
            if feature.aggregation is None or feature.window is None:
                continue
            measures = measures_of(self.view, feature.aggregation)
            window = totals.window(feature.column, feature.window)
            values[feature.name] = FORMS[type(feature.aggregation)].finalize(feature.aggregation, measures, window)
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
