"""Run: events land a year at a time, Dagster's assets take them to recalibration, a training set is retrieved.

1. Per calendar year: the year's files land, then one run of all assets over its months, in the last year with checks.
   The runs are recorded in a Dagster instance inside the store's directory, so that the UI shows them.
2. The last run's months are audited again where its recalibrations gave a new baseline; what earlier audits told, stands.
3. A spine of events of all months is enriched with the features of the first service.
4. The months that deserve one get an Evidently report; what was planted is compared with what was found.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.utils import make_new_run_id

from featurestore.client import FeatureStore
from featurestore.drift.audit import AuditReport
from featurestore.errors import FeatureStoreError, StoreError
from featurestore.lake.json_files import read_json, write_json
from featurestore.lake.whole_file import write_atomically
from featurestore.spec.registry import Registry
from featurestore.timeline import Month
from featurestore_pipelines.assets.drift import DriftReportConfig, draw_reports
from featurestore_pipelines.assets.shared import CALIBRATION, DRIFT_REPORT, EVENTS, FEATURES, LEDGER, SERVICES, TILES
from featurestore_pipelines.assets.shared import STAGES as ASSETS
from featurestore_pipelines.build import ASSETS_ONLY, BACKFILL, build_definitions
from featurestore_pipelines.demo.data import DemoData, demo_data
from featurestore_pipelines.demo.gather import gather_result, recorded_audit
from featurestore_pipelines.demo.result import DemoResult, TrainingSet
from featurestore_pipelines.demo.spine import sample_spine
from featurestore_pipelines.demo.watch import EndListener, Listener, Stopwatch
from featurestore_pipelines.event_log import few_flushes, open_instance
from featurestore_pipelines.partitions import RANGE_END, RANGE_START, monthly_partitions
from featurestore_pipelines.resources import StoreResource
from featurestore_pipelines.settings import (
    DEFINITIONS_VARIABLE,
    FIRST_MONTH_VARIABLE,
    INSTANCE,
    LAST_MONTH_VARIABLE,
    ROOT_VARIABLE,
)

LANDING, TRAINING_SET, REPORTS = "landing", "training_set", "reports"
STAGES = (LANDING, *ASSETS, TRAINING_SET, REPORTS)
SPINE_ROWS = 200_000
MAX_REPORTS = 12
QUIET = "telemetry:\n  enabled: false\nnux:\n  enabled: false\n"
SILENT = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def run_demo(
    root: str | Path,
    *,
    data: str = "shop",
    events: int = 10_000_000,
    months: str | None = None,
    seed: int = 7,
    spine_rows: int = SPINE_ROWS,
    most_reports: int = MAX_REPORTS,
    chunk_years: int = 1,
    progress: Listener | None = None,
    on_end: EndListener | None = None,
) -> DemoResult:
    """Take a decade of events from their landing to the recalibration that a planted drift calls for.

    The same call on the same directory resumes, and repeats nothing that is committed.

    Args:
        root: The store's directory: one that does not exist, an empty one, or that of the same demo.
        data: ``shop``, or the name of a data set of ``featurestore.datasets``.
        events: Approximate size of the shop; a data set has its own.
        months: First and last month, as ``2015-11:2016-10``; all that the data has by default.
        seed: Of the shop and of the spine.
        spine_rows: Rows of the training set, at most.
        most_reports: Evidently reports, at most: of each view for the last month, if there are enough, then of new drifts.
        chunk_years: Calendar years of one Dagster run.
        progress: Called with a stage (one of ``STAGES``), its units done and its number of units.
        on_end: Called with each stage of each chunk that has ended.

    Raises:
        FeatureStoreError: the directory holds something else, the data is unknown or not installed, or a step failed.
    """
    started = time.perf_counter()
    demo = demo_data(data, events=events, seed=seed, months=months)
    setting = StoreResource(root=str(Path(root).expanduser().resolve()), definitions=demo.definitions)
    store = setting.store()
    _claim(store, _asked(data, None if demo.truth is None else {"events": events, "seed": seed}, months))
    watch = Stopwatch(_totals(store, demo), progress, on_end)
    all_of_it = _in_words(demo.months)
    draws_last_month = most_reports >= len(store.registry.views)
    audit = _run_chunks(store, setting, demo, watch, chunk_years=chunk_years, draws_last_month=draws_last_month)
    watch.finish(*ASSETS)
    with watch.timing(TRAINING_SET, all_of_it):
        training_set = _retrieve(store, next(iter(Registry().merged(setting.objects).services)), rows=spine_rows, seed=seed)
    watch.finish(TRAINING_SET)
    with watch.timing(REPORTS, all_of_it):
        timeline = _draw(store, demo, audit, most_reports=most_reports - len(store.registry.views) * draws_last_month)
    watch.finish(REPORTS)
    return gather_result(
        store,
        demo,
        audit=audit,
        training_set=training_set,
        timeline=timeline,
        stages=watch.times,
        elapsed_s=time.perf_counter() - started,
        environment=_environment(setting, demo),
    )


def _draw(store: FeatureStore, demo: DemoData, audit: AuditReport, *, most_reports: int) -> Path:
    """Draw the Evidently reports of new drifts, and the timeline with what was planted."""
    draw_reports(store, audit, DriftReportConfig(most_reports=most_reports, draws_last_month=False))
    return store.write_timeline(planted=_marks(demo))


def _asked(data: str, sized: Mapping[str, Any] | None, months: str | None) -> dict[str, Any]:
    """Return what tells one demo from another; a data set has a size of its own."""
    return {"data": data, **(sized or {}), **({"months": months} if months else {})}


def _claim(store: FeatureStore, asked: Mapping[str, Any]) -> None:
    """Take a new store for this demo; refuse one that holds another demo's events, or anyone else's."""
    record = store.layout.root / INSTANCE / "demo.json"
    if not record.exists():
        if any(source.rows for source in store.status().sources):
            raise StoreError(f"{store.layout.root} holds events that are not a demo's. Give the demo a directory of its own.")
        write_json(record, asked)
        write_atomically(record.with_name("dagster.yaml"), QUIET.encode())
    if (held := read_json(record)) != asked:
        raise StoreError(
            f"{store.layout.root} holds the demo {held}; asked for was {dict(asked)}. Give it another directory, or remove this."
        )


def _totals(store: FeatureStore, demo: DemoData) -> dict[str, int]:
    months = len(demo.months)
    years = len({month.year for month in demo.months})
    views = len(store.registry.views)
    return {
        LANDING: months,
        EVENTS: months,
        TILES: months * views,
        LEDGER: years * views,
        FEATURES: months * views,
        DRIFT_REPORT: months * views,
        SERVICES: months * len(store.registry.services),
        CALIBRATION: months,
        TRAINING_SET: 1,
        REPORTS: 1,
    }


def _run_chunks(
    store: FeatureStore, setting: StoreResource, demo: DemoData, watch: Stopwatch, *, chunk_years: int, draws_last_month: bool
) -> AuditReport:
    """Let the files of some years land and run all assets over their months, chunk by chunk; audit the last one's again."""
    partitions = monthly_partitions(setting.timezone, first=demo.months[0], last=demo.months[-1])
    built = build_definitions(setting.objects, setting, partitions=partitions, progress=watch)
    with few_flushes(), open_instance(store.layout.root / INSTANCE) as instance:
        for months in _chunks(demo.months, chunk_years):
            with watch.timing(LANDING, _in_words(months)):
                for source in store.registry.sources.values():
                    demo.land(store.layout.landing(source), months)
            for month in months:
                watch(LANDING, str(month))
            is_last = months[-1] == demo.months[-1]
            drawn = {"draws_last_month": is_last and draws_last_month, "draws_timeline": is_last}
            job = built.resolve_job_def(BACKFILL if is_last else ASSETS_ONLY)
            run_id = make_new_run_id()
            instance.add_event_listener(run_id, watch.hearing(_in_words(months)))
            _run(job, instance, months, {"most_reports": 0, **drawn}, run_id=run_id)
        with watch.timing(DRIFT_REPORT, _in_words(months)):
            store.audit(months)
    return recorded_audit(store, demo.months)


def _run(
    job: dg.JobDefinition, instance: dg.DagsterInstance, months: Sequence[Month], drawn: Mapping[str, Any], *, run_id: str
) -> None:
    """Run all assets over a range of months; years do not wait for pictures that only the last one needs."""
    try:
        job.execute_in_process(
            instance=instance,
            run_id=run_id,
            tags={
                RANGE_START: str(months[0]),
                RANGE_END: str(months[-1]),
            },
            run_config={**SILENT, "ops": {DRIFT_REPORT: {"config": dict(drawn)}}},
        )
    except dg.Failure as failure:
        if isinstance(failure.__cause__, FeatureStoreError):
            raise failure.__cause__ from failure
        raise
    except DagsterExecutionInterruptedError as stopped:  # what Dagster makes of Ctrl-C
        raise KeyboardInterrupt from stopped


def _chunks(months: Sequence[Month], chunk_years: int) -> list[list[Month]]:
    """Divide months between runs, some calendar years each."""
    return [list(years) for _, years in groupby(months, key=lambda month: month.year // chunk_years)]


def _in_words(months: Sequence[Month]) -> str:
    first = months[0].year
    last = months[-1].year
    return str(first) if first == last else f"{first} to {last}"


def _retrieve(store: FeatureStore, service: str, *, rows: int, seed: int) -> TrainingSet:
    spine = sample_spine(store, store.registry.services[service], rows=rows, seed=seed)
    started = time.perf_counter()
    table = store.get_historical_features(spine, service)
    return TrainingSet(service, table.num_rows, table.num_columns - spine.num_columns, time.perf_counter() - started)


def _marks(demo: DemoData) -> dict[str, list[date]]:
    """Collect the true changes of each feature, for the picture."""
    marks: dict[str, list[date]] = {}
    for drift in demo.truth.drifts if demo.truth else ():
        for feature in drift.features:
            marks.setdefault(feature, []).append(drift.first)
    return marks


def _environment(setting: StoreResource, demo: DemoData) -> dict[str, str]:
    return {
        ROOT_VARIABLE: setting.root,
        DEFINITIONS_VARIABLE: setting.definitions,
        FIRST_MONTH_VARIABLE: str(demo.months[0]),
        LAST_MONTH_VARIABLE: str(demo.months[-1]),
        "DAGSTER_HOME": str(Path(setting.root) / INSTANCE),
    }
