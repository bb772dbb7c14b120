"""Sub-ledgers as files of a view's ledger table: what a late row makes anew, what windows share, what snapshots say of them."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from featurestore.compute.forms import view_items
from featurestore.compute.items import ranks
from featurestore.compute.items.profiles import ProfileFold
from featurestore.compute.materialization.materialize import materialize
from featurestore.compute.snapshots.panel import Panel
from featurestore.compute.state import KIND, START, ViewState
from featurestore.compute.windows.view_query import view_queries
from featurestore.lake.layout import Layout, create_or_open
from featurestore.lake.table import Table
from featurestore.spec import Count, Distinct, Entity, FeatureView, Profile, Quantile, Registry
from featurestore.spec.document import ledger_fingerprint
from featurestore.timeline import Month, Offset
from tests.compute.world import SOURCE, answers, at, commit_events, event

USER = Entity("user", key="user_id")


def make_view(*aggregations) -> FeatureView:
    return FeatureView("activity", entity=USER, source=SOURCE, aggregations=aggregations)


def make_events(years: int = 4) -> list[dict]:
    rng = np.random.default_rng(3)
    days = rng.uniform(0, 365 * years, 150 * years)
    return [
        event(i, at(2019) + timedelta(days=float(day)), int(rng.integers(3)), amount_cents=int(rng.integers(40)))
        for i, day in enumerate(days)
    ]


def store_of(folder, view: FeatureView, events: list[dict]) -> Layout:
    layout = create_or_open(folder / "store", timezone="Asia/Shanghai")
    commit_events(layout, events)
    materialize(layout, [view])
    return layout


def files(layout: Layout, view: FeatureView) -> dict[tuple[str, str], str]:
    table = Table.open(ViewState(layout, view, Table.open(layout.events("events"))).ledger_path)
    return {(file.partition[KIND].split(".")[-1], file.partition[START]): file.path.stem for file in table.files()}


def test_a_late_row_makes_anew_what_it_can_touch_and_no_more(tmp_path) -> None:
    view = make_view(Distinct("amounts", "amount_cents", windows=("30d", "2y", "lifetime")), Quantile("amount", "amount_cents"))
    layout = store_of(tmp_path, view, make_events())
    before = files(layout, view)
    commit_events(layout, [event(9999, at(2020, 5, 5), 1, amount_cents=7)])
    materialize(layout, [view])
    behind = files(layout, view)
    changed = {key for key in behind if before.get(key) != behind[key]}
    # Of 30 days the marks reach into the next year, of two years into the two after it.
    own = {(kind, "2020-01") for kind in ("ledger", "balances", "spans", "30", "730", "lifetime", "sequence", "levels")}
    assert changed == own | {
        (kind, start)
        for kind, starts in {
            "30": ["2021-01"],
            "730": ["2021-01", "2022-01"],
            "lifetime": ["2021-01", "2022-01"],
            "before": ["2021-01", "2022-01"],
            "balances": ["2021-01", "2022-01"],
        }.items()
        for start in starts
    }


def test_a_day_of_the_newest_month_does_not_add_up_what_was_before_it_again(tmp_path, monkeypatch) -> None:
    view = make_view(Quantile("amount", "amount_cents"), Profile("hours"))
    events = make_events(years=2)
    layout = store_of(tmp_path, view, events)
    newest = max(each["event_time"] for each in events)
    commit_events(layout, [event(9997, newest, 1, amount_cents=7)])
    materialize(layout, [view])  # from now on the newest month is a partition of its own
    added_up = []
    for owner, name in ((ranks, "_before"), (ProfileFold, "_before")):
        real = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *given, real=real: added_up.append(given) or real(*given))
    commit_events(layout, [event(9999, newest, 1, amount_cents=7)])
    materialize(layout, [view])
    assert not added_up
    commit_events(layout, [event(9998, at(2019, 5, 5), 1, amount_cents=7)])
    materialize(layout, [view])
    assert added_up


def test_aggregations_of_one_column_share_its_tiles_and_its_spans() -> None:
    view = make_view(
        Distinct("amounts", "amount_cents", windows=("30d", Offset("1y", by="30d"))),
        Distinct("more", "amount_cents", windows=("1y", "lifetime")),
        Distinct("buys", "amount_cents", where="event_type = 'buy'"),
        Quantile("median", "amount_cents", windows=("30d",)),
        Quantile("p90", "amount_cents", q=0.9, windows=("1y", "ytd")),
        Quantile("rough", "amount_cents", error=0.1),
    )
    windows = {items.windows for items in view_items(view, "UTC") if items.name.startswith("items")}
    assert windows == {(30, 365, None), (None,)}
    assert len(view_items(view, "UTC")) == 4


def test_new_windows_of_a_distinct_are_another_ledger_and_new_quantiles_are_not() -> None:
    def fingerprint(windows, q: float) -> str:
        return ledger_fingerprint(make_view(Distinct("d", "category", windows=windows), Quantile("x", "weight", q=q)))

    first = fingerprint(("30d", "1y"), 0.5)
    assert first == fingerprint(("1y", Offset("30d", by="1y")), 0.9)
    assert first != fingerprint(("30d", "2y"), 0.5)


def test_offset_windows_look_at_the_same_marks(tmp_path) -> None:
    view = make_view(Distinct("amounts", "amount_cents", windows=("30d", Offset("30d", by="1y"))))
    layout = store_of(tmp_path, view, make_events())
    moments = [at(2021, month, 5) for month in range(1, 13)]
    found = answers(layout, view, *((1, moment) for moment in moments), feature="amounts_30d_offset_1y")
    earlier = [moment - timedelta(days=365) for moment in moments]
    assert found == answers(layout, view, *((1, moment) for moment in earlier), feature="amounts_30d")
    assert max(found) > 1


def test_months_appended_one_by_one_answer_like_one_load(tmp_path) -> None:
    view = make_view(
        Count("n"), Distinct("amounts", "amount_cents", windows=("30d", "1y", "lifetime")), Quantile("m", "weight")
    )
    events = make_events(years=2)
    whole, grown = (create_or_open(tmp_path / name, timezone="Asia/Shanghai") for name in ("whole", "grown"))
    commit_events(whole, events)
    materialize(whole, [view])
    asked = [(user, at(2019) + timedelta(days=20 * i)) for user in range(3) for i in range(60)]
    for month in sorted({(each["event_time"].year, each["event_time"].month) for each in events}):
        commit_events(grown, [e for e in events if (e["event_time"].year, e["event_time"].month) == month])
        materialize(grown, [view])
    for feature in view.features:
        assert answers(grown, view, *asked, feature=feature.name) == answers(whole, view, *asked, feature=feature.name)


def test_one_entity_with_very_many_items_is_answered_within_and_behind_its_history(tmp_path) -> None:
    view = make_view(Distinct("amounts", "amount_cents", windows=("30d", "lifetime")))
    hot = [event(i, at(2020, 1, 1) + timedelta(minutes=i), 1, amount_cents=i) for i in range(100_000)]
    layout = store_of(tmp_path, view, hot)
    last = hot[-1]["event_time"]
    asked = [(1, last + timedelta(days=days)) for days in (1, 20, 29, 31, 4000)]
    zone = timedelta(hours=8)
    expected = []
    for _, moment in asked:
        floor = (moment + zone).replace(hour=0, minute=0, second=0, microsecond=0) - zone
        expected.append(sum(floor - timedelta(days=30) <= each["event_time"] < floor for each in hot))
    assert answers(layout, view, *asked, feature="amounts_30d") == expected
    assert answers(layout, view, *asked, feature="amounts_lifetime") == [100_000] * len(asked)


@pytest.mark.parametrize("window", ["30d", "2y", "lifetime"])
def test_a_snapshot_takes_the_change_over_the_month_of_what_has_no_inflow_of_its_own(tmp_path, window: str) -> None:
    view = make_view(Distinct("amounts", "amount_cents", windows=(window,)))
    layout = store_of(tmp_path, view, make_events())
    (query,) = view_queries(layout, Registry().merged([view]), view)
    month = Month(2021, 11)
    snapshot = Panel(query, size=10, parameters=lambda name: []).snapshot(month)
    feature, users = f"amounts_{window}", snapshot["user_id"].to_pylist()
    edges = [at(2021, 10, 31) + timedelta(hours=16), at(2021, 11, 30) + timedelta(hours=16)]
    early, late = (answers(layout, view, *((user, edge) for user in users), feature=feature) for edge in edges)
    changed = [b - a for a, b in zip(early, late, strict=True)]
    assert snapshot[f"activity__{feature}"].to_pylist() == (late if window == "30d" else changed)
    assert any(late)
