"""The user interface: its first page, and its end, at Ctrl-C and at SIGTERM, however it was started."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import dagster as dg
import pytest

from featurestore.timeline import Month, months_between
from featurestore_pipelines.launcher import WatchfulRunLauncher
from featurestore_pipelines.ui import Ui, check_port, main
from tests.pipelines.left_alone import prepared
from tests.pipelines.service import CODE_LOCATION, Service, running
from tests.pipelines.signals import ignored_signals

FIRST, LAST = "2016-01", "2016-12"
SETTINGS = {
    "FEATURESTORE_DEFINITIONS": "tests.pipelines.tiny_shop",
    "FEATURESTORE_FIRST_MONTH": FIRST,
    "FEATURESTORE_LAST_MONTH": LAST,
}
LAUNCH = """mutation ($it: ExecutionParams!) { launchRun(executionParams: $it) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
STATUS = "query ($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }"
MAX_END_S = 30
"""On an idle machine it takes less than seven seconds: what does not end by itself is killed after six."""

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return prepared(tmp_path / "store", months_between(Month.parse(FIRST), Month.parse(LAST))).layout.root


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_all_of_it_ends_within_seconds_also_a_run_and_also_when_a_script_has_started_it_in_the_background(
    store: Path, number: signal.Signals
) -> None:
    with running(store, signals=ignored_signals, **SETTINGS) as service:
        assert service.ask("{ shouldShowNux }") == {"shouldShowNux": False}
        run = launch(service)
        service.wait_for("started run", lambda: is_started(service, run) or None, limit_s=120)
        assert len(processes_of(store)) >= 6  # ours, the code server's two, daemon, webserver, the run
        service.process.send_signal(number)
        assert service.process.wait(timeout=MAX_END_S) == 0, service.log.read_text(encoding="utf-8")
        assert processes_of(store) == []
        check_port(Ui(port=service.port))
    with dg.DagsterInstance.from_config(str(store / ".dagster")) as instance:
        assert isinstance(instance.run_launcher, WatchfulRunLauncher)
        (stopped,) = instance.get_runs()
        assert stopped.status is dg.DagsterRunStatus.FAILURE
        assert stopped.tags["dagster/will_retry"] == "true"  # as after a restart of the machine


def launch(service: Service) -> str:
    """Launch a run of all months, as a click does."""
    months = {"dagster/asset_partition_range_start": FIRST, "dagster/asset_partition_range_end": LAST}
    given = {
        "selector": {**CODE_LOCATION, "jobName": "backfill"},
        "mode": "default",
        "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in months.items()]},
    }
    launched = service.ask(LAUNCH, it=given)["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    return str(launched["run"]["runId"])


def is_started(service: Service, run: str) -> bool:
    return bool(service.ask(STATUS, run=run)["runOrError"]["status"] == "STARTED")


def processes_of(root: Path) -> list[str]:
    """Name the processes whose environment or command names a store."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
            if os.fsencode(root) in told and int(process.name) != os.getpid():
                found.append(f"{process.name} {(process / 'cmdline').read_bytes().decode(errors='replace')}")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


def test_a_port_that_is_taken_is_said_before_anything_is_started(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["--root", str(store), "--port", port]) == 1
    assert f"Nothing can listen at 127.0.0.1:{port}" in capsys.readouterr().err
    assert not (store / ".dagster").exists()


def test_settings_that_are_not_there_are_named(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--root", str(store), "--settings", "deploy/dagster.yml"]) == 1
    assert "no settings of Dagster in deploy/dagster.yml" in capsys.readouterr().err


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--root", str(tmp_path / "shoq")]) == 1
    assert "There is no store in" in capsys.readouterr().err
    assert not (tmp_path / "shoq").exists()
