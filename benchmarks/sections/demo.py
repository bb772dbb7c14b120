"""The demo: how long someone waits who tries the shop for the first time, and how busy two cores are meanwhile."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.findings import Bench, Findings, Row, plain
from benchmarks.isolated import isolated

MOST_EVENTS = 10_000_000
AT_MOST_S = {1_000_000: 30.0, 10_000_000: 160.0}
BUSY_CORES = 1.6
SHOWN_S = 1.0


def measure(bench: Bench) -> Findings:
    """Run the demo once, on a store of its own."""
    events = min(bench.size.events, MOST_EVENTS)
    root = bench.data / "demo"
    shutil.rmtree(root, ignore_errors=True)
    try:
        result = isolated(run, root=str(root), events=events)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    what = f"the demo of {events:,} events"
    rows = [
        Row(
            f"{what}: wall", result["wall_s"], at_most=AT_MOST_S.get(events), unit=" s", note=f"{plain(result['cpu_s'])} CPU-s"
        ),
        Row(f"{what}: cores busy", result["cpu_s"] / result["wall_s"], at_least=BUSY_CORES),
    ]
    for stage, (wall_s, cpu_s) in sorted(result["stages"].items(), key=lambda item: -item[1][0]):
        if wall_s >= SHOWN_S:
            rows.append(Row(f"{what}: {stage}", wall_s, unit=" s", note=f"{plain(cpu_s)} CPU-s"))
    return Findings(tuple(rows))


def run(root: str, events: int) -> dict[str, Any]:
    """Run the demo -> wall and CPU seconds, of all of it and of each stage; what is between two stages counts to the second."""
    from featurestore_pipelines.demo.run import run_demo
    from featurestore_pipelines.demo.watch import StageEnd

    wall_s, cpu_s = Counter[str](), Counter[str]()
    last = began = (time.perf_counter(), time.process_time())

    def note(ended: StageEnd) -> None:
        nonlocal last
        now = time.perf_counter(), time.process_time()
        wall_s[ended.stage] += now[0] - last[0]
        cpu_s[ended.stage] += now[1] - last[1]
        last = now

    run_demo(Path(root), events=events, on_end=note)
    end = time.perf_counter(), time.process_time()
    stages = {stage: [wall_s[stage], cpu_s[stage]] for stage in wall_s}
    return {"wall_s": end[0] - began[0], "cpu_s": end[1] - began[1], "stages": stages}
