"""Tables of a store that were lost, in part or whole, or come from another store: every verb says so, and the way back works."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import featurestore as fs
from tests.test_client import EVENTS, HISTORY, OBJECTS, SHANGHAI, USER, rows

MORE = rows((9, datetime(2024, 2, 3, 9), 7, 80), (10, datetime(2024, 2, 3, 10), 6, 90))
AT = datetime(2024, 2, 5, tzinfo=SHANGHAI)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose users came in two commits."""
    store = fs.FeatureStore(tmp_path_factory.mktemp("lost") / "store", timezone="Asia/Shanghai")
    store.apply([*OBJECTS, fs.FeatureService("routing_v1", features=["user_activity"])])
    for events in (HISTORY, MORE):
        store.ingest("events", events)
        store.materialize()
    return store.layout.root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "store"))


def answer(store: fs.FeatureStore) -> pa.Table:
    return store.get_batch_features(AT, ["user_activity"]).sort_by("user_id").replace_schema_metadata()


def of_before(table: pa.Table) -> pa.Table:
    """Leave out the user whom ``verbs`` add."""
    return table.filter(pc.less(table["user_id"], 8))


def refused(match: str, *verbs: Callable[[], object]) -> Iterator[str]:
    for verb in verbs:
        with pytest.raises(fs.StoreError, match=match) as raised:
            verb()
        yield str(raised.value)


def verbs(store: fs.FeatureStore) -> list[Callable[[], object]]:
    """Reading, refreshing with a new user, and publishing."""

    def refresh() -> None:
        store.ingest("events", rows((11, datetime(2024, 2, 4, 10), 8, 90)))
        store.materialize()

    return [lambda: answer(store), lambda: store.publish("routing_v1"), refresh, lambda: store.publish("routing_v1")]


def test_a_dictionary_that_lost_its_newest_entry_is_refused_and_no_code_is_given_twice(root: Path) -> None:
    store = fs.FeatureStore(root)
    before = answer(store)
    keys = root / "lake" / "keys" / "user" / "int64"
    (kept := root / "kept").write_bytes((lost := max((keys / "_delta_log").iterdir())).read_bytes())
    lost.unlink()
    store = fs.FeatureStore(root)
    assert len(list(refused(r"is 1, and it has had version 2 .*Restore", *verbs(store)))) == 4
    assert not lost.exists()
    shutil.copyfile(kept, lost)
    store.materialize()
    assert of_before(answer(store)).equals(before)
    assert store.verify().is_equal


@pytest.mark.parametrize("part", ["all of it", "the newest entry"])
def test_a_dictionary_shorter_than_its_balances_is_refused_also_without_a_witness_and_made_again(root: Path, part: str) -> None:
    before = answer(fs.FeatureStore(root))
    keys = root / "lake" / "keys" / "user"
    (keys / ".int64.table").unlink()
    (root / "newest" / "keys" / "user" / "int64").unlink()
    if part == "all of it":
        shutil.rmtree(keys / "int64")
    else:
        max((keys / "int64" / "_delta_log").iterdir()).unlink()
    store = fs.FeatureStore(root)
    known = 0 if part == "all of it" else 2
    told = list(refused(rf"knows {known} keys, and totals were made with 4: it was lost in part", *verbs(store)))
    for name in re.search(r"folders (.*), and materialize", told[0])[1].replace(" and", ",").split(", "):
        assert name in ("lake/keys", "lake/tiles", "lake/ledger", "hot", "known")
        shutil.rmtree(root / name, ignore_errors=True)
    store.materialize()
    assert of_before(answer(store)).equals(before)
    assert store.verify().is_equal


def test_a_dictionary_shorter_than_the_totals_of_another_view_is_refused_before_new_keys_take_its_codes(root: Path) -> None:
    keys = root / "lake" / "keys" / "user"
    (keys / ".int64.table").unlink()
    (root / "newest" / "keys" / "user" / "int64").unlink()
    max((keys / "int64" / "_delta_log").iterdir()).unlink()
    store = fs.FeatureStore(root)
    other = fs.FeatureView("other", entity=USER, source=EVENTS, aggregations=[fs.Count("all")])
    store.apply([other])
    for views in (None, ["other"]):
        assert (
            len(list(refused(r"knows 2 keys, and totals were made with 4", lambda views=views: store.materialize(views)))) == 1
        )
    told = [damage for damage in store.doctor().left if damage.kind == "keys"]
    assert [(damage.path, damage.what) for damage in told] == [
        ("lake/keys/user/int64", "knows 2 keys, and totals were made with 4")
    ]
    assert "backup" in told[0].way_out


def test_events_without_their_log_are_no_empty_source(root: Path) -> None:
    store = fs.FeatureStore(root)
    shutil.move(root / "lake" / "events" / "events" / "_delta_log", root / "kept")
    assert len(list(refused("has lost its log.*Restore", *verbs(store), store.verify))) == 5
    shutil.rmtree(root / "lake" / "events" / "events" / "_delta_log", ignore_errors=True)
    shutil.move(root / "kept", root / "lake" / "events" / "events" / "_delta_log")
    assert answer(store).num_rows == 4


def test_events_of_another_store_are_refused(root: Path, tmp_path: Path) -> None:
    other = fs.FeatureStore(tmp_path / "other", timezone="Asia/Shanghai")
    other.apply([EVENTS])
    other.ingest("events", HISTORY)
    shutil.rmtree(root / "lake" / "events" / "events")
    shutil.copytree(tmp_path / "other" / "lake" / "events" / "events", root / "lake" / "events" / "events")
    store = fs.FeatureStore(root)
    assert len(list(refused("another store's was put in its place", *verbs(store)))) == 4


def test_what_is_computed_may_still_be_deleted_and_is_made_again(root: Path) -> None:
    store = fs.FeatureStore(root)
    before = answer(store)
    for kind in ("tiles", "ledger"):
        shutil.rmtree(root / "lake" / kind / "user_activity")
    store.materialize()
    assert answer(store).equals(before)


def restored(folder: Path, backup: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(backup, folder)


@pytest.mark.parametrize("part", ["lake", "lake/events", "lake/keys", "lake/ledger/user_activity"])
def test_folders_of_another_store_are_refused_also_with_their_witnesses(root: Path, tmp_path: Path, part: str) -> None:
    other = fs.FeatureStore(tmp_path / "other", timezone="Asia/Shanghai")
    other.apply([*OBJECTS])
    other.ingest("events", HISTORY)
    other.materialize()
    restored(root / part, tmp_path / "other" / part)
    assert (
        len(
            list(
                refused(
                    r"was made in another store.*another store's was put in its place\. Restore", *verbs(fs.FeatureStore(root))
                )
            )
        )
        >= 2
    )


@pytest.mark.parametrize("part", ["lake", "lake/events", "lake/keys"])
def test_a_part_that_was_restored_from_an_older_backup_is_told_and_a_whole_backup_is_not(
    root: Path, tmp_path: Path, part: str
) -> None:
    store = fs.FeatureStore(root)
    before = answer(store)
    backup = Path(shutil.copytree(root, tmp_path / "backup"))
    store.ingest("events", rows((11, datetime(2024, 2, 4, 10), 8, 90)))
    store.materialize()
    newest = Path(shutil.copytree(root, tmp_path / "newest"))
    restored(root / part, backup / part)
    store = fs.FeatureStore(root)
    (told, *_) = refused(r"has had version \d+ .*older than the rest of the store.* delete .* ingest", store.materialize)
    assert [each.is_healed for each in store.doctor(dry_run=True).damages if "older than" in each.what]
    restored(root, newest)
    assert answer(fs.FeatureStore(root)).num_rows == before.num_rows + 1
    restored(root, backup)
    store = fs.FeatureStore(root)
    assert answer(store).equals(before)
    assert store.verify().is_equal
    assert str(root / "newest") in told


def test_a_store_goes_on_from_an_older_state_of_its_events_as_the_error_says(root: Path, tmp_path: Path) -> None:
    store = fs.FeatureStore(root)
    more = rows((11, datetime(2024, 2, 4, 10), 8, 90))
    backup = Path(shutil.copytree(root / "lake" / "events", tmp_path / "backup"))
    store.ingest("events", more)
    store.materialize()
    whole = answer(store)
    restored(root / "lake" / "events", backup)
    store = fs.FeatureStore(root)
    (told,) = refused("older than the rest", store.materialize)
    Path(re.search(r"delete (\S+), ingest", told)[1]).unlink()
    store.ingest("events", more)
    store.materialize()
    assert answer(store).equals(whole)
    assert store.verify().is_equal


def test_events_that_are_gone_with_their_witness_are_no_empty_source_until_they_are_to_be(root: Path) -> None:
    shutil.rmtree(root / "lake" / "events")
    store = fs.FeatureStore(root)
    told = list(refused("is gone, and with it all rows.*Restore", *verbs(store), store.verify))
    Path(re.search(r"begin anew without them, delete (\S+)\.$", told[0])[1]).unlink()
    store.ingest("events", HISTORY)
    store.materialize()
    assert store.verify().is_equal


def test_a_note_of_the_newest_version_that_a_power_cut_emptied_is_none(root: Path) -> None:
    for note in (path for path in (root / "newest").rglob("*") if path.is_file()):
        note.write_bytes(b"")
    store = fs.FeatureStore(root)
    assert answer(store).num_rows == 4
    store.ingest("events", rows((11, datetime(2024, 2, 4, 10), 8, 90)))
    assert int((root / "newest" / "events" / "events").read_bytes()) == 2
