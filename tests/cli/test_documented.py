"""The command line's reference: every command and option stands in it under its own command, and nothing that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import typer

from featurestore.cli.app import app

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "command-line.md"
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
SECTION = re.compile(r"^## (?P<name>[a-z-]+)\n(?P<text>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| `featurestore (?P<name>[a-z-]+)(?P<text>.*)$", re.MULTILINE)


def _documented() -> tuple[set[str], dict[str, set[str]]]:
    """Read the reference: the options that it says of all commands, and those of each command.

    The page has a section for each command; the README, where there is no page, a row.
    """
    if PAGE.exists():
        text, parts = PAGE.read_text(encoding="utf-8"), SECTION
        preface = text.partition("<!-- begin")[0].partition("\n## ")[0]
    else:
        text, parts = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Command line\n")[2], ROW
        text = text.partition("\n## ")[0]
        preface = text.partition("\n| ")[0]
    found = {part["name"]: set(OPTION.findall(part["text"])) for part in parts.finditer(text)}
    return set(OPTION.findall(preface)), found


def _offered() -> dict[str, set[str]]:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return {
        name: {option for item in command.params for option in item.opts if option.startswith("--")}
        for name, command in commands.items()
    }


def test_every_command_is_documented_and_no_other() -> None:
    assert set(_documented()[1]) == set(_offered())


def test_every_option_is_documented_with_its_command() -> None:
    of_all, of_each = _documented()
    missing = {name: sorted(options - of_all - of_each.get(name, set())) for name, options in _offered().items()}
    assert {name: options for name, options in missing.items() if options} == {}


def test_no_option_is_documented_that_its_command_does_not_take() -> None:
    _, of_each = _documented()
    offered = _offered()
    invented = {name: sorted(options - offered.get(name, set()) - {"--help"}) for name, options in of_each.items()}
    assert {name: options for name, options in invented.items() if options} == {}


def test_what_is_said_of_all_commands_is_true() -> None:
    offered = _offered()
    assert {name for name, options in offered.items() if "--json" not in options} == {"ui"}
    assert {name for name, options in offered.items() if "--root" not in options} == {"init", "up"}
