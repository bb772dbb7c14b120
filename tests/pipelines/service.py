"""A running Dagster on a store: webserver, daemon, code server and runs as processes, asked by GraphQL."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).parents[2]
CODE_LOCATION = {"repositoryLocationName": "definitions", "repositoryName": "__repository__"}
TURN_ON = "mutation ($it: SensorSelector!) { startSensor(sensorSelector: $it) { __typename } }"
RUNS = """query ($job: String!) { runsOrError(filter: {pipelineName: $job}) {
    ... on Runs { results { runId status tags { key value } } } } }"""
ERRORS = """query ($run: ID!) { runOrError(runId: $run) { ... on Run { eventConnection { events {
    ... on ExecutionStepFailureEvent { stepKey error { message } }
    ... on RunFailureEvent { message } } } } } }"""
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Service:
    """Dagster on loopback.

    Args:
        port: Of the webserver.
        log: What its processes have printed.
        process: The first of them; the others are its children and of its process group.
    """

    port: int
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        """Ask by GraphQL."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", data=body, headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            found = json.load(answer)
        assert "errors" not in found, found["errors"]
        data: dict[str, Any] = found["data"]
        return data

    def wait_for(self, what: str, look: Callable[[], Answer | None], *, limit_s: float) -> Answer:
        """Look until something is found, and return it.

        Raises:
            TimeoutError: it has not been found in time, or the service has ended; the message ends with its log.
        """
        until = time.monotonic() + limit_s
        while time.monotonic() < until and self.process.poll() is None:
            with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
                if (found := look()) is not None:
                    return found
            time.sleep(0.5)
        raise TimeoutError(f"No {what} within {limit_s:.0f} s:\n{self.log.read_text(encoding='utf-8')[-4000:]}")

    def turn_on(self, sensor: str) -> None:
        """Let the daemon run a sensor."""
        done = self.ask(TURN_ON, it={**CODE_LOCATION, "sensorName": sensor})
        assert done["startSensor"]["__typename"] == "Sensor", done

    def ended_run(self, job: str) -> dict[str, Any] | None:
        """Return the newest run of a job, once it has ended."""
        runs = self.ask(RUNS, job=job)["runsOrError"]["results"]
        return runs[0] if runs and runs[0]["status"] in ("SUCCESS", "FAILURE", "CANCELED") else None

    def errors_of(self, run: dict[str, Any]) -> list[str]:
        """Return what went wrong in a run."""
        events = self.ask(ERRORS, run=run["runId"])["runOrError"]["eventConnection"]["events"]
        return [str(event) for event in events if event]


@contextlib.contextmanager
def running(home: Path, *, limit_s: float = 180, **settings: str) -> Iterator[Service]:
    """Run Dagster's webserver and daemon until the block ends, and leave none of their processes behind.

    Args:
        home: Dagster's directory.
        limit_s: Until when the definitions must be loaded.
        **settings: Environment variables of the definitions.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    quiet = {"DAGSTER_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
    environment = {**os.environ, **quiet, **settings, "DAGSTER_HOME": str(home), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "dagster", "dev", "--host", "127.0.0.1", "--port", str(port), "-m", "definitions"]
    log = home / "service.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    service = Service(port, log, process)
    try:
        service.wait_for("definitions", lambda: service.ask("{ assetNodes { id } }")["assetNodes"] or None, limit_s=limit_s)
        service.ask("mutation { setNuxSeen }")  # the dialog of a first visit
        yield service
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes], *, limit_s: float = 20) -> None:
    """End a process and all of its group, politely at first."""
    for number, wait_s in ((signal.SIGTERM, limit_s), (signal.SIGKILL, limit_s)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        until = time.monotonic() + wait_s
        while time.monotonic() < until:
            process.poll()  # a child that has ended is of its group until it is asked about
            try:
                os.killpg(process.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.1)
    raise TimeoutError(f"Processes of group {process.pid} do not end.")
