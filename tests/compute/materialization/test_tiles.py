"""Tiles: the SQL that makes them, reviewed as golden files, and what it must not get wrong."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from featurestore.compute.materialization.materialize import materialize
from featurestore.compute.materialization.tile_query import tile_sql
from featurestore.compute.state import ViewState
from featurestore.errors import ExpressionError, OverflowingResultError
from featurestore.lake.arrow_parquet import read_parquet
from featurestore.lake.layout import create_or_open
from featurestore.lake.table import Table
from featurestore.spec import Count, Entity, EventSource, FeatureView, Last, Mean, Profile, Recency, Sum
from featurestore.timeline import Interval, Month
from tests.compute.world import SCHEMA, SOURCE, answers, at, commit_events, event

GOLDEN = Path(__file__).parent / "golden"
USER = Entity("user", key="user_id")
PAIR = Entity("user_category", key=("user_id", "category"))


def view(*aggregations, **changes) -> FeatureView:
    return FeatureView(
        "activity", **{"entity": USER, "source": SOURCE, "aggregations": aggregations or [Count("events")], **changes}
    )


VIEWS = {
    "counts_by_day": (
        view(Count("events"), Count("buys", where="event_type = 'buy'"), Sum("spend", "amount_cents")),
        "Asia/Shanghai",
    ),
    "conditions_over_a_clock_change": (
        view(
            Sum("spend", "amount_cents", where="event_type in ('buy', 'it''s')"), Recency("since", where="amount_cents > 0.5")
        ),
        "Europe/Berlin",
    ),
    "doubles_in_fixed_point_by_hour": (
        view(Mean("load", "weight"), Sum("raw", "weight", resolution_bits=0), grain="1h"),
        "UTC",
    ),
    "last_values_by_event": (view(Last("category", "category"), Recency("since"), grain="event", entity=PAIR), "Asia/Kolkata"),
    "profile_on_another_clock": (
        view(Profile("days", by="day_of_week"), entity=PAIR, event_time="ordered_at", join_keys={"user_id": "amount_cents"}),
        "Asia/Shanghai",
    ),
}


@pytest.mark.parametrize("name", VIEWS)
def test_the_query_of_a_tile_is_the_reviewed_one(name: str, updates_golden: bool) -> None:
    item, zone = VIEWS[name]
    interval = Interval(Month(2024, 3).interval(zone).start_us, Month(2024, 4).interval(zone).end_us)
    sql = tile_sql(item, "read_parquet(['events.parquet'])", interval=interval, timezone=zone, naive_timezone="UTC") + "\n"
    file = GOLDEN / f"{name}.sql"
    if updates_golden:
        file.write_text(sql, encoding="utf-8")
    assert sql == file.read_text(encoding="utf-8"), "if this is intended: pytest --update-golden, and review the diff"


def test_every_golden_file_belongs_to_a_view() -> None:
    assert {file.stem for file in GOLDEN.glob("*.sql")} == set(VIEWS)


def built(layout, item: FeatureView) -> dict[str, list[dict]]:
    state = ViewState(layout, item, Table.open(layout.events(item.source.name)))
    return {file.partition["month"]: read_parquet(file.path).to_pylist() for file in Table.open(state.tiles_path).files()}


def test_a_tile_has_one_row_per_entity_and_step_with_activity_sorted_by_step_and_code(tmp_path) -> None:
    layout, item = create_or_open(tmp_path / "store"), view(Sum("spend", "amount_cents"))
    commit_events(
        layout,
        [event(1, at(2024, 1, 2), 5), event(2, at(2024, 1, 2, 7), 5), event(3, at(2024, 1, 1), 9), event(4, at(2024, 1, 2), 9)],
    )
    materialize(layout, [item])
    (rows,) = built(layout, item).values()
    assert [(row["step"], row["code"]) for row in rows] == [(19723, 1), (19724, 0), (19724, 1)]
    assert [next(value for name, value in row.items() if name.startswith("sum")) for row in rows] == [100, 200, 100]


def test_an_event_without_a_key_or_outside_every_condition_is_in_no_tile(tmp_path) -> None:
    layout, item = create_or_open(tmp_path / "store"), view(Count("buys", where="event_type = 'buy'"), entity=PAIR)
    commit_events(
        layout,
        [
            event(1, at(2024, 1, 2), None),
            event(2, at(2024, 1, 2), 5, category=None),
            event(3, at(2024, 1, 2), 5, event_type="view"),
            event(4, at(2024, 1, 2), 5, event_type=None),
            event(5, at(2024, 1, 2), 5),
        ],
    )
    assert materialize(layout, [item]).tile_rows == 1


def test_source_columns_may_be_named_like_the_columns_of_a_tile(tmp_path) -> None:
    names = ("step", "code", "key_0", "count", "ends", "rowid")
    source = EventSource(
        "events", schema={**SCHEMA, **dict.fromkeys(names, "int64")}, event_time="event_time", event_id="event_id"
    )
    item = FeatureView(
        "activity", entity=Entity("thing", key=names), source=source, aggregations=[Sum("total", "step"), Count("count")]
    )
    sql = tile_sql(
        item,
        f"(SELECT TIMESTAMPTZ '2024-01-01' AS event_time, {', '.join(f'7 AS {name}' for name in names)})",
        interval=Interval(0, 2**61),
        timezone="UTC",
        naive_timezone="UTC",
    )
    import duckdb

    with duckdb.connect() as connection:
        table = connection.sql(sql).to_arrow_table()
    assert [table[f"key_{i}"].to_pylist() for i in range(6)] == [[7]] * 6
    assert table["step"].to_pylist() == [19723]


@pytest.mark.parametrize("grain", ["1d", "1h", "event"])
@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York"])
def test_times_before_1970_fall_into_their_own_step_and_bucket(tmp_path, grain: str, zone: str) -> None:
    layout = create_or_open(tmp_path / "store", timezone=zone)
    item = view(
        Count("n", windows=("1d",)), Profile("hours", by="hour_of_day", windows=("1d",)), event_time="ordered_at", grain=grain
    )
    moments = [at(1969, 12, 31, 17, 30), at(1905, 6, 1, 3), at(1850, 2, 3, 12), at(2250, 5, 5, 5)]
    commit_events(layout, [event(i, at(2024), ordered_at=moment) for i, moment in enumerate(moments)])
    materialize(layout, [item])
    asked = [(1, moment + timedelta(days=days)) for moment in moments for days in (0, 1)]
    assert answers(layout, item, *asked, feature="n_1d") == [0, 1] * len(moments)
    hours = answers(layout, item, *asked[1::2], feature="hours_1d")
    assert [sum(counts) for counts in hours] == [1] * len(moments)
    assert hours[0].index(1) == {"Asia/Shanghai": 1, "America/New_York": 12}[zone]


def test_one_odd_time_makes_one_more_month_and_not_the_decades_between(tmp_path) -> None:
    layout, item = create_or_open(tmp_path / "store"), view(Count("n"), event_time="ordered_at")
    commit_events(
        layout,
        [event(1, at(2024, 3, 5)), event(2, at(2024, 3, 6), ordered_at=at(1970)), event(3, at(2024, 3, 7), ordered_at=None)],
    )
    report = materialize(layout, [item])
    assert [str(month) for month in report.views[0].months] == ["1970-01", "2024-03"]
    assert answers(layout, item, (1, at(2024, 4)), (1, at(1980)), (1, at(1970)), feature="n") == [2, 1, 0]


def test_events_whose_other_time_has_no_statistics_are_not_lost(tmp_path) -> None:
    from featurestore.client import FeatureStore

    more = {f"more_{i}": "int64" for i in range(40)}
    source = EventSource(
        "events",
        schema={"event_id": "int64", "event_time": "timestamp", "user_id": "int64", **more, "ordered_at": "timestamp"},
        event_time="event_time",
        event_id="event_id",
    )
    item = FeatureView("activity", entity=USER, source=source, aggregations=[Count("n")], event_time="ordered_at")
    store = FeatureStore(tmp_path / "store")
    store.apply([item])
    import pyarrow as pa

    times = pa.array([at(2024, 3), at(2024, 3)], pa.timestamp("us", "UTC"))
    rows = {"event_id": [1, 2], "event_time": times, "user_id": [1, 1], **{name: [1, 1] for name in more}}
    store.ingest("events", pa.table({**rows, "ordered_at": pa.array([at(2024, 2), None], times.type)}))
    store.materialize()
    assert answers(store.layout, item, (1, at(2024, 4)), feature="n") == [1]


def test_an_hour_that_two_months_share_is_counted_once_in_each(tmp_path) -> None:
    layout, item = create_or_open(tmp_path / "store", timezone="Asia/Kolkata"), view(Count("n", windows=("1h",)), grain="1h")
    commit_events(
        layout, [event(1, at(2023, 12, 31, 18, 29)), event(2, at(2023, 12, 31, 18, 30)), event(3, at(2024, 1, 31, 18, 45))]
    )
    materialize(layout, [item])
    assert {month: len(rows) for month, rows in built(layout, item).items()} == {"2023-12": 1, "2024-01": 1, "2024-02": 1}
    asked = [(1, at(2023, 12, 31, 18, 59)), (1, at(2023, 12, 31, 19)), (1, at(2023, 12, 31, 20)), (1, at(2024, 1, 31, 19))]
    assert answers(layout, item, *asked, feature="n_1h") == [0, 2, 0, 1]


def test_a_sum_of_one_step_beyond_64_bits_is_refused_with_the_view_and_the_months(tmp_path) -> None:
    layout, item = create_or_open(tmp_path / "store"), view(Sum("spend", "amount_cents"))
    commit_events(layout, [event(1, at(2024), amount_cents=2**63 - 1), event(2, at(2024), amount_cents=1)])
    with pytest.raises(OverflowingResultError, match=r"view 'activity' between 2024-01-01 and 2024-02-01.*larger unit"):
        materialize(layout, [item])


def test_a_double_beyond_its_resolution_is_refused_and_a_coarser_one_takes_it(tmp_path) -> None:
    layout = create_or_open(tmp_path / "store")
    commit_events(layout, [event(1, at(2024), weight=1e18), event(2, at(2024), weight=-3.0)])
    with pytest.raises(OverflowingResultError, match="resolution_bits"):
        materialize(layout, [view(Sum("load", "weight", resolution_bits=40))])
    coarse = view(Sum("load", "weight", resolution_bits=10))
    materialize(layout, [coarse])
    assert answers(layout, coarse, (1, at(2025)), feature="load") == [1e18 - 3.0]


def test_a_condition_that_fails_on_an_event_says_so_and_not_that_a_sum_is_too_large(tmp_path) -> None:
    layout = create_or_open(tmp_path / "store")
    commit_events(layout, [event(1, at(2024), category="12"), event(2, at(2024))])
    with pytest.raises(ExpressionError, match="TRY_CAST"):
        materialize(layout, [view(Count("n", where="cast(category as bigint) > 1"))])
    tolerant = view(Count("n", where="try_cast(category as bigint) > 1"))
    materialize(layout, [tolerant])
    assert answers(layout, tolerant, (1, at(2025)), feature="n") == [1]


def test_a_division_by_zero_in_a_condition_is_not_true(tmp_path) -> None:
    layout = create_or_open(tmp_path / "store")
    item = view(
        Count("a", where="5 // amount_cents > 1"),
        Count("b", where="5 % amount_cents > 1"),
        Count("c", where="5 / amount_cents > 1"),
    )
    commit_events(layout, [event(1, at(2024), amount_cents=0), event(2, at(2024), amount_cents=2)])
    materialize(layout, [item])
    assert [answers(layout, item, (1, at(2025)), feature=name) for name in "abc"] == [[1], [0], [1]]
