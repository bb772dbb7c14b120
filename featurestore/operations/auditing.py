"""The monthly audit of a store: snapshots taken, features and records judged, histories read, drifts acknowledged."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.concurrency import each_of, one_at_a_time
from featurestore.drift.audit import AuditReport, audit_views, take_snapshots
from featurestore.drift.audit_tables import HISTORY_SCHEMA, history, last_snapshot, read_sketches
from featurestore.drift.data_faults.data_fault import FAULT_SCHEMA, data_faults
from featurestore.drift.data_faults.source_audit import audit_source, read_faults
from featurestore.drift.episode import episodes
from featurestore.drift.monitor.policy import DriftPolicy
from featurestore.drift.reliability import RELIABILITY_SCHEMA, reliability_table, series_of
from featurestore.drift.reporting.acknowledge import Acknowledgement, acknowledge
from featurestore.drift.reporting.dependence import calibrations_of
from featurestore.drift.year_files import last_year
from featurestore.errors import DefinitionError, UnknownNameError, did_you_mean
from featurestore.lake.arrow_parquet import no_rows
from featurestore.lake.layout import Layout
from featurestore.lake.table import Table
from featurestore.operations.baselines import resets
from featurestore.operations.definitions import chosen_views, source_named
from featurestore.operations.panels import audited_view, panel
from featurestore.operations.spoiled_months import source_faults, spoiled
from featurestore.spec.registry import Registry
from featurestore.spec.view import FeatureView
from featurestore.timeline import Month

POLICY = DriftPolicy(min_rows=20, release_months=12)
Views = Sequence[str | FeatureView] | None


def snapshot_views(
    layout: Layout,
    registry: Registry,
    months: Sequence[Month],
    *,
    views: Views = None,
    progress: Callable[[str, Month], None] | None = None,
) -> dict[str, int]:
    """Commit the snapshots of some months that are missing, two views at a time; see ``FeatureStore.take_snapshots``."""
    _check_begun(layout, registry, months)
    told = progress and one_at_a_time(progress)

    def take(view: FeatureView) -> int:
        source = panel(layout, registry, view, months[-1])
        known = [month for month in months if source.has_history(month)]
        return take_snapshots(audited_view(layout, view), source, known, progress=told)

    chosen = chosen_views(registry, views)
    return dict(zip(chosen, each_of(take, chosen.values()), strict=True))


def audit_store(
    layout: Layout,
    registry: Registry,
    months: Sequence[Month],
    *,
    views: Views = None,
    progress: Callable[[str, Month], None] | None = None,
) -> AuditReport:
    """Score features and records in some months; see ``FeatureStore.audit``."""
    snapshot_views(layout, registry, months, views=views, progress=progress)
    audited = [audited_view(layout, view) for view in registry.views.values()]
    # An earlier month's audit leaves what is known of later ones as it is: a year is one file.
    last = max(months[-1], last_snapshot(audited) or months[-1])
    faults = source_faults(layout, registry, last)
    unsound = spoiled(registry, faults, last, timezone=layout.timezone)
    scores = audit_views(audited, last, policy=POLICY, resets=resets(layout, registry), spoiled=unsound)
    chosen = chosen_views(registry, views)
    tables = [scores[view][month] for view in chosen for month in months if month in scores[view]]
    table = pa.concat_tables(tables) if tables else no_rows(HISTORY_SCHEMA)
    wrong = [
        audit_source(layout.faults(source), [fault for fault in faults if fault.source == source], last)
        for source in registry.sources
    ]
    return AuditReport(
        months=tuple(months),
        table=table,
        entered=episodes(table, lambda feature: calibrations_of(registry, feature)),
        faults=tuple(fault for rows in wrong for fault in data_faults(rows) if fault.month in months),
    )


def _check_begun(layout: Layout, registry: Registry, months: Sequence[Month]) -> None:
    """Refuse a month that begins in the future, of the clock and of the newest event: it would be the last audited one ever after.

    Raises:
        DefinitionError: one does.
    """
    present = Month.of(time.time_ns() // 1_000, layout.timezone)
    held = (file.partition["month"] for name in registry.sources for file in Table.open(layout.events(name)).files())
    last = max([present, *map(Month.parse, set(held))])
    if months[-1] > last:
        raise DefinitionError(
            f"{months[-1]} has not begun: it is {present} by this machine's clock, and no event is later than {last}. "
            f"Name months up to {last}."
        )


def drift_history(layout: Layout, registry: Registry, view: str | None = None, *, since: str = "") -> pa.Table:
    """Read all committed scores, or those since a year; see ``FeatureStore.drift_history``."""
    views = chosen_views(registry, view)
    tables = [history(audited_view(layout, each), since=since) for each in views.values()]
    return pa.concat_tables([no_rows(HISTORY_SCHEMA), *tables])


def last_audit(layout: Layout, registry: Registry) -> tuple[pa.Table, pa.Table]:
    """Read the scores and the sources' faults of the last audited month alone; no rows before the first."""
    audited = [audited_view(layout, view) for view in registry.views.values()]
    year = max((last_year(each.scores) for each in audited), default="")
    scores = pa.concat_tables([no_rows(HISTORY_SCHEMA), *(history(each, since=year) for each in audited)])
    faults = pa.concat_tables(
        [no_rows(FAULT_SCHEMA), *(read_faults(layout.faults(name), since=year) for name in registry.sources)]
    )
    last = pc.max(scores["month"])
    return scores.filter(pc.equal(scores["month"], last)), faults.filter(pc.equal(faults["month"], last))


def fault_history(layout: Layout, registry: Registry, source: str | None = None) -> pa.Table:
    """Read what audits found wrong in the sources' records; see ``FeatureStore.data_faults``."""
    names = list(registry.sources) if source is None else [source_named(registry, source).name]
    return pa.concat_tables([no_rows(FAULT_SCHEMA), *(read_faults(layout.faults(name)) for name in names)])


def forecast_scores(layout: Layout, registry: Registry, view: str | None = None) -> pa.Table:
    """Read how far forecasts were right; see ``FeatureStore.forecast_scores``."""
    chosen = chosen_views(registry, view)
    tables = [reliability_table(read_sketches(audited_view(layout, each))) for each in chosen.values()]
    return pa.concat_tables([no_rows(RELIABILITY_SCHEMA), *tables])


def acknowledge_drift(
    layout: Layout, registry: Registry, feature: str, *, month: Month | None, segment: str | None, note: str
) -> Acknowledgement:
    """Accept a real change; see ``FeatureStore.acknowledge``."""
    history = drift_history(layout, registry)
    column = column_of(registry, feature)
    return acknowledge(layout.acknowledged, history, column, month=month, segment=segment, note=note)


def column_of(registry: Registry, feature: str) -> str:
    """Return the column of a feature that is named as ``view:feature`` or by its column, or a forecast's reliability by its name.

    Raises:
        UnknownNameError: there is no such feature.
    """
    columns = [each.column for view in registry.views.values() for each in view.features]
    columns += [series_of(each.column) for view in registry.views.values() for each in view.forecasts]
    column = feature.replace(":", "__", 1)
    if column not in columns:
        raise UnknownNameError(f"There is no feature {feature!r}.{did_you_mean(column, columns)}")
    return column
