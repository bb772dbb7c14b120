"""Materialize: exactly what is missing, in any order, and equal to computing everything anew."""

from __future__ import annotations

import shutil
from datetime import timedelta

import numpy as np
import pytest

from featurestore.compute.materialization.materialize import materialize
from featurestore.compute.state import ViewState
from featurestore.errors import DefinitionError, NotMaterializedError, OverflowingResultError
from featurestore.lake.arrow_parquet import read_parquet
from featurestore.lake.layout import Layout, create_or_open
from featurestore.lake.table import Table
from featurestore.spec import Count, Derived, Entity, FeatureView, Last, Recency, Sum
from featurestore.timeline import Month
from tests.compute.world import SOURCE, answers, ask, at, commit_events, event, random_events, random_spine

USER = Entity("user", key="user_id")


def view(*aggregations, **changes) -> FeatureView:
    return FeatureView(
        "activity", **{"entity": USER, "source": SOURCE, "aggregations": aggregations or [Count("n")], **changes}
    )


def rich(**changes) -> FeatureView:
    return view(
        Count("n", windows=("30d", "lifetime")),
        Sum("spend", "amount_cents", windows=("1y",)),
        Sum("load", "weight"),
        Last("category", "category"),
        Recency("since", where="event_type = 'buy'"),
        **changes,
    )


def ledger(layout: Layout, item: FeatureView) -> dict[str, list[dict]]:
    """The rows of every committed ledger and balances file, by kind and year."""
    state = ViewState(layout, item, Table.open(layout.events(item.source.name)))
    files = Table.open(state.ledger_path).files()
    return {f"{file.partition['kind']} {file.partition['start']}": read_parquet(file.path).to_pylist() for file in files}


def rebuilt(layout: Layout, item: FeatureView, folder) -> Layout:
    """The same committed events in another store, materialized at once."""
    folder.mkdir()
    shutil.copy(layout.root / "store.json", folder)  # events name the store that they are of
    other = create_or_open(folder, timezone=layout.timezone)
    shutil.copytree(layout.events("events"), other.events("events"))
    materialize(other, [item])
    return other


def test_what_is_up_to_date_is_left_alone(tmp_path) -> None:
    layout, item = create_or_open(tmp_path / "store"), rich()
    commit_events(layout, random_events(1, 40))
    first = materialize(layout, [item])
    assert (first.tile_rows, len(first.views[0].months)) > (20, 5)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    again = materialize(layout, [item])
    assert (again.tile_rows, again.ledger_rows, again.views[0].months) == (0, 0, ())
    assert str(again) == "everything is up to date"
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_store_without_events_answers_with_nothing_known(tmp_path) -> None:
    layout, item = create_or_open(tmp_path / "store"), rich(derived=[Derived("mean", "spend_1y / n_lifetime")])
    for _ in range(2):
        row = ask(layout, item, [{"user_id": 1, "category": None, "as_of": at(2024)}]).to_pylist()[0]
        values = {name.removeprefix("activity__"): value for name, value in row.items() if "__" in name}
        assert values == {
            "n_30d": 0,
            "n_lifetime": 0,
            "spend_1y": 0,
            "load": 0.0,
            "category": None,
            "since": None,
            "mean": None,
        }
        assert materialize(layout, [item]).tile_rows == 0


def test_a_view_that_no_event_matches_is_materialized_and_answers_zero(tmp_path) -> None:
    layout, item = create_or_open(tmp_path / "store"), view(Count("n", where="event_type = 'never'"))
    commit_events(layout, [event(1, at(2024)), event(2, at(2022))])
    assert materialize(layout, [item]).tile_rows == 0
    assert answers(layout, item, (1, at(2025)), (1, at(2023)), feature="n") == [0, 0]


def test_years_without_events_between_partitions_change_nothing(tmp_path) -> None:
    layout, item = (
        create_or_open(tmp_path / "store"),
        view(Count("n", windows=("1y", "10y", "lifetime")), Last("category", "category")),
    )
    categories = {2009: "A", 2015: "FRESH", 2024: None}
    commit_events(layout, [event(y + d, at(y, 5, d), category=kind) for y, kind in categories.items() for d in (1, 2)])
    materialize(layout, [item])
    asked = [(1, at(year, 6)) for year in (2008, 2009, 2012, 2015, 2018, 2024, 2026)]
    assert answers(layout, item, *asked, feature="n_lifetime") == [0, 2, 2, 4, 4, 6, 6]
    assert answers(layout, item, *asked, feature="n_10y") == [0, 2, 2, 4, 4, 4, 2]
    assert answers(layout, item, *asked, feature="n_1y") == [0, 2, 0, 2, 0, 2, 0]
    assert answers(layout, item, *asked, feature="category") == [None, "A", "A", "FRESH", "FRESH", "FRESH", "FRESH"]
    assert {name.split()[1] for name in ledger(layout, item)} == {"2009-01", "2015-01", "2024-01"}


def test_a_late_event_rewrites_its_months_tiles_its_years_ledger_and_the_balances_behind_it(tmp_path) -> None:
    layout, item = create_or_open(tmp_path / "store"), rich()
    events = [
        event(year * 12 + month, at(year, month, 5), month % 3) for year in (2020, 2021, 2022, 2023) for month in range(1, 13)
    ]
    commit_events(layout, events)
    materialize(layout, [item])
    state = ViewState(layout, item, Table.open(layout.events("events")))

    def files() -> dict[str, str]:
        return {
            **{f"tiles {file.partition['month']}": file.name for file in Table.open(state.tiles_path).files()},
            **{
                f"{file.partition['kind']} {file.partition['start']}": file.name
                for file in Table.open(state.ledger_path).files()
            },
        }

    before = files()
    written = {path: path.stat().st_mtime_ns for path in state.ledger_path.rglob("*.parquet")}
    commit_events(layout, [event(1, at(2021, 6, 20), 77)])
    report = materialize(layout, [item])
    changed = {name for name, file in files().items() if before[name] != file}
    behind = {f"balances {year}-01" for year in (2021, 2022, 2023)}
    assert changed == {"tiles 2021-06", "ledger 2021-01", *behind}
    assert (report.views[0].months, report.ledger_rows) == ((Month(2021, 6),), 13)
    assert all(path.stat().st_mtime_ns == time for path, time in written.items())
    other = rebuilt(layout, item, tmp_path / "other")
    asked = [(user, at(year, 8)) for user in (0, 1, 77) for year in (2020, 2021, 2023, 2024)]
    for feature in ("n_lifetime", "category", "load"):
        assert answers(layout, item, *asked, feature=feature) == answers(other, item, *asked, feature=feature)


def test_a_correction_that_empties_a_month_or_a_year_takes_its_rows_away(tmp_path) -> None:
    layout, item = create_or_open(tmp_path / "store"), view(Count("n"), Last("category", "category"))
    events = [event(1, at(2017, 3), category="OLD"), event(2, at(2018, 3)), event(3, at(2018, 7))]
    commit_events(layout, events)
    materialize(layout, [item])
    asked = [(1, at(2017, 6)), (1, at(2018, 4)), (1, at(2019))]
    assert answers(layout, item, *asked, feature="n") == [1, 2, 3]
    moved = [event(1, at(2018, 3), category="OLD"), event(2, at(2018, 3)), event(3, at(2018, 3))]
    commit_events(layout, moved, replaces=True)
    with pytest.raises(NotMaterializedError, match="2017-03 to 2018-07"):
        answers(layout, item, *asked, feature="n")
    with pytest.raises(NotMaterializedError, match="2017-03"):
        answers(layout, item, asked[0], feature="n")
    materialize(layout, [item])
    assert answers(layout, item, *asked, feature="n") == [0, 3, 3]
    assert set(ledger(layout, item)) == {"ledger 2018-01", "balances 2018-01"}
    state = ViewState(layout, item, Table.open(layout.events("events")))
    assert [file.partition["month"] for file in Table.open(state.tiles_path).files()] == ["2018-03"]


def test_a_correction_that_takes_all_events_away_empties_the_view(tmp_path) -> None:
    layout, item = create_or_open(tmp_path / "store"), view()
    commit_events(layout, [event(1, at(2017, 3))])
    materialize(layout, [item])
    commit_events(layout, [], replaces=True)
    materialize(layout, [item])
    assert ledger(layout, item) == {}
    assert answers(layout, item, (1, at(2020)), feature="n") == [0]


def test_months_from_the_end_of_an_interval_on_are_left_even_when_they_changed(tmp_path) -> None:
    layout, item = create_or_open(tmp_path / "store"), view()
    commit_events(layout, [event(month, at(2020, month)) for month in range(1, 13)])
    partial = materialize(layout, [item], before=Month(2020, 4))
    assert partial.views[0].months == (Month(2020, 1), Month(2020, 2), Month(2020, 3))
    assert answers(layout, item, (1, at(2020, 4)), feature="n") == [3]
    with pytest.raises(NotMaterializedError, match="2020-04"):
        answers(layout, item, (1, at(2020, 4, 2)), feature="n")
    materialize(layout, [item])
    commit_events(layout, [event(20, at(2020, 2, 9)), event(21, at(2020, 10, 9))])
    again = materialize(layout, [item], before=Month(2020, 6))
    assert again.views[0].months == (Month(2020, 2),)
    assert answers(layout, item, (1, at(2020, 6)), (1, at(2020, 10)), feature="n") == [6, 10]
    with pytest.raises(NotMaterializedError, match="Events of 2020-10 are committed"):
        answers(layout, item, (1, at(2021)), feature="n")
    materialize(layout, [item])
    assert answers(layout, item, (1, at(2021)), feature="n") == [14]


@pytest.mark.parametrize("seed", range(2))
def test_stages_and_ends_in_any_order_lead_to_the_same_ledger(tmp_path, seed: int) -> None:
    layout, item, rng = create_or_open(tmp_path / "store"), rich(), np.random.default_rng(seed)
    events = random_events(30 + seed, 40, years=1.2)
    for batch in np.array_split(rng.permutation(len(events)), 3):
        commit_events(layout, [events[i] for i in batch])
        for _ in range(2):
            before = Month(2019, 11).shift(int(rng.integers(0, 16)))
            materialize(layout, [item], before=before, stages=("tiles",))
            materialize(layout, [item], before=before)
    materialize(layout, [item])
    other = rebuilt(layout, item, tmp_path / "other")
    spine = random_spine(seed, events)
    assert ask(layout, item, spine).equals(ask(other, item, spine))


def test_a_ledger_alone_needs_its_tiles_and_says_which_call_builds_them(tmp_path) -> None:
    layout, item = create_or_open(tmp_path / "store"), view()
    commit_events(layout, [event(1, at(2024, 3))])
    with pytest.raises(NotMaterializedError, match=r"2024-03 are missing.*Call materialize\(\)"):
        materialize(layout, [item], stages=("ledger",))
    assert materialize(layout, [item], stages=("tiles",)).ledger_rows == 0
    assert materialize(layout, [item], stages=("ledger",)).ledger_rows == 1


@pytest.mark.parametrize("stages", ["tiles", ("tile",), ("tiles", "ledgers"), "ledger"])
def test_an_unknown_stage_is_refused(tmp_path, stages) -> None:
    with pytest.raises(DefinitionError, match="a tuple with 'tiles', 'ledger' or both"):
        materialize(create_or_open(tmp_path / "store"), [view()], stages=stages)


def test_progress_names_view_stage_and_what_is_done(tmp_path) -> None:
    layout, told = create_or_open(tmp_path / "store"), list[tuple[str, str, str]]()
    commit_events(layout, [event(1, at(2023, 12)), event(2, at(2023, 12, 2)), event(3, at(2024, 1))])
    materialize(layout, [view()], progress=lambda *done: told.append(done))
    assert told == [
        ("activity", stage, done)
        for stage, done in (("tiles", "2023-12"), ("tiles", "2024-01"), ("ledger", "2023-01"), ("ledger", "2024-01"))
    ]


def test_windows_delay_names_and_derived_are_read_from_the_ledger_that_is_there(tmp_path) -> None:
    layout = create_or_open(tmp_path / "store")
    commit_events(layout, [event(1, at(2024, 3)), event(2, at(2024, 4))])
    materialize(layout, [view(Count("n"))])
    more = view(Count("n", windows=("1d", "10y")), delay="20d", derived=[Derived("twice", "2 * n_10y")])
    assert materialize(layout, [more]).tile_rows == 0
    assert answers(layout, more, (1, at(2024, 3, 22)), (1, at(2024, 3, 15)), feature="twice") == [2.0, 0.0]
    renamed = view(Count("events"), Count("n", windows=("1d",)))
    assert materialize(layout, [renamed]).tile_rows == 0
    assert answers(layout, renamed, (1, at(2025)), feature="events") == [2]
    changed = view(Count("n", where="event_type = 'view'"))
    with pytest.raises(NotMaterializedError, match="2024-03 to 2024-04"):
        answers(layout, changed, (1, at(2025)), feature="n")
    materialize(layout, [changed])
    assert answers(layout, changed, (1, at(2025)), feature="n") == [0]
    assert answers(layout, more, (1, at(2025)), feature="n_10y") == [2]


def test_another_entity_over_the_same_keys_has_a_ledger_of_its_own(tmp_path) -> None:
    layout, customer = create_or_open(tmp_path / "store"), view(entity=Entity("customer", key="user_id"))
    commit_events(layout, [event(1, at(2024, 3), 5), event(2, at(2024, 3), 4)])
    materialize(layout, [view()])
    materialize(layout, [customer])
    assert answers(layout, customer, (5, at(2025)), (6, at(2025)), feature="n") == [1, 0]


def test_a_running_total_beyond_64_bits_is_refused_across_partitions_too(tmp_path) -> None:
    layout, item = create_or_open(tmp_path / "store"), view(Sum("spend", "amount_cents", windows=("1y", "lifetime")))
    commit_events(layout, [event(1, at(2020), amount_cents=2**62), event(2, at(2022), amount_cents=2**62 - 1)])
    materialize(layout, [item])
    assert answers(layout, item, (1, at(2023)), feature="spend_lifetime") == [2**63 - 1]
    commit_events(layout, [event(3, at(2024), amount_cents=1)])
    with pytest.raises(OverflowingResultError, match="running total of 'sum_amount_cents"):
        materialize(layout, [item])


def test_a_window_beyond_64_bits_is_refused_when_it_is_read_and_only_then(tmp_path) -> None:
    layout, item = create_or_open(tmp_path / "store"), view(Sum("spend", "amount_cents", windows=("1y", "10y", "lifetime")))
    amounts = [-(2**63) + 1, 2**63 - 1, 2**63 - 1]
    commit_events(layout, [event(i, at(2020 + i), amount_cents=amount) for i, amount in enumerate(amounts)])
    materialize(layout, [item])
    assert answers(layout, item, (1, at(2022, 6)), feature="spend_1y") == [2**63 - 1]
    assert answers(layout, item, (1, at(2022, 6)), feature="spend_lifetime") == [2**63 - 1]
    assert answers(layout, item, (1, at(2021, 6)), feature="spend_10y") == [0]
    with pytest.raises(OverflowingResultError, match="'activity__spend_10y' does not fit 64 bits"):
        answers(layout, item, (1, at(2030, 6)), feature="spend_10y")


def test_a_small_window_of_doubles_behind_a_large_history_is_exact(tmp_path) -> None:
    layout, item = create_or_open(tmp_path / "store"), view(Sum("load", "weight", windows=("1d", "lifetime")))
    large = [event(i, at(2023, 1 + i), weight=1e15) for i in range(5)]
    commit_events(layout, [*large, event(9, at(2023, 12), weight=0.3), event(10, at(2024, 2), weight=-0.7)])
    materialize(layout, [item])
    assert answers(layout, item, (1, at(2023, 12, 2)), feature="load_1d") == [pytest.approx(0.3, abs=2**-40)]
    assert answers(layout, item, (1, at(2024, 2, 2)), feature="load_1d") == [pytest.approx(-0.7, abs=2**-40)]


def test_ties_in_time_are_ordered_by_event_id_whatever_the_order_of_arrival(tmp_path) -> None:
    item = view(Last("category", "category"), Last("amount", "amount_cents", where="category <> 'C'"))
    tied = [
        event(3, at(2024), category="B"),
        event(12, at(2024), category="C", amount_cents=5),
        event(7, at(2024), category=None, amount_cents=7),
    ]
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        layout = create_or_open(tmp_path / f"store{order[0]}")
        for i in order:
            commit_events(layout, [tied[i]])
            materialize(layout, [item])
        assert answers(layout, item, (1, at(2024) + timedelta(days=1)), feature="category") == ["C"]
        assert answers(layout, item, (1, at(2024) + timedelta(days=1)), feature="amount") == [100]
