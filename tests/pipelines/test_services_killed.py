"""kill -9 of code server, daemon and run in the middle of a run's stages: the store ends like one that was left alone."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest

from featurestore.client import FeatureStore
from featurestore.timeline import Month, months_between
from featurestore_pipelines.alerting.outbox import Message, Outbox, Send
from featurestore_pipelines.sensors import tell
from tests.pipelines.left_alone import assert_equal, prepared
from tests.pipelines.services import Services, services, wait_for

FIRST, LAST = "2016-01", "2016-12"
MONTHS = months_between(Month.parse(FIRST), Month.parse(LAST))


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    store = prepared(tmp_path_factory.mktemp("untouched") / "store", MONTHS)
    store.ingest("events")
    store.materialize()
    store.audit(MONTHS)
    store.recalibrate(month=MONTHS)
    return store


@pytest.fixture
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    folder = tmp_path_factory.mktemp("s")  # a socket's path may have a hundred characters
    with services(folder, definitions="tests.pipelines.tiny_shop", months=(FIRST, LAST)) as made:
        yield made


def remember(told: list[str]) -> Send:
    def send(message: Message) -> Iterator[tuple[str, str | None]]:
        told.append(message.name)
        yield "memory", None

    return send


def test_a_run_whose_every_process_was_killed_ends_like_one_that_was_left_alone(running, untouched):
    store = prepared(running.home.parent / "store", MONTHS)
    told: list[str] = []
    cursor = tell(running.instance, store, remember(told), None)
    for name in ("code", "daemon"):
        running.start(name)
    wait_for(lambda: True if (running.home / "code.sock").exists() else None, what="the code server")
    attempts = killed_at_four_points(running, store)
    assert [run.status.value for run in attempts] == ["FAILURE", "FAILURE", "SUCCESS"]
    assert_equal(store, untouched)
    for _ in range(2):
        cursor = tell(running.instance, store, remember(told), cursor)
    failed = [f"run:{run.run_id}" for run in attempts[:-1]]
    assert sorted(told) == sorted(failed) == [message.name for message in Outbox(store.layout.alerts).messages("sent")]


def killed_at_four_points(running: Services, store: FeatureStore) -> list[dg.DagsterRun]:
    """Launch a run and kill what belongs to it in each of its stages; return all attempts once the last has succeeded."""
    run_id = running.launch("backfill", FIRST, LAST)

    first = running.wait_for_step(run_id, "events")  # ingest: the machine restarts
    running.kill("daemon")
    running.kill("code")
    running.kill_worker(first.run_id)
    assert store.verify().is_equal
    running.start("code")
    running.start("daemon")

    second = running.wait_for_step(run_id, "tiles")  # materialize: the run goes on without a daemon
    running.kill("daemon")
    running.start("daemon")
    running.wait_for_step(run_id, "drift_report")  # audit: and without a code server
    running.kill("code")
    running.start("code")
    assert second.run_id != first.run_id
    running.wait_for_step(run_id, "calibration")  # promotion: the run alone
    running.kill_worker(second.run_id)

    def succeeded() -> list[dg.DagsterRun] | None:
        attempts = running.attempts(run_id)
        return attempts if attempts[-1].status is dg.DagsterRunStatus.SUCCESS else None

    return wait_for(succeeded, what="the run")
