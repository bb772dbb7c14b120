"""Every aggregation's cost, to build and to read, against Sum's."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

import featurestore as fs
from benchmarks.cost import in_turn, timed
from benchmarks.findings import Bench, Findings, Row, seconds
from benchmarks.isolated import isolated
from benchmarks.questions import entity
from benchmarks.stores import DERIVED, read_spine, scratch, shop_store, spine_of
from featurestore.spec.aggregations import KINDS
from featurestore.spec.aggregations.aggregation import Aggregation

WINDOWS = ("90d", "1y", "10y")
MAX_EVENTS = 5_000_000
BASE = "Sum"
COLUMN = "amount_cents"
COLUMNS = {"Distinct": "sku_id"}


def measure(bench: Bench) -> Findings:
    """Materialize a view per kind from nothing, of users by day over three windows, and read it."""
    events = min(bench.size.events, MAX_EVENTS)
    shop = shop_store(bench.data, events)
    spine = spine_of(shop, "user", bench.size.few_rows)
    with scratch(shop, without=DERIVED) as bare:
        costs = isolated(compare, root=bare, spine=spine, runs=bench.runs)
    rows = []
    for kind in sorted(costs, key=lambda name: (name != BASE, name)):
        for step in ("build", "read"):
            cost = costs[kind][step]
            base = costs[BASE][step]
            rows.append(
                Row(
                    f"{kind} / {BASE}, {step}, {events:,} events",
                    cost["cpu_s"] / base["cpu_s"],
                    wall=cost["wall_s"] / base["wall_s"],
                    note=f"{seconds(cost)} / {seconds(base)}",
                )
            )
    return Findings(tuple(rows))


def compare(root: str, spine: str, runs: int) -> dict[str, Any]:
    """Build and read a view of each kind -> kind to costs; a first view of Sum loads the libraries."""
    from featurestore.shop import events as source

    store = fs.FeatureStore(root)
    rows = read_spine(spine)
    for name in [*store.registry.services, *store.registry.views]:
        store.remove(name)
    views = {
        name: fs.FeatureView(f"user_{name.lower()}", entity=entity("user"), source=source, aggregations=[make(kind)])
        for name, kind in KINDS.items()
    }
    warming = fs.FeatureView("warming", entity=entity("user"), source=source, aggregations=[fs.Sum("sum", "quantity")])
    store.apply([warming, *views.values()])
    store.materialize(["warming"])
    built = {name: timed(lambda view=view: store.materialize([view.name]))[0] for name, view in views.items()}
    calls = {
        name: (lambda view=view: store.get_historical_features(rows, [view.name]).num_rows) for name, view in views.items()
    }
    read = in_turn(calls, runs=runs)
    return {name: {"build": asdict(built[name]), "read": asdict(read[name])} for name in views}


def make(kind: type[Aggregation]) -> Aggregation:
    """Declare an aggregation of any kind, with windows unless it takes none."""
    names = {item.name for item in fields(kind)}
    given: dict[str, Any] = {"column": COLUMNS.get(kind.__name__, COLUMN)} if "column" in names else {}
    try:
        return kind("value", windows=WINDOWS, **given)
    except fs.DefinitionError:
        return kind("value", **given)
