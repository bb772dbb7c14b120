"""Partitions: which months are folded together, and what an append rewrites."""

from __future__ import annotations

import pytest

from featurestore.compute.materialization.materialize import materialize
from featurestore.compute.materialization.partitions import TileSize, plan_ledger
from featurestore.compute.state import ViewState
from featurestore.compute.windows.totals import LedgerReader
from featurestore.lake.layout import Layout, create_or_open
from featurestore.lake.table import Table
from featurestore.spec import Count, Entity, FeatureView, Last
from featurestore.timeline import Month, months_between
from tests.compute.world import SOURCE, ask, at, commit_events, event

VIEW = FeatureView(
    "activity",
    entity=Entity("user", key="user_id"),
    source=SOURCE,
    aggregations=[Count("n", windows=("30d", "1y", "lifetime")), Last("category", "category", windows=("30d", "lifetime"))],
)


def names(months: list[Month], version: int = 1) -> dict[Month, str]:
    return {month: f"{month} v{version}" for month in months}


def starts(rows: int, entities: int, years: int = 3) -> list[str]:
    """The partitions of some years in which each month has so many rows."""
    months = months_between(Month(2020, 1), Month(2019 + years, 12))
    return list(plan_ledger(names(months), sizes=dict.fromkeys(months, TileSize(rows, entities))).months)


def test_a_boundary_costs_at_most_half_of_the_rows_before_it() -> None:
    assert starts(rows=10, entities=60) == ["2020-01", "2021-01", "2022-01"]
    assert starts(rows=10, entities=61) == ["2020-01", "2022-01"]
    assert starts(rows=10, entities=500) == ["2020-01"]


def test_a_whole_history_is_folded_without_an_open_month() -> None:
    months = months_between(Month(2020, 3), Month(2021, 5))
    plan = plan_ledger(names(months), sizes=dict.fromkeys(months, TileSize(10, 1)))
    assert [(start, len(tiles)) for start, tiles in plan.months.items()] == [("2020-01", 10), ("2021-01", 5)]


def test_the_newest_month_is_split_off_when_its_partition_must_be_written_again() -> None:
    months = months_between(Month(2021, 1), Month(2021, 5))
    sizes = dict.fromkeys(months, TileSize(10, 1))
    first = plan_ledger(names(months[:4]), sizes=sizes)
    committed = {start: {first.ledgers[start], first.balances[start]} for start in first.months}
    assert plan_ledger(names(months[:4]), sizes=sizes, committed=committed) == first
    second = plan_ledger(names(months), sizes=sizes, committed=committed)
    assert list(second.months) == ["2021-01", "2021-05"]
    assert second.ledgers["2021-01"] == first.ledgers["2021-01"]
    assert second.active == "2021-05"
    sparse = dict.fromkeys(months, TileSize(10, 100))
    assert list(plan_ledger(names(months), sizes=sparse, committed=committed).months) == ["2021-01", "2021-05"]
    older = plan_ledger(names(months), sizes=sparse, committed=committed, has_active=False)
    assert (list(older.months), older.active) == (["2021-01"], None)


def test_a_newest_month_with_balances_of_all_stays_until_it_is_written_again() -> None:
    months = months_between(Month(2021, 1), Month(2021, 5))
    sizes = dict.fromkeys(months, TileSize(10, 1))
    first = plan_ledger(names(months[:4]), sizes=sizes)
    committed = {start: {first.ledgers[start], first.balances[start]} for start in first.months}
    older = plan_ledger(names(months), sizes=sizes, committed=committed, has_active=False)
    committed = {start: {older.ledgers[start], older.balances[start]} for start in older.months}
    assert plan_ledger(names(months), sizes=sizes, committed=committed) == older
    changed = names(months) | {months[-1]: "2021-05 v2"}
    later = plan_ledger(changed, sizes=sizes, committed=committed)
    assert (later.active, later.balances["2021-01"]) == ("2021-05", older.balances["2021-01"])


def partitions(layout: Layout) -> dict[str, str]:
    """The committed ledger files: first month of the partition to name."""
    state = ViewState(layout, VIEW, Table.open(layout.events("events")))
    return {start: file.path.stem for start, file in sorted(LedgerReader(state).ledgers.items())}


def test_days_that_arrive_one_by_one_rewrite_one_month_and_answer_like_one_load(tmp_path) -> None:
    layout, whole = create_or_open(tmp_path / "store"), create_or_open(tmp_path / "whole")
    history = [event(day, at(2022, month, day), day % 2) for month in (10, 11, 12) for day in range(1, 20)]
    days = [event(1000 + 31 * month + day, at(2023, month, day), day % 3) for month in (1, 2, 3) for day in range(1, 29, 3)]
    commit_events(layout, history)
    materialize(layout, [VIEW])
    seen = []
    for day in days:
        commit_events(layout, [day])
        materialize(layout, [VIEW])
        seen.append(partitions(layout))
    assert [list(found) for found in seen[-3:]] == [["2022-01", "2023-01", "2023-03"]] * 3
    assert len({(found["2022-01"], found["2023-01"]) for found in seen[-3:]}) == 1
    commit_events(whole, history + days)
    materialize(whole, [VIEW])
    assert list(partitions(whole)) == ["2022-01", "2023-01"]
    spine = [
        {"user_id": u, "category": None, "as_of": at(2023, m, d)} for u in range(4) for m in (1, 2, 3, 4) for d in (1, 9, 28)
    ]
    assert ask(layout, VIEW, spine).equals(ask(whole, VIEW, spine))


@pytest.mark.parametrize("month", [1, 2, 3])
def test_a_late_event_behind_or_inside_the_open_month_is_counted(tmp_path, month: int) -> None:
    layout = create_or_open(tmp_path / "store")
    commit_events(layout, [event(day, at(2023, m, day)) for m in (1, 2) for day in (1, 2, 3)])
    materialize(layout, [VIEW])
    for m in (3, month):
        commit_events(layout, [event(100 * m + 7, at(2023, m, 7)), event(100 * m + 9, at(2023, m, 9), 5)])
        materialize(layout, [VIEW])
    row = ask(layout, VIEW, [{"user_id": 1, "category": None, "as_of": at(2023, 4)}]).to_pylist()[0]
    assert row["activity__n_lifetime"] == 6 + 2
