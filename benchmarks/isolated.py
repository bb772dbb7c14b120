"""A function of this package in a fresh process: what it holds and has warmed up is nobody else's.

Arguments and result are JSON values; dataclasses in a result become objects.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_SHOWN_LINES = 15


class IsolatedError(RuntimeError):
    """A function failed in its process."""


def isolated(function: Callable[..., Any], /, **arguments: Any) -> Any:
    """Call a function, found by its name, in a process of its own -> its result.

    Raises:
        IsolatedError: it raised; the end of its traceback is in the message.
    """
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        request = json.dumps(arguments, default=str)
        command = [sys.executable, "-m", "benchmarks.isolated", f"{function.__module__}:{function.__qualname__}", str(result)]
        ended = subprocess.run(command, cwd=ROOT, input=request, capture_output=True, text=True, check=False)
        if ended.returncode:
            end = "\n".join(ended.stderr.splitlines()[-_SHOWN_LINES:])
            raise IsolatedError(f"{function.__qualname__} ended with {ended.returncode}:\n{end}")
        return json.loads(result.read_text(encoding="utf-8"))


def main(name: str, result: str) -> None:
    """Call the named function with the arguments on standard input."""
    module, function = name.split(":")
    answer = getattr(importlib.import_module(module), function)(**json.loads(sys.stdin.read()))
    Path(result).write_text(json.dumps(answer, default=_plain), encoding="utf-8")


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{value!r} has no place in JSON.")


if __name__ == "__main__":
    main(*sys.argv[1:])
