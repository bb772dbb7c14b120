"""A training set that is written, not returned: memory that does not grow with its rows."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import featurestore as fs
from benchmarks.cost import timed
from benchmarks.findings import Bench, Findings, Row, gibibytes, plain
from benchmarks.isolated import isolated
from benchmarks.questions import references
from benchmarks.sections.memory import AT_MOST_GIB
from benchmarks.stores import scratch, shop_store, spine_of


def measure(bench: Bench) -> Findings:
    """Write a long spine's training set and a tenth of it."""
    many = bench.size.stream_rows
    shop = shop_store(bench.data, bench.size.events)
    costs = {}
    for rows in (many, many // 10):
        spine = spine_of(shop, "user", rows)
        with scratch(shop) as store:
            costs[rows] = isolated(write, root=store, spine=spine, features=references("user"), out=store / "training.parquet")
    most = costs[many]
    fewer = costs[many // 10]
    what = f"peak memory: write_historical_features, {many:,} rows x 40 features"
    note = f"{plain(most['wall_s'])} s, {plain(many / most['wall_s'])} rows a second"
    return Findings(
        (
            Row(what, gibibytes(most["peak_bytes"]), at_most=AT_MOST_GIB, unit=" GiB", note=note),
            Row(f"{what} / {many // 10:,} rows", most["peak_bytes"] / fewer["peak_bytes"]),
            Row(f"cost per row: {many:,} rows / {many // 10:,}", most["cpu_s"] / fewer["cpu_s"] / 10),
        )
    )


def write(root: str, spine: str, features: list[str], out: str) -> dict[str, Any]:
    """Read a spine in pieces and write its training set."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(spine)
    store = fs.FeatureStore(root)
    key_and_as_of = [name for name in file.schema_arrow.names if name not in ("row", "floor_day")]
    schema = pa.schema([file.schema_arrow.field(name) for name in key_and_as_of])
    reader = pa.RecordBatchReader.from_batches(schema, file.iter_batches(columns=key_and_as_of))
    cost, _ = timed(lambda: store.write_historical_features(reader, features, Path(out)))
    return asdict(cost)
