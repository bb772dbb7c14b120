"""Materialize: compute and commit exactly what is missing, first tiles, then ledgers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from featurestore.compute.materialization.bulk_load import bulk_load_notes
from featurestore.compute.materialization.codes import check_all_codes
from featurestore.compute.materialization.donors import Earlier, no_earlier
from featurestore.compute.materialization.healing import broken_files, renew_copies, renew_indexes
from featurestore.compute.materialization.ledger import fold_ledger
from featurestore.compute.materialization.tiles import build_tiles
from featurestore.compute.state import ViewState
from featurestore.concurrency import each_of, one_at_a_time
from featurestore.errors import CommitConflictError, DefinitionError, NotMaterializedError
from featurestore.lake.digests import DamagedFileError
from featurestore.lake.layout import Layout
from featurestore.lake.retry import retried
from featurestore.lake.spill import Lent, lent_sessions
from featurestore.lake.table import Table
from featurestore.spec.view import FeatureView
from featurestore.timeline import Month

STAGES = ("tiles", "ledger")
_SHOWN = 5
Progress = Callable[[str, str, str], None]


@dataclass(frozen=True)
class ViewReport:
    """What was computed for one view; ``healed`` are the damaged or missing files that were made again, relative to the store."""

    view: str
    months: tuple[Month, ...]
    tile_rows: int
    ledger_rows: int
    healed: tuple[str, ...] = ()


@dataclass(frozen=True)
class MaterializeReport:
    """What one call to ``materialize`` computed; nothing when all was up to date.

    Args:
        views: What was computed for each view.
        elapsed_s: Wall time.
        notes: What the sources' owners should know.
    """

    views: tuple[ViewReport, ...]
    elapsed_s: float
    notes: tuple[str, ...] = ()

    @property
    def tile_rows(self) -> int:
        """Tile rows written, over all views."""
        return sum(report.tile_rows for report in self.views)

    @property
    def ledger_rows(self) -> int:
        """Ledger rows written, over all views."""
        return sum(report.ledger_rows for report in self.views)

    @property
    def healed(self) -> tuple[str, ...]:
        """Damaged or missing files that were made again, relative to the store."""
        return tuple(name for report in self.views for name in report.healed)

    def __str__(self) -> str:
        months = sum(len(report.months) for report in self.views)
        if not months and not self.ledger_rows and not self.healed:
            return "everything is up to date"
        done = (
            f"{len(self.views)} views, {months} view-months, {self.tile_rows:,} tile rows, {self.ledger_rows:,} ledger rows "
            f"in {self.elapsed_s:.1f} s"
        )
        healed = [f"healed {len(self.healed)} damaged or missing files: {_listed(self.healed)}"] if self.healed else []
        return "\n".join([done, *healed, *self.notes])


def materialize(
    layout: Layout,
    views: Sequence[FeatureView],
    *,
    before: Month | None = None,
    stages: Sequence[str] = STAGES,
    earlier: Earlier = no_earlier,
    sharing: Iterable[FeatureView] = (),
    progress: Progress | None = None,
) -> MaterializeReport:
    """Bring views up to date with the committed events.

    Another process may ingest, or materialize the same views, meanwhile: what it has committed is looked at again.

    Args:
        layout: The store.
        views: Which views.
        before: Leave this month and later ones; ``None`` takes all.
        stages: ``"tiles"``, ``"ledger"`` or both.
        earlier: A view's definitions of before, whose tiles are used where they hold what is needed.
        sharing: Other views of the store: they may share dictionaries of keys with these.
        progress: Called, never twice at once, with view, stage and the month, or the first month of the partition, that is done.

    Raises:
        DefinitionError: there is no such stage.
        NotMaterializedError: tiles are missing, and ``stages`` leaves them out.
        OverflowingResultError: an exact total does not fit its type.
        CommitConflictError: others kept committing to a view.
        StoreError: a dictionary knows fewer keys than the totals of a view that shares it.
    """
    if isinstance(stages, str) or not set(stages) <= set(STAGES):
        raise DefinitionError(f"stages is {stages!r}; give a tuple with 'tiles', 'ledger' or both.")
    started = time.perf_counter()
    tell = one_at_a_time(progress or silent)
    check_all_codes(layout, {view.name: view for view in (*sharing, *views)}.values())
    with lent_sessions(layout) as lent:
        reports = each_of(lambda view: _bring_up_to_date(layout, view, before, stages, earlier, tell, lent), views)
    if "ledger" in stages:
        renew_indexes(layout, views)
    notes = bulk_load_notes(layout, [view.source for view in views])
    return MaterializeReport(tuple(reports), time.perf_counter() - started, notes)


def _bring_up_to_date(
    layout: Layout,
    view: FeatureView,
    before: Month | None,
    stages: Sequence[str],
    earlier: Earlier,
    progress: Progress,
    lent: Lent,
) -> ViewReport:
    tile_rows = dict[Month, int]()
    ledger_rows = 0
    broken = set[Path]()
    tell = partial(progress, view.name, "ledger")

    def step() -> None:
        nonlocal ledger_rows
        state = ViewState(layout, view, Table.open(layout.events(view.source.name)))
        seen = broken_files(state)
        broken.update(seen)
        tiles = build_tiles(state, before=before, earlier=earlier, broken=seen, lent=lent)
        for month, rows in tiles if "tiles" in stages else ():
            tile_rows[month] = rows
            progress(view.name, "tiles", str(month))
        try:
            ledger_rows += fold_ledger(state, before=before, progress=tell, broken=seen) if "ledger" in stages else 0
        except NotMaterializedError as error:
            if "tiles" not in stages:
                raise
            # Tiles that we have just built can be missing only because another process has built newer ones.
            raise CommitConflictError(f"Another process has built newer tiles of {view.name!r} meanwhile.") from error
        # What another process made of newer events meanwhile must not stay replaced by what we made of older ones.
        if Table.open(state.events.path).version != state.events.version:
            raise _NewerEventsError(f"Events of {view.name!r} were committed meanwhile. Make the call again.")

    with suppress(_NewerEventsError):  # even after the last attempt: what was computed is right for the events of its time
        try:
            retried(step)
        except DamagedFileError:  # seen when it was read; now that it is known, it is made again if it is computed
            retried(step)
    state = ViewState(layout, view, Table.open(layout.events(view.source.name)))
    mended = sorted(broken - broken_files(state) if broken else ()) + (renew_copies(state) if "ledger" in stages else [])
    healed = tuple(path.relative_to(layout.root).as_posix() for path in mended)
    return ViewReport(view.name, tuple(sorted(tile_rows)), sum(tile_rows.values()), ledger_rows, healed)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


class _NewerEventsError(CommitConflictError):
    """Events were committed while their view was computed."""


def silent(view: str, stage: str, done: str) -> None:
    """Report progress to no one."""
