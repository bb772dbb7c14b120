"""What was known at each as_of, against the latest version of each event."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Any

import featurestore as fs
from benchmarks.cost import in_turn
from benchmarks.findings import Bench, Findings, Row, seconds
from benchmarks.isolated import isolated
from benchmarks.questions import ENTITIES, PLURALS, references
from benchmarks.stores import read_spine, shop_store, spine_of


def measure(bench: Bench) -> Findings:
    """Make the same training sets both ways, over the shop's late and corrected events."""
    rows = []
    for entity in ENTITIES:
        what = f"as_known / latest, {PLURALS[entity]}, {bench.size.spine_rows:,} rows x 40 features"
        store = shop_store(bench.data, bench.size.events)
        spine = spine_of(store, entity, bench.size.spine_rows)
        cost = isolated(compare, store=store, spine=spine, features=references(entity), runs=bench.runs)
        known = cost["as_known"]
        latest = cost["latest"]
        note = f"{seconds(known)} / {seconds(latest)}"
        rows.append(Row(what, known["cpu_s"] / latest["cpu_s"], wall=known["wall_s"] / latest["wall_s"], note=note))
    return Findings(tuple(rows))


def compare(store: str, spine: str, features: list[str], runs: int) -> dict[str, Any]:
    """Make both training sets in turn -> ``as_known`` and ``latest`` to median cost."""
    opened = fs.FeatureStore(store)
    rows = read_spine(spine)
    calls = {
        name: partial(opened.get_historical_features, rows, features, as_known=is_known)
        for name, is_known in (("as_known", True), ("latest", False))
    }
    return {name: asdict(cost) for name, cost in in_turn(calls, runs=runs).items()}
