"""The most memory that each verb holds, the returned table aside, each in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import featurestore as fs
from benchmarks.cost import timed
from benchmarks.findings import Bench, Findings, Row, gibibytes, plain, seconds
from benchmarks.isolated import isolated
from benchmarks.law import Law
from benchmarks.questions import LONG, SHORT, references
from benchmarks.stores import DERIVED, VIEWS, read_spine, scratch, shop_store, spine_of
from featurestore.synth import TIMEZONE

AT_MOST_GIB = 4.0
MAX_ROWS = 10_000_000
LAST_DAY = "2025-12-31"


def measure(bench: Bench) -> Findings:
    """Run every verb on the shop's store; what changes a store runs on a copy."""
    shop = shop_store(bench.data, bench.size.events)
    size = bench.size
    spine = spine_of(shop, "user", size.spine_rows)
    law = Law(min(size.events, MAX_ROWS), size.users, size.skus)
    files = [str(file) for file in law.write(bench.data / "events" / law.name)]
    results: dict[str, dict[str, Any]] = {}
    with scratch(shop, without=("lake", "hot", "registry.json", "built")) as empty:
        results[f"ingest, {law.events:,} rows"] = isolated(run_verb, root=empty, verb="ingest", given={"files": files})
    with scratch(shop, without=DERIVED) as bare:
        results["materialize, 2 views from nothing"] = isolated(run_verb, root=bare, verb="materialize", given={})
        results["take_snapshots, a month of 2 views"] = isolated(run_verb, root=bare, verb="take_snapshots", given={})
        results["verify"] = isolated(run_verb, root=bare, verb="verify", given={})
    for verb, name in (("historical", "get_historical_features"), ("batch", "get_batch_features")):
        for length, windows in (("10 y", LONG), ("6 months", SHORT)):
            given = {"spine": str(spine), "features": references("user", windows)}
            results[f"{name}, windows up to {length}"] = isolated(run_verb, root=shop, verb=verb, given=given)
    return Findings(tuple([_row(what, result) for what, result in results.items()] + _flat(results)))


def _row(what: str, result: dict[str, Any]) -> Row:
    note = f"{seconds(result['cost'])}, {plain(result['cost']['wall_s'])} s"
    return Row(f"peak memory: {what}", gibibytes(held(result)), at_most=AT_MOST_GIB, unit=" GiB", note=note)


def _flat(results: dict[str, dict[str, Any]]) -> list[Row]:
    rows = []
    for name in ("get_historical_features", "get_batch_features"):
        long, short = (held(results[f"{name}, windows up to {length}"]) for length in ("10 y", "6 months"))
        rows.append(Row(f"peak memory: {name}, 10 y windows / 6 months", long / short, at_most=1.05))
    return rows


def held(result: dict[str, Any]) -> float:
    """Return the peak without the returned table."""
    return float(result["cost"]["peak_bytes"] - result["returned_bytes"])


def run_verb(root: str, verb: str, given: dict[str, Any], is_warm: bool = False) -> dict[str, Any]:
    """Run one verb, if ``is_warm`` for the second time -> its cost and the bytes of the table that it returned, if any."""
    call = CALLS[verb](Path(root), **given)
    if is_warm:
        call()
    cost, result = timed(call)
    return {"cost": asdict(cost), "returned_bytes": getattr(result, "nbytes", 0)}


def _ingest(root: Path, files: list[str]) -> Callable[[], object]:
    store = fs.FeatureStore(root, timezone=TIMEZONE)
    store.apply(VIEWS["events"]())
    return lambda: store.ingest("events", files)


def _historical(root: Path, spine: str, features: list[str]) -> Callable[[], object]:
    rows = read_spine(spine)
    return lambda: fs.FeatureStore(root).get_historical_features(rows, features)


CALLS: dict[str, Callable[..., Callable[[], object]]] = {
    "ingest": _ingest,
    "materialize": lambda root: lambda: fs.FeatureStore(root).materialize(),
    "take_snapshots": lambda root: lambda: fs.FeatureStore(root).take_snapshots(LAST_DAY[:7]),
    "verify": lambda root: lambda: fs.FeatureStore(root).verify(),
    "historical": _historical,
    "batch": lambda root, spine, features: lambda: fs.FeatureStore(root).get_batch_features(LAST_DAY, features),
}
