from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pyarrow as pa
import pytest

import featurestore as fs
from featurestore.compute.state import view_fingerprint
from featurestore.errors import StoreError, VersionError

SCHEMA = {"event_id": "int64", "event_time": "timestamp", "user_id": "int64"}
events = fs.EventSource("events", schema=SCHEMA, event_time="event_time", event_id="event_id")
activity = fs.FeatureView(
    "activity", entity=fs.Entity("user", key="user_id"), source=events, aggregations=[fs.Count("seen", windows=("30d",))]
)


def rows(*days: int) -> pa.Table:
    times = [datetime(2024, 3, day, tzinfo=timezone.utc) for day in days]
    return pa.table({"event_id": list(days), "event_time": times, "user_id": [day % 3 for day in days]})


def age(root: Path, *, everything: bool = False) -> None:
    """Let all data files seem a month old; on demand the logs too, as of tables that nobody writes to any more."""
    then = time.time() - 31 * 86400
    for path in (root / "lake").rglob("*.*" if everything else "*.parquet"):
        os.utime(path, (then, then))


@pytest.fixture
def store(tmp_path: Path) -> fs.FeatureStore:
    opened = fs.FeatureStore(tmp_path / "store")
    opened.apply([events, activity])
    opened.ingest("events", rows(*range(1, 10)))
    opened.materialize()
    return opened


def fingerprint_of(store: fs.FeatureStore, view: fs.FeatureView) -> str:
    return view_fingerprint(view, store.layout)


def training_set(store: fs.FeatureStore, **options: object) -> pa.Table:
    spine = pa.table({"user_id": [0, 1, 2], "as_of": [datetime(2024, 3, 20, tzinfo=timezone.utc)] * 3})
    return store.get_historical_features(spine, ["activity"], **options)


@pytest.fixture
def append(store: fs.FeatureStore, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Replace files of the store, a month ago: Delta counts the retention from the removal."""

    def run() -> None:
        then_ns = time.time_ns() - 31 * 86400 * 10**9
        with monkeypatch.context() as patched:
            patched.setattr("featurestore.lake.table.time.time_ns", lambda: then_ns)
            store.ingest("events", rows(*range(10, 15)))
            store.materialize()
        age(store.layout.root)

    return run


def test_vacuum_deletes_what_was_replaced_and_nothing_that_is_read(store, append):
    append()
    before = training_set(store)
    report = store.vacuum(retention_hours=24)
    assert sum(report.files.values()) > 0
    assert report.bytes > 0
    assert training_set(store).equals(before)
    assert store.verify().is_equal
    assert not store.vacuum(retention_hours=24).files


def test_a_pinned_training_set_can_be_read_again_after_vacuum(store, append):
    answer = training_set(store)
    store.pin("ranker_v1", answer)
    append()
    report = store.vacuum(retention_hours=24)
    assert report.pinned == ("ranker_v1",)
    assert training_set(store, versions=answer).equals(answer)


def test_without_its_pin_it_cannot(store, append):
    answer = training_set(store)
    store.pin("ranker_v1", answer)
    store.unpin("ranker_v1")
    append()
    store.vacuum(retention_hours=24)
    with pytest.raises((fs.FeatureStoreError, OSError)):
        training_set(store, versions=answer)


def test_what_others_may_have_staged_stays(store, append):
    append()
    with pytest.raises(StoreError, match="at least 1"):
        store.vacuum(retention_hours=0)
    with pytest.raises(VersionError, match="no pin"):
        store.unpin("nobody")


@pytest.mark.parametrize("hours", [0, -1])
def test_a_retention_that_is_refused_deletes_nothing(store, hours):
    store.remove("activity")
    before = sorted(path for path in store.layout.root.rglob("*") if path.is_file())
    with pytest.raises(StoreError, match=f"retention_hours={hours} .* at least 1"):
        store.vacuum(retention_hours=hours, kinds=("tiles", "ledger"))
    assert sorted(path for path in store.layout.root.rglob("*") if path.is_file()) == before


def test_a_removed_view_is_kept_while_it_is_pinned_and_deleted_after_that(store, append):
    answer = training_set(store)
    store.pin("ranker_v1", answer)
    append()
    store.remove("activity")
    age(store.layout.root, everything=True)
    report = store.vacuum(retention_hours=24)
    assert {table.partition("/")[0] for table in report.files} == {"tiles"}
    store.apply([activity])
    assert training_set(store, versions=answer).equals(answer)
    store.remove("activity")
    store.unpin("ranker_v1")
    age(store.layout.root, everything=True)
    assert "ledger" in {table.partition("/")[0] for table in store.vacuum(retention_hours=24).files}
    assert not list((store.layout.root / "lake" / "ledger" / "activity").glob("*"))
    store.apply([activity])
    store.materialize()
    assert training_set(store).num_rows == 3
    assert store.verify().is_equal


def test_a_view_that_was_removed_or_redefined_lately_stays(store):
    store.remove("activity")
    changed = fs.FeatureView(
        "activity", entity=activity.entity, source=events, aggregations=[fs.Last("last", "event_time", windows=("30d",))]
    )
    store.apply([changed])
    assert not store.vacuum(retention_hours=24).files
    age(store.layout.root, everything=True)
    assert set(store.vacuum(retention_hours=24).files) == {
        f"{kind}/activity/{fingerprint_of(store, activity)}" for kind in ("ledger", "tiles")
    }


def test_vacuum_deletes_the_indexes_of_entities_that_are_gone_and_of_no_others(store):
    pair = fs.FeatureView(
        "pairs", entity=fs.Entity("pair", key=("user_id", "event_id")), source=events, aggregations=[fs.Count("n")]
    )
    store.apply([pair])
    store.materialize()
    indexes = store.layout.root / "hot" / "$keys"
    assert sorted(place.name for place in indexes.iterdir()) == ["pair", "user"]
    store.vacuum()
    assert sorted(place.name for place in indexes.iterdir()) == ["pair", "user"]
    store.remove("pairs")
    store.remove("pair")
    (indexes / "pair" / ".0123456789abcdef0123456789abcdef.tmp").write_bytes(b"another process writes")
    store.vacuum()
    assert [place.name for place in indexes.rglob("*.arrow")] == [place.name for place in (indexes / "user").iterdir()]
    assert (indexes / "pair").exists()
    (indexes / "pair" / ".0123456789abcdef0123456789abcdef.tmp").unlink()
    store.vacuum()
    assert [place.name for place in indexes.iterdir()] == ["user"]
    assert training_set(store)["activity__seen_30d"].to_pylist() == [3, 3, 3]


def test_materialize_leaves_nothing_for_a_reader_to_write_and_no_index_that_is_older(store):
    hot = store.layout.root / "hot"
    for day in range(10, 20):
        times = [datetime(2024, 3, day, tzinfo=timezone.utc)]
        store.ingest("events", pa.table({"event_id": [day], "event_time": times, "user_id": [100 + day]}))
        report = store.materialize()
        assert report.healed == ()
        before = sorted(hot.rglob("*"))
        training_set(store)
        assert sorted(hot.rglob("*")) == before
        assert 1 <= len(list((hot / "$keys" / "user").iterdir())) <= 2


def with_more(windows: tuple[str, ...]) -> fs.FeatureView:
    aggregations = [fs.Count("seen", windows=("30d",)), fs.Recency("last", where="user_id < 2")]
    return fs.FeatureView(
        "activity", entity=activity.entity, source=events, aggregations=aggregations, description=" ".join(windows)
    )


def test_vacuum_deletes_definitions_of_before_that_no_kept_answer_was_read_with(store: fs.FeatureStore) -> None:
    pinned = training_set(store)
    store.pin("model", pinned)
    for number in range(4):
        store.apply([with_more(tuple("x" * number))])
        store.materialize()
    folder = store.layout.definitions
    kept = len(list(folder.iterdir()))
    assert kept == 4
    assert store.vacuum(retention_hours=24).definitions == 0  # they are young
    then = time.time() - 31 * 86400
    for path in folder.iterdir():
        os.utime(path, (then, then))
    report = store.vacuum(retention_hours=24)
    assert report.definitions == kept - 1
    assert "3 definitions of before" in str(report)
    assert training_set(store, versions=pinned).equals(pinned)
    store.unpin("model")
    age(store.layout.root, everything=True)
    assert store.vacuum(retention_hours=24).definitions == 1
    assert not list(folder.iterdir())
