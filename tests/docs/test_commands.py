"""Every command of the pages is run by ``make commands``, or is excepted with a reason."""

from __future__ import annotations

import re

from tests.docs.commands import EXCEPTIONS, RUNS, Run, commands_of, documented, is_excepted
from tests.docs.pages import ROOT


def test_every_command_is_run_or_excepted_with_a_reason() -> None:
    lost = [
        f"{page}: {command}"
        for page, command in documented()
        if not any(run.is_of(command) for run in RUNS) and not is_excepted(command)
    ]
    assert lost == [], "neither run nor excepted: add each to RUNS or EXCEPTIONS of tests/docs/commands.py"


def test_no_exception_is_left_without_its_command() -> None:
    commands = [command for _, command in documented()]
    unused = [pattern for pattern in EXCEPTIONS if not any(re.fullmatch(pattern, each, re.DOTALL) for each in commands)]
    assert unused == []
    assert all(EXCEPTIONS.values())


def test_commands_are_found_in_blocks_and_in_the_text() -> None:
    found = {command for _, command in documented()}
    assert {"make demo", "make ui", "featurestore recalibrate [NAME]", "featurestore COMMAND --help"} <= found
    assert len(found) > 40


def test_the_targets_of_make_exist() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {command.split()[1] for _, command in documented() if re.match(r"make [a-z]", command)}
    assert len(named) > 5
    assert named <= targets


def test_a_block_is_cut_into_its_commands() -> None:
    block = (
        "cat >> a <<'END'\nx=1\nEND\n# a comment\nmake demo  # ten years\nrun a \\\n  -b\nfor x in 1; do\n  time go $x\ndone\n"
    )
    assert commands_of(block) == ["cat >> a <<'END'\nx=1", "make demo", "run a -b", "go $x"]


def test_a_command_is_covered_by_a_run_with_all_of_its_words() -> None:
    run = Run("make demo EVENTS=20000 ROOT={shop}")
    assert run.is_of("make demo")
    assert not run.is_of("make demo DATA=movielens")
    assert not run.is_of("featurestore demo")
    assert Run("featurestore get {spine} --features a --out b").is_of("featurestore get SPINE --features FEATURES --out OUT")
    assert not Run("featurestore get {spine}").is_of("featurestore publish SERVICE")
