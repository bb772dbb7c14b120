"""Feast joining precomputed rows with a spine, against ours answering the same from running totals."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pyarrow as pa

import featurestore as fs
from benchmarks.findings import Bench, Findings
from benchmarks.isolated import isolated
from benchmarks.law import Law
from benchmarks.peers import Peer, ask_script
from benchmarks.questions import references
from benchmarks.sections.peers import row_of_answer
from benchmarks.stores import ask_in_turn, law_store, spine_of, write_answer
from featurestore.synth import TIMEZONE
from featurestore.timeline import DAY_US, day_start_us

FEAST = Peer("Feast with its DuckDB store, fed precomputed rows", "feast", "feast_join.py", "rows")
WINDOWS = ("30d", "1y")
ROWS_PER_KEY = 1_000
FIRST = date(2023, 1, 1)


def measure(bench: Bench) -> Findings:
    """Give Feast a row of ten features per SKU and day, so that its last row before an as_of is the right one."""
    if not bench.has_peers:
        return Findings(())
    keys = 1_000 if bench.size.events >= 1_000_000 else 10
    end = FIRST + timedelta(days=ROWS_PER_KEY)
    law = Law(2 * keys * ROWS_PER_KEY, users=1_000, skus=keys, first=str(FIRST), end=str(end), is_even=True)
    store = law_store(bench.data, law)
    count = 50_000 if bench.size.is_full else bench.size.events // 50
    # In UTC, eight hours behind the shop: up to the morning of the last day that has rows.
    span = tuple(datetime(day.year, day.month, day.day, tzinfo=timezone.utc) for day in (FIRST, end - timedelta(days=1)))
    spine = spine_of(store, "sku", count, span)
    features = references("sku", WINDOWS)
    rows = store / "feast-rows.parquet"
    if not rows.exists():
        isolated(write_rows, store=store, file=rows, features=features, keys=keys)
    answer = bench.data / "answers" / f"feast-{bench.size.name}.parquet"
    isolated(write_answer, store=store, spine=spine, features=features, out=answer)
    ours = isolated(ask_in_turn, store=store, spine=spine, features={"": features}, runs=bench.runs)[""]
    question = {
        "key": "sku_id",
        "spine": str(spine),
        "files": [str(rows)],
        "features": [name.split(":")[1] for name in features],
    }
    theirs = ask_script(bench, FEAST, question, ours=answer, prefix="sku__")
    what = f"{FEAST.title} / ours, {ROWS_PER_KEY:,} rows per key, {count:,} rows"
    return Findings((row_of_answer(what, theirs, ours=ours, at_least=20),))


def write_rows(store: str, file: str, features: list[str], keys: int) -> None:
    """Compute the features of each key at the start of each day, and write them as a user of Feast would have."""
    import pyarrow.parquet as pq

    first = (FIRST - date(1970, 1, 1)).days
    starts = day_start_us(first, TIMEZONE) + np.arange(ROWS_PER_KEY) * DAY_US
    spine = pa.table(
        {
            "sku_id": np.repeat(np.arange(keys), ROWS_PER_KEY),
            "as_of": pa.array(np.tile(starts, keys), pa.timestamp("us", "UTC")),
        }
    )
    table = fs.FeatureStore(store).get_historical_features(spine, features).replace_schema_metadata(None)
    names = ["sku_id", "event_timestamp", *(name.removeprefix("sku__") for name in table.column_names[2:])]
    pq.write_table(table.rename_columns(names), Path(file))
