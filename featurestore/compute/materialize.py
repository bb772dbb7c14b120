"""Materialize: compute and commit exactly what is missing, first tiles, then ledgers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from featurestore.compute.ledger import fold_ledger
from featurestore.compute.state import ViewState
from featurestore.compute.tiles import build_tiles
from featurestore.lake.layout import Layout
from featurestore.lake.table import Table
from featurestore.spec.view import FeatureView
from featurestore.timeline import Month

STAGES = ("tiles", "ledger")
Progress = Callable[[str, str, str], None]


@dataclass(frozen=True)
class ViewReport:
    """What was computed for one view."""

    view: str
    months: tuple[Month, ...]
    tile_rows: int
    ledger_rows: int


@dataclass(frozen=True)
class MaterializeReport:
    """What one call to ``materialize`` computed; nothing when all was up to date."""

    views: tuple[ViewReport, ...]
    elapsed_s: float

    @property
    def tile_rows(self) -> int:
        """Tile rows written, over all views."""
        return sum(report.tile_rows for report in self.views)

    @property
    def ledger_rows(self) -> int:
        """Ledger rows written, over all views."""
        return sum(report.ledger_rows for report in self.views)

    def __str__(self) -> str:
        months = sum(len(report.months) for report in self.views)
        if not months and not self.ledger_rows:
            return "everything is up to date"
        return (
            f"{len(self.views)} views, {months} view-months, {self.tile_rows:,} tile rows, {self.ledger_rows:,} ledger rows "
            f"in {self.elapsed_s:.1f} s"
        )


def materialize(
    layout: Layout,
    views: Sequence[FeatureView],
    *,
    before: Month | None = None,
    stages: Sequence[str] = STAGES,
    progress: Progress | None = None,
) -> MaterializeReport:
    """Bring views up to date with the committed events.

    Args:
        layout: The store.
        views: Which views.
        before: Leave this month and later ones; ``None`` takes all.
        stages: ``"tiles"``, ``"ledger"`` or both.
        progress: Called with view, stage and the month or year that is done.
    """
    started, reports = time.perf_counter(), []
    for view in views:
        state = ViewState(layout, view, Table.open(layout.events(view.source.name)))
        months = state.stale_tiles(before) if "tiles" in stages else []
        tile_rows = build_tiles(state, months, progress=_told(progress, "tiles"))
        ledger_rows = fold_ledger(state, before=before, progress=_told(progress, "ledger")) if "ledger" in stages else 0
        reports.append(ViewReport(view.name, tuple(months), tile_rows, ledger_rows))
    return MaterializeReport(tuple(reports), time.perf_counter() - started)


def _told(progress: Progress | None, stage: str) -> Callable[[str, object], None] | None:
    return None if progress is None else lambda view, done: progress(view, stage, str(done))
