"""What a changed definition costs: the months and events that its views must be computed anew from."""

from __future__ import annotations

from collections.abc import Iterable

from featurestore.compute.state import ViewState
from featurestore.lake.layout import Layout
from featurestore.lake.table import Table
from featurestore.spec.plan import Rebuild
from featurestore.spec.view import FeatureView

# Tiles and ledger together: ten million events into the eight views of the shop took 82 s on two cores.
_SECONDS_PER_EVENT = 1e-6


def rebuilds(layout: Layout, views: Iterable[FeatureView]) -> tuple[Rebuild, ...]:
    """List what ``materialize`` will compute of views whose ledger a plan rebuilds; totals that are still there cost nothing."""
    return tuple(_rebuild(ViewState(layout, view, Table.open(layout.events(view.source.name)))) for view in views)


def _rebuild(state: ViewState) -> Rebuild:
    months = state.stale_tiles()
    files = {file.name: file.rows for month in months for file in state.inputs[month]}
    events = sum(files.values())
    return Rebuild(state.view.name, len(months), events, events * _SECONDS_PER_EVENT)
