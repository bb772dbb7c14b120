"""What a longer window costs: training sets with windows up to ten years against windows up to six months, and a range join.

    python benchmarks/windows.py --events 10_000_000 --rows 200_000 --root data/bench

Builds the synthetic shop once (a second run reuses it), then times whole calls of ``get_historical_features`` in turn, and
DuckDB joining the spine with the events of each window. Answers are compared row for row. Prints a table and writes JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pyarrow as pa

import featurestore as fs
from featurestore.shop import events
from featurestore.synth import TIMEZONE, Shop
from featurestore.timeline import to_us

LONG = ("30d", "90d", "180d", "1y", "2y", "5y", "10y", "lifetime")
SHORT = ("1d", "3d", "7d", "14d", "30d", "60d", "90d", "180d")
PEER_ROWS = 20_000
USER, SKU = fs.Entity("user", key="user_id"), fs.Entity("sku", key="sku_id")


def make_view(name: str, entity: fs.Entity, windows: tuple[str, ...]) -> fs.FeatureView:
    """Declare 40 features: five measures over eight windows."""
    buy = "event_type = 'buy'"
    return fs.FeatureView(
        name,
        entity=entity,
        source=events,
        aggregations=[
            fs.Count("events", windows=windows),
            fs.Count("buys", where=buy, windows=windows),
            fs.Sum("spend", "amount_cents", where=buy, windows=windows),
            fs.Sum("units", "quantity", where=buy, windows=windows),
            fs.Count("returns", where="event_type = 'return'", windows=windows),
        ],
    )


def open_store(root: Path, size: int) -> fs.FeatureStore:
    """Fill a store with the shop's events, unless it holds them already."""
    store = fs.FeatureStore(root, timezone=TIMEZONE)
    long_and_short = [
        make_view(f"{entity.name}_{length}", entity, windows)
        for entity in (USER, SKU)
        for length, windows in (("long", LONG), ("short", SHORT))
    ]
    store.apply(long_and_short)
    if not store.status().sources[0].rows:
        Shop(events=size).write_landing(root / "landing" / "events")
        print(store.ingest("events"))
    print(store.materialize())
    return store


def draw_spine(store: fs.FeatureStore, key: str, rows: int, first: datetime, last: datetime) -> pa.Table:
    """Draw keys of real events and instants between two dates."""
    import duckdb

    rng = np.random.default_rng(1)
    files = str(store.layout.events("events") / "*" / "*.parquet")
    known = duckdb.sql(
        f"SELECT DISTINCT {key} FROM read_parquet('{files}') WHERE {key} IS NOT NULL ORDER BY 1"
    ).to_arrow_table()
    keys = known[key].to_numpy()
    moments = rng.integers(to_us(first), to_us(last), rows)
    return pa.table({key: rng.choice(keys, rows), "as_of": pa.array(moments, pa.timestamp("us", "UTC"))})


def range_join(store: fs.FeatureStore, spine: pa.Table, key: str) -> pa.Table:
    """Answer the long view's questions by joining the spine with all events of each row's key before its day."""
    import duckdb

    files = str(store.layout.events("events") / "*" / "*.parquet")
    measures = {
        "events": "1",
        "buys": "(event_type = 'buy')::INT",
        "spend": "CASE WHEN event_type = 'buy' THEN amount_cents ELSE 0 END",
        "units": "CASE WHEN event_type = 'buy' THEN quantity ELSE 0 END",
        "returns": "(event_type = 'return')::INT",
    }
    days = {window: 10**6 if window == "lifetime" else int(window[:-1]) * (365 if window[-1] == "y" else 1) for window in LONG}
    columns = ", ".join(
        f"coalesce(sum({sql}) FILTER (WHERE day >= floor_day - {length}), 0)::BIGINT AS {name}_{window}"
        for name, sql in measures.items()
        for window, length in days.items()
    )
    day_us, offset_us = 86_400_000_000, 8 * 3_600_000_000
    with duckdb.connect() as session:
        session.register("spine", spine.append_column("row_number", pa.array(np.arange(spine.num_rows))))
        return session.sql(f"""
            WITH facts AS (SELECT *, (epoch_us(event_time) + {offset_us}) // {day_us} AS day FROM read_parquet('{files}')),
            probes AS (SELECT *, (epoch_us(as_of) + {offset_us}) // {day_us} AS floor_day FROM spine)
            SELECT row_number, {columns}
            FROM probes LEFT JOIN facts ON facts.{key} = probes.{key} AND day < floor_day
            GROUP BY row_number ORDER BY row_number""").to_arrow_table()


def timed(call: Callable[[], pa.Table]) -> tuple[float, float, pa.Table]:
    """Return wall seconds, CPU seconds and the answer of a call."""
    wall, cpu = time.perf_counter(), time.process_time()
    answer = call()
    return time.perf_counter() - wall, time.process_time() - cpu, answer


def measure_pair(store: fs.FeatureStore, entity: str, spine: pa.Table, runs: int) -> dict[str, float]:
    """Time long and short windows in turn; medians and their ratio."""
    found: dict[str, list[tuple[float, float]]] = {"long": [], "short": []}
    for run in range(runs + 1):
        for length in found:
            wall, cpu, _ = timed(lambda length=length: store.get_historical_features(spine, [f"{entity}_{length}"]))
            if run:
                found[length].append((wall, cpu))
    medians = {
        f"{length}_{what}_s": statistics.median(pair[i] for pair in pairs)
        for length, pairs in found.items()
        for i, what in enumerate(("wall", "cpu"))
    }
    return {**medians, "ratio_cpu": medians["long_cpu_s"] / medians["short_cpu_s"]}


def compare_peer(store: fs.FeatureStore, entity: str, spine: pa.Table) -> dict[str, float]:
    """Time a range join against the long view on the same rows, and check that both answer the same."""
    mine_wall, mine_cpu, mine = timed(lambda: store.get_historical_features(spine, [f"{entity}_long"]))
    peer_wall, peer_cpu, peer = timed(lambda: range_join(store, spine, f"{entity}_id"))
    for name in peer.column_names[1:]:
        if not peer[name].combine_chunks().equals(mine[f"{entity}_long__{name}"].combine_chunks()):
            raise AssertionError(f"{name}: the range join and the store disagree")
    return {
        "mine_cpu_s": mine_cpu,
        "peer_cpu_s": peer_cpu,
        "ratio_wall": peer_wall / mine_wall,
        "ratio_cpu": peer_cpu / mine_cpu,
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=lambda text: int(text.replace("_", "")), default=10_000_000)
    parser.add_argument("--rows", type=lambda text: int(text.replace("_", "")), default=200_000)
    parser.add_argument("--root", type=Path, default=Path("data/bench"))
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    store = open_store(given.root, given.events)
    decade = datetime(2017, 7, 1, tzinfo=timezone.utc), datetime(2025, 12, 31, tzinfo=timezone.utc)
    quarter = datetime(2025, 10, 1, tzinfo=timezone.utc), decade[1]
    results: dict[str, dict[str, float]] = {}
    for entity in ("user", "sku"):
        for name, span in (("spread", decade), ("last quarter", quarter)):
            spine = draw_spine(store, f"{entity}_id", given.rows, *span)
            results[f"{entity}, {name}: 10 y / 6 months"] = measure_pair(store, entity, spine, given.runs)
        peer_spine = draw_spine(store, f"{entity}_id", PEER_ROWS, *decade)
        results[f"{entity}: range join / ours, {PEER_ROWS:,} rows"] = compare_peer(store, entity, peer_spine)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{given.events:,} events, {given.rows:,} spine rows, 40 features, medians of {given.runs}, peak {peak:.1f} GiB")
    for name, row in results.items():
        print(f"{name:45}", "  ".join(f"{key} {value:.2f}" for key, value in row.items()))
    (given.root / "windows.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
