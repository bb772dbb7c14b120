"""Drift: the monthly audit, with Evidently reports of the months that deserve one."""

from collections.abc import Sequence
from typing import Any

import dagster as dg
from pydantic import Field

from featurestore.client import FeatureStore
from featurestore.drift.audit import AuditReport, Episode
from featurestore.drift.calibrations import champion
from featurestore.drift.dependence import calibrations_of
from featurestore.drift.fault import FAULT_KINDS
from featurestore.drift.report import WrittenReport
from featurestore.drift.state import DRIFT, LATCHED, STATES, WATCH
from featurestore.spec.registry import Registry
from featurestore.timeline import Month
from pipelines.assets.shared import DRIFT_REPORT, FEATURES, OWNERS, one_run, version_of
from pipelines.failures import readable_failures
from pipelines.metadata import Metadata, picture_of, plot, table_of
from pipelines.partitions import months_of
from pipelines.resources import Progress, StoreResource

MOST_TOP_DRIFTS = 8
ASKED_FOR = "calibrations_asked_for"
DESCRIPTION = """How far each feature is from what it was in the same season of earlier years.

**Grain**: one score per month, view, feature and segment, in units of its threshold, and a state: insufficient, ok, watch,
drift (the month in which an episode begins), latched (until a recalibration answers it).
Evidently draws the months in which a feature entered drift, and the last month of a run; the timeline shows all of them."""


class DriftReportConfig(dg.Config):
    """Which Evidently reports a run draws; one costs seconds."""

    most_reports: int = Field(default=6, ge=0, description="Views and months with new drift that get a report, worst first.")
    draws_last_month: bool = Field(default=True, description="Whether the last month of the run gets a report of each view.")
    draws_timeline: bool = Field(default=True, description="Whether the run draws the states of all features and months.")


def build_drift_report(registry: Registry, partitions: dg.MonthlyPartitionsDefinition) -> dg.AssetsDefinition:
    """Make the asset of the monthly audit."""

    @dg.asset(
        name=DRIFT_REPORT,
        deps=[FEATURES],
        group_name="drift",
        kinds={"parquet", "deltalake", "evidently"},
        tags={"grain": "month"},
        description=DESCRIPTION,
        code_version=version_of(registry.views),
        owners=OWNERS,
        partitions_def=partitions,
        backfill_policy=one_run(),
    )
    def drift_report(
        context: dg.AssetExecutionContext,
        config: DriftReportConfig,
        store: StoreResource,
        progress: dg.ResourceParam[Progress],
    ) -> None:
        with readable_failures():
            opened, months = store.store(), months_of(context)
            report = opened.audit(months, progress=lambda view, month: progress(DRIFT_REPORT, f"{view} {month}"))
            drawn = draw_reports(opened, report, config)
            if config.draws_timeline and report.table.num_rows:
                context.add_asset_metadata({"timeline": picture_of(opened.write_timeline())}, partition_key=str(months[-1]))
            uncalibrated = {c for c in registry.calibrations if champion(opened.layout.calibrations(c)) is None}
            rows = rows_by_month(report)
            for month in months:
                asked_for = uncalibrated | calibrations_asked_for(registry, rows[month])
                entered = [episode for episode in report.entered if episode.month == month]
                facts = {**describe_month(rows[month], entered), **plot(calibrations_asked_for=len(asked_for))}
                facts |= {f"report of {view}": dg.MetadataValue.path(drawn[view, at].html) for view, at in drawn if at == month}
                context.add_asset_metadata(facts, partition_key=str(month))

    return drift_report


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


def describe_month(rows: Sequence[dict[str, Any]], entered: Sequence[Episode]) -> Metadata:
    """Describe one audited month: its features by state, the highest scores, and what entered drift."""
    states = {f"features_{state}": sum(row["state"] == state for row in rows) for state in STATES}
    return {
        **plot(**states, features_entered_drift=len(entered)),
        "top_drifts": table_of(_top_drifts(rows)),
        "entered_drift": table_of([_episode_row(episode) for episode in entered]),
    }


def calibrations_asked_for(registry: Registry, rows: Sequence[dict[str, Any]]) -> set[str]:
    """Name the calibrations that concern the features in drift or latched in a month.

    A drift asks again each month until it is answered: the first months behind it are too few to fit on.
    """
    drifting = [row["feature"] for row in rows if row["state"] in (DRIFT, LATCHED) and row["kind"] not in FAULT_KINDS]
    return {name for feature in drifting for name in calibrations_of(registry, feature)}


def _top_drifts(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    loud = [row for row in rows if row["state"] in (DRIFT, LATCHED, WATCH) and row["score"] is not None]
    loud.sort(key=lambda row: -row["score"])
    shown = ("feature", "segment", "state", "score")
    return [{**{name: row[name] for name in shown}, "what": _in_short(row["reason"])} for row in loud[:MOST_TOP_DRIFTS]]


def _episode_row(episode: Episode) -> dict[str, Any]:
    return {
        "feature": episode.feature,
        "segment": episode.segment,
        "since": str(episode.since),
        "score": episode.score,
        "what": _in_short(episode.reason),
        "calibrations": ", ".join(episode.calibrations),
    }


def _in_short(reason: str) -> str:
    """Return what changed, without the months that it was compared with: columns of a table are narrow."""
    return reason.partition(";")[0]
