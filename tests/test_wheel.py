"""What is installed, and under which names: a user's own pipelines/ and definitions.py stay the user's."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUILD = "import sys, setuptools.build_meta as backend; print(backend.build_wheel(sys.argv[1]))"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """List the files of a wheel built from a copy of the tree."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for folder in ("featurestore", "pipelines"):
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "definitions.py"):
        shutil.copy(ROOT / file, source / file)
    built = subprocess.run([sys.executable, "-c", BUILD, str(target)], cwd=source, check=True, capture_output=True, text=True)
    with zipfile.ZipFile(target / built.stdout.splitlines()[-1]) as wheel:
        return {name for name in wheel.namelist() if ".dist-info/" not in name}


def test_a_wheel_installs_two_packages_and_no_module_that_a_user_may_have(installed: set[str]) -> None:
    assert {name.partition("/")[0] for name in installed} == {"featurestore", "featurestore_pipelines"}


def test_a_wheel_holds_every_module_and_what_is_read_beside_them(installed: set[str]) -> None:
    there = {f"featurestore/{path.relative_to(ROOT / 'featurestore').as_posix()}" for path in _files("featurestore")}
    there |= {f"featurestore_pipelines/{path.relative_to(ROOT / 'pipelines').as_posix()}" for path in _files("pipelines")}
    assert installed == there


def _files(folder: str) -> list[Path]:
    return [path for path in (ROOT / folder).rglob("*") if path.is_file() and path.suffix not in (".pyc", ".orig")]


def test_a_users_own_definitions_and_pipelines_are_found_first(tmp_path: Path) -> None:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "__init__.py").write_text("OWNER = 'the user'\n")
    (tmp_path / "definitions.py").write_text("OWNER = 'the user'\n")
    told = "import definitions, pipelines, featurestore_pipelines.inventory; print(definitions.OWNER, '|', pipelines.OWNER)"
    run = subprocess.run([sys.executable, "-c", told], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert run.stdout == "the user | the user\n"
