"""Stores outlive versions: what older code wrote is read, upgraded and continued; what newer code wrote is refused by name."""

from __future__ import annotations

import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from packaging.version import Version

import featurestore as fs
from featurestore.errors import CommitConflictError, StoreError
from featurestore.lake.checkpoint_sums import sum_path
from featurestore.lake.checkpoints import checkpoints, write_checkpoint
from featurestore.lake.layout import create_or_open
from featurestore.lake.lock import exclusive
from featurestore.lake.store_format import NEW, READ_VERSION, RELEASES, WRITE_VERSION, StoreRecord
from featurestore.lake.table import Table
from featurestore.operations import upgrading
from featurestore.operations.upgrading import MIGRATIONS, Migration, upgrade
from tests.lake.fixtures.store_0_1 import delivered
from tests.lake.older_stores import OLDER, OlderStore, unpack


@pytest.fixture(params=OLDER)
def older(request, tmp_path: Path) -> OlderStore:
    return unpack(request.param, tmp_path)


def record_of(root: Path) -> dict:
    return json.loads((root / "store.json").read_text())


def forge(root: Path, **changes: object) -> None:
    (root / "store.json").write_text(json.dumps(record_of(root) | changes))


def assert_answers(older: OlderStore, store: fs.FeatureStore) -> None:
    """Everything that was answered then is answered the same, with the versions it was read from."""
    assert older.answers_of(store).equals(older.answers, check_metadata=True)
    assert older.answers_of(store, as_known=True).equals(older.as_known, check_metadata=True)
    first = older.published
    assert older.answers_of(store, versions=first).equals(first)
    assert store.verify().is_equal


@pytest.mark.parametrize("is_upgraded", [False, True], ids=["as it was", "upgraded"])
def test_an_older_store_answers_as_it_did(older: OlderStore, is_upgraded: bool) -> None:
    store = fs.FeatureStore(older.root)
    if is_upgraded:
        assert store.upgrade().steps
    assert store.layout.timezone == "Asia/Shanghai"
    assert_answers(older, store)
    status = store.status()
    assert (status.sources[0].rows, status.sources[0].quarantined) == (250, 2)
    assert [each.champion is not None for each in status.calibrations] == [True]
    assert len(store.drift_history()) == 60
    assert store.published("recommendation_v1").number == 1
    assert store.audit(["2023-06"]).entered is not None


@pytest.mark.parametrize("is_upgraded", [False, True], ids=["as it was", "upgraded"])
def test_an_older_store_goes_on(older: OlderStore, is_upgraded: bool) -> None:
    store = fs.FeatureStore(older.root)
    if is_upgraded:
        store.upgrade()
    later = delivered(datetime(2023, 7, 1, tzinfo=ZoneInfo("Asia/Shanghai")), 31, seed=9, rows=60, first_id=9_000)
    assert store.ingest("events", later).rows_added == 60
    assert store.materialize().views
    store.audit(["2023-07"])
    assert store.publish("recommendation_v1").number == 2
    store.unpin("model_1")
    assert store.verify().is_equal
    assert older.answers_of(store, versions=older.published).equals(older.published)
    store.vacuum()
    assert older.answers_of(store).equals(older.answers)


def test_an_upgrade_tells_first_what_it_would_do_and_does_it_once(older: OlderStore) -> None:
    store, before = fs.FeatureStore(older.root), record_of(older.root)
    told = store.upgrade(dry_run=True)
    assert record_of(older.root) == before
    assert [step.name for step in told.steps] == [migration.name for migration in MIGRATIONS]
    assert all(step.reason and step.description for step in told.steps)
    assert "would" in str(told)
    done = store.upgrade()
    assert (done.steps, done.is_dry_run) == (told.steps, False)
    # The read version rises with the meaning of times without a zone, which stays in UTC here.
    record = record_of(older.root)
    assert (len(record.pop("id")), "events/events" in record.pop("tables")) == (32, True)
    assert record == {
        "read_version": 1,
        "write_version": 2,
        "read_since": "0.1.0",
        "write_since": "0.2.0",
        "timezone": "Asia/Shanghai",
        "naive_times": "utc",
    }
    assert fs.FeatureStore(older.root).layout.naive_timezone == "UTC"
    again = store.upgrade()
    assert (again.steps, again.read_version, again.write_version) == ((), 1, 2)
    assert "Nothing to upgrade" in str(again)


def test_a_new_store_needs_no_upgrade_and_says_its_versions(tmp_path: Path) -> None:
    store = fs.FeatureStore(tmp_path / "store")
    record = record_of(tmp_path / "store")
    assert len(record.pop("id")) == 32
    assert record == {
        "read_version": READ_VERSION,
        "write_version": WRITE_VERSION,
        "read_since": RELEASES[READ_VERSION],
        "write_since": RELEASES[WRITE_VERSION],
        "timezone": "UTC",
        "naive_times": "store",
    }
    assert store.upgrade().steps == ()


def test_every_version_names_the_release_that_knows_it() -> None:
    assert list(RELEASES) == list(range(1, max(READ_VERSION, WRITE_VERSION) + 1))
    assert READ_VERSION <= WRITE_VERSION
    assert all(each.read_version <= READ_VERSION and each.write_version <= WRITE_VERSION for each in MIGRATIONS)
    assert Version(RELEASES[WRITE_VERSION]) <= Version(fs.__version__)


def test_a_program_of_before_refuses_a_store_whose_naive_times_are_its_own(tmp_path: Path, monkeypatch) -> None:
    create_or_open(tmp_path, timezone="America/New_York")
    monkeypatch.setattr("featurestore.lake.store_format.READ_VERSION", 1)
    with pytest.raises(StoreError, match=r"read version 2; .*Install featurestore 0\.2\.0 or later"):
        create_or_open(tmp_path)


def test_a_store_with_a_newer_read_version_is_refused_with_the_release_to_install(tmp_path: Path) -> None:
    create_or_open(tmp_path)
    forge(tmp_path, read_version=READ_VERSION + 1, write_version=WRITE_VERSION + 1, read_since="7.8.9", write_since="7.8.9")
    with pytest.raises(StoreError, match=rf"read version {READ_VERSION + 1}; .* 1 to {READ_VERSION}\. .* 7\.8\.9"):
        fs.FeatureStore(tmp_path)


def test_a_store_with_a_newer_write_version_is_read_and_every_verb_that_writes_is_refused(older: OlderStore) -> None:
    fs.FeatureStore(older.root).upgrade()
    forge(older.root, write_version=WRITE_VERSION + 1, write_since="7.8.9")
    store, rows = (
        fs.FeatureStore(older.root),
        delivered(datetime(2023, 8, 1, tzinfo=ZoneInfo("UTC")), 9, seed=3, first_id=5_000),
    )
    assert_answers(older, store)
    writes = {
        "apply": lambda: store.apply(
            [fs.EventSource("more", schema={"at": "timestamp", "id": "int64"}, event_time="at", event_id="id")]
        ),
        "remove": lambda: store.remove("recommendation_v1"),
        "ingest": lambda: store.ingest("events", rows),
        "publish": lambda: store.publish(
            "recommendation_v1", as_of=store.published("recommendation_v1").as_of + timedelta(hours=1)
        ),
        "pin": lambda: store.pin("other", store.published("recommendation_v1")),
        "unpin": lambda: store.unpin("model_1"),
        "vacuum": lambda: store.vacuum(retention_hours=1),
        "upgrade": lambda: store.upgrade(),
    }
    for write in writes.values():
        with pytest.raises(StoreError, match=rf"write version {WRITE_VERSION + 1}; .*only read .*Install featurestore 7\.8\.9"):
            write()
    assert store.upgrade(dry_run=True).steps == ()
    forge(older.root, write_version=WRITE_VERSION)
    fs.FeatureStore(older.root).pin("other", store.published("recommendation_v1"))


@pytest.mark.parametrize(
    "record",
    [
        {},
        [],
        {"timezone": "UTC"},
        {"format": "1", "timezone": "UTC"},
        {"format": 0, "timezone": "UTC"},
        {"format": 1},
        NEW.document() | {"timezone": 3},
        NEW.document() | {"timezone": "UTC", "read_version": True},
        NEW.document() | {"timezone": "UTC", "read_version": WRITE_VERSION + 1},
    ],
)
def test_a_damaged_record_is_no_newer_version(tmp_path: Path, record: object) -> None:
    (tmp_path / "store.json").write_text(json.dumps(record))
    with pytest.raises(StoreError, match="Restore the file"):
        create_or_open(tmp_path)


def test_what_a_record_says_besides_is_kept(tmp_path: Path) -> None:
    (tmp_path / "store.json").write_text(json.dumps({"format": 1, "timezone": "UTC", "color": "red"}))
    upgrade(create_or_open(tmp_path))
    assert record_of(tmp_path)["color"] == "red"


def rewriting(name: str, *, version: int, calls: list[str], fails: bool = False) -> Migration:
    """A migration of a file beside store.json, as a later one may be."""

    def apply(layout, record) -> dict:
        calls.append(name)
        (layout.root / f"{name}.json").write_text("rewritten")
        if fails:
            raise KeyboardInterrupt
        return {name: "recorded"}

    def reason(layout, record: StoreRecord) -> str | None:
        return f"it has write version {record.write_version}" if record.write_version < version else None

    return Migration(name, "a file is rewritten", 1, version, reason, apply)


def test_an_upgrade_that_is_killed_leaves_the_old_version_and_the_same_call_goes_on(older: OlderStore, monkeypatch) -> None:
    monkeypatch.setattr("featurestore.lake.store_format.WRITE_VERSION", 3)
    monkeypatch.setattr("featurestore.lake.store_format.RELEASES", {1: "0.1.0", 2: "0.2.0", 3: "0.3.0"})
    layout, calls = create_or_open(older.root), list[str]()
    second, third = (rewriting(name, version=version, calls=calls) for name, version in (("second", 2), ("third", 3)))
    killed = rewriting("third", version=3, calls=calls, fails=True)
    before = [each for each in MIGRATIONS if each.write_version < 2]
    with pytest.raises(KeyboardInterrupt):
        upgrade(layout, migrations=[*before, second, killed])
    found = record_of(older.root)
    assert (found["read_version"], found["write_version"], found["write_since"]) == (1, 2, "0.2.0")
    assert (found["second"], found.get("third")) == ("recorded", None)
    assert_answers(older, fs.FeatureStore(older.root))
    told = upgrade(layout, migrations=[*before, second, third], dry_run=True)
    assert [(step.name, step.reason) for step in told.steps] == [("third", "it has write version 2")]
    done = upgrade(layout, migrations=[*before, second, third])
    assert (done.steps, done.read_version, done.write_version) == (told.steps, 1, 3)
    assert calls == ["second", "third", "third"]
    assert record_of(older.root)["third"] == "recorded"


@pytest.fixture
def others(tmp_path: Path) -> Path:
    """Tables of a store that has no id either, under the names of the older store's."""
    root = tmp_path / "others"
    create_or_open(root, timezone="Asia/Shanghai")
    record = record_of(root)
    del record["id"]
    (root / "store.json").write_text(json.dumps(record))
    store = fs.FeatureStore(root)
    source = fs.EventSource("events", schema={"id": "int64", "at": "timestamp"}, event_id="id", event_time="at")
    store.apply([source])
    store.ingest("events", pa.table({"id": [1], "at": [datetime(2024, 1, 1)]}))
    return root / "lake" / "events" / "events"


def test_an_upgraded_store_tells_the_tables_of_another_one(older: OlderStore, others: Path) -> None:
    events = older.root / "lake" / "events" / "events"
    kept = Path(shutil.copytree(events, older.root.parent / "kept"))
    shutil.rmtree(events)
    shutil.copytree(others, events)
    (events.with_name(".events.table")).unlink(missing_ok=True)
    assert Table.open(events).version == 0  # which nobody could tell before
    shutil.rmtree(events)
    shutil.copytree(kept, events)
    store = fs.FeatureStore(older.root)
    store.upgrade()
    for place in (events, older.root / "lake" / "tiles" / "more"):
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(others, place)
        events.with_name(".events.table").unlink(missing_ok=True)
        with pytest.raises(StoreError, match="was made in another store"):
            Table.open(place)
    shutil.rmtree(events)
    shutil.copytree(kept, events)
    assert_answers(older, store)


def test_an_upgraded_store_tells_tables_that_are_older_than_the_rest(older: OlderStore) -> None:
    fs.FeatureStore(older.root).upgrade()
    for kind in ("events", "superseded", "keys"):
        table = next(path.parent for path in sorted((older.root / "lake" / kind).rglob("_delta_log")))
        newest = max((table / "_delta_log").glob("*.json"))
        if newest.stem.strip("0"):
            newest.rename(older.root / "newest.json")
            with pytest.raises(StoreError, match=r"it has had version \d+ .*older than the rest"):
                Table.open(table)
            (older.root / "newest.json").rename(newest)
    assert Table.open(older.root / "lake" / "events" / "events").version > 0


def test_what_an_upgraded_store_makes_names_it(older: OlderStore) -> None:
    store = fs.FeatureStore(older.root)
    store.upgrade()
    view = next(iter(store.registry.views.values()))
    store.apply([fs.FeatureView("added", entity=view.entity, source=view.source, aggregations=[fs.Count("n")])])
    store.materialize(["added"])
    (log,) = (older.root / "lake" / "tiles" / "added").rglob("_delta_log")
    assert record_of(older.root)["id"] in (log / f"{0:020}.json").read_text()
    assert store.verify(["added"]).is_equal


def test_an_upgraded_store_vouches_for_its_checkpoints(older: OlderStore) -> None:
    events = older.root / "lake" / "events" / "events"
    write_checkpoint(events)
    (path,) = checkpoints(events).values()
    sum_path(path).unlink()  # as older releases leave them
    fs.FeatureStore(older.root).upgrade()
    for entry in (events / "_delta_log").glob("*.json"):
        entry.unlink()
    assert Table.open(events).files()
    content = path.read_bytes()
    path.write_bytes(content[:2000] + bytes([content[2000] ^ 1]) + content[2001:])
    with pytest.raises(StoreError, match="its SHA-256 differs"):
        Table.open(events)


def test_a_damaged_table_is_not_taken_in(older: OlderStore) -> None:
    first = min((older.root / "lake" / "events" / "events" / "_delta_log").glob("*.json"))
    content = first.read_bytes()
    first.write_bytes(b"")
    store = fs.FeatureStore(older.root)
    with pytest.raises(StoreError, match=first.name):
        store.upgrade()
    assert "id" not in record_of(older.root)
    first.write_bytes(content)
    store.upgrade()
    assert_answers(older, store)


def test_two_upgrades_at_once_are_one(older: OlderStore) -> None:
    layout = create_or_open(older.root)
    with exclusive(layout.root / "upgrade.lock"), pytest.raises(CommitConflictError, match="being upgraded"):
        upgrade(layout)
    assert upgrade(layout).steps
    assert upgrading.upgrade(layout).steps == ()
