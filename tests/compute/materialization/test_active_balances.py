"""The newest month with balances of its active entities alone: every answer is that of balances of all."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from featurestore.compute.materialization.ledger import read_ledger_file
from featurestore.compute.materialization.materialize import materialize
from featurestore.compute.state import ACTIVE, BALANCES, KIND, LEDGER, START, ViewState
from featurestore.compute.verification.continuity import check_continuity
from featurestore.compute.verification.verify import verify
from featurestore.compute.windows.totals import LedgerReader
from featurestore.lake.json_files import json_bytes
from featurestore.lake.layout import Layout, create_or_open, read_record
from featurestore.lake.storage import STORAGE
from featurestore.lake.store_format import STORE_FILE
from featurestore.lake.table import Table
from featurestore.spec import Count, Entity, FeatureView, Last, Sum
from featurestore.timeline import Month
from tests.compute.materialization.test_materialize import rebuilt
from tests.compute.windows.test_oracle import PAIR, USER, make_view
from tests.compute.world import SOURCE, ask, at, commit_events, event, random_events, random_spine, spine_table

SMALL = FeatureView(
    "activity",
    entity=Entity("user", key="user_id"),
    source=SOURCE,
    aggregations=[Count("n", windows=("30d", "lifetime")), Sum("spend", "amount_cents"), Last("category", "category")],
)


def state_of(layout: Layout, view: FeatureView) -> ViewState:
    return ViewState(layout, view, Table.open(layout.events(view.source.name)))


def kinds(layout: Layout, view: FeatureView) -> dict[str, str]:
    """First month of each partition to the kind of its balances."""
    files = Table.open(state_of(layout, view).ledger_path).files()
    return {file.partition[START]: file.partition[KIND] for file in files if file.partition[KIND] in (BALANCES, ACTIVE)}


def codes(layout: Layout, view: FeatureView, start: str) -> list[int]:
    return read_ledger_file(Table.open(state_of(layout, view).ledger_path), ACTIVE, start)["step"].to_pylist()


def rounded(table: pa.Table) -> list[dict]:
    """The rows, doubles to twelve digits: a decayed sum is carried over other boundaries."""
    return [
        {name: float(f"{value:.12g}") if isinstance(value, float) else value for name, value in row.items()}
        for row in table.to_pylist()
    ]


def ingest_in_pieces(layout: Layout, view: FeatureView, events: list[dict], *, since) -> None:
    """Load what was before a moment, then the rest by eight days, and what came late with the last of them."""
    late = [each for each in events if each["event_id"] % 17 == 0]
    on_time = [each for each in events if each["event_id"] % 17]
    commit_events(layout, [each for each in on_time if each["event_time"] < since])
    materialize(layout, [view])
    while since <= max(each["event_time"] for each in events):
        rows = [each for each in on_time if since <= each["event_time"] < since + timedelta(days=8)]
        since += timedelta(days=8)
        if rows:
            commit_events(layout, rows)
            materialize(layout, [view])
    commit_events(layout, late)
    materialize(layout, [view])


@pytest.mark.parametrize(("entity", "grain", "delay"), [(USER, "1d", None), (PAIR, "1h", None), (USER, "event", "36h")])
def test_every_aggregate_answers_as_if_it_had_come_at_once(tmp_path: Path, entity: Entity, grain: str, delay) -> None:
    layout, view = create_or_open(tmp_path / "store"), make_view(entity, grain, **({"delay": delay} if delay else {}))
    events = random_events(5, 160, years=1.2)
    last = max(each["event_time"] for each in events)
    events += [event(100_000 + i, last - timedelta(hours=i), 20, category="NEW") for i in range(3)]
    ingest_in_pieces(layout, view, events, since=last - timedelta(days=12))
    newest = str(Month.parse(last.date()))
    assert kinds(layout, view)[newest] == ACTIVE
    whole = rebuilt(layout, view, tmp_path / "whole")
    assert ACTIVE not in kinds(whole, view).values()
    spine = random_spine(9, events, 90) + [
        {"user_id": user, "category": "NEW", "as_of": last + timedelta(days=days)}
        for user in (*range(13), 20)
        for days in (-9, 0, 1, 40)
    ]
    assert rounded(ask(layout, view, spine)) == rounded(ask(whole, view, spine))
    as_known = [ask(each, view, spine, as_known=True) for each in (layout, whole)] if grain == "1d" else []
    assert len({str(rounded(each)) for each in as_known}) <= 1
    if grain == "1d":
        report = verify(layout, [view])
        assert report.is_equal, str(report)
    assert all(not joint.broken for joint in check_continuity(state_of(layout, view), newest=9))


def test_a_day_writes_balances_of_those_alone_who_were_active_in_its_month(tmp_path: Path) -> None:
    layout = create_or_open(tmp_path)
    commit_events(layout, [event(user, at(2023, 1 + user % 4, 3), user) for user in range(400)])
    materialize(layout, [SMALL])
    for day in (2, 3):
        commit_events(layout, [event(1000 + day, at(2023, 5, day), 7), event(2000 + day, at(2023, 5, day), 1000 + day)])
        materialize(layout, [SMALL])
    assert kinds(layout, SMALL) == {"2023-01": BALANCES, "2023-05": ACTIVE}
    assert len(codes(layout, SMALL, "2023-05")) == 3
    assert LedgerReader(state_of(layout, SMALL)).entities == 402
    assert LedgerReader(state_of(layout, SMALL)).active_codes(0, 10**6).tolist() == list(range(402))
    spine = [{"user_id": user, "category": None, "as_of": at(2023, 5, 4)} for user in (7, 8, 1002, 1003, 5000)]
    assert ask(layout, SMALL, spine)["activity__n_lifetime"].to_pylist() == [3, 1, 1, 1, 0]


def test_the_next_month_folds_the_one_before_it_into_its_year(tmp_path: Path) -> None:
    layout = create_or_open(tmp_path)
    commit_events(layout, [event(user, at(2023, 1 + user % 4, 3), user) for user in range(40)])
    materialize(layout, [SMALL])
    seen = []
    for month, day in ((5, 2), (6, 1), (6, 2), (12, 30), (13, 1)):
        moment = at(2023, month, day) if month < 13 else at(2024, 1, day)
        commit_events(layout, [event(100 * month + day, moment, 7)])
        materialize(layout, [SMALL])
        seen.append(kinds(layout, SMALL))
    assert seen[0] == {"2023-01": BALANCES, "2023-05": ACTIVE}
    assert seen[1] == seen[2] == {"2023-01": BALANCES, "2023-06": ACTIVE}
    assert seen[3] == {"2023-01": BALANCES, "2023-12": ACTIVE}
    assert seen[4] == {"2023-01": BALANCES, "2024-01": ACTIVE}
    row = {"user_id": 7, "category": None, "as_of": at(2024, 1, 5)}
    assert ask(layout, SMALL, [row])["activity__n_lifetime"].to_pylist() == [6]
    assert verify(layout, [SMALL]).is_equal


def test_a_january_that_begins_a_year_has_balances_of_all_once_it_is_over(tmp_path: Path) -> None:
    layout = create_or_open(tmp_path)
    commit_events(
        layout, [event(100 * month + day, at(2022, month, day), day % 2) for month in (10, 11, 12) for day in (1, 2, 3)]
    )
    materialize(layout, [SMALL])
    seen = []
    for number, (month, day) in enumerate(((1, 2), (1, 3), (2, 1), (2, 2))):
        commit_events(layout, [event(number, at(2023, month, day), 1)])
        materialize(layout, [SMALL])
        seen.append(kinds(layout, SMALL))
    assert seen[0] == seen[1] == {"2022-01": BALANCES, "2023-01": ACTIVE}
    assert seen[2] == seen[3] == {"2022-01": BALANCES, "2023-01": BALANCES, "2023-02": ACTIVE}
    commit_events(layout, [event(9, at(2023, 3, 2), 5)])
    materialize(layout, [SMALL])
    assert kinds(layout, SMALL) == {"2022-01": BALANCES, "2023-01": BALANCES, "2023-03": ACTIVE}
    spine = [{"user_id": user, "category": None, "as_of": at(2023, 4)} for user in (0, 1, 5)]
    assert ask(layout, SMALL, spine)["activity__n_lifetime"].to_pylist() == [3, 10, 1]
    assert verify(layout, [SMALL]).is_equal


def test_a_late_event_of_an_entity_that_is_not_active_and_of_one_that_is_are_both_counted(tmp_path: Path) -> None:
    layout = create_or_open(tmp_path)
    commit_events(layout, [event(user, at(2023, 1 + user % 4, 3), user) for user in range(40)])
    materialize(layout, [SMALL])
    commit_events(layout, [event(500, at(2023, 5, 2), 7)])
    materialize(layout, [SMALL])
    commit_events(layout, [event(501, at(2023, 2, 2), 7), event(502, at(2023, 2, 2), 8), event(503, at(2023, 2, 2), 99)])
    materialize(layout, [SMALL])
    assert kinds(layout, SMALL)["2023-05"] == ACTIVE
    spine = [{"user_id": user, "category": None, "as_of": at(2023, 5, day)} for user in (7, 8, 99) for day in (1, 3)]
    assert ask(layout, SMALL, spine)["activity__n_lifetime"].to_pylist() == [2, 3, 2, 2, 1, 1]
    assert verify(layout, [SMALL]).is_equal


def test_a_month_in_which_no_event_matches_hides_no_history(tmp_path: Path) -> None:
    view = replace(SMALL, aggregations=(Count("n", where="event_type = 'buy'", windows=("lifetime",)),))
    layout = create_or_open(tmp_path)
    commit_events(layout, [event(user, at(2023, 1 + user % 4, 3), user) for user in range(40)])
    materialize(layout, [view])
    for day in (1, 2):
        commit_events(layout, [event(500 + day, at(2023, 5, day), 7, event_type="view")])
        materialize(layout, [view])
    spine = [{"user_id": user, "category": None, "as_of": at(2023, 6)} for user in (7, 8, 41)]
    assert ask(layout, view, spine)["activity__n_lifetime"].to_pylist() == [1, 1, 0]
    assert verify(layout, [view]).is_equal


def test_without_hot_copies_the_totals_before_the_month_are_read_from_parquet(tmp_path: Path) -> None:
    layout = create_or_open(tmp_path)
    commit_events(layout, [event(user, at(2023, 1 + user % 4, 3), user) for user in range(40)])
    materialize(layout, [SMALL])
    for day in (1, 2):
        for copy in layout.hot("activity").glob("*.arrow"):
            copy.unlink()
        commit_events(layout, [event(500 + day, at(2023, 5, day), 7)])
        materialize(layout, [SMALL])
    assert ask(layout, SMALL, spine_table([{"user_id": 7, "category": None, "as_of": at(2023, 6)}]))[
        "activity__n_lifetime"
    ].to_pylist() == [3]


def test_a_store_of_version_one_keeps_balances_of_all(tmp_path: Path) -> None:
    layout = create_or_open(tmp_path)
    stored, record = read_record(layout)
    first = replace(record, read_version=1, write_version=1, read_since="0.1.0", write_since="0.1.0")
    STORAGE.update(layout.root / STORE_FILE, json_bytes(first.document()), version=stored.version)
    commit_events(layout, [event(user, at(2023, 1 + user % 4, 3), user % 3) for user in range(40)])
    materialize(layout, [SMALL])
    commit_events(layout, [event(500, at(2023, 5, 2), 7)])
    materialize(layout, [SMALL])
    assert kinds(layout, SMALL) == {"2023-01": BALANCES, "2023-05": BALANCES}
    files = Table.open(state_of(layout, SMALL).ledger_path).files(**{KIND: LEDGER})
    assert len(files) == 2
