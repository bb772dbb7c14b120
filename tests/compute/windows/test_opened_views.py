"""Opened views are kept from call to call, and every call answers from the newest state all the same."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pyarrow as pa
import pytest

import featurestore as fs
from featurestore.compute.search.probes import Partition
from featurestore.compute.windows import opened_views
from featurestore.errors import NotMaterializedError, StoreError

START = datetime(2023, 1, 1, tzinfo=timezone.utc)
AT = datetime(2026, 1, 1, tzinfo=timezone.utc)
EVENTS = fs.EventSource(
    "events", schema={"id": "int64", "at": "timestamp", "user": "string", "cents": "int64"}, event_time="at", event_id="id"
)
VIEW = fs.FeatureView(
    "activity",
    entity=fs.Entity("user", key="user"),
    source=EVENTS,
    aggregations=[
        fs.Count("n", windows=("365d", "lifetime")),
        fs.Sum("spend", "cents"),
        fs.Max("dearest", "cents"),
        fs.First("first", "cents", windows=("200d",)),
        fs.Distinct("prices", "cents", windows=("lifetime",)),
        fs.Quantile("middle", "cents"),
    ],
)
ELSEWHERE = """
import sys
from datetime import datetime
import pyarrow as pa
import featurestore as fs
store = fs.FeatureStore(sys.argv[1])
at = datetime.fromisoformat("2025-06-01T00:00:00+00:00")
for what in sys.argv[2:]:
    if what == "ingest":
        store.ingest("events", pa.table({"id": [900, 901], "at": [at, at], "user": ["u1", "new"], "cents": [7, 8]}))
    if what == "materialize":
        store.materialize()
"""


def events(first: int, rows: int) -> pa.Table:
    numbers = range(first, first + rows)
    columns = {"id": numbers, "at": [START + timedelta(hours=31 * number) for number in numbers]}
    return pa.table({**columns, "user": [f"u{number % 7}" for number in numbers], "cents": [n * 37 % 1000 for n in numbers]})


@pytest.fixture
def store(tmp_path: Path) -> fs.FeatureStore:
    store = fs.FeatureStore(tmp_path / "store")
    store.apply([VIEW])
    store.ingest("events", events(0, 300))
    store.materialize()
    return store


def spine(*users: str | None) -> pa.Table:
    return pa.table({"user": pa.array(users, pa.string()), "as_of": [AT] * len(users)})


USERS = ("u1", "new", None, "u6")


def asked(store: fs.FeatureStore) -> list[dict]:
    return store.get_historical_features(spine(*USERS), ["activity"]).drop_columns(["as_of"]).to_pylist()


def counts(store: fs.FeatureStore) -> list[int | None]:
    return [row["activity__n_lifetime"] for row in asked(store)]


def elsewhere(store: fs.FeatureStore, *what: str) -> None:
    """Let another process do something to the store."""
    subprocess.run([sys.executable, "-c", ELSEWHERE, str(store.layout.root), *what], check=True, timeout=100)


def kept(store: fs.FeatureStore) -> object:
    return opened_views._KEPT[store.layout.root, "activity"][1]


def test_a_view_is_opened_once_as_long_as_nothing_changes(store) -> None:
    first = asked(store)
    reader = kept(store)
    assert asked(fs.FeatureStore(store.layout.root)) == first
    assert kept(store) is reader


def test_what_a_call_derives_of_columns_is_gone_with_it(store, monkeypatch) -> None:
    derived = list[object]()
    keep = Partition.keep

    def noting(partition: Partition, key: object, make: Callable[[], object]) -> object:
        derived.append(weakref.ref(keep(partition, key, make)))
        return keep(partition, key, make)

    monkeypatch.setattr(Partition, "keep", noting)
    many = pa.table({"user": [f"u{i % 7}" for i in range(900)], "as_of": [START + timedelta(days=i % 380) for i in range(900)]})
    store.get_historical_features(many, ["activity"])
    gc.collect()
    assert kept(store).is_mapped
    assert derived
    assert [each() for each in derived] == [None] * len(derived)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system does not list the files that a process has open")
def test_what_is_kept_holds_no_file_open(store) -> None:
    asked(store)
    opened_views._KEPT.clear()
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    asked(store)
    assert kept(store).is_mapped
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_another_process_commits_is_seen_at_the_next_call(store) -> None:
    assert counts(store) == [43, 0, None, 42]
    elsewhere(store, "ingest")
    with pytest.raises(NotMaterializedError):
        counts(store)
    elsewhere(store, "materialize")
    assert counts(store) == [44, 1, None, 42]
    other = fs.FeatureStore(store.layout.root)
    counts_some = [fs.Count("n", where="cents < 500", windows=("lifetime",))]
    other.apply([fs.FeatureView("activity", entity=VIEW.entity, source=EVENTS, aggregations=counts_some)])
    other.materialize()
    assert counts(store)[1:] == [1, None, sum(number * 37 % 1000 < 500 for number in range(6, 300, 7))]


def put_anew(file: Path, content: bytes) -> None:
    file.unlink()
    file.write_bytes(content)


def put_in_place(file: Path, content: bytes) -> None:
    with file.open("r+b") as opened:
        opened.write(content)
        opened.truncate(len(content))
    os.utime(file)


@pytest.mark.parametrize("put", [put_anew, put_in_place], ids=lambda put: put.__name__)
@pytest.mark.parametrize(
    "spoiled",
    [
        lambda content: content[: len(content) // 3],
        lambda content: b"",
        lambda content: bytes(len(content)),
        lambda content: content[:700] + bytes(255 - byte for byte in content[700:-700]) + content[-700:],
        lambda content: content + content,
    ],
    ids=["cut", "empty", "zeros", "turned", "doubled"],
)
def test_copies_that_are_damaged_between_two_calls_of_a_process_are_noticed(store, spoiled: Callable, put: Callable) -> None:
    expected = asked(store)
    files = sorted((store.layout.root / "hot").glob("**/*.arrow"))
    assert len(files) > 8
    for file in files:
        put(file, spoiled(file.read_bytes()))
    assert asked(store) == expected
    assert asked(store) == expected
    store.materialize()
    assert asked(store) == expected
    assert store.doctor(dry_run=True).is_sound


def test_copies_that_are_deleted_between_two_calls_are_not_needed(store) -> None:
    expected = asked(store)
    shutil.rmtree(store.layout.root / "hot")
    assert asked(store) == expected
    assert (store.layout.root, "activity") not in opened_views._KEPT


def test_an_older_dictionary_put_in_the_place_of_the_newest_is_refused_by_the_next_call_too(store, tmp_path: Path) -> None:
    places = [store.layout.root / "lake" / "keys", store.layout.root / "newest"]  # with what tells of its versions
    for place in places:
        shutil.copytree(place, tmp_path / place.name)
    store.ingest("events", pa.table({"id": [900, 901], "at": [AT - timedelta(9)] * 2, "user": ["u1", "new"], "cents": [7, 8]}))
    store.materialize()
    assert counts(store) == [44, 1, None, 42]
    for place in places:
        shutil.rmtree(place)
        shutil.copytree(tmp_path / place.name, place)
    with pytest.raises(StoreError, match=r"knows 7 keys, and totals were made with 8"):
        counts(store)


def test_no_more_views_are_kept_than_the_bound(store, monkeypatch) -> None:
    monkeypatch.setattr(opened_views, "MOST_KEPT", 2)
    opened_views._KEPT.clear()
    names = [f"view_{i}" for i in range(4)]
    store.apply([fs.FeatureView(name, entity=VIEW.entity, source=EVENTS, aggregations=[fs.Count("n")]) for name in names])
    store.materialize()
    for name in (*names, *names):
        table = store.get_historical_features(spine(*USERS), [name])
        assert table[f"{name}__n"].to_pylist() == [43, 0, None, 42]
        assert len(opened_views._KEPT) <= 2


def test_threads_that_ask_while_events_arrive_get_one_state_each(store) -> None:
    before = asked(store)
    after = list[list[dict]]()
    done = False

    def ask(_: int) -> list[list[dict]]:
        seen = []
        while not done or len(seen) < 3:
            try:
                seen.append(asked(store))
            except NotMaterializedError:
                continue
        return seen

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(ask, i) for i in range(4)]
        try:
            store.ingest("events", events(300, 14))
            store.materialize()
        finally:
            done = True
        answers = [answer for each in running for answer in each.result()]
    after = asked(store)
    assert before != after
    assert all(answer in (before, after) for answer in answers)
