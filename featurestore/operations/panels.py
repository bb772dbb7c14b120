"""Panels: a view's drift tables, and the snapshots that its audits compare.

``drift`` knows no ledger and ``compute`` no drift; these functions hand each what it asks for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import pyarrow as pa

from featurestore.compute.retrieval.freshness import check_fresh
from featurestore.compute.snapshots.panel import Panel
from featurestore.compute.windows.view_query import view_queries
from featurestore.drift.audit_tables import AuditedView
from featurestore.drift.reliability import with_outcomes
from featurestore.lake.layout import Layout
from featurestore.operations.parameters import accepted_parameters
from featurestore.spec.document import digest
from featurestore.spec.look_back import scored_features
from featurestore.spec.registry import Registry
from featurestore.spec.view import FeatureView
from featurestore.timeline import Month

PANEL_SIZE = 2_000


@dataclass(frozen=True)
class AuditPanel:
    """A view's snapshots, each with the outcomes of its forecasts that became known in the month."""

    panel: Panel

    def has_history(self, month: Month) -> bool:
        """Whether the view has events in or before a month."""
        return self.panel.has_history(month)

    def name(self, month: Month) -> str:
        """Return the digest of everything a month's snapshot is made from."""
        return self.panel.name(month)

    def snapshot(self, month: Month) -> pa.Table:
        """Compute the month's snapshot, with the outcomes in the metadata of its forecasts."""
        return with_outcomes(self.panel.snapshot(month), self.panel.forecasts(month))


def audited_view(layout: Layout, view: FeatureView) -> AuditedView:
    """Name a view's drift tables; a view with other features has others."""
    shape = digest([[feature.name, feature.type] for feature in scored_features(view)])
    segments = tuple((name, name if name in view.entity.keys else f"{view.name}__{name}") for name in view.segments)
    return AuditedView(
        view.name,
        view.entity.keys,
        snapshots=layout.snapshots(view.name) / shape,
        sketches=layout.sketches(view.name) / shape,
        scores=layout.scores(view.name) / shape,
        segments=segments,
    )


def panel(layout: Layout, registry: Registry, view: FeatureView, last: Month) -> AuditPanel:
    """Open a view's snapshots up to a month.

    Raises:
        NotMaterializedError: committed events before the month's end are not yet in the view.
    """
    (query,) = view_queries(layout, registry, view)
    check_fresh(query.state, query.reader, as_of_us=last.interval(layout.timezone).end_us)
    return AuditPanel(Panel(query, size=PANEL_SIZE, parameters=cache(lambda name: accepted_parameters(layout, name))))
