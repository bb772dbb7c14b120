"""Other tools asked for the same training set, answers compared row for row."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from benchmarks.findings import Bench, Findings, Row, gibibytes, plain, seconds
from benchmarks.isolated import isolated
from benchmarks.peers import DUCKDB_ASOF, DUCKDB_RANGE, POLARS_ASOF, POLARS_ROLLING, TEMPORIAN, Answer, Peer, ask_peer
from benchmarks.questions import ENTITIES, LONG, PLURALS, references
from benchmarks.stores import ask_in_turn, shop_store, spine_of, write_answer

PEERS = (DUCKDB_RANGE, DUCKDB_ASOF, POLARS_ASOF, POLARS_ROLLING, TEMPORIAN)
RANGE_JOIN_AT_LEAST = {"user": 15, "sku": 100}


def measure(bench: Bench) -> Findings:
    """Ask all peers about users, with as many rows as the other sections, and about SKUs, with fewer."""
    if not bench.has_peers:
        return Findings(())
    store = shop_store(bench.data, bench.size.events)
    rows = []
    for entity in ENTITIES:
        count = bench.size.spine_rows if entity == "user" else bench.size.few_rows
        spine = spine_of(store, entity, count)
        answer = answer_of(bench, store, entity, spine)
        ours = isolated(ask_in_turn, store=store, spine=spine, features={"": references(entity)}, runs=bench.runs)[""]
        rows += [row_of(bench, peer, store, entity, spine, ours=ours, answer=answer, count=count) for peer in PEERS]
    return Findings(tuple(rows))


def answer_of(bench: Bench, store: Path, entity: str, spine: Path, *, windows: Sequence[str] = LONG) -> Path:
    """Write our own answer for comparison -> its file."""
    answer = bench.data / "answers" / f"{store.name}-{spine.stem}.parquet"
    isolated(write_answer, store=store, spine=spine, features=references(entity, windows), out=answer)
    return answer


def in_words(verdicts: Collection[str]) -> str:
    """Say what came of several questions to the range join; nothing when it was not asked."""
    return f"; range join {', '.join(sorted(verdicts))}" if verdicts else ""


def row_of(
    bench: Bench, peer: Peer, store: Path, entity: str, spine: Path, *, ours: dict[str, Any], answer: Path, count: int
) -> Row:
    """Ask one peer and say what came of it."""
    what = f"{peer.title} / ours, {PLURALS[entity]}, {count:,} rows"
    at_least = RANGE_JOIN_AT_LEAST[entity] if peer is DUCKDB_RANGE else None
    theirs = ask_peer(bench, peer, store, entity, spine, ours=answer)
    return row_of_answer(what, theirs, ours=ours, at_least=at_least)


def row_of_answer(what: str, theirs: Answer, *, ours: dict[str, Any], at_least: float | None) -> Row:
    """Set a peer's cost against ours; without an answer say why, and what did not finish took at least its bound."""
    if theirs.cost is not None:
        cost = theirs.cost
        note = f"{theirs.verdict}; {seconds(cost)} / {seconds(ours)}; {plain(gibibytes(cost['peak_bytes']))} GiB"
        return Row(what, cost["cpu_s"] / ours["cpu_s"], at_least=at_least, wall=cost["wall_s"] / ours["wall_s"], note=note)
    if theirs.bound_s is None:
        return Row(what, at_least=at_least, note=theirs.verdict)
    ratio = theirs.bound_s / ours["wall_s"]
    return Row(what, ratio, at_least=at_least, wall=ratio, bound=">=", note=f"{theirs.verdict}; ours {seconds(ours)}")
