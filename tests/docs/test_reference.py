"""The generated parts of the pages are what the code says now."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import featurestore
from docs.reference import COMMAND, difference, main, pages
from tests.docs.pages import ROOT, read


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_what_is_generated_is_what_is_committed(page: Path) -> None:
    found = difference(page)
    assert not found, f"{found}\nRenew it: {COMMAND}"


def test_everything_public_is_on_the_page() -> None:
    text = read(ROOT / "docs" / "api.md")
    headings, errors = set(re.findall(r"^###? (\w+)$", text, re.MULTILINE)), text.partition("## Errors")[2]
    assert {name for name in featurestore.__all__ if name not in headings and name not in errors} == {"__version__"}


def test_a_page_that_is_behind_is_shown_with_the_command_that_renews_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "api.md"
    page.write_text("<!-- begin errors -->\nold\n<!-- end errors -->\n", encoding="utf-8")
    monkeypatch.setattr("docs.reference.pages", lambda: {page: {"errors": lambda: "new"}})
    monkeypatch.setattr(sys, "argv", ["reference.py", "--check"])
    with pytest.raises(SystemExit, match=r"(?s)-old.*\+new.*Renew them: python -m docs.reference"):
        main()
    monkeypatch.setattr(sys, "argv", ["reference.py"])
    main()
    assert "\nnew\n" in page.read_text(encoding="utf-8")


def test_a_part_without_its_place_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "api.md"
    page.write_text("nothing", encoding="utf-8")
    monkeypatch.setattr("docs.reference.pages", lambda: {page: {"errors": lambda: "new"}})
    with pytest.raises(ValueError, match="no place for 'errors'"):
        difference(page)
