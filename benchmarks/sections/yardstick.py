"""A whole call against Polars reading key, day and five measures of the running totals once."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from benchmarks.cost import in_turn
from benchmarks.findings import Bench, Findings, Row, seconds
from benchmarks.isolated import isolated
from benchmarks.questions import ENTITIES, PLURALS, references
from benchmarks.stores import ask_in_turn, shop_store, spine_of
from benchmarks.totals import totals_of


def measure(bench: Bench) -> Findings:
    """Compare the call with the reading, for users and for SKUs."""
    store = shop_store(bench.data, bench.size.events)
    rows = []
    for entity in ENTITIES:
        count = bench.size.yardstick_rows
        spine = spine_of(store, entity, count)
        ours = isolated(ask_in_turn, store=store, spine=spine, features={"ours": references(entity)}, runs=bench.runs)["ours"]
        read = isolated(read_totals, folder=totals_of(store, entity), runs=bench.runs)
        rows.append(
            Row(
                f"whole call, {PLURALS[entity]}, {count:,} rows x 40 features / Polars reading the totals once",
                ours["cpu_s"] / read["cpu_s"],
                at_most=1.5 if entity == "user" else None,
                wall=ours["wall_s"] / read["wall_s"],
                note=f"{seconds(ours)} / {seconds(read)}"
                + ("" if count == 500_000 else "; stated for 500,000 rows, 50 M events"),
            )
        )
    return Findings(tuple(rows))


def read_totals(folder: str, runs: int) -> dict[str, Any]:
    """Read all columns of the totals, in the way that takes Polars the least CPU."""
    import polars as pl

    cost = in_turn({"read": lambda: pl.read_parquet(f"{folder}/totals-*.parquet", parallel="none").height}, runs=runs)
    return asdict(cost["read"])
