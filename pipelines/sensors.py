"""Sensors: what the store's own changes start.

Each remembers in its cursor what it has looked at, and gives every run a key made from what called for it, so that even a
cursor set back, or a daemon killed in the middle, starts nothing twice.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from itertools import takewhile
from typing import Any

import dagster as dg
from dagster._core.execution.stats import RunStepKeyStatsSnapshot
from dagster._core.storage.tags import WILL_RETRY_TAG

from featurestore.client import FeatureStore
from featurestore.lake.ingestion.landing import files_without_partition, landed_months, tell_of
from featurestore.lake.layout import Layout
from featurestore.spec.registry import Registry
from featurestore_pipelines.alerting.messages import alert_message, failure_message
from featurestore_pipelines.alerting.outbox import Outbox, Send
from featurestore_pipelines.alerting.receivers import URLS_VARIABLE, receivers_from_environment
from featurestore_pipelines.assets.drift import ASKED_FOR
from featurestore_pipelines.assets.shared import AUDIT_KEY, CALIBRATION, Blueprint, key_of
from featurestore_pipelines.failures import readable_failures
from featurestore_pipelines.resources import StoreResource
from featurestore_pipelines.schedules import DAILY_REFRESH

RECALIBRATION = "recalibration"
MAX_REPORTS_A_TICK = 240
MAX_MONTHS_A_TICK = 12
LOOK_BACK = timedelta(minutes=10)
"""How long it may take until a run that has failed is in the storage: the storage dates it by the failure, not by the note."""

MAX_UNDER_WAY = timedelta(hours=6)
"""How long an audit waits for the end of its own run: one that died where nobody watches is never called ended."""
MAX_UNDECIDED = timedelta(minutes=1)
"""How long a failed run that does not say yet whether Dagster starts it again is left to the next tick."""


def build_sensors(blueprint: Blueprint, store: StoreResource, status: dg.DefaultSensorStatus) -> list[dg.SensorDefinition]:
    """Make all sensors.

    Args:
        blueprint: The definitions.
        store: Which store.
        status: Whether they run as soon as a daemon loads them.
    """
    sensors = [build_landing_sensor(blueprint, store, status), build_alert_sensor(blueprint, store, status)]
    if blueprint.registry.calibrations:
        sensors.append(build_recalibration_sensor(blueprint.registry, status))
    return sensors


def build_recalibration_sensor(
    registry: Registry, status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED
) -> dg.SensorDefinition:
    """Make the sensor that starts a recalibration for each audited month that asks for one.

    Its cursor is the storage id of the last audit that was looked at; every audit is looked at exactly once, also when a run
    wrote several months, and when that run has ended: it may have recalibrated by itself.
    """
    answer = key_of(CALIBRATION, next(iter(registry.calibrations)))  # they are all decided by one step

    @dg.sensor(
        job_name=RECALIBRATION,
        name="drift_calls_for_recalibration",
        minimum_interval_seconds=30,
        default_status=status,
        description="Start the recalibration of a month whose audit asks for one.",
    )
    def drift_calls_for_recalibration(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        after = int(context.cursor) if context.cursor else None
        report_filter = dg.AssetRecordsFilter(asset_key=AUDIT_KEY, after_storage_id=after)
        records = context.instance.fetch_materializations(report_filter, limit=MAX_REPORTS_A_TICK, ascending=True).records
        settled = list(takewhile(lambda record: not _is_under_way(context.instance, record), records))
        requests = list(_requests(context.instance, settled, answer))
        cursor = str(settled[-1].storage_id) if settled else context.cursor
        return dg.SensorResult(run_requests=requests, cursor=cursor)

    return drift_calls_for_recalibration


def build_landing_sensor(
    blueprint: Blueprint, store: StoreResource, status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED
) -> dg.SensorDefinition:
    """Make the sensor that ingests a month when files of it have landed or changed.

    Its cursor maps each month to a digest of the names, sizes and times of its files, over all sources. A folder that ingest
    refuses fails the tick with the same words; what no run is going to read is in the message of the tick.
    """

    @dg.sensor(
        job_name=DAILY_REFRESH,
        name="files_have_landed",
        minimum_interval_seconds=60,
        default_status=status,
        description="Ingest the months of which files have landed, and bring their features up to date.",
    )
    def files_have_landed(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        known: dict[str, str] = json.loads(context.cursor) if context.cursor else {}
        months = set(blueprint.partitions.get_partition_keys())
        with readable_failures():
            layout = blueprint.open(store).layout
            landed = landed_months(layout, blueprint.registry.sources.values())
            passed_over = list(_passed_over(layout, blueprint.registry, months))
        changed = [month for month, files in sorted(landed.items()) if known.get(month) != files and month in months]
        started = changed[:MAX_MONTHS_A_TICK]
        requests = [dg.RunRequest(run_key=f"landing:{month}:{landed[month]}", partition_key=month) for month in started]
        cursor = json.dumps({**known, **{month: landed[month] for month in started}}, sort_keys=True)
        for told in passed_over:
            context.log.warning(told)
        skipped = None if requests else " ".join(passed_over) or "Nothing has landed or changed."
        return dg.SensorResult(run_requests=requests, skip_reason=skipped, cursor=cursor)

    return files_have_landed


def build_alert_sensor(
    blueprint: Blueprint, store: StoreResource, status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED
) -> dg.SensorDefinition:
    """Make the sensor that tells people of changed episodes and failed runs, also of those from the command line.

    Its cursor holds the first month to tell of, the time from which failed runs are told, and the time of the newest that is in
    the outbox. What has been told is known by the outbox, not by the cursor.
    """

    @dg.sensor(
        name="people_are_told",
        minimum_interval_seconds=60,
        default_status=status,
        description=f"Send alerts about drift and failed runs to the receivers in {URLS_VARIABLE}.",
    )
    def people_are_told(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        receivers = receivers_from_environment()
        if not receivers.all:
            return dg.SkipReason(f"{URLS_VARIABLE} names no receiver.")
        context.update_cursor(tell(context.instance, blueprint.open(store), receivers, context.cursor))
        box = Outbox(blueprint.open(store).layout.alerts)
        return dg.SkipReason(
            f"{len(box.messages('sent'))} sent, {len(box.messages('pending'))} pending, {len(box.messages('dead'))} dead."
        )

    return people_are_told


def tell(instance: dg.DagsterInstance, store: FeatureStore, receivers: Send, cursor: str | None) -> str:
    """Put what is new into the outbox, then send what is due.

    The first time, nothing of the past is told: drift from the last audited month on, runs that fail from now on.

    Returns:
        The next cursor.
    """
    now = _now().isoformat()
    first = {"since": None, "failed_from": now, "failed_until": now}
    known: dict[str, Any] = {**first, **(json.loads(cursor) if cursor else {})}
    known["since"] = known["since"] or store.status().last_audit
    root = store.layout.root
    messages = [alert_message(each, root=root) for each in store.alerts(since=known["since"])] if known["since"] else []
    for record in failed_runs(instance, first=_instant(known["failed_from"]), until=_instant(known["failed_until"])):
        if not _is_decided(instance, record):
            break
        steps = [each.step_key for each in instance.get_run_step_stats(record.dagster_run.run_id) if _has_failed(each)]
        messages.append(failure_message(record.dagster_run, steps=steps, root=root))
        known["failed_until"] = _updated(record).isoformat()
    outbox = Outbox(store.layout.alerts)
    outbox.put(messages)
    outbox.deliver(receivers)
    return json.dumps(known)


def failed_runs(instance: dg.DagsterInstance, *, first: datetime, until: datetime) -> Sequence[dg.RunRecord]:
    """List the runs that failed after ``first`` and after ``LOOK_BACK`` before ``until``, the earliest first.

    Those that were listed before come again: several may have failed at one time, and one may be noted after a later one.
    """
    after = max(first, until - LOOK_BACK)
    return instance.get_run_records(
        dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=after), order_by="update_timestamp", ascending=True
    )


def _passed_over(layout: Layout, registry: Registry, months: Collection[str]) -> Iterator[str]:
    """Say what has landed that no run reads, and why."""
    for source in registry.sources.values():
        unread = files_without_partition(layout, source, months=months)
        if unread:
            yield f"Not read of {source.name}: {tell_of(unread)}."


def _requests(
    instance: dg.DagsterInstance, records: Sequence[dg.EventLogRecord], answer: dg.AssetKey
) -> Iterator[dg.RunRequest]:
    for record in records:
        month, materialization = record.partition_key, record.asset_materialization
        if month is None or materialization is None or not _asks(materialization):
            continue
        if not _is_answered(instance, record, month, answer):
            yield dg.RunRequest(run_key=f"{month}:{record.run_id}", partition_key=month)


def _is_under_way(instance: dg.DagsterInstance, record: dg.EventLogRecord) -> bool:
    run = instance.get_run_by_id(record.run_id)
    is_recent = _now() - datetime.fromtimestamp(record.timestamp, timezone.utc) < MAX_UNDER_WAY
    return is_recent and run is not None and not run.is_finished


def _asks(materialization: dg.AssetMaterialization) -> bool:
    asked_for = materialization.metadata.get(ASKED_FOR)
    return asked_for is not None and bool(asked_for.value)


def _is_answered(instance: dg.DagsterInstance, record: dg.EventLogRecord, month: str, answer: dg.AssetKey) -> bool:
    """Tell whether a later materialization of the calibration, such as one of the same run, has answered the report."""
    later = dg.AssetRecordsFilter(asset_key=answer, asset_partitions=[month], after_storage_id=record.storage_id)
    return bool(instance.fetch_materializations(later, limit=1).records)


def _is_decided(instance: dg.DagsterInstance, record: dg.RunRecord) -> bool:
    """Tell whether it is known if a failed run is started again: Dagster calls it failed first, and then notes that."""
    is_noted = WILL_RETRY_TAG in record.dagster_run.tags or not instance.run_retries_enabled
    return is_noted or _now() - _updated(record) > MAX_UNDECIDED


def _updated(record: dg.RunRecord) -> datetime:
    return record.update_timestamp.replace(tzinfo=timezone.utc)


def _has_failed(step: RunStepKeyStatsSnapshot) -> bool:
    return step.status is not None and step.status.value == "FAILURE"


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
