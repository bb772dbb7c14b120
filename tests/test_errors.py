"""Error texts: what they tell to do can be done."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PRODUCT = [path for top in ("featurestore", "pipelines") for path in sorted((ROOT / top).rglob("*.py"))]
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in PRODUCT}


def test_one_place_says_how_an_extra_is_installed() -> None:
    assert [name for name, text in TEXTS.items() if re.search(r"pip install|featurestore\[[a-z]+\]", text)] == [
        "featurestore/errors.py"
    ]


def test_the_extras_that_errors_name_exist_and_make_install_brings_them() -> None:
    named = {
        extra
        for text in TEXTS.values()
        for call in re.findall(r"\{how_to_install\((.*?)\)\}", text)
        for extra in re.findall(r"'([a-z]+)'", call)
    }
    there = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert {"drift", "pipelines", "alerts", "realdata"} <= named <= set(there)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^install:", makefile, re.MULTILINE)
