"""Freshness: reading fails only when a committed event before the as_of is missing, and says which call mends it."""

from __future__ import annotations

import pytest

from featurestore.compute.materialization.materialize import materialize
from featurestore.compute.retrieval.freshness import stale_months
from featurestore.compute.state import ViewState
from featurestore.compute.windows.totals import LedgerReader
from featurestore.errors import NotMaterializedError
from featurestore.lake.layout import Layout, create_or_open
from featurestore.lake.table import Table
from featurestore.spec import Count, Entity, FeatureView
from tests.compute.world import SOURCE, answers, ask, at, commit_events, event


def view(**changes) -> FeatureView:
    given = {"entity": Entity("user", key="user_id"), "source": SOURCE, "aggregations": [Count("n")]}
    return FeatureView("activity", **{**given, **changes})


@pytest.fixture
def layout(tmp_path) -> Layout:
    """Materialized: one event on 5 January, one on 5 March 2024."""
    found = create_or_open(tmp_path / "store")
    commit_events(found, [event(1, at(2024, 1, 5)), event(2, at(2024, 3, 5))])
    materialize(found, [view()])
    return found


def test_an_as_of_before_the_first_and_after_the_last_event_is_answered(layout) -> None:
    assert answers(layout, view(), (1, at(1)), (1, at(2024, 1, 5)), (1, at(9999)), feature="n") == [0, 0, 2]


def test_later_events_do_not_stop_an_earlier_answer_not_even_in_its_own_month(layout) -> None:
    commit_events(layout, [event(3, at(2024, 3, 20)), event(4, at(2024, 3, 20), 77), event(5, at(2024, 6))])
    assert answers(layout, view(), (1, at(2024, 3, 6)), (1, at(2024, 3, 20, 12)), feature="n") == [2, 2]
    with pytest.raises(NotMaterializedError, match="Events of 2024-03 are committed but not yet in view 'activity'"):
        answers(layout, view(), (1, at(2024, 3, 6)), (1, at(2024, 3, 21)), feature="n")


def test_an_event_of_a_new_month_and_of_a_new_entity_stop_a_later_answer(layout) -> None:
    commit_events(layout, [event(3, at(2024, 2, 20), 77)])
    assert answers(layout, view(), (1, at(2024, 2, 20, 23)), feature="n") == [1]
    with pytest.raises(NotMaterializedError, match=r"2024-02 .*store.materialize\(views=\['activity'\]\)"):
        answers(layout, view(), (1, at(2024, 2, 21)), feature="n")


def test_a_correction_within_the_month_stops_the_answers_behind_it(layout) -> None:
    commit_events(layout, [event(2, at(2024, 3, 5, 7), 8)], replaces={"2024-03"})
    assert answers(layout, view(), (1, at(2024, 3, 5)), feature="n") == [1]
    with pytest.raises(NotMaterializedError, match="2024-03"):
        answers(layout, view(), (1, at(2024, 3, 6)), feature="n")


def test_rewritten_files_of_the_same_events_do_not_stop_an_answer_in_their_month(layout) -> None:
    commit_events(layout, [event(2, at(2024, 3, 5)), event(3, at(2024, 3, 9))], replaces={"2024-03"})
    assert answers(layout, view(), (1, at(2024, 3, 9)), feature="n") == [2]


def test_the_months_that_are_missing_are_counted(layout) -> None:
    commit_events(layout, [event(3, at(2023, month)) for month in range(1, 13)])
    with pytest.raises(NotMaterializedError, match=r"2023-01 to 2023-12 \(12 months\)"):
        answers(layout, view(), (1, at(2024)), feature="n")
    assert answers(layout, view(), (1, at(2023)), (1, None), feature="n") == [0, None]


def test_a_delay_moves_what_must_be_there(layout) -> None:
    delayed = view(delay="30d")
    commit_events(layout, [event(3, at(2024, 4, 10))])
    assert answers(layout, delayed, (1, at(2024, 5, 10)), feature="n") == [2]
    with pytest.raises(NotMaterializedError, match="2024-04"):
        answers(layout, delayed, (1, at(2024, 5, 11)), feature="n")


def test_a_spine_without_any_as_of_needs_nothing(layout) -> None:
    commit_events(layout, [event(3, at(2023))])
    assert ask(layout, view(), [{"user_id": 1, "category": None, "as_of": None}])["activity__n"].to_pylist() == [None]


def test_an_hour_shared_by_two_months_belongs_to_both(tmp_path) -> None:
    layout, item = create_or_open(tmp_path / "store", timezone="Asia/Kolkata"), view(grain="1h")
    commit_events(layout, [event(1, at(2024, 1, 31, 18, 10))])
    materialize(layout, [item])
    commit_events(layout, [event(2, at(2024, 1, 31, 18, 40))])
    assert answers(layout, item, (1, at(2024, 1, 31, 18, 59)), feature="n") == [0]
    with pytest.raises(NotMaterializedError, match="2024-02"):
        answers(layout, item, (1, at(2024, 1, 31, 19)), feature="n")


def test_stale_months_are_those_whose_files_changed_appeared_or_vanished(layout) -> None:
    def stale() -> list[str]:
        state = ViewState(layout, view(), Table.open(layout.events("events")))
        return [str(month) for month in stale_months(state, LedgerReader(state))]

    assert stale() == []
    commit_events(layout, [event(2, at(2024, 3, 5)), event(3, at(2024, 2))], replaces=True)
    assert stale() == ["2024-01", "2024-02", "2024-03"]
    materialize(layout, [view()])
    assert stale() == []
