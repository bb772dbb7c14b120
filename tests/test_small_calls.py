"""Small calls: what one reads does not grow with the keys and the months of a store."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import featurestore as fs
from featurestore.compute.search import block_digests, key_index
from featurestore.lake.table import Table
from tests.operations.damaged_store import forget

START = datetime(2021, 1, 1, tzinfo=timezone.utc)
EVENTS = fs.EventSource(
    "events",
    schema={"id": "int64", "at": "timestamp", "user_id": "int64", "shop": "string", "cents": "int64"},
    event_time="at",
    event_id="id",
)
WINDOWS = ("30d", "180d", "lifetime")
MEASURES = [
    fs.Count("buys", windows=WINDOWS),
    fs.Sum("spend", "cents", windows=WINDOWS),
    fs.Last("last", "cents"),
]
USERS = fs.FeatureView("users", entity=fs.Entity("user", key="user_id"), source=EVENTS, aggregations=MEASURES)
PAIRS = fs.FeatureView("pairs", entity=fs.Entity("pair", key=("user_id", "shop")), source=EVENTS, aggregations=MEASURES[:2])
VIEWS = ["users", "pairs"]
SHOPS = ("", "north", "a\x00b")


def events(keys: int, months: int, *, first: int = 0, rows: int = 0) -> pa.Table:
    """Return events of some months, by default two of each key."""
    rows = rows or 2 * keys
    rng = np.random.default_rng(keys + first)
    numbers = np.arange(first, first + rows)
    minutes = np.sort(rng.integers(0, months * 30 * 1440, rows))
    columns = {
        "id": numbers,
        "at": [START + timedelta(minutes=int(minute)) for minute in minutes],
        "user_id": rng.permutation(rows) % keys,
        "shop": [SHOPS[number % 3] for number in numbers],
        "cents": rng.integers(-50, 10_000, rows),
    }
    return pa.table(columns)


def made(root: Path, *, keys: int, months: int) -> fs.FeatureStore:
    store = fs.FeatureStore(root)
    store.apply([USERS, PAIRS])
    store.ingest("events", events(keys, months))
    store.materialize()
    return store


def spine(users: range | list[int], as_of: datetime = datetime(2025, 1, 1, tzinfo=timezone.utc)) -> pa.Table:
    return pa.table({"user_id": list(users), "shop": [SHOPS[user % 3] for user in users], "as_of": [as_of] * len(users)})


def asked(store: fs.FeatureStore, rows: pa.Table) -> pa.Table:
    return store.get_historical_features(rows, VIEWS)


class Counts:
    """What some calls have read."""

    def __init__(self) -> None:
        self.opened = list[str]()
        self.logs = list[Path]()
        self.blocks = 0
        self.bytes = 0


_LISTENERS = list[list[str]]()


def _listen(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _LISTENERS:
        for opened in _LISTENERS:
            opened.append(str(arguments[0]))


sys.addaudithook(_listen)


def _bytes_read() -> int:
    place = Path("/proc/self/io")
    if not place.exists():
        pytest.skip("this system does not count what a process reads")
    return int(place.read_text(encoding="ascii").split("rchar: ")[1].split()[0])


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counts]:
    """Count the files that Python opens, the bytes of all reads, the logs that are replayed and the blocks that are checked."""
    counts = Counts()
    digest, read = block_digests._digest, Table._read

    def counting_digest(*arguments: object) -> int:
        counts.blocks += 1
        return digest(*arguments)

    def counting_read(path: Path, version: int | None) -> Table:
        counts.logs.append(path)
        return read(path, version)

    before = _bytes_read()
    own = _bytes_read() - before
    with monkeypatch.context() as patched:
        patched.setattr(block_digests, "_digest", counting_digest)
        patched.setattr(Table, "_read", counting_read)
        _LISTENERS.append(counts.opened)
        before = _bytes_read()
        try:
            yield counts
        finally:
            counts.bytes = _bytes_read() - before - own
            _LISTENERS.remove(counts.opened)
            counts.opened = [path for path in counts.opened if path != "/proc/self/io"]


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[fs.FeatureStore, fs.FeatureStore]]:
    """Two stores, the second with twice the keys and twice the months, in copies of many blocks."""
    folder = tmp_path_factory.mktemp("stores")
    patch = pytest.MonkeyPatch()
    patch.setattr(block_digests, "BLOCK_BYTES", 512)
    patch.setattr(key_index, "FENCE_ROWS", 256)
    try:
        yield made(folder / "one", keys=3_000, months=18), made(folder / "two", keys=6_000, months=36)
    finally:
        patch.undo()


def test_a_warm_call_reads_no_more_of_a_store_with_twice_the_keys_and_months(stores, monkeypatch) -> None:
    warm = []
    for store in stores:
        asked(store, spine(range(3)))
        with counted(monkeypatch) as counts:
            asked(store, spine(range(3)))
        assert counts.logs == []
        assert counts.blocks == 0
        assert {Path(path).name for path in counts.opened} <= {"registry.json"}
        warm.append(counts)
    assert len(warm[1].opened) == len(warm[0].opened)
    assert warm[1].bytes == warm[0].bytes < 100_000


def test_a_warm_call_for_other_rows_reads_their_blocks_alone(stores, monkeypatch) -> None:
    read = []
    for store in stores:
        asked(store, spine(range(3)))
        with counted(monkeypatch) as counts:
            asked(store, spine([1_000, 1_001, 2_000]))
        assert counts.logs == []
        assert {Path(path).name for path in counts.opened} <= {"registry.json"}
        read.append(counts.blocks)
    assert 0 < read[0] < 400
    assert read[1] <= 1.2 * read[0]


def test_the_first_call_of_a_process_checks_few_blocks_and_hardly_more_with_twice_the_keys_and_months(
    stores, monkeypatch
) -> None:
    few, every = [], []
    for store in stores:
        for users, counted_blocks in ((range(3), few), (range(3_000), every)):
            forget()
            with counted(monkeypatch) as counts:
                asked(store, spine(users))
            counted_blocks.append(counts.blocks)
    assert few[1] <= 1.5 * few[0]
    assert few[0] <= every[0] / 5
    assert few[1] <= every[1] / 5
