"""What make would do: nothing is installed that a command does not need, and nothing twice."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BASE, DEV = ".venv/.installed", ".venv/.installed-dev"
RUNS, DEVELOPS = "'.[pipelines,drift,alerts,realdata]'", "'.[pipelines,drift,alerts,realdata,dev]'"

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Ours as make sees it, all files equally old."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
        os.utime(tmp_path / name, (1000, 1000))
    (tmp_path / ".venv").mkdir()
    (tmp_path / "data" / "shop").mkdir(parents=True)
    return tmp_path


def installed(checkout: Path, stamp: str, *, at_s: int) -> None:
    (checkout / stamp).touch()
    os.utime(checkout / stamp, (at_s, at_s))


def said(checkout: Path, *arguments: str) -> str:
    """Return what make would do, whatever the make said that runs the tests."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "--dry-run", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout


def installs(checkout: Path, target: str) -> list[str]:
    """List what make would let pip install for a target, in order."""
    told = said(checkout, target)
    return [line.split()[-1] for line in told.splitlines() if "pip install" in line]


@pytest.mark.parametrize("target", ["demo", "ui", "install"])
def test_a_command_installs_neither_linters_nor_test_tools(checkout: Path, target: str) -> None:
    assert installs(checkout, target) == [RUNS]
    installed(checkout, BASE, at_s=2000)
    assert installs(checkout, target) == []


@pytest.mark.parametrize("target", ["check", "test", "bench", "bench-200m", "bench-drift"])
def test_what_develops_installs_them_when_it_is_asked_for(checkout: Path, target: str) -> None:
    assert installs(checkout, target) == [RUNS, DEVELOPS]
    installed(checkout, BASE, at_s=2000)
    assert installs(checkout, target) == [DEVELOPS]
    installed(checkout, DEV, at_s=3000)
    assert installs(checkout, target) == []


@pytest.mark.parametrize("changed", ["pyproject.toml", "constraints.txt"])
def test_what_is_declared_anew_is_installed_anew_by_whatever_comes_first(checkout: Path, changed: str) -> None:
    installed(checkout, BASE, at_s=2000)
    installed(checkout, DEV, at_s=3000)
    os.utime(checkout / changed, (4000, 4000))
    assert installs(checkout, "demo") == [RUNS]
    installed(checkout, BASE, at_s=5000)
    assert installs(checkout, "demo") == []
    assert installs(checkout, "check") == [DEVELOPS]


def test_the_user_interface_takes_the_place_of_its_shell_so_that_a_signal_reaches_it(checkout: Path) -> None:
    told = said(checkout, "ui", "DATA=movielens", "PORT=4000")
    (started,) = [line for line in told.splitlines() if "featurestore_pipelines.ui" in line]
    assert started.startswith("exec .venv/bin/python")
    assert "--root 'data/movielens' --definitions 'featurestore.datasets.movielens'" in started
