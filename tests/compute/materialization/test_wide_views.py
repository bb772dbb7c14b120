"""Wide views: a thousand columns are read, added up and answered; what that takes grows with their number, not with its square."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import featurestore as fs
from featurestore.compute.materialization.tile_query import tile_sql
from featurestore.lake.session import connect
from featurestore.timeline import Interval, to_us

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
JANUARY = Interval(to_us(START), to_us(START + timedelta(days=31)))
KINDS = (fs.Sum, fs.Mean, fs.Min, fs.Max, fs.First, fs.Last)


def wide_view(kinds: list[str], aggregations: tuple[type, ...] = (fs.Sum,), where: str | None = None) -> fs.FeatureView:
    types = {f"c{i}": kind for i, kind in enumerate(kinds)}
    source = fs.EventSource(
        "events",
        schema={"id": "int64", "at": "timestamp", "user": "int64", **types},
        event_time="at",
        event_id="id",
    )
    features = [
        aggregation(f"{aggregation.__name__.lower()}{i}", column, windows=("7d",), where=where)
        for i, column in enumerate(types)
        for aggregation in aggregations
    ]
    return fs.FeatureView("wide", entity=fs.Entity("user", key="user"), source=source, aggregations=features)


def events(view: fs.FeatureView, rows: int) -> pa.Table:
    numbers = np.arange(rows)
    of_kind = {"int64": numbers + 1, "double": (numbers + 1) / 4}
    at = [START + timedelta(hours=int(number)) for number in numbers]
    fixed = {"id": numbers, "at": pa.array(at, pa.timestamp("us", "UTC")), "user": numbers % 2}
    return pa.table({**fixed, **{column: of_kind[kind] for column, kind in view.source.schema[3:]}})


def test_a_thousand_columns_are_read(tmp_path: Path) -> None:
    view = wide_view(["double"] * 1001)
    store = fs.FeatureStore(tmp_path)
    store.apply([view.source])
    assert store.ingest("events", events(view, 8)).rows_added == 8


def test_many_sums_are_right(tmp_path: Path) -> None:
    view = wide_view(["int64", "double"] * 150)
    store = fs.FeatureStore(tmp_path)
    store.apply([view])
    store.ingest("events", events(view, 8))
    store.materialize()
    row = store.get_batch_features("2024-01-05", ["wide"]).to_pylist()[1]
    assert row["user"] == 1
    assert [row[f"wide__sum{i}_7d"] for i in range(300)] == [20, 5.0] * 150


@pytest.mark.parametrize("where", [None, "c0 > 3"])
def test_memory_grows_with_the_columns_and_not_with_their_square(where: str | None) -> None:
    kinds = ["int64", "double"] * 75
    view = wide_view(kinds, KINDS, where)
    sql = tile_sql(view, "given", interval=JANUARY, timezone="UTC", naive_timezone="UTC")
    # DuckDB keeps a copy of all columns for each FILTER: here 900 times 150.
    assert "FILTER" not in sql
    with connect(memory_limit="300MB", threads=1) as session:
        session.register("given", events(view, 4000))
        assert session.sql(sql).to_arrow_table().num_rows


def test_a_thousand_keys_of_a_line_are_read(tmp_path: Path) -> None:
    view = wide_view(["string"] * 1001, (fs.Last,))
    line = ", ".join(f'"c{i}": "abcdefgh"' for i in range(1001))
    file = tmp_path / "events.jsonl"
    file.write_text("".join(f'{{"id": {i}, "at": "2024-01-01T00:00:00Z", "user": 1, {line}}}\n' for i in range(200)))
    store = fs.FeatureStore(tmp_path / "store")
    store.apply([view.source])
    assert store.ingest("events", str(file)).rows_added == 200
