"""The daily refresh: what a day costs does not grow with the months before it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pyarrow as pa

import featurestore as fs
from featurestore.lake import session, spill
from tests.test_small_calls import EVENTS, SHOPS, USERS, VIEWS, Counts, asked, counted, spine

PAIRS = fs.FeatureView(
    "pairs",
    entity=fs.Entity("pair", key=("user_id", "shop")),
    source=EVENTS,
    aggregations=[fs.Count("buys", windows=("30d", "lifetime")), fs.Distinct("values", "cents", windows=("30d",))],
)
TODAY = datetime(2022, 12, 20, tzinfo=timezone.utc)
KEYS = 40


def days(first: datetime, end: datetime, *, a_day: int = 8) -> pa.Table:
    """Return as many events on each day, of the same keys in turn; the first day has all keys."""
    steps = (end - first) // timedelta(days=1)
    start = (first - datetime(2020, 1, 1, tzinfo=timezone.utc)) // timedelta(days=1)
    numbers = np.arange(steps * a_day) + start * a_day
    everyone = np.arange(KEYS) + 10**6 + start * KEYS
    ids = np.concatenate([everyone, numbers]) if steps > 1 else numbers
    at = [first] * (len(ids) - len(numbers)) + [first + timedelta(hours=int(i) * 24 // a_day) for i in range(len(numbers))]
    users = ids % KEYS
    return pa.table({"id": ids, "at": at, "user_id": users, "shop": [SHOPS[user % 3] for user in users], "cents": ids % 97})


def made(root: Path, *, months: int) -> fs.FeatureStore:
    store = fs.FeatureStore(root)
    store.apply([USERS, PAIRS])
    store.ingest("events", days(TODAY - timedelta(days=30 * months), TODAY))
    store.materialize()
    return store


def refreshed(store: fs.FeatureStore, day: datetime) -> None:
    store.ingest("events", days(day, day + timedelta(days=1)))
    store.materialize()


def test_a_day_into_twice_the_months_opens_no_more_files_logs_and_sessions(tmp_path, monkeypatch) -> None:
    opened = list[int]()
    connect = session.connect
    monkeypatch.setattr(spill, "connect", lambda *given, **more: opened.append(1) or connect(*given, **more))
    each = list[Counts]()
    for months in (12, 24):
        store = made(tmp_path / str(months), months=months)
        for number in range(2):  # the first day makes a partition of the newest month
            refreshed(store, TODAY + timedelta(days=number))
        opened.clear()
        with counted(monkeypatch) as counts:
            refreshed(store, TODAY + timedelta(days=2))
        assert [path for path in counts.logs if path.exists()] == []  # superseded versions: there are none
        assert 1 <= len(opened) <= 3  # one for ingest, one for each view that is computed at once
        each.append(counts)
    assert len(each[1].opened) == len(each[0].opened)
    assert each[1].bytes <= 1.1 * each[0].bytes


def test_days_that_were_refreshed_one_by_one_answer_as_if_they_had_come_at_once(tmp_path) -> None:
    one, other = made(tmp_path / "one", months=12), fs.FeatureStore(tmp_path / "other")
    other.apply([USERS, PAIRS])
    for number in range(3):
        refreshed(one, TODAY + timedelta(days=number))
    other.ingest("events", days(TODAY - timedelta(days=360), TODAY))
    for number in range(3):
        other.ingest("events", days(TODAY + timedelta(days=number), TODAY + timedelta(days=number + 1)))
    other.materialize()
    for back in (0, 1, 2, 25, 200):
        rows = spine(range(KEYS + 2), TODAY + timedelta(days=3 - back))
        assert asked(one, rows).equals(asked(other, rows))
    assert VIEWS == ["users", "pairs"]
    assert one.verify().is_equal
