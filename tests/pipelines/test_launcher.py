"""Who answers for a run's process: alive, dead, or a later one of the same number."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import DagsterEvent
from dagster._core.launcher import WorkerStatus
from dagster._core.utils import make_new_run_id

from featurestore_pipelines.launcher import WatchfulRunLauncher, is_running
from tests.pipelines.signals import usual_signals


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    command = "import time\ntry:\n    print(flush=True)\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    raise SystemExit(7)"
    started = subprocess.Popen([sys.executable, "-c", command], stdout=subprocess.PIPE, preexec_fn=usual_signals)
    assert started.stdout is not None
    started.stdout.readline()
    yield started
    started.kill()
    started.communicate()


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    launcher = {"module": "featurestore_pipelines.launcher", "class": "WatchfulRunLauncher"}
    with dg.instance_for_test(overrides={"run_launcher": launcher}, temp_dir=str(tmp_path)) as made:
        yield made


def started_run(instance: dg.DagsterInstance, pid: int) -> dg.DagsterRun:
    run = instance.run_storage.add_run(dg.DagsterRun(job_name="daily_refresh", run_id=make_new_run_id()))
    event = DagsterEvent(event_type_value=dg.DagsterEventType.RUN_START.value, job_name=run.job_name, pid=pid)
    instance.report_dagster_event(event, run.run_id)
    return run


def test_a_process_runs_until_it_is_killed(process):
    at_s = time.time()
    assert is_running(process.pid, at_s=at_s)
    process.kill()
    deadline = time.monotonic() + 10
    while is_running(process.pid, at_s=at_s):  # nobody has waited for it: it has ended all the same
        assert time.monotonic() < deadline
    process.wait()
    assert not is_running(process.pid, at_s=at_s)


def test_a_later_process_of_the_same_number_is_another_one(process):
    assert not is_running(process.pid, at_s=time.time() - 3600)


def test_the_monitoring_is_told_when_the_process_of_a_run_is_gone(instance, process):
    run, launcher = started_run(instance, process.pid), instance.run_launcher
    assert isinstance(launcher, WatchfulRunLauncher)
    assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
    process.kill()
    process.wait()
    assert launcher.check_run_worker_health(run).status is WorkerStatus.NOT_FOUND


def test_a_run_that_died_with_its_code_server_waits_for_it_to_be_started_again(instance, process, tmp_path, monkeypatch):
    run, launcher = started_run(instance, process.pid), instance.run_launcher
    server = {"host": "localhost", "socket": str(tmp_path / "nobody.sock")}
    instance.add_run_tags(run.run_id, {".dagster/grpc_info": json.dumps(server)})
    process.kill()
    process.wait()
    assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
    monkeypatch.setattr("featurestore_pipelines.launcher.CODE_SERVER_WAIT_S", 0.0)
    assert launcher.check_run_worker_health(run).status is WorkerStatus.NOT_FOUND


def test_a_run_that_no_code_server_knows_is_stopped_and_not_started_again(instance, process):
    run = started_run(instance, process.pid)
    assert instance.run_launcher.terminate(run.run_id)
    assert process.wait(timeout=10) == 7, signal.SIGINT
    stopped = instance.get_run_by_id(run.run_id)
    assert stopped is not None
    assert stopped.tags["dagster/max_retries"] == "0"
    assert not instance.run_launcher.terminate(run.run_id)
