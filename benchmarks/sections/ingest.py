"""A month of new rows into ten years, against DuckDB writing the same rows, sorted, to one file."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import featurestore as fs
from benchmarks.cost import in_turn
from benchmarks.findings import Bench, Findings, Row, gibibytes, plain, seconds
from benchmarks.isolated import isolated
from benchmarks.law import Law, law_source
from benchmarks.stores import law_store, scratch

RUNS = 3
# Scope, whether ids are in no order, target.
CASES = (("month", False, 1.7), ("source", False, 2.5), ("source", True, 2.5))


def measure(bench: Bench) -> Findings:
    """Ingest into copies of a store, once per scope of ids; with ids in no order all of history must be looked at."""
    rows = []
    for scope, is_random, at_most in CASES:
        law = Law(bench.size.events, bench.size.users, bench.size.skus, has_random_ids=is_random)
        store = law_store(bench.data, law, kind="events")
        month = store_month(bench, law)
        with ExitStack() as stack:
            copies = [stack.enter_context(scratch(store)) for _ in range(RUNS + 1)]
            cost = isolated(compare, copies=[str(copy) for copy in copies], month=month, scope=scope)
        ids = "ids in no order" if is_random else "ids in sequence"
        rows.append(
            Row(
                f"ingest {bench.size.month_rows:,} rows into {law.events:,}, id_scope={scope}, {ids} / DuckDB sorted COPY",
                cost["ours"]["cpu_s"] / cost["copy"]["cpu_s"],
                at_most=at_most,
                wall=cost["ours"]["wall_s"] / cost["copy"]["wall_s"],
                note=f"{seconds(cost['ours'])} / {seconds(cost['copy'])}; {plain(gibibytes(cost['ours']['peak_bytes']))} GiB",
            )
        )
    return Findings(tuple(rows))


def store_month(bench: Bench, law: Law) -> Path:
    """Write the month after a law's end as one file, in order of arrival."""
    file = bench.data / "months" / f"{law.name}-{bench.size.month_rows}.parquet"
    if not file.exists():
        isolated(write_month, law=asdict(law), file=file, rows=bench.size.month_rows)
    return file


def write_month(law: dict[str, Any], file: str, rows: int) -> None:
    """Draw the first month after a law's end and write it, in order of arrival."""
    import pyarrow.parquet as pq

    Path(file).parent.mkdir(parents=True, exist_ok=True)
    table = Law(**law).between(date(2026, 1, 1), date(2026, 2, 1), rows=rows)
    pq.write_table(table.sort_by("ingested_at"), file, compression="zstd", store_schema=False)


def compare(copies: list[str], month: str, scope: str) -> dict[str, Any]:
    """Ingest into one copy after the other, in turn with the COPY."""
    import duckdb

    stores = [fs.FeatureStore(copy) for copy in copies]
    for store in stores:
        store.apply([law_source(scope)])
    target = Path(copies[0]) / "copy.parquet"
    waiting = iter(stores)
    sql = (
        f"COPY (FROM read_parquet('{month}') ORDER BY event_time, event_id) TO '{target}' "
        "(FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2)"
    )
    calls = {"ours": lambda: next(waiting).ingest("events", month), "copy": lambda: duckdb.connect().execute(sql).fetchall()}
    return {name: asdict(cost) for name, cost in in_turn(calls, runs=len(stores) - 1).items()}
