"""Where drift meets retrieval: what the monitor and the calibrations need of a store, computed from its ledgers.

``drift`` knows no ledger and ``compute`` no drift; these functions hand each what it asks for.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache

import pyarrow as pa

from featurestore.compute.retrieval.freshness import check_fresh
from featurestore.compute.snapshots.fitting_inputs import MonthlyInputs
from featurestore.compute.snapshots.forecasts import forecast_at_us
from featurestore.compute.snapshots.panel import Panel
from featurestore.compute.windows.derive import ParameterVersion
from featurestore.compute.windows.view_query import ViewQuery, view_queries
from featurestore.drift.audit import AuditedView
from featurestore.drift.monitor.policy import DriftPolicy
from featurestore.drift.recalibration.calibration_versions import (
    active_resets,
    champion,
    parameter_values,
    parameters,
    versions,
)
from featurestore.drift.recalibration.fitters import WEIGHT, fitter
from featurestore.drift.recalibration.loop import Rows
from featurestore.drift.reliability import series_of, with_outcomes
from featurestore.drift.reporting.acknowledge import acknowledgements
from featurestore.errors import CalibrationError, NotMaterializedError, UnknownNameError, VersionError, did_you_mean
from featurestore.lake.layout import Layout
from featurestore.lake.table import Table
from featurestore.spec.document import digest
from featurestore.spec.registry import Registry
from featurestore.spec.service import Calibration
from featurestore.spec.view import Feature, FeatureView
from featurestore.timeline import HOUR_US, Clock, Month

PANEL_SIZE = 2_000
POLICY = DriftPolicy(min_rows=20, release_months=12)
END_OF_TIME_US = 2**62


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
        """Compute it."""
        return with_outcomes(self.panel.snapshot(month), self.panel.forecasts(month))


def audited_view(layout: Layout, view: FeatureView) -> AuditedView:
    """Name a view's drift tables; a view with other features has others."""
    shape = digest([[feature.name, feature.type] for feature in view.features])
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


def accepted_parameters(layout: Layout, name: str, *, only: Collection[str] | None = None) -> Sequence[ParameterVersion]:
    """List the versions that training rows may read: each from the instant behind all that it was made from.

    Args:
        layout: The store.
        name: The calibration.
        only: The versions that an earlier answer read; by default those that are accepted now.
    """
    folder = layout.calibrations(name)
    known = (v for v in versions(folder) if (v.is_accepted if only is None else v.name in only))
    accepted = sorted(known, key=lambda v: (v.fitted_until_us, v.name))
    starts = [version.fitted_until_us for version in accepted]
    return [
        ParameterVersion(version.name, start, end, parameter_values(parameters(folder, version)))
        for version, start, end in zip(accepted, starts, [*starts[1:], END_OF_TIME_US], strict=False)
    ]


def champion_parameters(layout: Layout, name: str, *, only: Collection[str] | None = None) -> Sequence[ParameterVersion]:
    """Return the champion, for every as_of; nothing before the first promotion.

    Args:
        layout: The store.
        name: The calibration.
        only: The champion, if any, that an earlier batch read; by default the one of now.

    Raises:
        VersionError: those are the versions of a training set, which may read several.
    """
    folder = layout.calibrations(name)
    if only is not None and len(only) > 1:
        raise VersionError(
            f"A batch reads one version of calibration {name!r}, and the versions given name {', '.join(only)}: they are of a "
            "training set. Give those of a batch or a publication."
        )
    version = champion(folder) if only is None else next((each for each in versions(folder) if each.name in only), None)
    if version is None:
        return []
    return [ParameterVersion(version.name, -END_OF_TIME_US, END_OF_TIME_US, parameter_values(parameters(folder, version)))]


def resets(layout: Layout, registry: Registry) -> dict[str | tuple[str, str | None], list[Month]]:
    """Collect the new baselines that accepted calibrations and acknowledgements brought: what ``monitor_sketches`` takes.

    A calibration brings one to the features whose drift it answers, and to those that read it: a promotion moves them. How
    reliable a forecast that reads it is has its new baseline later, when the first outcomes of forecasts with the new version are
    known.
    """
    found: dict[str | tuple[str, str | None], list[Month]] = {}
    for name in registry.calibrations:
        folder = layout.calibrations(name)
        delayed = {series_of(reader.column) for reader in registry.calibrated_features(name) if reader.outcome is not None}
        for feature, months in active_resets(folder).items():
            if feature not in delayed:
                found.setdefault(feature, []).extend(Month.parse(month) for month in months)
        for version in versions(folder):
            if version.is_accepted:
                month = Month.of(version.fitted_until_us, layout.timezone)
                for reader in registry.calibrated_features(name):
                    found.setdefault(reader.column, []).append(month)
                    if reader.outcome is not None:
                        known = _first_known(registry.views[reader.view], version.fitted_until_us, layout.timezone)
                        found.setdefault(series_of(reader.column), []).append(known)
    for each in acknowledgements(layout.acknowledged):
        found.setdefault((each.feature, each.segment), []).append(each.reset)
    return found


def _first_known(view: FeatureView, since_us: int, timezone: str) -> Month:
    """Return the first month in which outcomes of forecasts since an instant become known."""
    clock, month = Clock(view.grain, timezone), Month.of(since_us, timezone)
    while forecast_at_us(view, clock, month) < since_us:
        month = month.next()
    return month


def column_of(registry: Registry, feature: str) -> str:
    """Return the column of a feature that is given as ``view:feature`` or as that column, or the name of its reliability.

    Raises:
        UnknownNameError: there is no such feature.
    """
    columns = [each.column for view in registry.views.values() for each in view.features]
    columns += [series_of(each.column) for view in registry.views.values() for each in view.forecasts]
    column = feature.replace(":", "__", 1)
    if column not in columns:
        raise UnknownNameError(f"There is no feature {feature!r}.{did_you_mean(column, columns)}")
    return column


def calibration_rows(layout: Layout, registry: Registry, calibration: Calibration) -> Rows:
    """Open the rows that a calibration is fitted and tested on.

    Raises:
        CalibrationError: its inputs come from several views, or a weight is about another entity or is no aggregation.
        NotMaterializedError: there are no events, or those of a month that is asked for are not yet in the view.
    """
    references = [*calibration.inputs, *([calibration.by] if calibration.by else [])]
    query, *others = view_queries(layout, registry, references)
    if others:
        raise CalibrationError(
            f"The inputs of calibration {calibration.name!r} come from {', '.join(calibration.views)}; they must share one view."
        )
    chosen, features = fitter(calibration.fit), [query.view.feature(each.partition(":")[2]) for each in references]
    names = chosen.input_names(calibration.name, tuple(feature.name for feature in features[: len(calibration.inputs)]))
    inputs = list(zip(names, features, strict=False))
    monthly = MonthlyInputs(
        query,
        inputs,
        features[-1] if calibration.by else None,
        chosen.is_about_known,
        {WEIGHT + consumer: _weight(layout, registry, calibration, query, ref) for consumer, ref in calibration.weights},
    )
    if not query.state.tile_digests:
        source = query.view.source.name
        raise NotMaterializedError(
            f"View {query.view.name!r} has no events, so calibration {calibration.name!r} cannot be fitted. Call "
            f"store.ingest({source!r}, rows), then store.materialize(views=[{query.view.name!r}]) first."
        )

    def rows(month: Month) -> pa.Table:
        check_fresh(query.state, query.reader, as_of_us=month.interval(zone).end_us)
        return monthly.rows(month)

    first, zone = min(query.state.tile_digests), layout.timezone
    hours = (
        max(feature.window.look_back_hours or 0 for _, feature in inputs if feature.window) if chosen.needs_full_windows else 0
    )
    return Rows(
        of=rows,
        first=Month.of(first.interval(zone).start_us + hours * HOUR_US - 1, zone).next(),
        end_us=lambda month: month.interval(zone).end_us,
        data={
            f"events of {query.view.source.name}": str(Table.open(layout.events(query.view.source.name)).version),
            f"ledger of {query.view.name}": str(query.reader.table.version),
            f"definition of {query.view.name}": query.state.fingerprint,
        },
    )


def _weight(
    layout: Layout, registry: Registry, calibration: Calibration, inputs: ViewQuery, reference: str
) -> tuple[ViewQuery, Feature]:
    (query,) = view_queries(layout, registry, [reference])
    feature = query.view.feature(reference.partition(":")[2])
    if query.view.entity != inputs.view.entity or feature.aggregation is None:
        raise CalibrationError(
            f"Calibration {calibration.name!r} weighs by {reference!r}; a weight must be an aggregation about "
            f"{inputs.view.entity.name!r}, as its inputs are."
        )
    return query, feature
