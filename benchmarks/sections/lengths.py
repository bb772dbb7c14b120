"""Cost against the length of the window: ours and a range join's."""

from __future__ import annotations

from benchmarks.findings import Bench, Findings, Row, seconds
from benchmarks.isolated import isolated
from benchmarks.peers import DUCKDB_RANGE, ask_peer
from benchmarks.questions import ENTITIES, LENGTHS, PLURALS, length_days, references
from benchmarks.sections.peers import answer_of, in_words
from benchmarks.stores import ask_in_turn, shop_store, spine_of


def measure(bench: Bench) -> Findings:
    """Ask for five features of one window each, for five lengths."""
    store = shop_store(bench.data, bench.size.events)
    rows = []
    series = {}
    for entity in ENTITIES:
        spine = spine_of(store, entity, bench.size.few_rows)
        features = {window: references(entity, [window]) for window in LENGTHS}
        ours = isolated(ask_in_turn, store=store, spine=spine, features=features, runs=bench.runs)
        years = {window: (length_days(window) or 0) / 365 for window in LENGTHS}
        series[f"ours, {PLURALS[entity]}"] = [(years[window], ours[window]["cpu_s"]) for window in LENGTHS]
        verdicts = []
        if bench.has_peers:
            answer = answer_of(bench, store, entity, spine, windows=LENGTHS)
            asked = {w: ask_peer(bench, DUCKDB_RANGE, store, entity, spine, ours=answer, windows=[w]) for w in LENGTHS}
            points = [(years[window], theirs.cost["cpu_s"]) for window, theirs in asked.items() if theirs.cost is not None]
            series[f"range join, {PLURALS[entity]}"] = points
            verdicts = sorted({theirs.verdict for theirs in asked.values()})
        rows.append(
            Row(
                f"one window of 10 y / of 6 months, {PLURALS[entity]}, {bench.size.few_rows:,} rows",
                ours["10y"]["cpu_s"] / ours["180d"]["cpu_s"],
                wall=ours["10y"]["wall_s"] / ours["180d"]["wall_s"],
                note=f"{seconds(ours['10y'])} / {seconds(ours['180d'])}{in_words(verdicts)}",
            )
        )
    return Findings(tuple(rows), series)
