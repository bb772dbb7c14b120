"""``make commands``: the commands of the pages are run, in order, on stores that they share.

Not among the tests of ``make test``, since it takes minutes; run it alone, and whole: later commands read what earlier made.
"""

from __future__ import annotations

import os
import re
import resource
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from featurestore import FeatureStore, shop
from featurestore.synth import Shop
from featurestore.timeline import Month, months_between
from tests.docs.commands import RUNS, Run
from tests.docs.pages import ROOT, blocks, read
from tests.pipelines import refunds

STORES = ("shop", "completejourney", "movielens", "refunds", "new", "backfilled", "own")
SPINE = "sku_id,region_id,as_of\n1,1,2017-03-01 00:00:00\n2,3,2017-06-01 00:00:00\n"
EVENTS = 20_000
SHOWN_LINES = 2
POLL_S = 0.5
Places = dict[str, str]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Places:
    """Make what the commands find: empty folders for stores, a spine, a shop with a change that nobody has answered."""
    home = tmp_path_factory.mktemp("commands")
    found = {name: str(home / name) for name in (*STORES, "out")}
    (home / "out").mkdir()
    (home / "spine.csv").write_text(SPINE)
    refunds.prepare(home / "refunds")
    backfilled = FeatureStore(home / "backfilled", timezone=shop.TIMEZONE)
    backfilled.apply(shop.OBJECTS)
    year = months_between(Month(2016, 1), Month(2016, 12))
    Shop(events=EVENTS).write_landing(backfilled.layout.landing(shop.events), months=year)
    (home / "backfilled" / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        found["port"] = str(free.getsockname()[1])
    return {**found, "spine": str(home / "spine.csv")}


@pytest.fixture(scope="module")
def transcript() -> Places:
    """Hold what each command has printed."""
    return {}


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Iterator[list[str]]:
    """Tell what was run, also when the test passes."""
    told: list[str] = []
    yield told
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(told) + " ")


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.command)
def test_it_ends_as_it_should_and_prints_what_it_should(
    run: Run, places: Places, transcript: Places, show: list[str], tmp_path: Path
) -> None:
    words = [word.format(**places) if "{" in word and not word.startswith('{"') else word for word in shlex.split(run.command)]
    settings = {name: value.format(**places) for name, value in run.environment.items()}
    started, cpu_before_s = time.monotonic(), _cpu_s()
    with (tmp_path / "printed").open("w+b") as printed:
        process = subprocess.Popen(
            words, cwd=ROOT, stdout=printed, stderr=subprocess.STDOUT, env=_environment(settings), start_new_session=True
        )
        try:
            code = process.wait(timeout=run.within_s) if run.answers is None else _answered(process, run, places["port"])
        finally:
            _end(process)
        text = (tmp_path / "printed").read_text(encoding="utf-8", errors="replace")
    transcript[run.command] = text
    lines = [line for line in text.splitlines() if line.strip()]
    cpu_s = _cpu_s() - cpu_before_s
    show.append(f"{time.monotonic() - started:6.1f} s, {cpu_s:6.1f} CPU-s, exit {code}: {run.command}")
    show += [f"          {line[:120]}" for line in lines[:SHOWN_LINES]]
    assert code == run.exits, text[-4000:]
    _check(run, text)


def test_the_demo_prints_what_readme_shows(transcript: Places) -> None:
    """Line by line what its name says, numbers aside: README's is of ten million events."""
    shown = next(block.text for block in blocks(read(ROOT / "README.md")) if block.text.startswith("shop, 2016-01"))
    printed = next(text for command, text in transcript.items() if command.startswith("make demo EVENTS="))
    names = {re.split(r"  +|, ", line)[0] for line in shown.splitlines() if line and not line.startswith(("20", "..."))}
    assert names == {"shop", "events", "size", "training set", "planted", "month"}
    assert {name for name in names if not re.search(rf"^{name}[ ,]", printed, re.MULTILINE)} == set()


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _environment(settings: Places) -> Places:
    """Give a command what a shell of the repository has, and nothing of the make that runs this."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FEATURESTORE_", "DAGSTER_", "MAKE", "MFLAGS"))
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PATH": path, "DO_NOT_TRACK": "1", "DAGSTER_DISABLE_TELEMETRY": "1", "COLUMNS": "200", **settings}


def _answered(process: subprocess.Popen[bytes], run: Run, port: str) -> int | None:
    """Wait until a service answers; its exit code if it ends instead."""
    assert run.answers is not None
    place, wanted = run.answers
    until = time.monotonic() + run.within_s
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{place}", timeout=10) as answer:
                assert wanted in answer.read().decode()
                return None
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(POLL_S)
    return process.poll() if process.poll() is not None else -1


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop a command and all that it has started, as Ctrl-C does; by force what does not end."""
    for number in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            continue
        time.sleep(POLL_S)


def _check(run: Run, text: str) -> None:
    """Find each pattern after the one before."""
    place = 0
    for pattern in run.prints:
        found = re.compile(pattern).search(text, place)
        assert found, f"{pattern!r} is not in what it printed, at its place:\n{text[-4000:]}"
        place = found.end()
