"""The last good snapshot of a service: what consumers read while a refresh is late, has failed or was killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

import featurestore as fs
from featurestore.drift.recalibration.calibration_versions import Challenger, record
from featurestore.drift.recalibration.recalibrate import Decision, Trigger
from featurestore.errors import StoreError
from tests.test_client import ACTIVITY, EVENTS, HISTORY, OBJECTS, SHANGHAI, SKUS, USER, rows, spine

ROOT = Path(__file__).parents[2]
HOURS = fs.FeatureView(
    "user_hours", entity=USER, source=EVENTS, grain="1h", aggregations=[fs.Count("seen", windows=("2h", "30d", "lifetime"))]
)
SERVICE = fs.FeatureService("routing_v1", features=[ACTIVITY, HOURS, SKUS])
OF_USERS = ["user_activity", "user_hours"]
LAST_EVENT_HOUR = datetime(2024, 2, 1, 1, tzinfo=SHANGHAI)
MORE = rows(
    (6, datetime(2024, 1, 15), 1, 40),  # late
    (7, datetime(2024, 1, 31, 23, 30), 7, 60),  # late, of a new user
    (2, datetime(2024, 1, 10, 23, 59), 1, 501, datetime(2024, 1, 30)),  # a correction
    (8, datetime(2024, 2, 3, 9), 2, 80),  # later
)
ASKED = [(user, datetime(2024, 2, day)) for day in (1, 2) for user in (1, 2, 3)]


def make_store(folder: Path, history: pa.Table = HISTORY) -> fs.FeatureStore:
    made = fs.FeatureStore(folder, timezone="Asia/Shanghai")
    made.apply([*OBJECTS, HOURS, SERVICE])
    made.ingest("events", history)
    made.materialize()
    return made


@pytest.fixture
def store(tmp_path: Path) -> fs.FeatureStore:
    return make_store(tmp_path / "store")


@pytest.fixture(scope="module")
def of_then(tmp_path_factory: pytest.TempPathFactory) -> fs.FeatureStore:
    """The oracle: a store that never heard of anything later."""
    return make_store(tmp_path_factory.mktemp("then") / "store")


def promote(folder: Path, a: float) -> None:
    table = pa.table({"group": ["*"], "a": [a]})
    decision = Decision("prior", Trigger("2024-01", "x"), 5, 10, ("2024-01",), (), True, "because")
    record(folder, Challenger(table, "beta_binomial", 0, 10), decision)


def told(table: pa.Table) -> dict:
    return json.loads(table.schema.metadata[b"featurestore.publication"])


def vacuum_all(store: fs.FeatureStore) -> int:
    """Delete what may be deleted, as if a month had passed since it was replaced."""
    then = time.time() - 31 * 86400
    for log in (store.layout.root / "lake").rglob("_delta_log/*.json"):
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        for line in lines:
            if "remove" in line:
                line["remove"]["deletionTimestamp"] = int(then * 1000)
            line.get("commitInfo", {}).pop("crc32", None)
        log.write_text("\n".join(map(json.dumps, lines)) + "\n")
    for path in (store.layout.root / "lake").rglob("*"):
        if path.is_file():
            os.utime(path, (then, then))
    return sum(store.vacuum(retention_hours=1).files.values())


@pytest.mark.parametrize("as_known", [False, True])
def test_what_was_published_is_read_row_for_row_after_more_late_and_corrected_events(store, of_then, as_known: bool) -> None:
    publication = store.publish("routing_v1")
    options = {"as_known": as_known, "versions": publication}
    batch = store.get_batch_features(publication.as_of, OF_USERS, **options)
    training = store.get_historical_features(spine(*ASKED, sku_id=[0, 1, 2] * 2).slice(0, 3), "routing_v1", **options)
    for step in (lambda: store.ingest("events", MORE), store.materialize, lambda: vacuum_all(store)):
        step()
        again = store.published("routing_v1")
        assert again == publication
        options = {"as_known": as_known, "versions": again}
        assert store.get_batch_features(again.as_of, OF_USERS, **options).equals(batch, check_metadata=True)
        asked = spine(*ASKED, sku_id=[0, 1, 2] * 2).slice(0, 3)
        assert store.get_historical_features(asked, "routing_v1", **options).equals(training, check_metadata=True)
    assert of_then.get_batch_features(publication.as_of, OF_USERS, as_known=as_known).equals(batch)
    assert of_then.get_historical_features(asked, "routing_v1", as_known=as_known).equals(training)
    assert not store.get_batch_features(publication.as_of, OF_USERS, as_known=as_known).equals(batch)


def test_a_late_refresh_leaves_consumers_on_the_last_good_snapshot_and_says_so(store, of_then) -> None:
    store.publish("routing_v1")
    store.ingest("events", MORE)
    now = datetime(2024, 2, 3, 10, tzinfo=SHANGHAI)
    with pytest.raises(fs.NotMaterializedError):
        store.get_batch_features(now, OF_USERS)
    with pytest.raises(fs.NotMaterializedError):
        store.publish("routing_v1")
    served = store.get_batch_features(now, OF_USERS, versions=store.published("routing_v1"))
    assert served.equals(of_then.get_batch_features(LAST_EVENT_HOUR, OF_USERS))
    assert set(served["as_of"].to_pylist()) == {LAST_EVENT_HOUR}
    facts = told(served)
    assert (facts["service"], facts["number"], facts["is_fallback"]) == ("routing_v1", 0, True)
    assert facts["age_s"] == (now - LAST_EVENT_HOUR).total_seconds()
    store.materialize()
    assert store.publish("routing_v1").number == 1
    fresh = store.get_batch_features(now, OF_USERS, versions=store.published("routing_v1"))
    assert fresh.equals(store.get_batch_features(now, OF_USERS))
    assert not told(fresh)["is_fallback"]


def test_an_as_of_that_floors_to_what_is_published_is_no_fallback(store) -> None:
    publication = store.publish("routing_v1")
    assert publication.as_of == LAST_EVENT_HOUR
    for later, is_fallback in ((timedelta(minutes=59), False), (timedelta(hours=1), True), (-timedelta(days=3), False)):
        served = store.get_batch_features(LAST_EVENT_HOUR + later, OF_USERS, versions=publication)
        assert told(served)["is_fallback"] is is_fallback
    daily = store.get_batch_features(LAST_EVENT_HOUR + timedelta(hours=3), ["user_activity"], versions=publication)
    assert not told(daily)["is_fallback"]


def test_rows_behind_a_publication_are_refused_in_a_spine(store) -> None:
    publication = store.publish("routing_v1")
    with pytest.raises(fs.NotPublishedError, match="Give the rows the publication's as_of"):
        store.get_historical_features(spine((1, datetime(2024, 2, 2))), OF_USERS, versions=publication)


def test_publishing_again_changes_nothing_and_never_goes_back(store) -> None:
    first = store.publish("routing_v1")
    assert store.publish("routing_v1") == first
    with pytest.raises(fs.NotPublishedError, match="never goes back"):
        store.publish("routing_v1", as_of="2024-01-31")
    with pytest.raises(fs.DefinitionError, match="in the future"):
        store.publish("routing_v1", as_of=datetime.now(SHANGHAI) + timedelta(days=1))
    store.ingest("events", MORE.slice(0, 1))
    store.materialize()
    corrected = store.publish("routing_v1")
    assert (corrected.number, corrected.as_of) == (1, first.as_of)


def test_the_age_has_a_limit(store) -> None:
    with pytest.raises(fs.NotPublishedError, match=r"store.publish\('routing_v1'\)"):
        store.published("routing_v1")
    store.publish("routing_v1")
    at = LAST_EVENT_HOUR + timedelta(hours=7)
    assert store.published("routing_v1", max_age="7h", at=at).number == 0
    with pytest.raises(fs.NotPublishedError, match=r"7:00:00 before .*; at most 6:00:00"):
        store.published("routing_v1", max_age=timedelta(hours=6), at=at)
    with pytest.raises(fs.UnknownNameError, match="Did you mean 'routing_v1'"):
        store.published("routing_v2")


def test_a_length_that_is_none_is_refused(store) -> None:
    store.publish("routing_v1")
    for length in ("soon", "lifetime", "30m"):
        with pytest.raises(fs.DefinitionError, match=f"{length!r} is no length of time. Write '6h'"):
            store.published("routing_v1", max_age=length)


def test_a_service_is_published_by_name_or_as_an_object(store) -> None:
    assert store.publish(SERVICE) == store.published(SERVICE) == store.published("routing_v1")
    with pytest.raises(fs.UnknownNameError, match=r"There is no service 'routing_v2'\. Did you mean 'routing_v1'"):
        store.publish(fs.FeatureService("routing_v2", features=[ACTIVITY]))


def test_a_source_is_published_as_far_as_it_has_events_wherever_its_time_column_stands(tmp_path) -> None:
    """Delta keeps statistics of the first 32 columns alone."""
    others = {f"c{i}": "int64" for i in range(40)}
    wide = fs.EventSource(
        "wide",
        schema={**others, "user_id": "int64", "event_id": "int64", "at": "timestamp"},
        event_time="at",
        event_id="event_id",
    )
    seen = fs.FeatureView("seen", entity=USER, source=wide, aggregations=[fs.Count("n")])
    store = fs.FeatureStore(tmp_path / "store", timezone="Asia/Shanghai")
    store.apply([seen, fs.FeatureService("seen_v1", features=[seen])])
    with pytest.raises(fs.NotPublishedError, match="Source 'wide' has no events yet"):
        store.publish("seen_v1")
    times = [datetime(2023, 12, 30, 12, tzinfo=SHANGHAI), datetime(2024, 1, 9, 12, tzinfo=SHANGHAI)]
    store.ingest("wide", pa.table({name: [1, 2] for name in (*others, "user_id", "event_id")} | {"at": times}))
    store.materialize()
    assert store.publish("seen_v1").as_of == datetime(2024, 1, 10, tzinfo=SHANGHAI)


def test_a_changed_or_removed_view_is_read_as_it_was_published_until_it_is_published_anew(store) -> None:
    publication = store.publish("routing_v1")
    before = store.get_batch_features(publication.as_of, OF_USERS, versions=publication)
    of_skus = store.get_batch_features(publication.as_of, "skus", versions=publication)
    spent = fs.Sum("spent", "amount_cents", windows=("2h",))
    changed = fs.FeatureView("user_hours", entity=USER, source=EVENTS, grain="1h", aggregations=[spent])
    store.apply([changed, fs.FeatureService("routing_v1", features=[changed])])
    store.remove("skus")
    with pytest.raises(fs.NotMaterializedError):
        store.publish("routing_v1")
    assert store.status().services[-1].is_redefined
    vacuum_all(store)
    assert store.get_batch_features(publication.as_of, "skus", versions=publication).equals(of_skus, check_metadata=True)
    again = store.get_batch_features(publication.as_of, OF_USERS, versions=store.published("routing_v1"))
    assert again.equals(before, check_metadata=True)
    with pytest.raises(fs.UnknownNameError, match="spent_2h"):
        store.get_batch_features(publication.as_of, ["user_hours:spent_2h"], versions=publication)
    store.materialize()
    anew = store.publish("routing_v1")
    assert store.get_batch_features(anew.as_of, "routing_v1", versions=anew)["user_hours__spent_2h"].to_pylist() == [0, 300]


def test_joined_features_are_published_with_the_views_that_they_read(store) -> None:
    share = fs.Derived("share", "user_activity__buys_lifetime / nullif(skus__events, 0)")
    both = fs.JoinedView("both", views=[ACTIVITY, SKUS], derived=[share])
    store.apply([both, fs.FeatureService("shares_v1", features=[both])])
    publication = store.publish("shares_v1")
    asked = pa.table({"user_id": [1, 2], "sku_id": [1, 2], "as_of": [publication.as_of] * 2})
    before = store.get_historical_features(asked, "shares_v1", versions=publication)
    store.ingest("events", MORE)
    store.materialize()
    vacuum_all(store)
    assert before["both__share"].to_pylist() == [1.5, 0.5]
    assert store.get_historical_features(asked, "both:share", versions=publication).equals(before, check_metadata=True)


def test_a_publication_keeps_the_champions_of_its_moment(tmp_path) -> None:
    priced = fs.FeatureView(
        "priced",
        entity=USER,
        source=EVENTS,
        aggregations=[fs.Count("n"), fs.Count("m")],
        derived=[fs.Derived("p", "n * calibrated('prior.a')")],
    )
    prior = fs.Calibration("prior", fit="beta_binomial", inputs=["priced:n", "priced:m"])
    store = fs.FeatureStore(tmp_path / "store", timezone="Asia/Shanghai")
    store.apply([priced, prior, fs.FeatureService("prices_v1", features=[priced])])
    store.ingest("events", HISTORY)
    store.materialize()
    now, folder = LAST_EVENT_HOUR + timedelta(days=1), store.layout.calibrations("prior")
    answers = []
    for a in (None, 10.0, 20.0):
        if a is not None:
            promote(folder, a)
        store.publish("prices_v1")
        answers.append(
            store.get_batch_features(now, "prices_v1", versions=store.published("prices_v1"))["priced__p"].to_pylist()
        )
    assert answers == [[None, None], [40.0, 10.0], [80.0, 20.0]]
    last = store.published("prices_v1")
    store.rollback("prior")
    batches = [store.get_batch_features(last.as_of, "prices_v1", versions=given) for given in (last, None)]
    assert [batch["priced__p"].to_pylist() for batch in batches] == [[80.0, 20.0], [40.0, 10.0]]
    again = store.get_batch_features(last.as_of, "prices_v1", versions=batches[0])
    assert again.equals(batches[0])
    trained = store.get_historical_features(batches[0].select(["user_id", "as_of"]), "prices_v1", versions=last)
    with pytest.raises(fs.VersionError, match="of a training set"):
        store.get_batch_features(last.as_of, "prices_v1", versions=trained)


def test_old_publications_expire_and_their_files_with_them(store) -> None:
    first = store.publish("routing_v1", keep=2)
    for i in range(3):
        store.ingest("events", rows((20 + i, datetime(2024, 2, 4 + i), 1, 10)))
        store.materialize()
        store.publish("routing_v1", keep=2)
    kept = sorted(path.stem for path in store.layout.publications("routing_v1").iterdir())
    assert kept == ["00000002", "00000003"]
    assert vacuum_all(store) > 0
    with pytest.raises((fs.FeatureStoreError, OSError)):
        store.get_batch_features(first.as_of, OF_USERS, versions=first)
    last = store.published("routing_v1")
    assert store.get_batch_features(last.as_of, OF_USERS, versions=last).num_rows == 2


@pytest.mark.parametrize("content", ["[]", "null", "{}", '{"versions": {}}', '{"versions": 3}'])
def test_a_damaged_publication_says_what_to_do(store, content: str) -> None:
    first = store.publish("routing_v1")
    (path,) = store.layout.publications("routing_v1").iterdir()
    path.write_text(content)
    for call in (store.publish, store.published):
        with pytest.raises(StoreError, match=r"00000000\.json is no publication .* Delete it, and publish the service again"):
            call("routing_v1")
    path.unlink()
    assert store.publish("routing_v1").is_same(first)


def test_a_removed_service_is_no_longer_published(store) -> None:
    store.publish("routing_v1")
    assert store.vacuum().published == ("routing_v1",)
    store.remove("routing_v1")
    assert store.vacuum().published == ()
    assert not store.layout.publications("routing_v1").exists()


def test_of_publishers_at_once_each_gets_a_number_of_its_own_or_finds_it_done(store) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: store.publish("routing_v1"), range(8)))
    assert {each.number for each in made} == {0}
    assert len(list(store.layout.publications("routing_v1").iterdir())) == 1
    assert store.published("routing_v1") in made


def test_a_pinned_publication_outlives_it(store) -> None:
    publication = store.publish("routing_v1")
    answer = store.get_batch_features(publication.as_of, OF_USERS, versions=publication)
    store.pin("audit_2024", publication)
    store.ingest("events", MORE)
    store.materialize()
    store.publish("routing_v1", keep=1)
    vacuum_all(store)
    assert store.get_batch_features(publication.as_of, OF_USERS, versions=publication).equals(answer)


REFRESH = """
import sys
from featurestore.client import FeatureStore
from tests.pipelines.interrupted import die_at
from tests.operations.test_publishing import MORE
die_at(int(sys.argv[2]))
store = FeatureStore(sys.argv[1])
store.ingest("events", MORE)
store.materialize()
store.publish("routing_v1")
"""


def test_a_refresh_that_is_killed_anywhere_leaves_the_old_snapshot_or_the_new_one(tmp_path, of_then) -> None:
    """Flushes to disk: of the ingest's files and log, of tiles, of ledgers, of the publication."""
    new, numbers = make_store(tmp_path / "new"), []
    new.ingest("events", MORE)
    new.materialize()
    now = datetime(2024, 2, 3, 10, tzinfo=SHANGHAI)
    answers = [store.get_batch_features(at, OF_USERS) for store, at in ((of_then, LAST_EVENT_HOUR), (new, now))]
    store = make_store(tmp_path / "killed")
    store.publish("routing_v1")
    for flush in (2, 4, 6, 1):
        command = [sys.executable, "-c", REFRESH, str(store.layout.root), str(flush)]
        ended = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
        assert ended.returncode in (0, -signal.SIGKILL), ended.stderr
        last = store.published("routing_v1")
        numbers.append(last.number)
        assert store.get_batch_features(now, OF_USERS, versions=last).equals(answers[last.number])
    assert numbers[0] == 0
    assert numbers == sorted(numbers)
    store.ingest("events", MORE)
    store.materialize()
    assert store.publish("routing_v1").number == 1
    assert store.verify().is_equal


def test_a_clock_that_ran_ahead_does_not_keep_consumers_on_what_it_published(store, monkeypatch) -> None:
    """RTC battery, a restored snapshot of a machine: it was 2044 for an hour, and events were stamped so too."""
    before = store.publish("routing_v1")
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + 20 * 366 * 86_400 * 10**9)
    store.ingest("events", rows((9, datetime(2044, 1, 1, 9), 1, 5)))
    store.materialize()
    ahead = store.publish("routing_v1")
    assert ahead.as_of > datetime(2043, 1, 1, tzinfo=SHANGHAI)
    monkeypatch.undo()
    again = store.publish("routing_v1")
    assert (ahead.number, again.number) == (before.number + 1, before.number + 2)
    assert ahead.as_of > again.as_of > before.as_of
    assert again.as_of <= datetime.now(SHANGHAI)
    assert store.published("routing_v1") == again == store.publish("routing_v1")
    with pytest.raises(fs.NotPublishedError, match="never goes back"):
        store.publish("routing_v1", as_of=before.as_of)


def test_publishing_flushes_what_other_processes_have_committed_before_it_names_it(store, monkeypatch) -> None:
    synced, real = list[Path](), os.fsync

    def fsync(handle: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{handle}")))
        real(handle)

    copied = fs.FeatureStore(shutil.copytree(store.layout.root, store.layout.root.with_name("copied")))
    monkeypatch.setattr(os, "fsync", fsync)
    copied.publish("routing_v1")
    folder = copied.layout.publications("routing_v1")
    first = next(i for i, path in enumerate(synced) if path.parent == folder)
    read = ("events", "superseded", "ledger", "keys")
    logs = [log for kind in read for log in (copied.layout.root / "lake" / kind).rglob("_delta_log")]
    assert len(logs) >= 6
    assert set(logs) <= set(synced[:first])
    assert folder in synced[first:]
    synced.clear()
    assert copied.publish("routing_v1").number == 0
    assert synced == []
