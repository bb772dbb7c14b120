"""A view that gains or loses an aggregation reads what is new, and takes the rest from the tiles of before."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

import featurestore as fs
from featurestore.compute.materialization import tiles
from featurestore.compute.state import ViewState
from featurestore.lake.table import Table

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
WIDE = [f"column_{i}" for i in range(20)]
SOURCE = fs.EventSource(
    "orders",
    schema={
        "event_id": "int64",
        "event_time": "timestamp",
        "user_id": "int64",
        "kind": "string",
        "amount": "int64",
        "price": "double",
        "item": "int64",
        **dict.fromkeys(WIDE, "int64"),
    },
    event_id="event_id",
    event_time="event_time",
)
COUNT = fs.Count("orders", windows=("7d", "1y"))
SUM = fs.Sum("amount", "amount", windows=("30d",))
OF_A = fs.Count("of_a", where="kind = 'a'", windows=("30d",))
OF_B = fs.Sum("of_b", "column_3", where="kind = 'b'", windows=("30d",))
ADDED = [
    fs.Sum("spent", "price", windows=("30d",)),
    fs.Std("spread", "price", windows=("90d",)),
    fs.Distinct("items", "item", windows=("30d",)),
    fs.Quantile("median", "amount", windows=("30d",)),
    fs.Last("last_kind", "kind", windows=("1y",)),
    fs.Max("dearest", "price", windows=("30d",)),
    fs.Decayed("recent", "amount", half_life="7d", windows=("lifetime",)),
    OF_A,
    OF_B,
]


def view(*aggregations: Any) -> fs.FeatureView:
    return fs.FeatureView("user", entity=fs.Entity("user", key="user_id"), source=SOURCE, aggregations=list(aggregations))


def events(count: int = 400, *, first: int = 0) -> pl.DataFrame:
    chance = random.Random(first)
    return pl.DataFrame(
        {
            "event_id": range(first, first + count),
            "event_time": [START + timedelta(hours=6 * i) for i in range(first, first + count)],
            "user_id": [chance.randrange(12) for _ in range(count)],
            "kind": [chance.choice("ab") for _ in range(count)],
            "amount": [chance.randrange(100) for _ in range(count)],
            "price": [chance.random() for _ in range(count)],
            "item": [chance.randrange(9) for _ in range(count)],
            **{name: [chance.randrange(5) for _ in range(count)] for name in WIDE},
        }
    )


def store_with(path: Path, *aggregations: Any) -> fs.FeatureStore:
    store = fs.FeatureStore(path)
    store.apply([view(*aggregations)])
    store.ingest("orders", events())
    store.materialize()
    return store


@pytest.fixture
def aggregated(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """List the measures of each aggregation of events, which is what reads them."""
    seen: list[list[str]] = []
    real = tiles.aggregate

    def noting(state: ViewState, months: Sequence[Any], **options: Any) -> pa.Table:
        seen.append([measure.name for measure in options["measures"]])
        return real(state, months, **options)

    monkeypatch.setattr(tiles, "aggregate", noting)
    return seen


def answers(store: fs.FeatureStore) -> pa.Table:
    spine = {"user_id": list(range(13)) * 2, "as_of": [START + timedelta(days=60)] * 13 + [START + timedelta(days=99)] * 13}
    return store.get_historical_features(pl.DataFrame(spine), "user").replace_schema_metadata(None)


@pytest.mark.parametrize("added", ADDED, ids=lambda each: each.name)
def test_an_added_aggregation_reads_what_is_new_and_equals_a_view_that_always_had_it(
    tmp_path: Path, aggregated: list[list[str]], added: Any
) -> None:
    store = store_with(tmp_path / "grown", COUNT, SUM)
    had = set(measures_of(store))
    before = answers(store)
    aggregated.clear()
    store.apply([view(COUNT, SUM, added)])
    store.materialize()

    assert aggregated
    assert not any(had & set(measures) for measures in aggregated)
    assert answers(store).equals(answers(store_with(tmp_path / "always", COUNT, SUM, added)))
    assert answers(store).select(before.column_names).equals(before)
    assert store.verify().is_equal


def test_a_removed_aggregation_reads_no_event(tmp_path: Path, aggregated: list[list[str]]) -> None:
    store = store_with(tmp_path / "shrunk", COUNT, SUM, *ADDED)
    aggregated.clear()
    store.apply([view(COUNT, ADDED[1])])
    plan = store.plan([view(COUNT, ADDED[1])])
    store.materialize()
    assert aggregated == []
    assert not plan.changes
    assert answers(store).equals(answers(store_with(tmp_path / "always", COUNT, ADDED[1])))
    assert store.verify().is_equal


def test_conditions_that_let_other_events_in_are_computed_whole(tmp_path: Path, aggregated: list[list[str]]) -> None:
    store = store_with(tmp_path / "grown", OF_A)
    aggregated.clear()
    store.apply([view(OF_A, OF_B)])
    store.materialize()
    assert any(len(measures) == len(measures_of(store)) for measures in aggregated)
    assert answers(store).equals(answers(store_with(tmp_path / "always", OF_A, OF_B)))
    assert store.verify().is_equal


def test_months_of_newer_events_are_computed_and_the_others_taken(tmp_path: Path, aggregated: list[list[str]]) -> None:
    store = store_with(tmp_path / "grown", COUNT, SUM)
    store.ingest("orders", events(200, first=400))  # April 2024 and later
    aggregated.clear()
    store.apply([view(COUNT, SUM, OF_B)])
    store.materialize()
    assert sorted({len(measures) for measures in aggregated}) == [1, len(measures_of(store))]
    assert store.verify().is_equal


def test_damaged_tiles_of_before_are_computed_anew(tmp_path: Path) -> None:
    store = store_with(tmp_path / "grown", COUNT, SUM)
    for file in (tmp_path / "grown" / "lake" / "tiles").rglob("*.parquet"):
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    store.apply([view(COUNT, SUM, OF_B)])
    store.materialize()
    assert answers(store).equals(answers(store_with(tmp_path / "always", COUNT, SUM, OF_B)))
    assert store.verify().is_equal


def test_the_plan_names_the_columns_that_are_read(tmp_path: Path) -> None:
    store = store_with(tmp_path / "grown", COUNT, SUM)
    (added,) = store.plan([view(COUNT, SUM, OF_B)]).rebuilds
    assert added.columns == ("column_3", "event_time", "kind", "user_id")
    assert "column_3, event_time, kind, user_id alone; the other totals are kept" in str(added)
    (removed,) = store.plan([view(COUNT)]).rebuilds
    assert removed.columns == ()
    assert "not read; the other totals are kept" in str(removed)


def test_old_answers_are_read_again_after_the_change(tmp_path: Path) -> None:
    store = store_with(tmp_path / "grown", COUNT, SUM)
    spine = pl.DataFrame({"user_id": [1, 2, 3], "as_of": [START + timedelta(days=80)] * 3})
    training = store.get_historical_features(spine, "user")
    store.apply([view(COUNT, SUM, OF_B)])
    store.materialize()
    features = [f"user:{name.removeprefix('user__')}" for name in training.column_names if name.startswith("user__")]
    again = store.get_historical_features(spine, features, versions=training)
    assert again.equals(training)


def measures_of(store: fs.FeatureStore) -> list[str]:
    state = ViewState(store.layout, store.registry.views["user"], Table.open(store.layout.events("orders")))
    return [name for name in Table.open(state.tiles_path).column_types() if name not in ("code", "step", "month")]
