"""Five per cent of all events on one SKU, against none: no cliff."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import featurestore as fs
from benchmarks.cost import timed
from benchmarks.findings import Bench, Findings, Row, seconds
from benchmarks.isolated import isolated
from benchmarks.law import Law
from benchmarks.questions import references
from benchmarks.stores import DERIVED, ask_in_turn, law_store, scratch, spine_of

HOT_SHARE, MAX_EVENTS = 0.05, 10_000_000
GRAINS = ("day", "event")


def measure(bench: Bench) -> Findings:
    """Materialize and read both, by day and by event; half of the spine's rows ask about the hot SKU."""
    events = min(bench.size.events, MAX_EVENTS)
    costs = {}
    spine: Path | None = None
    for share in (0.0, HOT_SHARE):
        store = law_store(bench.data, Law(events, bench.size.users, bench.size.skus, hot_share=share), kind="sku_grains")
        spine = spine or hot_spine(store, bench.size.few_rows)
        with scratch(store, without=DERIVED) as bare:
            built = isolated(build, root=bare)
        features = {grain: references(f"sku_{grain}") for grain in GRAINS}
        costs[share] = built, isolated(ask_in_turn, store=store, spine=spine, features=features, runs=bench.runs)
    rows = []
    for step, verb in enumerate(("materialize", "get_historical_features")):
        for grain in GRAINS:
            hot, even = (costs[share][step][grain] for share in (HOT_SHARE, 0.0))
            rows.append(
                Row(
                    f"hot SKU with 5 % of {events:,} events / none, grain {grain}, {verb}",
                    hot["cpu_s"] / even["cpu_s"],
                    wall=hot["wall_s"] / even["wall_s"],
                    note=f"{seconds(hot)} / {seconds(even)}",
                )
            )
    return Findings(tuple(rows))


def build(root: str) -> dict[str, Any]:
    """Materialize the views from nothing, one after the other; a first month alone loads the libraries."""
    store = fs.FeatureStore(root)
    store.materialize(["sku_day"], interval=("2016-01", "2016-02"))
    return {grain: asdict(timed(lambda view=f"sku_{grain}": store.materialize([view]))[0]) for grain in GRAINS}


def hot_spine(store: Path, rows: int) -> Path:
    """Write a spine of which every second row asks about SKU 0."""
    file = spine_of(store, "sku", rows)
    hot = file.with_name(f"hot-{file.name}")
    if not hot.exists():
        isolated(heat, file=file, hot=hot)
    return hot


def heat(file: str, hot: str) -> None:
    """Write a spine again, with SKU 0 for the key of every second row."""
    import pyarrow.parquet as pq

    table = pq.read_table(file)
    keys = np.where(np.arange(len(table)) % 2, table["sku_id"].to_numpy(), 0)
    pq.write_table(table.set_column(table.column_names.index("sku_id"), "sku_id", pa.array(keys)), hot)
