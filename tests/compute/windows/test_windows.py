"""Offsets, windows to date and seasons equal the double loop, whatever the grain, the time zone and the as_of."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from featurestore.compute.materialization.materialize import materialize
from featurestore.errors import DefinitionError, OverflowingResultError
from featurestore.lake.layout import create_or_open
from featurestore.spec import (
    Aggregation,
    Count,
    Decayed,
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
    SeasonWindow,
    Std,
    Sum,
    Trend,
    Var,
    YearBefore,
)
from featurestore.timeline import Offset
from tests.compute import oracle
from tests.compute.world import SOURCE, answers, ask, at, commit_events, event, random_events

BUY = "event_type = 'buy'"
WINDOWS: tuple[oracle.Window, ...] = (
    "30d",
    "1y",
    "ytd",
    "mtd",
    Offset("30d", by="1y"),
    Offset("lifetime", by="90d"),
    Offset("ytd", by="1y"),
    SeasonWindow("double11", years=3),
    SeasonWindow("spring_festival", years=2),
    SeasonWindow("after_spring_festival", years=9),
    SeasonWindow("618", years=1),
    YearBefore("30d"),
    YearBefore("1d"),
    YearBefore("lifetime"),
    YearBefore("ytd"),
)


def of(answer: Callable, *arguments) -> Callable:
    """The slow answer from the pairs of step and event inside a window, for one that looks at the events alone."""
    return lambda inside, grain: answer([each for _, each in inside], *arguments)


# One line per aggregation: how it is declared, and its slow answer.
FORMS: dict[Aggregation, Callable] = {
    Count("n", windows=WINDOWS): of(oracle.count),
    Count("buys", where=BUY, windows=WINDOWS): of(lambda inside: sum(each["event_type"] == "buy" for each in inside)),
    Sum("spend", "amount_cents", windows=WINDOWS): of(oracle.total, "amount_cents"),
    Sum("weight", "weight", windows=WINDOWS): of(oracle.total, "weight"),
    Mean("price", "amount_cents", windows=WINDOWS): of(oracle.mean, "amount_cents"),
    Var("spread", "amount_cents", windows=WINDOWS): of(oracle.variance, "amount_cents"),
    Std("scatter", "weight", windows=WINDOWS): of(oracle.deviation, "weight"),
    Trend("slope", "amount_cents", windows=WINDOWS): lambda inside, grain: oracle.slope(inside, "amount_cents", grain),
    Min("least", "amount_cents", windows=WINDOWS): of(oracle.extreme, "amount_cents", min),
    Max("most", "weight", windows=WINDOWS): of(oracle.extreme, "weight", max),
    First("opened", "category", windows=WINDOWS): of(oracle.first, "category"),
    Last("kind", "category", windows=WINDOWS): of(oracle.last, "category"),
}


MEDIAN = Quantile("median", "amount_cents", q=0.5, error=0.02, windows=WINDOWS)
KINDS = Distinct("kinds", "category", windows=("1y", Offset("30d", by="1y"), Offset("lifetime", by="90d"), YearBefore("30d")))


def make_view(grain: str = "1d", *more: Aggregation, **options) -> FeatureView:
    aggregations = [*FORMS, MEDIAN, KINDS, *more]
    return FeatureView(
        "activity", entity=Entity("user", key="user_id"), source=SOURCE, grain=grain, aggregations=aggregations, **options
    )


def make_spine(seed: int, zone: str) -> list[dict]:
    """As_ofs inside, before and behind seasons, at the first and last instants of months and years, and on leap days."""
    rng = np.random.default_rng(seed)
    edges = [
        datetime(year, month, day, tzinfo=ZoneInfo(zone)) + timedelta(microseconds=int(shift))
        for year in (2020, 2021, 2022, 2023)
        for month, day in [(1, 1), (1, 25), (2, 1), (2, 15), (3, 1), (6, 15), (7, 1), (11, 11), (12, 1), (12, 25)]
        for shift in [rng.choice([-1, 0, 1, 3_600_000_000])]
    ]
    leap = [datetime(2020, 2, 29, 13, tzinfo=ZoneInfo(zone)), datetime(2021, 2, 28, 13, tzinfo=ZoneInfo(zone))]
    anywhen = [at(2019, 6, 1) + timedelta(days=float(day)) for day in rng.uniform(0, 365 * 5, 20)]
    users = rng.permutation([7, 7, 7, *range(13)])
    return [
        {"user_id": int(users[i % len(users)]), "category": None, "as_of": as_of}
        for i, as_of in enumerate([*edges, *leap, *anywhen])
    ]


def check(root, view: FeatureView, zone: str, seed: int) -> None:
    layout = create_or_open(root, timezone=zone)
    events = random_events(seed, 600, years=4.2)
    commit_events(layout, events)
    materialize(layout, [view])
    spine = make_spine(seed, zone)
    got = ask(layout, view, spine).to_pylist()
    stepped = oracle.steps_of(events, grain=view.grain, zone=zone, time=view.event_time)
    options = {"grain": view.grain, "zone": zone, "delay": view.delay}
    for row, answer in zip(spine, got, strict=True):
        mine = [(step, each) for step, each in stepped if each["user_id"] == row["user_id"]]
        for declared in WINDOWS:
            inside = oracle.steps_in_window(mine, row["as_of"], declared, **options)
            suffix = declared if isinstance(declared, str) else declared.text
            for aggregation, expected in FORMS.items():
                found, value = answer[f"activity__{aggregation.name}_{suffix}"], expected(inside, view.grain)
                is_close = isinstance(value, float) and found is not None and math.isclose(found, value, rel_tol=1e-12)
                assert is_close or found == value, (row, aggregation.name, suffix, found, value)
            events_inside = [each for _, each in inside]
            median = answer[f"activity__median_{suffix}"]
            assert oracle.is_quantile(median, events_inside, "amount_cents", MEDIAN.q, MEDIAN.error), (row, suffix, median)
            if declared in KINDS.windows:
                assert answer[f"activity__kinds_{suffix}"] == oracle.distinct(events_inside, "category"), (row, suffix)


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "Europe/Berlin", "Asia/Kolkata"])
@pytest.mark.parametrize("grain", ["1d", "1h", "event"])
def test_every_window_equals_the_double_loop(tmp_path, grain: str, zone: str) -> None:
    check(tmp_path / "store", make_view(grain), zone, seed=1)


@pytest.mark.parametrize("grain", ["1d", "1h"])
def test_a_delay_moves_edges_back_and_seasons_until_they_are_complete(tmp_path, grain: str) -> None:
    check(tmp_path / "store", make_view(grain, delay="45d", event_time="ordered_at"), "Asia/Shanghai", seed=2)


def test_a_profile_adds_up_over_seasons(tmp_path) -> None:
    layout, window = create_or_open(tmp_path / "store", timezone="UTC"), SeasonWindow("618", years=2)
    view = make_view("1d", Profile("days", by="day_of_week", windows=(window,)))
    commit_events(layout, [event(i, at(2020 + i, 6, 1 + i)) for i in range(3)])
    materialize(layout, [view])
    # 2021-06-02 was a Wednesday, 2022-06-03 a Friday.
    assert answers(layout, view, (1, at(2022, 7, 1)), feature="days_618_2y") == [[0, 0, 1, 0, 1, 0, 0]]


def test_sums_of_several_pieces_that_do_not_fit_raise(tmp_path) -> None:
    layout, window = create_or_open(tmp_path / "store", timezone="UTC"), SeasonWindow("618", years=2)
    view = make_view("1d", Sum("paid", "amount_cents", windows=(window,)))
    paid = {at(2020, 6, 1): 2**62, at(2020, 7, 1): -(2**62), at(2021, 6, 1): 2**62}
    commit_events(layout, [event(i, moment, amount_cents=amount) for i, (moment, amount) in enumerate(paid.items())])
    materialize(layout, [view])
    with pytest.raises(OverflowingResultError, match="paid_618_2y"):
        answers(layout, view, (1, at(2021, 7, 1)), feature="paid_618_2y")


def test_windows_that_a_running_form_does_not_have_are_refused() -> None:
    with pytest.raises(DefinitionError, match="Distinct 'kinds' cannot look back over SeasonWindow"):
        Distinct("kinds", "category", windows=(SeasonWindow("618", years=2),))
    with pytest.raises(DefinitionError, match="Decayed 'recent' cannot look back over 'ytd'"):
        Decayed("recent", windows=("ytd",))
