"""Sources without event_id: what is delivered again is known, equal rows of one file stay, as counted by a few lines of Python."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

import featurestore as fs
from featurestore.errors import DefinitionError, IngestError
from featurestore.lake.ingestion.ingest import ingest
from featurestore.lake.layout import create_or_open
from featurestore.lake.table import Table

UTC = timezone.utc
TYPES = {"user_id": "string", "at": "timestamp", "cds": "int64", "dollars": "double"}
SCHEMA = pa.schema(
    [("user_id", pa.string()), ("at", pa.timestamp("us", "UTC")), ("cds", pa.int64()), ("dollars", pa.float64())]
)

Row = tuple[str, datetime, int | None, float]


def orders(types: dict[str, str] | None = None, **more: Any) -> fs.EventSource:
    return fs.EventSource("orders", schema=types or TYPES, event_time="at", event_id=None, **more)


def view(of: fs.EventSource, *more: fs.Aggregation) -> fs.FeatureView:
    aggregations = [
        fs.Count("n"),
        fs.Sum("cds", "cds"),
        fs.Last("newest", "cds"),
        fs.Distinct("sizes", "cds", windows=("30d",)),
    ]
    return fs.FeatureView("buyers", entity=fs.Entity("user", key="user_id"), source=of, aggregations=[*aggregations, *more])


def some_orders(rng: random.Random, count: int) -> list[Row]:
    """Few different rows, so that many are equal."""
    return [
        (
            f"u{rng.randrange(3)}",
            datetime(2024, rng.choice([1, 2]), rng.randrange(1, 4), tzinfo=UTC),
            rng.choice([1, 2, None]),
            1.5,
        )
        for _ in range(count)
    ]


def table(rows: Sequence[Row]) -> pa.Table:
    return pa.table(
        [pa.array(column, kind) for column, kind in zip(zip(*rows, strict=True), SCHEMA.types, strict=True)], SCHEMA
    )


def counted(files: Iterable[Sequence[Row]]) -> Counter[Row]:
    """Of each row as many as the file with most of it has."""
    most: Counter[Row] = Counter()
    for file in files:
        most |= Counter(file)
    return most


def committed(store: fs.FeatureStore) -> Counter[Row]:
    files = sorted(store.layout.events("orders").rglob("*.parquet"))
    live = {file.path for file in Table.open(store.layout.events("orders")).files()}
    tables = [pq.ParquetFile(file).read() for file in files if file in live]
    assert all(each["$event_id"].null_count == 0 for each in tables)
    return Counter(tuple(row.values()) for each in tables for row in each.select(SCHEMA.names).to_pylist())


@pytest.mark.parametrize("seed", range(3))
def test_files_that_overlap_add_what_is_new_of_them_in_any_order_and_batches(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    every = some_orders(rng, 60)
    files = [rng.sample(every, rng.randrange(10, 60)) for _ in range(4)]
    files.append(rng.sample(files[0], len(files[0])))  # the first once more, in another order
    store = fs.FeatureStore(tmp_path / "store", timezone="UTC")
    store.apply([view(orders())])
    for i, file in enumerate(files):
        before = committed(store).total()
        if seed == 2:
            report = ingest(store.layout, orders(), table(file), batch_rows=7)
        else:
            pc.write_csv(table(file), tmp_path / f"{i}.csv") if seed else pq.write_table(table(file), tmp_path / f"{i}.parquet")
            report = store.ingest("orders", tmp_path / f"{i}.{'csv' if seed else 'parquet'}")
        expected = counted(files[: i + 1])
        assert committed(store) == expected
        assert (report.rows_added, report.duplicates) == (expected.total() - before, len(file) - expected.total() + before)
    assert (report.rows_added, report.months, report.quarantined) == (0, (), {})


def test_rows_of_a_file_that_needs_several_batches_are_counted_on_and_those_of_the_next_file_anew(tmp_path: Path) -> None:
    row = ("u1", datetime(2024, 1, 1, tzinfo=UTC), 1, 2.5)
    for name, rows in (("a", 50_000), ("b", 50_003)):
        pq.write_table(table([row] * rows), tmp_path / f"{name}.parquet")
    layout = create_or_open(tmp_path / "store", timezone="UTC")
    report = ingest(layout, orders(), [tmp_path / "a.parquet", tmp_path / "b.parquet"], batch_rows=20_000)
    assert (report.rows_added, report.duplicates) == (50_003, 50_000)


def test_views_of_a_source_without_ids_answer_as_those_of_one_with(tmp_path: Path) -> None:
    rows = some_orders(random.Random(5), 80)
    store = fs.FeatureStore(tmp_path, timezone="UTC")
    numbered = fs.EventSource("numbered", schema={**TYPES, "id": "int64"}, event_time="at", event_id="id")
    with_ids = fs.FeatureView(
        "with_ids", entity=fs.Entity("user", key="user_id"), source=numbered, aggregations=view(orders()).aggregations
    )
    store.apply([view(orders()), with_ids])
    store.ingest("orders", table(rows))
    store.ingest("numbered", table(rows).append_column("id", pa.array(range(len(rows)))))
    store.materialize()
    instants = [datetime(2024, 1, day, tzinfo=UTC) for day in (2, 3, 4, 31)]
    spine = pa.table(
        {"user_id": [f"u{i}" for i in range(3)] * 4, "as_of": pa.array([each for each in instants for _ in range(3)])}
    )
    features = ["buyers:n", "buyers:cds", "buyers:sizes_30d", "with_ids:n", "with_ids:cds", "with_ids:sizes_30d"]
    for as_known in (False, True):
        found = store.get_historical_features(spine, [*features, "buyers:newest"], as_known=as_known)
        for feature in ("n", "cds", "sizes_30d"):
            assert found[f"buyers__{feature}"].to_pylist() == found[f"with_ids__{feature}"].to_pylist()
    assert store.verify().is_equal
    again = fs.FeatureStore(tmp_path / "again", timezone="UTC")
    again.apply([view(orders())])
    again.ingest("orders", table(rows[::-1]))
    again.materialize()
    newest = again.get_historical_features(spine, ["buyers:newest"])["buyers__newest"].to_pylist()
    assert newest == found["buyers__newest"].to_pylist()


def test_the_earliest_ingested_at_of_a_row_stays(tmp_path: Path) -> None:
    of = orders({**TYPES, "known": "timestamp"}, ingested_at="known")
    store = fs.FeatureStore(tmp_path, timezone="UTC")
    store.apply([view(of)])
    row = ("u1", datetime(2024, 1, 1, tzinfo=UTC), 1, 2.5)
    for day in (5, 7, 3, 4):
        report = store.ingest("orders", table([row]).append_column("known", pa.array([datetime(2024, 1, day, tzinfo=UTC)])))
        assert report.rows_added + report.duplicates == 1
    store.materialize()
    for day, count in ((3, 0), (4, 1)):
        spine = pa.table({"user_id": ["u1"], "as_of": pa.array([datetime(2024, 1, day, tzinfo=UTC)])})
        assert store.get_historical_features(spine, ["buyers:n"], as_known=True)["buyers__n"].to_pylist() == [count]


def test_a_column_that_is_declared_later_is_not_part_of_what_identifies_a_row(tmp_path: Path) -> None:
    row = ("u1", datetime(2024, 1, 1, tzinfo=UTC), 1, 2.5)
    store = fs.FeatureStore(tmp_path, timezone="UTC")
    store.apply([view(orders())])
    store.ingest("orders", table([row, row]))
    store.apply([view(orders({**TYPES, "shop": "string"}))])
    assert store.ingest("orders", table([row, row])).duplicates == 2
    more = table([row, row, row]).append_column("shop", pa.array([None, "a", "b"]))
    report = store.ingest("orders", more)
    assert (report.rows_added, report.duplicates, report.quarantined) == (1, 1, {"conflict": 1})
    store.materialize()
    assert store.verify().is_equal


def test_corrections_are_refused_where_nothing_identifies_an_event(tmp_path: Path) -> None:
    store = fs.FeatureStore(tmp_path, timezone="UTC")
    store.apply([view(orders())])
    rows = table([("u1", datetime(2024, 1, 1, tzinfo=UTC), 1, 2.5)])
    with pytest.raises(IngestError, match="has no event_id"):
        store.ingest("orders", rows, replace=True)
    store.ingest("orders", rows)
    assert fs.FeatureStore(tmp_path).registry.sources["orders"].event_id is None
    with pytest.raises(DefinitionError, match="event_id=None; it cannot become 'user_id'"):
        store.apply([view(fs.EventSource("orders", schema=TYPES, event_time="at", event_id="user_id"))])


def test_a_purchase_log_without_order_ids_keeps_its_genuine_duplicates(tmp_path: Path) -> None:
    day = date(1997, 1, 1)
    rows = [
        (f"{user:05}", datetime(1997, 1, 1, tzinfo=UTC) + timedelta(days=(user * 7 + i) % 500), 1 + i % 3, 11.77)
        for user in range(500)
        for i in range(3)
    ]
    rows += rows[::20]
    store = fs.FeatureStore(tmp_path / "store", timezone="America/New_York")
    dates = pa.table({"user_id": [row[0] for row in rows], "at": [row[1].date() for row in rows]})
    dates = dates.append_column("cds", pa.array([row[2] for row in rows])).append_column(
        "dollars", pa.array([11.77] * len(rows))
    )
    assert min(dates["at"].to_pylist()) == day
    store.apply([view(orders())])
    pc.write_csv(dates, tmp_path / "all.csv")
    assert store.ingest("orders", tmp_path / "all.csv").rows_added == len(rows)
    assert store.ingest("orders", tmp_path / "all.csv").duplicates == len(rows)
    assert store.ingest("orders", dates).duplicates == len(rows)
