"""Drift: the monthly audit, with Evidently reports of the months that deserve one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
from pydantic import Field

from featurestore.client import FeatureStore
from featurestore.drift.audit import AuditReport
from featurestore.drift.data_faults.data_fault import DataFault
from featurestore.drift.data_faults.feature_fault import FAULT_KINDS
from featurestore.drift.episode import Episode, episodes
from featurestore.drift.monitor.state import DRIFT, LATCHED, STATES, WATCH
from featurestore.drift.recalibration.fitters import fitter
from featurestore.drift.recalibration.rules import Runs
from featurestore.drift.reporting.dependence import calibrations_of
from featurestore.drift.reporting.evidently_report import WrittenReport
from featurestore.spec.document import digest, fingerprint
from featurestore.spec.registry import Registry
from featurestore.spec.view import FeatureView
from featurestore.timeline import Month
from featurestore_pipelines.assets.shared import (
    AUDIT_KEY,
    DRIFT_REPORT,
    FEATURES,
    Blueprint,
    as_read,
    chosen,
    key_of,
    owners_of,
    stage_asset,
    tags_of,
    units,
)
from featurestore_pipelines.failures import readable_failures
from featurestore_pipelines.metadata import Metadata, in_short, list_of, name_of, picture_of, plot
from featurestore_pipelines.partitions import finished_months_of
from featurestore_pipelines.resources import Progress, StoreResource

MAX_TOP_DRIFTS = 6
ASKED_FOR = "calibrations_asked_for"
DESCRIPTION = """How far each feature of `{view}` is from what it was in the same season of earlier years.

**Grain**: one score per month, feature and segment, in units of its threshold, and a state: insufficient, ok, watch, drift (the
month in which an episode begins), latched (until a recalibration answers it, or a person accepts the change).
Evidently draws the months in which a feature entered drift, and the last month of a run."""
AUDIT_DESCRIPTION = """The audit of a month as a whole: features by state, what to tell people, which calibrations are asked for.

**Grain**: one month. The page of the audit is one HTML file without external resources; the timeline shows all features and
months."""


class DriftReportConfig(dg.Config):
    """Which Evidently reports a run draws; one costs seconds."""

    most_reports: int = Field(default=6, ge=0, description="Views and months with new drift that get a report, worst first.")
    draws_last_month: bool = Field(default=True, description="Whether the last month of the run gets a report of each view.")
    draws_timeline: bool = Field(default=True, description="Whether the run draws the states of all features and months.")


def build_drift_report(blueprint: Blueprint) -> dg.AssetsDefinition:
    """Make the asset of each view's scores, and the one of the audit as a whole."""
    registry = blueprint.registry
    specs = [_spec(view) for view in registry.views.values()]

    @stage_asset(DRIFT_REPORT, [*specs, _audit_spec(registry)], blueprint)
    def drift_report(
        context: dg.AssetExecutionContext,
        config: DriftReportConfig,
        store: dg.ResourceParam[StoreResource],
        progress: dg.ResourceParam[Progress],
    ) -> Iterator[dg.MaterializeResult[Any]]:
        with readable_failures():
            opened = blueprint.open(store)
            views = chosen(context, DRIFT_REPORT)
            months = finished_months_of(context, opened.layout.timezone)
            if not months:
                return
            report = opened.audit(months, views=views or None, progress=units(progress, DRIFT_REPORT))
            drawn = draw_reports(opened, report, config)
            for view in views:
                for month, facts in describe_view(report, view, drawn).items():
                    context.add_asset_metadata(facts, asset_key=key_of(DRIFT_REPORT, view), partition_key=str(month))
                yield dg.MaterializeResult(asset_key=key_of(DRIFT_REPORT, view))
            if AUDIT_KEY in context.selected_asset_keys:
                for month, facts in describe_audit(opened, report, config).items():
                    context.add_asset_metadata(facts, asset_key=AUDIT_KEY, partition_key=str(month))
                yield dg.MaterializeResult(asset_key=AUDIT_KEY)

    return drift_report


def describe_view(report: AuditReport, view: str, drawn: Mapping[tuple[str, Month], WrittenReport]) -> dict[Month, Metadata]:
    """Describe each audited month of a view: its features by state, the highest scores, what entered drift."""
    described = {}
    for month, rows in rows_by_month(report).items():
        entered = [episode for episode in report.entered if (episode.view, episode.month) == (view, month)]
        described[month] = describe_month([row for row in rows if row["view"] == view], entered)
        if (view, month) in drawn:
            described[month]["report"] = dg.MetadataValue.path(drawn[view, month].html)
    return described


def describe_audit(store: FeatureStore, report: AuditReport, config: DriftReportConfig) -> dict[Month, Metadata]:
    """Describe each audited month as a whole; the last one of a run begins with what people are told, in words and pictures."""
    last = report.months[-1]
    asked_for = calibrations_asked_for(store, report.months)
    described = {}
    for month, rows in rows_by_month(report).items():
        entered = [episode for episode in report.entered if episode.month == month]
        faults = [fault for fault in report.faults if fault.month == month]
        told = tell_people(store, month) if month == last and config.draws_timeline and report.table.num_rows else {}
        described[month] = {**told, **describe_month(rows, entered, faults), **plot(**{ASKED_FOR: len(asked_for[month])})}
    return described


def tell_people(store: FeatureStore, month: Month) -> Metadata:
    """Write a month's digest, pictures, page and alerts."""
    return {
        "digest": dg.MetadataValue.md(store.digest(month).text()),
        "distributions": picture_of(store.write_distributions(month)),
        "timeline": picture_of(store.write_timeline()),
        "page": dg.MetadataValue.path(store.write_page(month)),
        "alerts": dg.MetadataValue.md("\n".join(alert.text() for alert in store.alerts(month)) or "none"),
    }


def draw_reports(store: FeatureStore, report: AuditReport, config: DriftReportConfig) -> dict[tuple[str, Month], WrittenReport]:
    """Draw the Evidently reports that an audit calls for, those of drifts that trigger a recalibration first.

    Returns:
        View and month to the report.
    """
    drifted = [episode for episode in report.entered if not episode.is_fault]
    worst = sorted(drifted, key=lambda episode: (not episode.calibrations, -episode.score))
    wanted = list(dict.fromkeys((episode.view, episode.month) for episode in worst))[: config.most_reports]
    if config.draws_last_month:
        last = report.months[-1]
        scored = {row["view"] for row in rows_by_month(report)[last] if row["score"] is not None}
        wanted += [(view, last) for view in sorted(scored) if (view, last) not in wanted]
    return {(view, month): store.write_report(view, month) for view, month in wanted}


def rows_by_month(report: AuditReport) -> dict[Month, list[dict[str, Any]]]:
    """Split the rows of an audit by its months."""
    rows: dict[Month, list[dict[str, Any]]] = {month: [] for month in report.months}
    for row in report.table.to_pylist():
        rows[Month.parse(row["month"])].append(row)
    return rows


def describe_month(
    rows: Sequence[dict[str, Any]], entered: Sequence[Episode], source_faults: Sequence[DataFault] = ()
) -> Metadata:
    """Describe one audited month: its features by state, the highest scores, what entered drift; apart from it, data faults.

    A data fault is one that a feature's own months show, or one in the record of a source.
    """
    states = {f"features_{state}": sum(row["state"] == state for row in rows) for state in STATES}
    faults = [row for row in rows if row["kind"] in FAULT_KINDS and row["state"] in (DRIFT, LATCHED)]
    drifts = [episode for episode in entered if not episode.is_fault]
    return {
        "entered_drift": list_of(map(_episode_line, drifts)),
        "top_drifts": list_of(map(_drift_line, _top_drifts([row for row in rows if row["kind"] not in FAULT_KINDS]))),
        "data_faults_by_kind": list_of([*map(_fault_line, faults), *map(_source_fault_line, source_faults)]),
        **plot(**states, features_entered_drift=len(drifts), data_faults=len(faults) + len(source_faults)),
    }


def calibrations_asked_for(store: FeatureStore, months: Sequence[Month]) -> dict[Month, list[str]]:
    """Name the calibrations that something asks for as of each month: no version of its definition, an unanswered episode, a review.

    An episode asks again each month until it is answered: the first months after it are too few to fit on.
    """
    registry = store.registry
    opened = episodes(store.drift_history(), lambda feature: calibrations_of(registry, feature))
    runs = {name: Runs.of(store.layout.calibrations(name)) for name in registry.calibrations}
    return {
        month: [
            name
            for name, calibration in registry.calibrations.items()
            if runs[name].is_asked_for(
                fitter(calibration.fit),
                month,
                [each for each in opened if name in each.calibrations and each.month <= month],
                definition=calibration.fitted_from,
            )
        ]
        for month in months
    }


def _top_drifts(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    loud = [row for row in rows if row["state"] in (DRIFT, LATCHED, WATCH) and row["score"] is not None]
    return sorted(loud, key=lambda row: -row["score"])[:MAX_TOP_DRIFTS]


def _fault_line(row: Mapping[str, Any]) -> str:
    return f"{row['kind']}: {name_of(row['feature'], row['segment'])}, {row['reason'].partition(';')[0]}"


def _source_fault_line(fault: DataFault) -> str:
    return f"{fault.kind}: {name_of(fault.place, None)}, {fault.reason.partition(';')[0]}"


def _drift_line(row: Mapping[str, Any]) -> str:
    return f"{row['state']}: {_scored(row['feature'], row['segment'], row['score'], row['reason'])}"


def _episode_line(episode: Episode) -> str:
    asks = f", asks for {', '.join(episode.calibrations)}" if episode.calibrations else ""
    return f"{_scored(episode.feature, episode.segment, episode.score, episode.reason)}{asks}"


def _scored(feature: str, segment: str | None, score: float, reason: str) -> str:
    return f"{name_of(feature, segment)}, {score:.2f} times its threshold: {in_short(reason)}"


def _spec(view: FeatureView) -> dg.AssetSpec:
    return dg.AssetSpec(
        key_of(DRIFT_REPORT, view.name),
        deps=[key_of(FEATURES, view.name)],
        group_name="drift",
        kinds={"parquet", "deltalake", "evidently"},
        tags=tags_of("month", view.tags),
        description=DESCRIPTION.format(view=view.name),
        code_version=fingerprint(as_read(view)),
        owners=owners_of(view.owner),
        skippable=True,
    )


def _audit_spec(registry: Registry) -> dg.AssetSpec:
    return dg.AssetSpec(
        AUDIT_KEY,
        deps=[key_of(DRIFT_REPORT, view) for view in registry.views],
        group_name="drift",
        kinds={"python"},
        tags=tags_of("month"),
        description=AUDIT_DESCRIPTION,
        code_version=digest({name: fingerprint(as_read(view)) for name, view in registry.views.items()}),
        owners=owners_of(),
        skippable=True,
    )
