"""Calibration: answer the drifts that call for other parameters."""

import dagster as dg

from featurestore.drift.recalibrate import Decision
from featurestore.spec.registry import Registry
from pipelines.assets.shared import CALIBRATION, DRIFT_REPORT, OWNERS, one_run, version_of
from pipelines.failures import readable_failures
from pipelines.metadata import Metadata, plot, table_of
from pipelines.partitions import months_of
from pipelines.resources import Progress, StoreResource

DESCRIPTION = """Fitted parameters that features and consumers read, refitted when drift calls for it.

**Grain**: one decision per calibration and drift that triggered it. A challenger is fitted on the months since the change and
compared with the champion on held-out months for each consumer; it is promoted or rejected, and the audit log says why.
A drift that has been answered is not answered again.

**Calibrations**: {calibrations}"""


def build_calibration(registry: Registry, partitions: dg.MonthlyPartitionsDefinition) -> dg.AssetsDefinition:
    """Make the asset of all calibrations."""
    named = [f"`{item.name}` ({item.fit}, by {item.loss})" for item in registry.calibrations.values()]

    @dg.asset(
        name=CALIBRATION,
        deps=[DRIFT_REPORT],
        group_name="calibration",
        kinds={"parquet", "python"},
        tags={"grain": "month"},
        description=DESCRIPTION.format(calibrations="; ".join(named) or "none"),
        code_version=version_of(registry.calibrations),
        owners=OWNERS,
        partitions_def=partitions,
        backfill_policy=one_run(),
    )
    def calibration(context: dg.AssetExecutionContext, store: StoreResource, progress: dg.ResourceParam[Progress]) -> None:
        with readable_failures():
            opened, months = store.store(), months_of(context)
            decisions = opened.recalibrate(month=months)
            for month in months:
                answered = [decision for decision in decisions if decision.trigger.month == str(month)]
                context.add_asset_metadata(describe_decisions(answered), partition_key=str(month))
                progress(CALIBRATION, str(month))

    return calibration


def describe_decisions(decisions: list[Decision]) -> Metadata:
    """Describe what was decided, and by how much the challengers were better."""
    rows = [
        {
            "calibration": decision.calibration,
            "trigger": decision.trigger.feature,
            "consumer": comparison.consumer if comparison else None,
            "champion_loss": comparison.champion if comparison else None,
            "challenger_loss": comparison.challenger if comparison else None,
            "is_promoted": decision.is_promoted,
            "reason": decision.reason,
        }
        for decision in decisions
        for comparison in decision.comparisons or (None,)
    ]
    counts = plot(decisions=len(decisions), promoted=sum(decision.is_promoted for decision in decisions))
    return {**counts, "decided": table_of(rows)}
