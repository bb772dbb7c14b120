"""The README's Python runs, in order, in one session; what it says is printed is printed."""

from __future__ import annotations

import contextlib
import io
import re
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")


def _session() -> list[tuple[str, str | None]]:
    """List the Python blocks with the output that stands right behind each, if any."""
    found = [*BLOCK.finditer(README), None]
    session = []
    for block, following in pairwise(found):
        assert block is not None
        if block[1] == "python":
            is_output = following is not None and following[1] == "text" and not README[block.end() : following.start()].strip()
            session.append((block[2], following[2] if is_output and following else None))
    return session


def test_its_python_runs_and_prints_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    session = _session()
    assert session
    for code, expected in session:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "README.md", "exec"), names)
        assert expected is None or printed.getvalue() == expected, f"printed:\n{printed.getvalue()}"


def test_its_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", README, re.MULTILINE))
    assert named
    assert named <= targets


def test_its_links_lead_to_files() -> None:
    assert [link for link in LINK.findall(README) if not (ROOT / link).exists()] == []
