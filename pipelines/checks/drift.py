"""Checks that warn: drift, forecasts that have become wrong, and calibrations whose error has grown."""

import json
from collections.abc import Iterator
from typing import Any

import dagster as dg

from featurestore.drift.recalibration.calibration_versions import audit_log
from featurestore.drift.reliability import series_of
from featurestore_pipelines.assets.shared import CALIBRATION, DRIFT_REPORT, Blueprint, definition_of, key_of
from featurestore_pipelines.metadata import in_short, name_of, plot, table_of, texts_of
from featurestore_pipelines.resources import StoreResource

DRIFT_STATES, FORECASTS, ERROR = "drift_states", "forecasts_hold", "calibration_error"
MAX_ERROR_GROWTH = 1.25


def build_drift_checks(blueprint: Blueprint) -> dg.AssetChecksDefinition:
    """Make the warning of each view's drift."""
    text = "No feature drifts: an episode stays open until a recalibration answers it or a person accepts it."
    specs = [
        dg.AssetCheckSpec(DRIFT_STATES, asset=key_of(DRIFT_REPORT, view), description=text) for view in blueprint.registry.views
    ]

    @dg.multi_asset_check(name="check_drift", specs=specs, can_subset=True)
    def check_drift(
        context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[StoreResource]
    ) -> Iterator[dg.AssetCheckResult]:
        open_drifts = blueprint.open(store).status().open_drifts
        for key in sorted(context.selected_asset_check_keys):
            mine = [drift for drift in open_drifts if drift.view == definition_of(key.asset_key)]
            told = {name_of(each.feature, each.segment): f"since {each.since}: {in_short(each.reason)}" for each in mine}
            yield dg.AssetCheckResult(
                asset_key=key.asset_key,
                check_name=key.name,
                passed=not mine,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={**plot(open_drifts=len(mine)), **texts_of(told)},
            )

    return check_drift


def build_forecast_checks(blueprint: Blueprint) -> dg.AssetChecksDefinition:
    """Make the warning of each view that declares what became of its forecasts."""
    text = "What came is as far from what was forecast as it has always been: no forecast of the view is in drift."
    views = [view for view in blueprint.registry.views.values() if view.forecasts]
    specs = [dg.AssetCheckSpec(FORECASTS, asset=key_of(DRIFT_REPORT, view.name), description=text) for view in views]

    @dg.multi_asset_check(name="check_forecasts", specs=specs, can_subset=True)
    def check_forecasts(
        context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[StoreResource]
    ) -> Iterator[dg.AssetCheckResult]:
        opened = blueprint.open(store)
        reasons = {drift.feature: drift.reason for drift in opened.status().open_drifts}
        for key in sorted(context.selected_asset_check_keys):
            view = definition_of(key.asset_key)
            rows = {row["feature"]: row for row in opened.forecast_scores(view).to_pylist()}  # the last month of each
            is_open = [series_of(feature) in reasons for feature in rows]
            shown = ("forecasts", "trials", "mean_forecast", "observed_share", "ece", "brier")
            told = [
                {
                    "feature": feature,
                    "month": str(row["month"])[:7],
                    **{name: row[name] for name in shown},
                    "drift": in_short(reasons.get(series_of(feature), "")),
                }
                for feature, row in rows.items()
            ]
            yield dg.AssetCheckResult(
                asset_key=key.asset_key,
                check_name=key.name,
                passed=not any(is_open),
                severity=dg.AssetCheckSeverity.WARN,
                metadata={
                    **plot(wrong=sum(is_open), worst_ece=max((row["ece"] or 0.0 for row in rows.values()), default=0.0)),
                    "forecasts": table_of(told),
                },
            )

    return check_forecasts


def build_calibration_checks(blueprint: Blueprint) -> dg.AssetChecksDefinition:
    """Make the warning of each calibration's error."""
    text = f"On the held-out months of the last decision, the champion's loss is at most {MAX_ERROR_GROWTH} times the challenger's."
    specs = [
        dg.AssetCheckSpec(ERROR, asset=key_of(CALIBRATION, name), description=text) for name in blueprint.registry.calibrations
    ]

    @dg.multi_asset_check(name="check_calibration", specs=specs, can_subset=True)
    def check_calibration(
        context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[StoreResource]
    ) -> Iterator[dg.AssetCheckResult]:
        layout = blueprint.open(store).layout
        for key in sorted(context.selected_asset_check_keys):
            texts = audit_log(layout.calibrations(definition_of(key.asset_key)))["decision"].drop_null().to_pylist()
            decision: dict[str, Any] = json.loads(texts[-1]) if texts else {"comparisons": [], "is_promoted": True}
            growth = [(each["consumer"], round(_growth(each), 4)) for each in decision["comparisons"]]
            in_force = [] if decision["is_promoted"] else growth
            yield dg.AssetCheckResult(
                asset_key=key.asset_key,
                check_name=key.name,
                passed=all(times <= MAX_ERROR_GROWTH for _, times in in_force),
                severity=dg.AssetCheckSeverity.WARN,
                metadata={
                    **plot(decisions=len(texts), worst=max((times for _, times in in_force), default=1.0)),
                    "losses": table_of([{"consumer": consumer, "champion / challenger": times} for consumer, times in growth]),
                },
            )

    return check_calibration


def _growth(comparison: dict[str, float]) -> float:
    return comparison["champion"] / comparison["challenger"] if comparison["challenger"] else 1.0
