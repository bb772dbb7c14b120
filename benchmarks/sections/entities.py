"""One million entities, against a hundred thousand."""

from __future__ import annotations

from benchmarks.findings import Bench, Findings, Row, gibibytes, plain, seconds
from benchmarks.isolated import isolated
from benchmarks.law import Law
from benchmarks.questions import references
from benchmarks.sections.memory import AT_MOST_GIB, held, run_verb
from benchmarks.stores import ask_in_turn, law_store, spine_of

MANY, MAX_EVENTS = 1_000_000, 10_000_000


def measure(bench: Bench) -> Findings:
    """Make the features of all users at once, and a training set, for both."""
    many = min(MANY, bench.size.events)
    results = {}
    for users in (many, many // 10):
        law = Law(min(bench.size.events, MAX_EVENTS), users, bench.size.skus, has_roll_call=True)
        store = law_store(bench.data, law, kind="user")
        features = references("user")
        spine = spine_of(store, "user", bench.size.few_rows)
        batch = isolated(run_verb, root=store, verb="batch", given={"spine": "", "features": features}, is_warm=True)
        read = isolated(ask_in_turn, store=store, spine=spine, features={"ours": features}, runs=bench.runs)["ours"]
        results[users] = batch, read
    (batch, read), (fewer_batch, fewer_read) = results[many], results[many // 10]
    what = f"{many:,} users / {many // 10:,}"
    return Findings(
        (
            Row(
                f"{what}: get_batch_features, per user",
                batch["cost"]["cpu_s"] / fewer_batch["cost"]["cpu_s"] / 10,
                wall=batch["cost"]["wall_s"] / fewer_batch["cost"]["wall_s"] / 10,
                note=f"{seconds(batch['cost'])} / {seconds(fewer_batch['cost'])}",
            ),
            Row(
                f"{what}: training set, {bench.size.few_rows:,} rows",
                read["cpu_s"] / fewer_read["cpu_s"],
                wall=read["wall_s"] / fewer_read["wall_s"],
                note=f"{seconds(read)} / {seconds(fewer_read)}",
            ),
            Row(
                f"peak memory: get_batch_features, {many:,} users x {len(references('user'))} features",
                gibibytes(held(batch)),
                at_most=AT_MOST_GIB,
                unit=" GiB",
                note=f"and {plain(gibibytes(batch['returned_bytes']))} GiB returned",
            ),
        )
    )
