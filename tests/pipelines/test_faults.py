"""What a kill, a full disk or a second run in the middle of a verb leaves behind: the old state or the new one."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from featurestore.client import FeatureStore
from tests.pipelines.interrupted import MONTHS, VERBS
from tests.pipelines.left_alone import assert_equal, prepared

ROOT = Path(__file__).parents[2]


def start(root: Path, verb: str, *, flush: int = 0, most_bytes: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.pipelines.interrupted", str(root), verb, str(flush), str(most_bytes)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def wait(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, told = process.communicate(timeout=120)
    return process.returncode, told


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    store = prepared(tmp_path_factory.mktemp("untouched") / "store", MONTHS)
    for run in VERBS.values():
        run(store)
    return store


def test_a_store_whose_every_verb_was_killed_twice_ends_like_one_that_was_left_alone(tmp_path, untouched):
    store, killed = prepared(tmp_path / "store", MONTHS), 0
    for verb, run in VERBS.items():
        for flush in (1, 2):
            code, told = wait(start(store.layout.root, verb, flush=flush))
            assert code in (0, -signal.SIGKILL), told
            killed += code != 0
            assert store.verify().is_equal
        run(store)
    assert killed >= 6
    assert_equal(store, untouched)


@pytest.mark.parametrize("verb", ["ingest", "materialize"])
def test_a_full_disk_is_said_and_loses_nothing(tmp_path, verb):
    store = prepared(tmp_path / "store", MONTHS)
    if verb == "materialize":
        store.ingest("events")
    before = store.status()
    code, told = wait(start(store.layout.root, verb, most_bytes=1024))
    assert code == 1, told
    assert "StoreError" in told
    assert store.status().sources[0].rows == before.sources[0].rows
    for run in (VERBS["ingest"], VERBS["materialize"]):
        run(store)
    assert store.verify().is_equal


def test_two_runs_of_the_same_months_at_once_leave_one_truth(tmp_path, untouched):
    store = prepared(tmp_path / "store", MONTHS)
    for verb in ("ingest", "materialize"):
        outcomes = [wait(process) for process in [start(store.layout.root, verb) for _ in range(2)]]
        assert all(code == 0 or "CommitConflictError" in told for code, told in outcomes), outcomes
        assert any(code == 0 for code, _ in outcomes)
    assert store.verify().is_equal
    assert store.status().sources[0].rows == untouched.status().sources[0].rows
