"""Virtual environments of peers, below the data folder: names and versions from ``requirements/``, nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

REQUIREMENTS = Path(__file__).parent / "requirements"
INSTALL_BOUND_S = 900
_VERSION = "import sys, ensurepip, venv; print('%d.%d' % sys.version_info[:2])"


class NotInstallableError(RuntimeError):
    """A peer cannot be installed here; the text says why."""


def python_of(name: str, *, folder: Path) -> Path:
    """Return the Python of a peer's environment, made on first use and when its requirements have changed.

    Args:
        name: Of a file in ``requirements/``. Its first line may say which Pythons it needs: ``# Python 3.11, 3.10``.
        folder: Where environments are kept.

    Raises:
        NotInstallableError: no such Python is on the path, or pip failed.
    """
    requirements = REQUIREMENTS / f"{name}.txt"
    text = requirements.read_text(encoding="utf-8")
    environment = folder / name
    digest = sha256(text.encode()).hexdigest()
    python = environment / "bin" / "python"
    mark = environment / "installed"
    if mark.exists() and mark.read_text(encoding="utf-8") == digest:
        return python
    shutil.rmtree(environment, ignore_errors=True)
    maker = _python(_wanted(text))
    _run([maker, "-m", "venv", str(environment)], "venv")
    _run([str(python), "-m", "pip", "install", "--quiet", "--requirement", str(requirements)], "pip")
    mark.write_text(digest, encoding="utf-8")
    return python


def _wanted(requirements: str) -> list[str]:
    first = requirements.splitlines()[0]
    return [version.strip() for version in first.removeprefix("# Python").split(",")] if first.startswith("# Python") else []


def _python(versions: list[str]) -> str:
    """Find a Python that can make environments: this one if it will do."""
    for candidate in (sys.executable, *(f"python{version}" for version in versions)):
        try:
            asked = subprocess.run([candidate, "-c", _VERSION], capture_output=True, text=True, check=False, timeout=30)
        except OSError:
            continue
        if not asked.returncode and (not versions or asked.stdout.strip() in versions):
            return candidate
    raise NotInstallableError(f"needs Python {' or '.join(versions)}, and none is on the path")


def _run(command: list[str], what: str) -> None:
    quiet = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=INSTALL_BOUND_S, env=quiet)
    except subprocess.TimeoutExpired as error:
        raise NotInstallableError(f"{what} did not finish in {INSTALL_BOUND_S} s") from error
    if ended.returncode:
        lines = [line for line in ended.stderr.splitlines() if line.strip() and not line.startswith("WARNING")]
        raise NotInstallableError(f"{what}: {lines[-1].strip() if lines else f'ended with {ended.returncode}'}")
