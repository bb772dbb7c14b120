"""Seconds and memory of many features: a month sketched, a year judged, a decade judged."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from typing import Any

import pyarrow.compute as pc

from benchmarks.cost import peak_bytes
from benchmarks.monitors.features import draw_features
from benchmarks.monitors.rows import snapshots
from benchmarks.monitors.worlds import HARD, MONTHS
from featurestore.drift.monitor.monitor import monitor_sketches, sketch_month
from featurestore.drift.sketches.edges import EdgeSet


def measure_speed(features: int, rows: int, seed: int) -> dict[str, Any]:
    """Sketch and judge numeric features of hard data -> CPU seconds, peak bytes, months by state."""
    drawn = [replace(feature, is_category=False) for feature in draw_features(HARD, features, seed)]
    sketches = []
    edges = EdgeSet(())
    sketching = 0.0
    for day, table in snapshots(HARD, drawn, rows, seed):
        before = time.process_time()
        sketched, edges = sketch_month(table, edges)
        sketching += time.process_time() - before
        sketches.append((day, sketched))
    before = time.process_time()
    judged = monitor_sketches(sketches)
    decade = time.process_time() - before
    last_year = pc.equal(pc.year(judged["month"]), MONTHS[-1].year)
    before = time.process_time()
    monitor_sketches(sketches, scored=judged.filter(pc.invert(last_year)))
    return {
        "sketch_month_s": sketching / len(MONTHS),
        "tenth_year_s": time.process_time() - before,
        "decade_s": decade,
        "peak_bytes": peak_bytes(),
        "states": dict(Counter(judged["state"].to_pylist())),
    }


def in_words(speed: dict[str, Any], *, features: int, rows: int) -> str:
    """Write what was measured as one sentence."""
    return (
        f"{features} features, {rows} rows a month, CPU seconds: {speed['sketch_month_s']:.2f} to sketch a month, "
        f"{speed['tenth_year_s']:.1f} to judge the tenth year (all of it, as an audit in December does), "
        f"{speed['decade_s']:.1f} to judge ten years; peak memory {speed['peak_bytes'] / 2**30:.2f} GiB; {speed['states']}"
    )
