"""What peers and the yardstick are fed: daily sums and running totals of an entity, plain int64 zstd Parquet.

``sums.parquet``       key, day, the five measures of that day, sorted
``totals-YEAR.parquet``  key, day, the five measures since the first event up to and with that day; a file per year, sorted

Made from the events by DuckDB and numpy, without any of the store's own code, in ranges of keys.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.isolated import isolated
from benchmarks.law import OFFSET_US
from benchmarks.questions import MEASURES, measure_sql
from benchmarks.stores import event_files, known_keys
from featurestore.timeline import DAY_US

EVENTS_AT_ONCE = 5_000_000


def totals_of(store: Path, entity: str) -> Path:
    """Return the folder of an entity's sums and totals, made on first use."""
    folder = store / "totals" / entity
    if not (folder / "built").exists():
        shutil.rmtree(folder, ignore_errors=True)
        isolated(write_totals, store=str(store), entity=entity, folder=str(folder))
        (folder / "built").touch()
    return folder


def write_totals(store: str, entity: str, folder: str) -> None:
    """Write an entity's daily sums and running totals, a range of keys after the other."""
    import pyarrow.parquet as pq

    Path(folder).mkdir(parents=True)
    writers: dict[str, pq.ParquetWriter] = {}
    for sums in _daily_sums(store, f"{entity}_id"):
        parts = {"sums": sums, **_by_year(_running(sums))}
        for name, part in parts.items():
            if name not in writers:
                writers[name] = pq.ParquetWriter(f"{folder}/{name}.parquet", part.schema, compression="zstd")
            writers[name].write_table(part)
    for writer in writers.values():
        writer.close()


def _daily_sums(store: str, key: str) -> Iterator[pa.Table]:
    import duckdb
    import pyarrow.parquet as pq

    keys = known_keys(store, key)
    sums = ", ".join(f"sum({measure_sql(measure)})::BIGINT AS {measure}" for measure in MEASURES)
    files = event_files(Path(store))
    events = sum(pq.read_metadata(file).num_rows for file in files)
    for part in np.array_split(keys, events // EVENTS_AT_ONCE + 1):
        with duckdb.connect() as session:
            yield session.sql(f"""
                SELECT {key} AS key, ((epoch_us(event_time) + {OFFSET_US}) // {DAY_US})::INTEGER::BIGINT AS day, {sums}
                FROM read_parquet({files}) WHERE {key} BETWEEN {part[0]} AND {part[-1]}
                GROUP BY ALL ORDER BY ALL""").to_arrow_table()


def _running(sums: pa.Table) -> pa.Table:
    """Add up each key's days; sums of other keys in passing are taken off again, exactly."""
    keys = sums["key"].to_numpy()
    first = np.concatenate([[True], keys[1:] != keys[:-1]])
    starts = np.flatnonzero(first)[np.cumsum(first) - 1]
    columns = {"key": sums["key"], "day": sums["day"]}
    for measure in MEASURES:
        values = sums[measure].to_numpy()
        running = np.cumsum(values)
        columns[measure] = pa.array(running - running[starts] + values[starts])
    return pa.table(columns)


def _by_year(totals: pa.Table) -> dict[str, pa.Table]:
    years = totals["day"].to_numpy().astype("datetime64[D]").astype("datetime64[Y]").astype(int) + 1970
    return {f"totals-{year}": totals.filter(pa.array(years == year)) for year in np.unique(years).tolist()}
