"""A running Dagster on a store: webserver, daemon, code server and runs as processes, asked by GraphQL."""

from __future__ import annotations

import contextlib
import json
import os
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

from tests.pipelines.signals import usual_signals

ROOT = Path(__file__).parents[2]
CODE_LOCATION = {"repositoryLocationName": "definitions", "repositoryName": "__repository__"}
TURN_ON = "mutation ($it: SensorSelector!) { startSensor(sensorSelector: $it) { __typename } }"
RUNS = """query ($job: String!) { runsOrError(filter: {pipelineName: $job}) {
    ... on Runs { results { runId status tags { key value } } } } }"""
ERRORS = """query ($run: ID!) { runOrError(runId: $run) { ... on Run { eventConnection { events {
    ... on ExecutionStepFailureEvent { stepKey error { message } }
    ... on RunFailureEvent { message } } } } } }"""
OPTIONS = {
    "FEATURESTORE_DEFINITIONS": "--definitions",
    "FEATURESTORE_FIRST_MONTH": "--first-month",
    "FEATURESTORE_LAST_MONTH": "--last-month",
}
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Service:
    """Dagster on loopback.

    Args:
        port: Of the webserver.
        log: What its processes have printed.
        process: The first of them, which ends the others.
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
def running(
    root: Path, *, limit_s: float = 180, signals: Callable[[], None] = usual_signals, **settings: str
) -> Iterator[Service]:
    """Run the user interface of a store until the block ends, and leave none of its processes behind.

    Args:
        root: The store's directory.
        limit_s: Until when the definitions must be loaded.
        signals: What a process does to its signals before it becomes the user interface.
        **settings: Environment variables of the definitions.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {**os.environ, **settings, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "featurestore_pipelines.ui", "--root", str(root), "--port", str(port)]
    for variable, option in OPTIONS.items():
        command += [option, settings[variable]] if variable in settings else []
    log = root / "service.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=signals,
            start_new_session=True,
        )
    service = Service(port, log, process)
    try:
        service.wait_for("definitions", lambda: service.ask("{ assetNodes { id } }")["assetNodes"] or None, limit_s=limit_s)
        yield service
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes], *, limit_s: float = 60) -> None:
    """End the user interface, which ends what it has started."""
    process.terminate()
    process.wait(timeout=limit_s)
