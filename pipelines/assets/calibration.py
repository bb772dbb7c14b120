"""Calibration: answer the drifts that call for other parameters."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from featurestore.drift.recalibration.recalibrate import Decision
from featurestore.spec.calibration import Calibration
from featurestore.spec.document import fingerprint
from featurestore_pipelines.assets.shared import (
    AUDIT_KEY,
    CALIBRATION,
    FEATURES,
    Blueprint,
    key_of,
    owners_of,
    stage_asset,
    tags_of,
)
from featurestore_pipelines.failures import readable_failures
from featurestore_pipelines.metadata import Metadata, name_of, plot, table_of, texts_of
from featurestore_pipelines.partitions import finished_months_of
from featurestore_pipelines.resources import Progress, StoreResource

DESCRIPTION = """Fitted parameters that features and consumers read, refitted when drift calls for it. {description}

**Grain**: one decision per month and drift that triggered it. A challenger is fitted on the months since the change and
compared with the champion on held-out months for each consumer; it is promoted or rejected, and the audit log says why.
A drift that has been answered is not answered again.

**Fit**: {fit}, by {loss}, from {inputs}{by}"""


def build_calibration(blueprint: Blueprint) -> dg.AssetsDefinition:
    """Make the asset of each calibration; they are decided together, since they share one budget of challengers."""
    calibrations = blueprint.registry.calibrations

    @stage_asset(CALIBRATION, [_spec(each) for each in calibrations.values()], blueprint, can_subset=False)
    def calibration(
        context: dg.AssetExecutionContext, store: dg.ResourceParam[StoreResource], progress: dg.ResourceParam[Progress]
    ) -> Iterator[dg.MaterializeResult[Any]]:
        with readable_failures():
            opened = blueprint.open(store)
            months = finished_months_of(context, opened.layout.timezone)
            if not months:
                return
            decisions = opened.recalibrate(month=months)
            for month in months:
                for name in calibrations:
                    answered = [each for each in decisions if (each.calibration, each.trigger.month) == (name, str(month))]
                    context.add_asset_metadata(
                        describe_decisions(answered), asset_key=key_of(CALIBRATION, name), partition_key=str(month)
                    )
                progress(CALIBRATION, str(month))
            for name in calibrations:
                yield dg.MaterializeResult(asset_key=key_of(CALIBRATION, name))

    return calibration


def _spec(calibration: Calibration) -> dg.AssetSpec:
    return dg.AssetSpec(
        key_of(CALIBRATION, calibration.name),
        deps=[AUDIT_KEY, *(key_of(FEATURES, view) for view in calibration.views)],
        group_name="calibration",
        kinds={"parquet", "python"},
        tags=tags_of("month"),
        description=DESCRIPTION.format(
            description=calibration.description,
            fit=calibration.fit,
            loss=calibration.loss,
            inputs=", ".join(f"`{each}`" for each in calibration.inputs),
            by=f", by `{calibration.by}`" if calibration.by else "",
        ),
        code_version=fingerprint(calibration),
        owners=owners_of(),
        skippable=True,
    )


def describe_decisions(decisions: list[Decision]) -> Metadata:
    """Describe what was decided, and by how much the challengers were better."""
    losses = [
        {
            "consumer": comparison.consumer,
            "champion_loss": comparison.champion,
            "challenger_loss": comparison.challenger,
            "is_promoted": decision.is_promoted,
        }
        for decision in decisions
        for comparison in decision.comparisons
    ]
    counts = plot(decisions=len(decisions), promoted=sum(decision.is_promoted for decision in decisions))
    return {**texts_of({"decided": " ".join(map(_in_words, decisions)) or "nothing"}), **counts, "losses": table_of(losses)}


def _in_words(decision: Decision) -> str:
    trigger = decision.trigger
    outcome = "promoted" if decision.is_promoted else "rejected"
    asked = f", asked for by {name_of(trigger.feature, trigger.segment)}" if trigger.feature else ""
    return f"{outcome}{asked}: {decision.reason}."
