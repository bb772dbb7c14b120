"""Four hundred features in one call, against forty."""

from __future__ import annotations

from benchmarks.findings import Bench, Findings, Row, gibibytes, plain, seconds
from benchmarks.isolated import isolated
from benchmarks.questions import LONG, WIDE, references
from benchmarks.sections.memory import AT_MOST_GIB, held, run_verb
from benchmarks.stores import ask_in_turn, shop_store, spine_of

RUNS = 2


def measure(bench: Bench) -> Findings:
    """Compare CPU seconds per feature; and say how much memory it holds."""
    store = shop_store(bench.data, bench.size.events)
    rows = min(bench.size.spine_rows, 100_000)
    spine = spine_of(store, "user", rows)
    features = {"wide": references("user", WIDE), "narrow": references("user", LONG)}
    cost = isolated(ask_in_turn, store=store, spine=spine, features=features, runs=RUNS)
    ratio = len(features["narrow"]) / len(features["wide"])
    what = f"{len(features['wide'])} features, {rows:,} rows"
    peak = isolated(run_verb, root=store, verb="historical", given={"spine": str(spine), "features": features["wide"]})
    return Findings(
        (
            Row(
                f"{what}: cost per feature / that of {len(features['narrow'])}",
                ratio * cost["wide"]["cpu_s"] / cost["narrow"]["cpu_s"],
                wall=ratio * cost["wide"]["wall_s"] / cost["narrow"]["wall_s"],
                note=f"{seconds(cost['wide'])} / {seconds(cost['narrow'])}",
            ),
            Row(
                f"peak memory: {what}",
                gibibytes(held(peak)),
                at_most=AT_MOST_GIB,
                unit=" GiB",
                note=f"and {plain(gibibytes(peak['returned_bytes']))} GiB returned",
            ),
        )
    )
