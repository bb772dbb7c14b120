"""Snapshots and calibration inputs: the same values as retrieval gives, for a panel that stays the same."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from featurestore.compute.keys import load_keys
from featurestore.compute.materialization.materialize import materialize
from featurestore.compute.snapshots.fitting_inputs import MonthlyInputs
from featurestore.compute.snapshots.panel import Panel
from featurestore.compute.windows.derive import ParameterVersion
from featurestore.compute.windows.view_query import ViewQuery, view_queries
from featurestore.drift.sketches.edges import fit_edges
from featurestore.drift.sketches.sketch import sketch
from featurestore.lake.layout import Layout, create_or_open
from featurestore.spec import (
    Calibration,
    Count,
    Decayed,
    Derived,
    Entity,
    FeatureView,
    First,
    Last,
    Max,
    Min,
    Registry,
    SeasonWindow,
    Std,
    Sum,
    Trend,
    Var,
    YearBefore,
)
from featurestore.timeline import Clock, Month, Offset, from_us
from tests.compute.world import SOURCE, ask, at, commit_events, event

ZONE = "Europe/Berlin"
USERS = 60
MARCH = Month(2023, 3)  # 743 hours in Berlin


def make_view(**changes) -> FeatureView:
    given = {
        "entity": Entity("user", key="user_id"),
        "source": SOURCE,
        "aggregations": [
            Count("n", windows=("30d", "1y", "10y", "lifetime")),
            Sum("spend", "amount_cents", windows=("30d",)),
            Last("category", "category"),
        ],
        "derived": [Derived("mean", "spend_30d / n_30d")],
    }
    return FeatureView("activity", **{**given, **changes})


def make_events() -> list[dict]:
    rng = np.random.default_rng(9)
    moments = [at(2021, 1, 1) + timedelta(days=float(day)) for day in rng.uniform(0, 850, 700)]
    return [
        event(i, moment, int(rng.integers(USERS)), amount_cents=int(rng.integers(1000)), category=str(rng.choice(["A", "B"])))
        for i, moment in enumerate(moments)
    ]


@pytest.fixture(scope="module")
def layout(tmp_path_factory) -> Layout:
    found = create_or_open(tmp_path_factory.mktemp("panel") / "store", timezone=ZONE)
    commit_events(found, make_events())
    materialize(found, [make_view(), make_view(grain="1h")])
    return found


def query(layout: Layout, view: FeatureView) -> ViewQuery:
    (found,) = view_queries(layout, Registry().merged([view]), view)
    return found


def panel(layout: Layout, view: FeatureView | None = None, *, size: int = 1000) -> Panel:
    return Panel(query(layout, view or make_view()), size=size, parameters=lambda name: [])


def answer_at(layout: Layout, view: FeatureView, users: list[int], instant_us: int) -> pa.Table:
    return ask(layout, view, [{"user_id": user, "category": None, "as_of": from_us(instant_us)} for user in users])


@pytest.mark.parametrize("grain", ["1d", "1h"])
def test_a_snapshot_equals_retrieval_at_the_first_instant_of_the_next_month(layout, grain: str) -> None:
    view = make_view(grain=grain)
    snapshot = panel(layout, view).snapshot(MARCH)
    users = snapshot["user_id"].to_pylist()
    expected = answer_at(layout, view, users, MARCH.interval(ZONE).end_us)
    for name in ("n_30d", "n_1y", "spend_30d", "mean"):
        assert snapshot[f"activity__{name}"].to_pylist() == expected[f"activity__{name}"].to_pylist()


def test_windows_over_a_year_are_taken_over_the_month_and_say_so(layout) -> None:
    snapshot = panel(layout).snapshot(MARCH)
    month = MARCH.interval(ZONE)
    inside = [each for each in make_events() if month.start_us <= each["event_time"].timestamp() * 1e6 < month.end_us]
    expected = [sum(each["user_id"] == user for each in inside) for user in snapshot["user_id"].to_pylist()]
    assert snapshot["activity__n_10y"].to_pylist() == snapshot["activity__n_lifetime"].to_pylist() == expected
    scored_on = {field.name: (field.metadata or {}).get(b"scored_on") for field in snapshot.schema}
    assert scored_on["activity__n_10y"] == scored_on["activity__n_lifetime"] == b"inflow"
    assert scored_on["activity__category"] == b"within a year"
    assert scored_on["activity__n_1y"] is None


def test_windows_of_other_shapes_are_levels_with_their_whole_look_back_or_the_months_inflow(layout) -> None:
    windows = (Offset("30d", by="1y"), Offset("2y", by="30d"), "ytd", "mtd", SeasonWindow("618", years=1), YearBefore("30d"))
    view = make_view(
        aggregations=[
            Count("n", windows=("30d", *windows)),
            Sum("spend", "amount_cents", windows=("30d",)),
            Last("category", "category", windows=("mtd",)),
        ],
        derived=[Derived("growth", "n_30d - n_30d_offset_1y")],
    )
    snapshot = panel(layout, view).snapshot(MARCH)
    users = snapshot["user_id"].to_pylist()
    expected = answer_at(layout, view, users, MARCH.interval(ZONE).end_us)
    for name in ("growth", "n_30d_year_before"):
        assert snapshot[f"activity__{name}"].to_pylist() == expected[f"activity__{name}"].to_pylist()
    inflow = snapshot["activity__n_mtd"].to_pylist()
    assert any(inflow)
    assert not any(expected["activity__n_mtd"].to_pylist())
    assert inflow == snapshot["activity__n_ytd"].to_pylist() == snapshot["activity__n_618_1y"].to_pylist()
    metadata = {field.name.removeprefix("activity__"): field.metadata or {} for field in snapshot.schema}
    scored_on = {name: found.get(b"scored_on") for name, found in metadata.items() if b"scored_on" in found}
    assert scored_on == {
        **{f"n_{text}": b"inflow" for text in ("2y_offset_30d", "ytd", "mtd", "618_1y")},
        "category_mtd": b"within a year",
    }
    assert [metadata[name][b"full_since"] for name in ("n_30d", "n_30d_offset_1y", "n_30d_year_before", "growth")] == [
        b"2021-01-01",
        b"2022-01-01",
        b"2022-02-01",
        b"2022-01-01",
    ]


def test_what_is_planned_with_by_the_hour_has_no_monthly_level(layout) -> None:
    counts = Count("n", windows=("2h", "24h", "25h", "lifetime", YearBefore("2h"), YearBefore("30d")))
    derived = [Derived("now", "n_2h / nullif(n_2h_year_before, 0)"), Derived("rush", "n_2h / nullif(n_lifetime, 0)")]
    snapshot = panel(layout, make_view(grain="1h", aggregations=[counts], derived=derived)).snapshot(MARCH)
    assert snapshot.column_names == ["user_id", *(f"activity__{name}" for name in ("n_25h", "n_lifetime", "rush"))]
    last_day = Count("n", windows=("1d", YearBefore("1d")))
    daily = panel(layout, make_view(aggregations=[last_day], derived=[])).snapshot(MARCH)
    assert daily.column_names == ["user_id", "activity__n_1d", "activity__n_1d_year_before"]


def test_a_feature_names_the_month_since_which_its_window_lies_inside_the_history(layout) -> None:
    full = {field.name: (field.metadata or {}).get(b"full_since") for field in panel(layout).snapshot(MARCH).schema}
    assert full["activity__n_30d"] == full["activity__mean"] == b"2021-01-01"
    assert full["activity__n_1y"] == b"2021-12-01"


def test_a_feature_begins_with_the_first_version_of_what_it_reads_itself_or_through_others(layout) -> None:
    given = {"odds": "n_30d * calibrated('prior.a')", "score": "odds + 1", "plain": "n_30d + 1"}
    view = make_view(derived=[Derived(*each) for each in given.items()])
    prior = Calibration("prior", fit="beta_binomial", inputs=["activity:n_30d"])
    (opened,) = view_queries(layout, Registry().merged([view, prior]), view)
    february = ParameterVersion("0000", Month(2023, 2).interval(ZONE).start_us, 2**62, {"a": {"*": 0.5}})
    for versions, begins in (([], b"2023-04-01"), ([february], b"2023-02-01")):
        snapshot = Panel(opened, size=1000, parameters=lambda name, versions=versions: versions).snapshot(MARCH)
        full = {field.name: (field.metadata or {}).get(b"full_since") for field in snapshot.schema}
        found = [full[f"activity__{name}"] for name in given]
        assert found == [begins, begins, b"2021-01-01"]
        assert snapshot["activity__score"].null_count == (0 if versions else len(snapshot))


def test_the_panel_holds_who_was_active_in_the_ninety_days_before(layout) -> None:
    end_us = MARCH.interval(ZONE).end_us
    active = {
        each["user_id"] for each in make_events() if end_us - 90 * 86_400e6 <= each["event_time"].timestamp() * 1e6 < end_us
    }
    assert 5 < len(active) < USERS
    assert set(panel(layout).snapshot(MARCH)["user_id"].to_pylist()) == active


def test_a_smaller_panel_is_part_of_a_larger_one_and_changes_little_from_month_to_month(layout) -> None:
    small, large = (set(panel(layout, size=size).snapshot(MARCH)["user_id"].to_pylist()) for size in (10, 20))
    assert len(small) == 10
    assert small < large
    following = set(panel(layout, size=10).snapshot(MARCH.next())["user_id"].to_pylist())
    everyone = set(panel(layout).snapshot(MARCH.next())["user_id"].to_pylist())
    assert small & everyone <= set(panel(layout, size=20).snapshot(MARCH.next())["user_id"].to_pylist())
    assert len(small & following) >= 5


def test_a_panel_does_not_depend_on_the_order_in_which_its_entities_were_first_seen(layout, tmp_path) -> None:
    other = create_or_open(tmp_path / "store", timezone=ZONE)
    events = make_events()
    for batch in (events[350:], events[:350]):
        commit_events(other, batch)
        materialize(other, [make_view()])
    one, two = (panel(each, size=15).snapshot(MARCH).sort_by("user_id") for each in (layout, other))
    assert one.equals(two)


def test_a_snapshot_is_named_after_what_it_is_made_from(layout) -> None:
    assert panel(layout).name(MARCH) == panel(layout).name(MARCH)
    names = {panel(layout).name(MARCH), panel(layout).name(MARCH.next()), panel(layout, size=5).name(MARCH)}
    assert len(names) == 3
    assert panel(layout).has_history(Month(2021, 1))
    assert not panel(layout).has_history(Month(2020, 12))


@pytest.mark.parametrize("delay", [None, "7d"])
def test_calibration_inputs_are_those_known_at_the_months_start_and_what_came_in_during_it(layout, delay) -> None:
    view = make_view(delay=delay)
    features = [("trials", view.feature("n_1y")), ("hits", view.feature("spend_30d"))]
    table = MonthlyInputs(query(layout, view), features, view.feature("category")).rows(MARCH)
    keys = load_keys(layout.keys("user"), ("int64",)).columns[0]
    users = [keys[code].as_py() for code in table["code"].to_pylist()]
    month = MARCH.interval(ZONE)
    clock, days = Clock("1d", ZONE), 7 if delay else 0
    start_us, end_us = (clock.start_us(clock.step(edge) - days) for edge in (month.start_us, month.end_us))
    inside = [each for each in make_events() if start_us <= each["event_time"].timestamp() * 1e6 < end_us]
    assert sorted(users) == sorted({each["user_id"] for each in inside})
    assert table["inflow_trials"].to_pylist() == [sum(each["user_id"] == user for each in inside) for user in users]
    before = answer_at(layout, view, users, month.start_us)
    assert table["trials"].to_pylist() == before["activity__n_1y"].to_pylist()
    assert table["hits"].to_pylist() == before["activity__spend_30d"].to_pylist()
    behind = answer_at(layout, view, users, month.end_us)["activity__category"].to_pylist()
    expected = [old or new for old, new in zip(before["activity__category"].to_pylist(), behind, strict=True)]
    assert table["group"].to_pylist() == expected


def test_calibration_inputs_about_what_is_known_keep_entities_that_nothing_came_in_of(layout) -> None:
    view = make_view()
    chosen, weight = [("n", view.feature("n_30d"))], {"weight_demand": (query(layout, view), view.feature("spend_30d"))}
    table = MonthlyInputs(query(layout, view), chosen, is_about_known=True, weights=weight).rows(MARCH)
    keys = load_keys(layout.keys("user"), ("int64",)).columns[0]
    users = [keys[code].as_py() for code in table["code"].to_pylist()]
    before = answer_at(layout, view, list(range(USERS)), MARCH.interval(ZONE).start_us)
    known = {user: n for user, n in zip(range(USERS), before["activity__n_30d"].to_pylist(), strict=True) if n}
    assert dict(zip(users, table["n"].to_pylist(), strict=True)) == known
    assert 0 in table["inflow_n"].to_pylist()
    spent = dict(zip(range(USERS), before["activity__spend_30d"].to_pylist(), strict=True))
    assert table["weight_demand"].to_pylist() == [spent[user] for user in users]


def test_every_kind_of_feature_has_a_snapshot_that_can_be_sketched(layout) -> None:
    windows = ("30d", "lifetime")
    view = make_view(
        aggregations=[
            Var("var", "amount_cents", windows=windows),
            Std("std", "weight", windows=windows),
            Trend("trend", "amount_cents", windows=windows),
            Min("least", "amount_cents", windows=windows),
            Max("most", "weight", windows=windows),
            Max("newest", "ordered_at", windows=windows),
            First("entry", "category", windows=windows),
            Decayed("warmth", half_life="7d", windows=windows),
            Decayed("memory", "amount_cents", half_life="1y", windows=windows),
        ],
        derived=[],
    )
    materialize(layout, [view])
    snapshot = panel(layout, view).snapshot(MARCH)
    users = snapshot["user_id"].to_pylist()
    monthly = answer_at(layout, replace_windows(view, ("31d",)), users, MARCH.interval(ZONE).end_us)
    yearly = answer_at(layout, replace_windows(view, ("1y",)), users, MARCH.interval(ZONE).end_us)
    level = answer_at(layout, view, users, MARCH.interval(ZONE).end_us)
    for name in ("var", "std", "trend", "least", "most", "newest", "memory"):
        assert snapshot[f"activity__{name}_lifetime"].to_pylist() == monthly[f"activity__{name}_31d"].to_pylist()
    assert snapshot["activity__entry_lifetime"].to_pylist() == yearly["activity__entry_1y"].to_pylist()
    assert snapshot["activity__warmth_lifetime"].to_pylist() == level["activity__warmth_lifetime"].to_pylist()
    metadata = {field.name.removeprefix("activity__"): field.metadata or {} for field in snapshot.schema}
    assert metadata["warmth_lifetime"] == {b"full_since": b"2021-03-01"}  # ten half-lives
    assert metadata["memory_lifetime"][b"scored_on"] == metadata["std_lifetime"][b"scored_on"] == b"inflow"
    edges = fit_edges(snapshot.drop_columns(["user_id"]))
    counted = sketch(snapshot, edges)
    assert {row["feature"] for row in counted.to_pylist() if row["fault"] is None} >= {
        f"activity__{name}_{window}"
        for name in ("var", "std", "trend", "least", "most", "entry", "warmth")
        for window in windows
    }


def replace_windows(view: FeatureView, windows: tuple[str, ...]) -> FeatureView:
    aggregations = [dataclasses.replace(aggregation, windows=windows) for aggregation in view.aggregations]
    return make_view(aggregations=aggregations, derived=[])
