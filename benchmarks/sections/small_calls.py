"""Small calls: what a person waits for who asks for one row, or a notebook for a hundred, and what a key costs among millions."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

import featurestore as fs
from benchmarks.cost import median, timed
from benchmarks.findings import Bench, Findings, Row, plain
from benchmarks.isolated import isolated
from benchmarks.stores import consumer_store, dictionary_store, key_columns, scratch

SERVICES = ("recommendation_v1", "routing_v1")
ROWS = (1, 100, 10_000)
FEW = 100
FIRST_S, WARM_S = 0.3, 0.03
KEYS = (10_000, 100_000, 1_000_000, 10_000_000)
TYPES = {"int64": ("int64",), "string": ("string",), "composite": ("int64", "string")}
CALLS_A_MEASURE = 20
# Arrow imports pandas, where there is one, when it is first given an array of numpy.
LIBRARIES = (
    "duckdb",
    "deltalake",
    "pandas",
    "pyarrow.compute",
    "pyarrow.parquet",
    "sqlglot.dialects.duckdb",
    "featurestore.client",
)


def measure(bench: Bench) -> Findings:
    """Ask for a few rows of two services, in a fresh process and again; then look keys up among more and more of them."""
    shop = consumer_store(bench.data, bench.size.events)
    rows = list[Row]()
    imports_s = list[float]()
    for service in SERVICES:
        for asked in ROWS:
            runs = [isolated(ask, store=shop, service=service, rows=asked, runs=bench.runs) for _ in range(bench.runs)]
            first, warm = (sorted(run[name] for run in runs)[len(runs) // 2] for name in ("first_s", "warm_s"))
            imports_s += [run["imports_s"] for run in runs]
            is_small = asked <= FEW
            rows += [
                Row(f"{service}, {asked:,} rows, {call}", cost, at_most=at_most if is_small else None, unit=" CPU-s")
                for call, cost, at_most in (("first call of a process", first, FIRST_S), ("warm", warm, WARM_S))
            ]
    rows.append(Row("imports of a process, not in its first calls", sorted(imports_s)[len(imports_s) // 2], unit=" CPU-s"))
    series = dict[str, list[tuple[float, float]]]()
    for name, types in TYPES.items():
        for keys in (keys for keys in KEYS if keys <= bench.size.events):
            store = dictionary_store(bench.data, types, keys)
            found = isolated(look_up, store=store, types=types, keys=keys, runs=bench.runs)
            series.setdefault(f"{FEW} of so many {name} keys", []).append((keys, found["warm_s"]))
            with scratch(store) as copy:
                renewed_s = isolated(renew, store=copy, types=types, keys=keys)
            note = f"first {plain(found['first_s'] * 1e3)} CPU-ms; {plain(found['bytes'] / keys)} bytes a key; renewed for {FEW} new "
            note += f"keys {plain(renewed_s * 1e3)} CPU-ms"
            what = f"codes of {FEW} among {keys:,} {name} keys, warm"
            rows.append(Row(what, found["warm_s"] * 1e3, unit=" CPU-ms", note=note))
    return Findings(tuple(rows), series)


def ask(store: str, service: str, rows: int, runs: int) -> dict[str, float]:
    """Ask for rows in this process, which has asked for nothing yet -> CPU seconds of imports, of the first call and of warm ones.

    Every call asks for other entities.
    """
    imports, _ = timed(_import_libraries)
    spines = [_spine(rows, seed=seed) for seed in range(runs + 2)]
    opened = fs.FeatureStore(store)
    costs = [timed(lambda spine=spine: opened.get_historical_features(spine, service))[0] for spine in spines]
    return {"imports_s": imports.cpu_s, "first_s": costs[0].cpu_s, "warm_s": median(costs[2:]).cpu_s}


def _import_libraries() -> None:
    for library in LIBRARIES:
        importlib.import_module(library)


def _spine(rows: int, *, seed: int) -> pa.Table:
    """Draw rows for any service: keys below those that the shop has, of which some have no events, in its last year."""
    random = np.random.default_rng(seed)
    last_day = np.datetime64("2025-12-01", "us")
    drawn = {
        "user_id": random.integers(1, 10_000, rows),
        "sku_id": random.integers(1, 2_000, rows),
        "region_id": random.integers(1, 30, rows),
        "category": random.choice(["FRESH", "TOYS", "FASHION"], rows),
    }
    as_of = last_day - random.integers(0, 365 * 86_400, rows).astype("timedelta64[s]")
    return pa.table({**drawn, "as_of": pa.array(as_of, pa.timestamp("us", "UTC"))})


def look_up(store: str, types: Sequence[str], keys: int, runs: int) -> dict[str, float]:
    """Look keys up, half of them unknown, in this process -> CPU seconds of the first time and of others, bytes of the index."""
    from featurestore.compute.search.key_index import KeyIndex

    _import_libraries()
    layout = fs.FeatureStore(store).layout
    random = np.random.default_rng(1)

    def codes(numbers: np.ndarray) -> np.ndarray:
        return KeyIndex.open(layout, "user", types).codes(key_columns(types, numbers))

    drawn = [random.integers(0, 2 * keys, FEW) for _ in range((runs + 1) * CALLS_A_MEASURE)]
    first, _ = timed(lambda: codes(drawn[0]))
    warm = []
    for run in range(1, runs + 1):
        mine = drawn[run * CALLS_A_MEASURE : (run + 1) * CALLS_A_MEASURE]
        warm.append(timed(lambda mine=mine: [codes(numbers) for numbers in mine])[0])
    size = sum(file.stat().st_size for file in layout.hot_keys("user").iterdir())
    return {"first_s": first.cpu_s, "warm_s": median(warm).cpu_s / CALLS_A_MEASURE, "bytes": size}


def renew(store: str, types: Sequence[str], keys: int) -> float:
    """Add a hundred keys to a dictionary -> CPU seconds of bringing its index up to date."""
    from featurestore.compute.keys import extend_keys
    from featurestore.compute.search.key_index import renew_index

    layout = fs.FeatureStore(store).layout
    extend_keys(layout.keys("user"), types, key_columns(types, np.arange(keys, keys + FEW)))
    cost, _ = timed(lambda: renew_index(layout, "user", types))
    return cost.cpu_s
