"""Cost against the number of events: ours and a range join's, for the same spine and features."""

from __future__ import annotations

from benchmarks.findings import Bench, Findings, Row, seconds
from benchmarks.isolated import isolated
from benchmarks.peers import DUCKDB_RANGE, ask_peer
from benchmarks.questions import ENTITIES, PLURALS, references
from benchmarks.sections.peers import answer_of, in_words
from benchmarks.stores import ask_in_turn, shop_store, spine_of

PARTS = (100, 10, 1)


def measure(bench: Bench) -> Findings:
    """Ask shops of a hundredth, a tenth and all of the events; users and SKUs grow with them."""
    rows = []
    series = dict[str, list[tuple[float, float]]]()
    sizes = [max(bench.size.events // part, 1_000) for part in PARTS]
    for entity in ENTITIES:
        ours = {}
        verdicts = set[str]()
        for events in sizes:
            store = shop_store(bench.data, events)
            spine = spine_of(store, entity, bench.size.few_rows)
            wanted = {"ours": references(entity)}
            ours[events] = isolated(ask_in_turn, store=store, spine=spine, features=wanted, runs=bench.runs)["ours"]
            series.setdefault(f"ours, {PLURALS[entity]}", []).append((events, ours[events]["cpu_s"]))
            if bench.has_peers:
                theirs = ask_peer(bench, DUCKDB_RANGE, store, entity, spine, ours=answer_of(bench, store, entity, spine))
                verdicts.add(theirs.verdict)
                if theirs.cost is not None:
                    series.setdefault(f"range join, {PLURALS[entity]}", []).append((events, theirs.cost["cpu_s"]))
        first = ours[sizes[0]]
        last = ours[sizes[-1]]
        rows.append(
            Row(
                f"{sizes[-1]:,} events / {sizes[0]:,}, {PLURALS[entity]}, {bench.size.few_rows:,} rows x 40 features",
                last["cpu_s"] / first["cpu_s"],
                wall=last["wall_s"] / first["wall_s"],
                note=f"{seconds(last)} / {seconds(first)}{in_words(verdicts)}",
            )
        )
    return Findings(tuple(rows), series)
