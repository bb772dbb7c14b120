"""What a script starts in the background ignores SIGINT, and so do its children: their runs can be stopped all the same."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import dagster as dg
import pytest

from featurestore.timeline import Month, months_between
from tests.pipelines.left_alone import prepared
from tests.pipelines.services import ROOT, Services, services, unit, wait_for
from tests.pipelines.signals import ignored_signals

FIRST, LAST = "2016-01", "2016-12"


@pytest.fixture
def background(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    folder = tmp_path_factory.mktemp("b")  # a socket's path may have a hundred characters
    with services(folder, definitions="tests.pipelines.tiny_shop", months=(FIRST, LAST)) as made:
        made.signals = ignored_signals
        yield made


def test_a_run_of_services_that_ignore_it_is_stopped(background: Services) -> None:
    prepared(background.home.parent / "store", months_between(Month.parse(FIRST), Month.parse(LAST)))
    for name in ("code", "daemon"):
        background.start(name)
    wait_for(lambda: True if (background.home / "code.sock").exists() else None, what="the code server")
    run_id = background.launch("backfill", FIRST, LAST)
    background.wait_for_step(run_id, "tiles")
    assert background.instance.run_launcher.terminate(run_id)
    (stopped,) = wait_for(lambda: ended(background, run_id), what="the end of the run")
    assert stopped.status is dg.DagsterRunStatus.CANCELED
    assert stopped.tags["dagster/max_retries"] == "0"


def ended(background: Services, run_id: str) -> list[dg.DagsterRun] | None:
    attempts = background.attempts(run_id)
    return attempts if all(run.is_finished for run in attempts) else None


def test_a_code_server_ends_when_it_is_asked_to_if_it_was_given_its_own_signals(background: Services) -> None:
    command = ["env", "--default-signal=INT", *background.command(unit("code")["Service"]["ExecStart"])]
    with (background.home / "code.log").open("wb") as log:
        started = subprocess.Popen(
            command,
            cwd=ROOT,
            env=background.environment,
            stdout=log,
            stderr=log,
            preexec_fn=ignored_signals,
            start_new_session=True,
        )
    background.groups.append(started.pid)
    wait_for(lambda: True if (background.home / "code.sock").exists() else None, what="the code server")
    started.terminate()
    assert started.wait(timeout=60) == 0
