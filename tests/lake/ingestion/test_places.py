"""Which version of an event counts: every order and batching of its deliveries, against a sort of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from itertools import permutations
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import featurestore as fs
from featurestore.errors import DefinitionError, IngestError
from featurestore.lake.ingestion.contents import content_hash_sql
from featurestore.lake.session import connect
from featurestore.lake.table import commit, describe, stage

UTC = timezone.utc
DAY = timedelta(days=1)
START = datetime(2024, 1, 1, 12, tzinfo=UTC)
TYPES = {"id": "int64", "at": "timestamp", "known": "timestamp", "user_id": "int64", "cents": "int64", "rank": "int64"}
ARROW = {"int64": pa.int64(), "timestamp": pa.timestamp("us", "UTC")}

Delivery = tuple[str, int]
"""A content and the day on which it was learned of."""
CENTS = {"A": 1, "B": 10, "C": 100}
RANK = {"A": 2, "B": 3, "C": None}
SCENES: list[list[Delivery]] = [
    [("A", 1), ("B", 2), ("A", 3)],
    [("A", 1), ("A", 3), ("B", 2)],
    [("A", 1), ("B", 1), ("A", 1)],
    [("A", 1), ("B", 1), ("A", 2)],
    [("A", 1), ("B", 2), ("A", 3), ("B", 4)],
    [("A", 1), ("A", 3), ("B", 2), ("C", 3)],
    [("B", 1), ("A", 2), ("A", 4), ("B", 3)],
    [("C", 1), ("B", 1), ("A", 1), ("B", 1)],
]


def source(**more: Any) -> fs.EventSource:
    given = {"event_time": "at", "event_id": "id", "ingested_at": "known"}
    given |= more
    types = {column: kind for column, kind in TYPES.items() if column != "known" or given["ingested_at"]}
    return fs.EventSource("events", schema=types, **given)


def view(of: fs.EventSource) -> fs.FeatureView:
    aggregations = [fs.Sum("spend", "cents"), fs.Count("n"), fs.Last("newest", "cents")]
    return fs.FeatureView("users", entity=fs.Entity("user", key="user_id"), source=of, aggregations=aggregations)


def batchings(deliveries: Sequence[Delivery]) -> Iterator[list[list[Delivery]]]:
    """Every way to cut deliveries into loads, in their order."""
    for cuts in range(2 ** (len(deliveries) - 1)):
        loads = [[deliveries[0]]]
        for i, delivery in enumerate(deliveries[1:]):
            if cuts >> i & 1:
                loads.append([delivery])
            else:
                loads[-1].append(delivery)
        yield loads


def histories() -> dict[int, list[list[Delivery]]]:
    """Event to its loads: all scenes in all orders and batchings."""
    found = {tuple(order): None for scene in SCENES for order in permutations(scene)}
    every = [loads for order in found for loads in batchings(order)]
    return dict(enumerate(every, start=1))


def table(of: fs.EventSource, rows: Sequence[tuple[int, str, int]]) -> pa.Table:
    made = {
        "id": [event for event, _, _ in rows],
        "at": [START for _ in rows],
        "known": [START + day * DAY for _, _, day in rows],
        "user_id": [event for event, _, _ in rows],
        "cents": [CENTS[content] for _, content, _ in rows],
        "rank": [RANK[content] for _, content, _ in rows],
    }
    return pa.table({column: pa.array(made[column], ARROW[kind]) for column, kind in of.schema})


def loads_of(events: dict[int, list[list[Delivery]]]) -> Iterator[list[tuple[int, str, int]]]:
    """The loads of one store in which each event has its own history: row i of every event, then row i + 1."""
    for number in range(max(len(loads) for loads in events.values())):
        mine = {event: loads[number] for event, loads in events.items() if number < len(loads)}
        longest = max(map(len, mine.values()))
        yield [(event, *load[i]) for i in range(longest) for event, load in mine.items() if i < len(load)]


def in_order(loads: Sequence[Sequence[Delivery]], *, ranked: bool) -> list[Delivery]:
    """Sort the deliveries of an event as they count; one that says nothing new of its time is left out."""
    first = list(dict.fromkeys(delivery for load in loads for delivery in load))
    return sorted(first, key=lambda delivery: (delivery[1], (RANK[delivery[0]] or 0) if ranked else 0))


def answers(store: fs.FeatureStore, events: Sequence[int], as_of: datetime, **options: Any) -> dict[int, tuple[Any, ...]]:
    spine = pa.table({"user_id": pa.array(events), "as_of": pa.array([as_of] * len(events), ARROW["timestamp"])})
    features = ["users:spend", "users:n", "users:newest"]
    rows = store.get_historical_features(spine, features, **options).to_pylist()
    return {row["user_id"]: tuple(row[name.replace(":", "__")] for name in features) for row in rows}


def counting(version: Delivery | None) -> tuple[Any, ...]:
    return (0, 0, None) if version is None else (CENTS[version[0]], 1, CENTS[version[0]])


@pytest.mark.parametrize("ranked", [False, True], ids=["by-place", "by-column"])
def test_every_order_and_batching_of_versions_counts_as_their_sort_says_also_as_known_and_anew(
    tmp_path: Path, ranked: bool
) -> None:
    events = histories()
    of = source(order_by=("rank",)) if ranked else source()
    store = fs.FeatureStore(tmp_path, timezone="UTC")
    store.apply([view(of)])
    for rows in loads_of(events):
        report = store.ingest("events", table(of, rows))
        assert report.rows_read == report.rows_added + report.duplicates + report.corrections == len(rows)
    store.materialize()
    end = START + 20 * DAY
    versions = {event: in_order(loads, ranked=ranked) for event, loads in events.items()}
    assert answers(store, list(events), end) == {event: counting(found[-1]) for event, found in versions.items()}
    for day in range(6):
        as_of = (START + day * DAY).replace(hour=0)
        known = {event: [each for each in found if START + each[1] * DAY < as_of] for event, found in versions.items()}
        expected = {event: counting(found[-1] if found else None) for event, found in known.items()}
        assert answers(store, list(events), as_of, as_known=True) == expected
    assert store.verify().is_equal
    again = store.ingest(
        "events", table(of, [(event, *each) for event, loads in events.items() for load in loads for each in load])
    )
    assert (again.rows_added, again.corrections, again.months) == (0, 0, ())


def test_without_ingested_at_the_first_stays_and_with_replace_the_last_counts_in_every_order_and_batching(
    tmp_path: Path,
) -> None:
    events = {event: [[(each, 0) for each, _ in load] for load in loads] for event, loads in histories().items()}
    for replace, ranked in ((False, False), (True, False), (True, True)):
        of = source(ingested_at=None, order_by=("rank",) if ranked else ())
        store = fs.FeatureStore(tmp_path / f"{replace}{ranked}", timezone="UTC")
        store.apply([view(of)])
        for rows in loads_of(events):
            report = store.ingest("events", table(of, rows), replace=replace)
            told = report.rows_added + report.duplicates + report.corrections + sum(report.quarantined.values())
            assert (told, set(report.quarantined) <= {"conflict"}) == (len(rows), True)
            assert not (replace and report.quarantined)
        store.materialize()
        delivered = {event: [each for load in loads for each in load] for event, loads in events.items()}
        if ranked:
            delivered = {event: sorted(found, key=lambda each: RANK[each[0]] or 0) for event, found in delivered.items()}
        expected = {event: counting(found[-1 if replace else 0]) for event, found in delivered.items()}
        assert answers(store, list(events), START + 20 * DAY) == expected
        assert store.verify().is_equal


def test_versions_of_one_load_are_decided_by_file_in_name_order_and_row_in_it_and_the_report_counts_them(
    tmp_path: Path,
) -> None:
    rows = 3_000
    for name, content in (("b.parquet", "A"), ("a.parquet", "B")):
        made = table(source(), [(event, content, 1) for event in range(rows)])
        pq.write_table(made, tmp_path / name, row_group_size=100)
    store = fs.FeatureStore(tmp_path / "store", timezone="UTC")
    store.apply([view(source())])
    report = store.ingest("events", [tmp_path / "b.parquet", tmp_path / "a.parquet"])
    assert (report.rows_added, report.corrections, report.by_place) == (rows, rows, rows)
    assert "3,000 events with several contents, decided by their place" in str(report)
    store.materialize()
    assert set(answers(store, range(rows), START + 9 * DAY).values()) == {counting(("A", 1))}


def test_order_by_needs_ingested_at_or_a_call_that_replaces(tmp_path: Path) -> None:
    of = source(ingested_at=None, order_by=("rank",))
    store = fs.FeatureStore(tmp_path, timezone="UTC")
    store.apply([view(of)])
    with pytest.raises(IngestError, match="replace=True, or declare ingested_at"):
        store.ingest("events", table(of, [(1, "A", 1)]))
    assert store.ingest("events", table(of, [(1, "B", 1), (1, "A", 1)]), replace=True).corrections == 1
    assert fs.FeatureStore(tmp_path).registry.sources["events"].order_by == ("rank",)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"order_by": "rank"}, r"order_by=\('updated_at',\)"),
        ({"order_by": ("rnk",)}, "Did you mean 'rank'"),
        ({"order_by": ("known",)}, "its ingested_at 'known' in order_by"),
        ({"order_by": ("rank",), "event_id": None}, "no event_id"),
        ({"unstamped": "now"}, "use 'quarantine' or 'at_ingest'"),
        ({"unstamped": "at_ingest", "ingested_at": None}, "no ingested_at"),
    ],
)
def test_what_decides_versions_is_checked_at_definition(more: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        source(**more)


def test_an_event_without_ingested_at_is_quarantined_or_known_from_its_ingest_on(tmp_path: Path) -> None:
    rows = table(source(), [(1, "A", 1)]).set_column(2, "known", pa.array([None], ARROW["timestamp"]))
    for unstamped in ("quarantine", "at_ingest"):
        of = source(unstamped=unstamped)
        store = fs.FeatureStore(tmp_path / unstamped, timezone="UTC")
        store.apply([view(of)])
        report = store.ingest("events", rows)
        assert report.quarantined == ({"missing ingested_at": 1} if unstamped == "quarantine" else {})
        if unstamped == "at_ingest":
            store.materialize()
            assert store.ingest("events", rows).duplicates == 1
            now = datetime.now(UTC)
            assert answers(store, [1], START + 9 * DAY, as_known=True) == {1: (0, 0, None)}
            assert answers(store, [1], now + 2 * DAY, as_known=True) == {1: (1, 1, 1)}
            assert answers(store, [1], START + 9 * DAY) == {1: (1, 1, 1)}


def test_versions_that_were_listed_before_places_were_kept_count_by_their_hash_as_before(tmp_path: Path) -> None:
    of = source()
    store = fs.FeatureStore(tmp_path, timezone="UTC")
    store.apply([view(of)])
    with connect(tmp_path) as session:
        for user in range(1, 50):
            rows = table(of, [(user, "A", 1), (user, "B", 1), (user, "A", 5)])
            session.register("rows", rows)
            hashes = [
                row[0] for row in session.sql(f"SELECT {content_hash_sql(of)} FROM rows ORDER BY known, cents").fetchall()
            ]
            if hashes[1] > hashes[0]:
                break
    store.ingest("events", table(of, [(user, "C", 9)]))
    path = store.layout.superseded("events")
    file = stage(path, {})
    pq.write_table(rows.append_column("content_hash", pa.array(hashes)), file)
    commit(path, add=[describe(file, {})])
    store.materialize()

    def known(day: int) -> tuple[Any, ...]:
        return answers(store, [user], START + day * DAY - DAY / 4, as_known=True)[user]

    assert [known(day) for day in (1, 2, 6, 8, 10)] == [
        counting((each, 0)) if each else counting(None) for each in ("", *"BBBC")
    ]
    assert store.ingest("events", table(of, [(user, "A", 7), (user, "A", 1)])).corrections == 1
    store.materialize()
    assert [known(day) for day in (2, 6, 8, 10)] == [counting((each, 0)) for each in "BBAC"]
    assert store.verify().is_equal
