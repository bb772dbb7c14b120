"""A spine of three entities: a small part of the time, and of the bytes, of one of all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import featurestore as fs
from benchmarks.findings import Bench, Findings, Row, plain, seconds
from benchmarks.isolated import isolated
from benchmarks.questions import references
from benchmarks.stores import ask_in_turn, read_spine, shop_store, spine_of

FEW_KEYS, FEW_ROWS = 3, 300
COUNTERS = Path("/proc/self/io")
READ_AHEAD = "sys/block/*/queue/read_ahead_kb"


def measure(bench: Bench) -> Findings:
    """Compare CPU seconds of warm calls, and what cold ones read from disk."""
    shop, small = (shop_store(bench.data, events) for events in (bench.size.events, max(bench.size.events // 100, 1_000)))
    features = references("user")
    spines = {
        "few": spine_of(shop, "user", FEW_ROWS, keys=FEW_KEYS),
        "all": spine_of(shop, "user", bench.size.spine_rows),
    }
    cost = {
        name: isolated(ask_in_turn, store=shop, spine=spine, features={"ours": features}, runs=bench.runs)["ours"]
        for name, spine in spines.items()
    }
    read = {
        name: isolated(read_cold, store=shop, warm_store=small, spine=spine, features=features)
        for name, spine in spines.items()
    }
    what = f"{FEW_KEYS} users / all ({FEW_ROWS} rows / {bench.size.spine_rows:,})"
    rows = [
        Row(
            f"{what}: whole call",
            cost["few"]["cpu_s"] / cost["all"]["cpu_s"],
            wall=cost["few"]["wall_s"] / cost["all"]["wall_s"],
            note=f"{seconds(cost['few'])} / {seconds(cost['all'])}",
        )
    ]
    if read["few"] is None or not read["all"]:
        return Findings((*rows, Row(f"{what}: bytes read from disk", note="this system does not tell")))
    note = f"{plain(read['few'] / 2**20)} / {plain(read['all'] / 2**20)} MiB{_read_ahead()}"
    return Findings((*rows, Row(f"{what}: bytes read from disk", read["few"] / read["all"], note=note)))


def read_cold(store: str, warm_store: str, spine: str, features: list[str]) -> int | None:
    """Take a store's files out of the page cache, make one call -> bytes that it read from disk; imports happen before."""
    rows = read_spine(spine)
    fs.FeatureStore(warm_store).get_historical_features(rows, features)
    for file in Path(store).rglob("*"):
        if file.is_file():
            _evict(file)
    before = _read_bytes()
    fs.FeatureStore(store).get_historical_features(rows, features)
    after = _read_bytes()
    return None if before is None or after is None else after - before


def _read_ahead() -> str:
    """Say how much this system reads around a page that is missing; with much, few pages cost as much as all."""
    sizes_kib = [int(file.read_text(encoding="ascii")) for file in Path("/").glob(READ_AHEAD)]
    return f"; read-ahead {max(sizes_kib):,} KiB" if sizes_kib else ""


def _evict(file: Path) -> None:
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)


def _read_bytes() -> int | None:
    if not COUNTERS.exists():
        return None
    counters: dict[str, Any] = dict(line.split(": ") for line in COUNTERS.read_text(encoding="ascii").splitlines())
    return int(counters["read_bytes"])
