"""Sensors: from an audit that found drift to the recalibration that answers it.

The cursor is the storage id of the last audit that was looked at. Every audit is looked at exactly once, also when a
run wrote several months; its run key is the month and the run, so that even a cursor set back starts nothing twice.
"""

from collections.abc import Iterator, Sequence

import dagster as dg

from featurestore.spec.registry import Registry
from pipelines.assets.drift import ASKED_FOR
from pipelines.assets.shared import AUDIT_KEY, CALIBRATION, key_of

RECALIBRATION = "recalibration"
MOST_REPORTS_A_TICK = 240


def build_recalibration_sensor(registry: Registry) -> dg.SensorDefinition:
    """Make the sensor that starts a recalibration for each audited month that asks for one."""
    answer = key_of(CALIBRATION, next(iter(registry.calibrations)))  # they are all decided by one step

    @dg.sensor(
        job_name=RECALIBRATION,
        name="drift_calls_for_recalibration",
        minimum_interval_seconds=30,
        description="Start the recalibration of a month whose audit asks for one.",
    )
    def drift_calls_for_recalibration(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        after = int(context.cursor) if context.cursor else None
        report_filter = dg.AssetRecordsFilter(asset_key=AUDIT_KEY, after_storage_id=after)
        records = context.instance.fetch_materializations(report_filter, limit=MOST_REPORTS_A_TICK, ascending=True).records
        requests = list(_requests(context.instance, records, answer))
        cursor = str(records[-1].storage_id) if records else context.cursor
        return dg.SensorResult(run_requests=requests, cursor=cursor)

    return drift_calls_for_recalibration


def _requests(
    instance: dg.DagsterInstance, records: Sequence[dg.EventLogRecord], answer: dg.AssetKey
) -> Iterator[dg.RunRequest]:
    for record in records:
        month, materialization = record.partition_key, record.asset_materialization
        if month is None or materialization is None or not _asks(materialization):
            continue
        if not _is_answered(instance, record, month, answer):
            yield dg.RunRequest(run_key=f"{month}:{record.run_id}", partition_key=month)


def _asks(materialization: dg.AssetMaterialization) -> bool:
    found = materialization.metadata.get(ASKED_FOR)
    return found is not None and bool(found.value)


def _is_answered(instance: dg.DagsterInstance, record: dg.EventLogRecord, month: str, answer: dg.AssetKey) -> bool:
    """Tell whether a later materialization of the calibration, such as one of the same run, has answered the report."""
    later = dg.AssetRecordsFilter(asset_key=answer, asset_partitions=[month], after_storage_id=record.storage_id)
    return bool(instance.fetch_materializations(later, limit=1).records)
