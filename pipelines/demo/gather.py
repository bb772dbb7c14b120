"""Gather: read the numbers of the last screen back from the store."""

import json
import resource
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from featurestore.client import FeatureStore
from featurestore.compute.keys import load_keys
from featurestore.drift.audit import AuditReport
from featurestore.drift.data_faults.data_fault import data_faults
from featurestore.drift.episode import episodes
from featurestore.drift.recalibration.calibration_versions import audit_log
from featurestore.drift.reporting.dependence import calibrations_of
from featurestore.lake.storage import STORAGE
from featurestore.timeline import Month
from featurestore_pipelines.demo.data import DemoData
from featurestore_pipelines.demo.result import DemoResult, Recalibration, StageTime, TrainingSet
from featurestore_pipelines.demo.score import count_unplanted, score_planted
from featurestore_pipelines.demo.truth import TRUE_MONTHS, score_return_probability


def gather_result(
    store: FeatureStore,
    demo: DemoData,
    *,
    audit: AuditReport,
    training_set: TrainingSet,
    timeline: Path,
    stages: tuple[StageTime, ...],
    elapsed_s: float,
    environment: Mapping[str, str],
) -> DemoResult:
    """Put what the demo measured beside what the store now holds."""
    status = store.status()
    planted = demo.truth.drifts if demo.truth else ()
    decisions = (decision for name in store.registry.calibrations for decision in _decisions(store, name))
    return DemoResult(
        data=demo.name,
        root=store.layout.root,
        first_month=demo.months[0],
        last_month=demo.months[-1],
        events=sum(source.rows for source in status.sources),
        quarantined=sum(source.quarantined for source in status.sources),
        event_bytes=sum(source.bytes for source in status.sources),
        store_bytes=_committed_bytes(store),
        views=len(status.views),
        features=sum(view.features for view in status.views),
        entities=_entity_counts(store),
        training_set=training_set,
        scores=sum(score is not None for score in audit.table["score"].to_pylist()),
        episodes=audit.entered,
        faults=tuple(fault for fault in audit.faults if fault.is_new),
        planted=score_planted(planted, audit),
        unplanted_episodes=count_unplanted(planted, audit),
        recalibrations=tuple(sorted(decisions, key=lambda decision: decision.month)),
        return_error=score_return_probability(store, demo.truth, demo.months[-TRUE_MONTHS:]) if demo.truth else None,
        reports=tuple(file.path for file in STORAGE.list_files(store.layout.reports, ending=".html")),
        timeline=timeline,
        stages=stages,
        elapsed_s=elapsed_s,
        peak_memory_bytes=_peak_memory_bytes(),
        environment=environment,
    )


def recorded_audit(store: FeatureStore, months: Sequence[Month]) -> AuditReport:
    """Read what the audits of some months told; nothing is computed."""
    history = store.drift_history()
    days = {month.first_day for month in months}
    scored = pa.array([day in days for day in history["month"].to_pylist()], pa.bool_())
    table = history.filter(scored)
    faults = (fault for fault in data_faults(store.data_faults()) if fault.month in months)
    entered = episodes(table, lambda feature: calibrations_of(store.registry, feature))
    return AuditReport(tuple(months), table, entered, tuple(faults))


def _committed_bytes(store: FeatureStore) -> int:
    """Measure all that lies in the store's tables, their logs and replaced files included."""
    return sum(file.size_bytes for file in STORAGE.list_files(store.layout.root / "lake"))


def _entity_counts(store: FeatureStore) -> Mapping[str, int]:
    views = store.registry.views.values()
    return {view.entity.name: len(load_keys(store.layout.keys(view.entity.name), view.key_types)) for view in views}


def _decisions(store: FeatureStore, name: str) -> Iterator[Recalibration]:
    """Read a calibration's decisions from its audit log, a row per consumer."""
    for text in audit_log(store.layout.calibrations(name))["decision"].to_pylist():
        if text is None:  # a rollback decides nothing
            continue
        decision = json.loads(text)
        for comparison in decision["comparisons"] or [{}]:
            yield Recalibration(
                calibration=name,
                month=Month.parse(decision["trigger"]["month"]),
                trigger=decision["trigger"]["feature"],
                is_promoted=decision["is_promoted"],
                consumer=comparison.get("consumer"),
                champion_loss=comparison.get("champion"),
                challenger_loss=comparison.get("challenger"),
                reason=decision["reason"],
            )


def _peak_memory_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
