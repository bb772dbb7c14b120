"""The engine equals the double loop: every aggregation, grain, key shape and time zone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from featurestore.compute.materialization.materialize import materialize
from featurestore.lake.layout import create_or_open
from featurestore.spec import (
    Count,
    Decayed,
    Derived,
    Distinct,
    Entity,
    FeatureView,
    First,
    Last,
    Max,
    Mean,
    Min,
    Profile,
    Quantile,
    Recency,
    Registry,
    Std,
    Sum,
    Trend,
    Var,
)
from tests.compute import oracle
from tests.compute.world import SOURCE, commit_events, historical_features, random_events, random_spine, spine_table

USER = Entity("user", key="user_id")
CATEGORY = Entity("category", key="category")
PAIR = Entity("user_category", key=("user_id", "category"))
BUY = "event_type = 'buy' and amount_cents > 0"
WINDOWS = {
    "1d": ("1d", "30d", "1y", "10y", "lifetime"),
    "1h": ("1h", "36h", "30d", "lifetime"),
    "event": ("1h", "30d", "lifetime"),
}
HALF_LIFE = {"1d": "7d", "1h": "12h", "event": "12h"}


def make_view(entity: Entity, grain: str, **options) -> FeatureView:
    windows = WINDOWS[grain]
    return FeatureView(
        "activity",
        entity=entity,
        source=SOURCE,
        grain=grain,
        aggregations=[
            Count("events", windows=windows),
            Count("buys", where=BUY, windows=windows),
            Sum("spend", "amount_cents", where=BUY, windows=windows),
            Sum("weight", "weight", windows=windows),
            Mean("price", "amount_cents", windows=windows),
            Mean("load", "weight", where="category <> 'TOYS'", windows=windows),
            Last("category", "category", windows=windows),
            Last("amount", "amount_cents", where="event_type = 'buy'"),
            Recency("since_buy", where=BUY),
            Profile("hours", by="hour_of_day", windows=windows[:2]),
            Profile("week", where=BUY, windows=windows[-2:]),
            Var("spread", "amount_cents", windows=windows),
            Std("scatter", "weight", where="category <> 'TOYS'", windows=windows),
            Trend("growth", "amount_cents", where=BUY, windows=windows),
            Trend("gain", "weight", windows=windows),
            Min("cheapest", "amount_cents", windows=windows),
            Max("heaviest", "weight", where=BUY, windows=windows),
            Max("newest", "ordered_at", windows=windows),
            First("entry", "category", windows=windows),
            First("start", "amount_cents", where=BUY, windows=windows),
            Decayed("warmth", where=BUY, half_life=HALF_LIFE[grain], windows=windows),
            Decayed("heat", "amount_cents", windows=windows),
            Distinct("amounts", "amount_cents", where=BUY, windows=windows),
            Distinct("categories", "category", windows=windows[1:]),
            Distinct("new_categories", "category", windows=windows[:1]),
            Distinct("order_times", "ordered_at", windows=windows[:1]),
            Quantile("median_amount", "amount_cents", windows=windows),
            Quantile("heavy", "weight", q=0.9, error=0.05, where=BUY, windows=windows[-2:]),
        ],
        derived=[Derived("basket", "spend_30d / nullif(buys_30d, 0)")],
        **options,
    )


@dataclass(frozen=True)
class Near:
    """Equal to what lies within the error of a quantile."""

    events: list[dict]
    column: str
    q: float
    error: float

    def __eq__(self, found: object) -> bool:
        return oracle.is_quantile(found, self.events, self.column, self.q, self.error)


def expected(view: FeatureView, stepped: list, row: dict, zone: str) -> dict:
    if row["as_of"] is None or any(row[key] is None for key in view.entity.keys):
        return {feature.name: None for feature in view.features}
    mine = [(step, event) for step, event in stepped if all(event[key] == row[key] for key in view.entity.keys)]
    options = {"grain": view.grain, "zone": zone, "delay": view.delay}
    right = oracle.right_step(row["as_of"], **options)
    inside = {window: oracle.steps_in_window(mine, row["as_of"], window, **options) for window in WINDOWS[view.grain]}

    def steps(window: str, accept=lambda event: True) -> list[tuple[object, dict]]:
        return [(step, event) for step, event in inside[window] if accept(event)]

    def rows(window: str, accept=lambda event: True) -> list[dict]:
        return [event for _, event in steps(window, accept)]

    def is_buy(event: dict) -> bool:
        return event["event_type"] == "buy" and event["amount_cents"] is not None and event["amount_cents"] > 0

    def no_toys(event: dict) -> bool:
        return event["category"] is not None and event["category"] != "TOYS"

    values = {}
    for window in WINDOWS[view.grain]:
        values[f"events_{window}"] = oracle.count(rows(window))
        values[f"buys_{window}"] = oracle.count(rows(window, is_buy))
        values[f"spend_{window}"] = oracle.total(rows(window, is_buy), "amount_cents")
        values[f"weight_{window}"] = oracle.total(rows(window), "weight")
        values[f"price_{window}"] = oracle.mean(rows(window), "amount_cents")
        values[f"load_{window}"] = oracle.mean(rows(window, no_toys), "weight")
        values[f"category_{window}"] = oracle.last(rows(window), "category")
        values[f"spread_{window}"] = oracle.variance(rows(window), "amount_cents")
        values[f"scatter_{window}"] = oracle.deviation(rows(window, no_toys), "weight")
        values[f"growth_{window}"] = oracle.slope(steps(window, is_buy), "amount_cents", view.grain)
        values[f"gain_{window}"] = oracle.slope(steps(window), "weight", view.grain)
        values[f"cheapest_{window}"] = oracle.extreme(rows(window), "amount_cents", min)
        values[f"heaviest_{window}"] = oracle.extreme(rows(window, is_buy), "weight", max)
        values[f"newest_{window}"] = oracle.extreme(rows(window), "ordered_at", max)
        values[f"entry_{window}"] = oracle.first(rows(window), "category")
        values[f"start_{window}"] = oracle.first(rows(window, is_buy), "amount_cents")
        values[f"warmth_{window}"] = oracle.decayed(steps(window, is_buy), right, None, HALF_LIFE[view.grain], view.grain)
        values[f"heat_{window}"] = oracle.decayed(steps(window), right, "amount_cents", "30d", view.grain)
        values[f"amounts_{window}"] = oracle.distinct(rows(window, is_buy), "amount_cents")
        values[f"median_amount_{window}"] = Near(rows(window), "amount_cents", 0.5, 0.01)
    first = WINDOWS[view.grain][0]
    values |= {f"categories_{window}": oracle.distinct(rows(window), "category") for window in WINDOWS[view.grain][1:]}
    values[f"new_categories_{first}"] = oracle.distinct(rows(first), "category")
    values[f"order_times_{first}"] = oracle.distinct(rows(first), "ordered_at")
    for window in WINDOWS[view.grain][-2:]:
        values[f"week_{window}"] = oracle.profile(rows(window, is_buy), view.event_time, zone, "hour_of_week")
        values[f"heavy_{window}"] = Near(rows(window, is_buy), "weight", 0.9, 0.05)
    for window in WINDOWS[view.grain][:2]:
        values[f"hours_{window}"] = oracle.profile(rows(window), view.event_time, zone, "hour_of_day")
    values["amount"] = oracle.last(rows("lifetime", lambda e: e["event_type"] == "buy"), "amount_cents")
    values["since_buy"] = oracle.recency(rows("lifetime", is_buy), row, time=view.event_time, **options)
    buys = values["buys_30d"]
    values["basket"] = values["spend_30d"] / buys if buys else None
    return values


def check(root, view: FeatureView, events: list[dict], zone: str, *, batches: int = 1, seed: int = 0) -> None:
    layout = create_or_open(root, timezone=zone)
    registry = Registry().merged([view])
    for batch in range(batches):
        commit_events(layout, events[batch::batches])
        materialize(layout, [view])
    spine = random_spine(seed, events)
    table = historical_features(
        layout, registry, spine_table(spine), "activity", as_of="as_of", join_keys=None, parameters=lambda name: []
    )
    assert table.num_rows == len(spine)
    got = table.to_pylist()
    stepped = oracle.steps_of(events, grain=view.grain, zone=zone, time=view.event_time)
    for row, answer in zip(spine, got, strict=True):
        assert {name: answer[name] for name in row} == row
        for name, value in expected(view, stepped, row, zone).items():
            found = answer[f"activity__{name}"]
            if isinstance(value, float) and found is not None:
                assert math.isclose(found, value, rel_tol=1e-12, abs_tol=1e-12), (row, name, found, value)
            else:
                assert found == value, (row, name, found, value)


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "Europe/Berlin", "Asia/Kolkata"])
@pytest.mark.parametrize("grain", ["1d", "1h", "event"])
def test_every_aggregation_equals_the_double_loop(tmp_path, grain: str, zone: str) -> None:
    check(tmp_path / "store", make_view(USER, grain), random_events(seed=1), zone)


@pytest.mark.parametrize("entity", [CATEGORY, PAIR], ids=lambda entity: entity.name)
def test_string_and_composite_keys_equal_the_double_loop(tmp_path, entity: Entity) -> None:
    check(tmp_path / "store", make_view(entity, "1d"), random_events(seed=2), "Asia/Shanghai")


def test_another_clock_column_and_a_delay_move_both_edges(tmp_path) -> None:
    view = make_view(USER, "1d", event_time="ordered_at", delay="45d")
    check(tmp_path / "store", view, random_events(seed=3), "Asia/Shanghai")


@pytest.mark.parametrize("seed", range(3))
def test_events_that_arrive_in_any_order_give_the_same_answer(tmp_path, seed: int) -> None:
    check(tmp_path / "store", make_view(USER, "1d"), random_events(seed=10 + seed), "Asia/Shanghai", batches=4, seed=seed)


def test_without_hot_copies_the_answer_is_the_same(tmp_path, monkeypatch) -> None:
    for writer in ("materialization.staging", "materialization.healing", "search.hot_copy"):
        monkeypatch.setattr(f"featurestore.compute.{writer}.write_hot", lambda *args: None)
    check(tmp_path / "store", make_view(PAIR, "1d"), random_events(seed=4), "Asia/Shanghai", batches=2)
    assert not list((tmp_path / "store").glob("hot/**/*.arrow"))
