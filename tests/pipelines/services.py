"""A store as a running service: the code server and the daemon of the units in deploy/, as processes that can be killed."""

from __future__ import annotations

import configparser
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import dagster as dg

from tests.pipelines.signals import usual_signals

Found = TypeVar("Found")
ROOT = Path(__file__).parents[2]
LIMIT_S = 240.0
QUICK = {"poll_interval_seconds: 30": "poll_interval_seconds: 1"}
"""The daemon looks at the processes of runs every second instead of twice a minute."""


def unit(name: str) -> configparser.RawConfigParser:
    """Read a unit of deploy/."""
    parsed = configparser.RawConfigParser(strict=False)
    parsed.optionxform = str  # type: ignore[assignment, method-assign]
    parsed.read(ROOT / "deploy" / f"featurestore-{name}.service", encoding="utf-8")
    return parsed


@dataclass
class Services:
    """What systemd would run, without systemd.

    Args:
        home: Dagster's, with a dagster.yaml.
        environment: Of all processes.
        instance: On the same home.
        processes: Those that were started last, by the name of their unit.
        groups: Of each process that was started, itself and its children: runs outlive the code server that started them.
        signals: What each process does to its signals before it becomes a unit's command.
    """

    home: Path
    environment: dict[str, str]
    instance: dg.DagsterInstance
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    groups: list[int] = field(default_factory=list)
    signals: Callable[[], None] = usual_signals

    def start(self, name: str) -> None:
        """Run a unit's own command, in the repository."""
        command = self.command(unit(name)["Service"]["ExecStart"])
        with (self.home / f"{name}.log").open("ab") as log:
            started = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                preexec_fn=self.signals,
                start_new_session=True,
            )
        self.processes[name] = started
        self.groups.append(started.pid)

    def kill(self, name: str) -> None:
        """End a unit's process as kill -9 does."""
        self.processes[name].kill()
        self.processes[name].wait()

    def kill_worker(self, run_id: str) -> None:
        """End a run's process as kill -9 does."""
        os.kill(self.worker(run_id), signal.SIGKILL)

    def worker(self, run_id: str) -> int:
        """Return the number of a run's process."""
        (started,) = self.instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_START)
        pid = started.get_dagster_event().pid
        assert pid is not None
        return pid

    def launch(self, job: str, first: str, last: str) -> str:
        """Put a run of a range of months into the queue from the command line; return its id."""
        tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
        before = {run.run_id for run in self.instance.get_runs()}
        command = ["dagster", "job", "launch", "-w", "deploy/workspace.yaml", "-l", "definitions", "-j", job]
        subprocess.run(
            [Path(sys.executable).with_name(command[0]), *command[1:], "--tags", json.dumps(tags)],
            cwd=ROOT,
            env=self.environment,
            check=True,
            capture_output=True,
            timeout=LIMIT_S,
        )
        (run_id,) = {run.run_id for run in self.instance.get_runs()} - before
        return run_id

    def attempts(self, run_id: str) -> list[dg.DagsterRun]:
        """List a run and those that Dagster started in its place, the newest last."""
        runs = [run for run in self.instance.get_runs() if run_id in (run.run_id, run.root_run_id)]
        return sorted(runs, key=lambda run: int(run.tags.get("dagster/retry_number", "0")))

    def wait_for_step(self, run_id: str, step: str) -> dg.DagsterRun:
        """Wait until the newest attempt of a run has begun a step."""

        def begun() -> dg.DagsterRun | None:
            run = self.attempts(run_id)[-1]
            events = self.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_START)
            return run if any(event.get_dagster_event().step_key == step for event in events) else None

        return wait_for(begun, what=f"step {step}")

    def command(self, line: str) -> list[str]:
        """Take a unit's command for this installation."""
        socket = self.environment["FEATURESTORE_CODE_SOCKET"]
        program, *rest = shlex.split(line.replace("${FEATURESTORE_CODE_SOCKET}", socket))
        return [str(Path(sys.executable).with_name(Path(program).name)), *rest]


def wait_for(look: Callable[[], Found | None], *, what: str, most_s: float = LIMIT_S) -> Found:
    """Look until something is found."""
    deadline = time.monotonic() + most_s
    while (found := look()) is None:
        assert time.monotonic() < deadline, f"waited {most_s:g} s for {what}"
        time.sleep(0.05)
    return found


@contextmanager
def services(folder: Path, *, definitions: str, months: tuple[str, str]) -> Iterator[Services]:
    """Prepare a Dagster home as the units do, and end whatever was started there."""
    home = folder / "dagster"
    home.mkdir()
    text = (ROOT / "deploy" / "dagster.yaml").read_text(encoding="utf-8")
    for usual, quick in QUICK.items():
        assert usual in text
        text = text.replace(usual, quick)
    (home / "dagster.yaml").write_text(text, encoding="utf-8")
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "DAGSTER_HOME": str(home),
        "FEATURESTORE_CODE_SOCKET": str(home / "code.sock"),
        "FEATURESTORE_ROOT": str(folder / "store"),
        "FEATURESTORE_DEFINITIONS": definitions,
        "FEATURESTORE_FIRST_MONTH": months[0],
        "FEATURESTORE_LAST_MONTH": months[1],
        "FEATURESTORE_AUTOMATION": "off",
    }
    with dg.DagsterInstance.from_config(str(home)) as instance:
        made = Services(home, environment, instance)
        prepare = made.command(unit("code")["Service"]["ExecStartPre"])
        subprocess.run(prepare, cwd=ROOT, env=environment, check=True, timeout=LIMIT_S)
        try:
            yield made
        finally:
            for group in made.groups:
                with suppress(ProcessLookupError):
                    os.killpg(group, signal.SIGKILL)
            for process in made.processes.values():
                process.wait()
