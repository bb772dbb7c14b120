"""The screen: words, tables and JSON."""

from __future__ import annotations

import pytest

from featurestore.cli import screen


def test_names_in_tables_are_text_and_not_markup(capsys: pytest.CaptureFixture[str]) -> None:
    screen.show_table("T", ("name",), [("[bold]x[/bold]",)])
    assert "[bold]x[/bold]" in capsys.readouterr().out
