"""Our monitor, from rows to alarms by the product's own path: rows, sketches, states."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import pyarrow as pa

from benchmarks.monitors.alarms import Alarms, of_table
from featurestore.drift.data_faults.feature_fault import FAULT_KINDS
from featurestore.drift.monitor.monitor import monitor_sketches, sketch_months
from featurestore.drift.monitor.policy import DriftPolicy
from featurestore.drift.monitor.state import DRIFT
from featurestore.timeline import Month

RECALIBRATED_AFTER_MONTHS = 3


def latched(months: Iterable[tuple[date, pa.Table]], segments: tuple[str, ...] = ()) -> dict[str, list[Alarms]]:
    """Monitor without answering any alarm."""
    policy = DriftPolicy(segments=segments)
    return of_table(monitor_sketches(list(sketch_months(months, policy=policy)), policy=policy))


def recalibrated(months: Iterable[tuple[date, pa.Table]], segments: tuple[str, ...] = ()) -> dict[str, list[Alarms]]:
    """Monitor with a recalibration three months after each entry into drift, year by year."""
    policy = DriftPolicy(segments=segments)
    sketches = list(sketch_months(months, policy=policy))
    resets: dict[str | tuple[str, str | None], list[Month]] = {}
    scored: pa.Table | None = None
    for year in sorted({day.year for day, _ in sketches}):
        known = [item for item in sketches if item[0].year <= year]
        while True:
            judged = monitor_sketches(known, policy=policy, resets=resets, scored=scored)
            whole = judged if scored is None else pa.concat_tables([scored, judged])
            if (wanted := _resets(whole)) == resets:
                break
            resets = wanted
        scored = whole
    return of_table(whole)


def _resets(judged: pa.Table) -> dict[str | tuple[str, str | None], list[Month]]:
    resets: dict[str | tuple[str, str | None], list[Month]] = {}
    for row in judged.to_pylist():
        if row["state"] == DRIFT and row["kind"] not in FAULT_KINDS:
            month = Month.parse(row["month"]).shift(RECALIBRATED_AFTER_MONTHS)
            resets.setdefault((row["feature"], row["segment"]), []).append(month)
    return resets
