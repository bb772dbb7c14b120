"""Forty features with windows up to ten years against forty with windows up to six months."""

from __future__ import annotations

from benchmarks.findings import Bench, Findings, Row, seconds
from benchmarks.isolated import isolated
from benchmarks.questions import ENTITIES, LONG, PLURALS, SHORT, references
from benchmarks.stores import LAST_QUARTER, SPREAD, ask_in_turn, shop_store, spine_of

SPANS = {"spread over the decade": SPREAD, "last quarter": LAST_QUARTER}


def measure(bench: Bench) -> Findings:
    """Ask for both kinds of windows in turn, for users and SKUs, for spines spread over the decade and of its last quarter."""
    store = shop_store(bench.data, bench.size.events)
    rows = []
    for entity in ENTITIES:
        features = {"long": references(entity, LONG), "short": references(entity, SHORT)}
        for name, span in SPANS.items():
            spine = spine_of(store, entity, bench.size.spine_rows, span)
            cost = isolated(ask_in_turn, store=store, spine=spine, features=features, runs=bench.runs)
            rows.append(
                Row(
                    f"10 y windows / 6 months, {PLURALS[entity]}, spine {name}, {bench.size.spine_rows:,} rows",
                    cost["long"]["cpu_s"] / cost["short"]["cpu_s"],
                    at_most=1.05,
                    wall=cost["long"]["wall_s"] / cost["short"]["wall_s"],
                    note=f"{seconds(cost['long'])} / {seconds(cost['short'])}",
                )
            )
    return Findings(tuple(rows))
