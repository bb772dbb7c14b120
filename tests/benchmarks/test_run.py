"""The command: sections run on a tiny shop, and what they find is kept."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.record import read_record
from benchmarks.run import main
from benchmarks.sections import SECTIONS, UNATTENDED

ROOT = Path(__file__).parents[2]
KEPT = ("benchmarks/results", "docs")


def test_a_tiny_run_prints_the_table_and_leaves_the_committed_records_and_pictures_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    committed = [sorted((ROOT / folder).iterdir()) for folder in KEPT]
    main(["--size", "1k", "--only", "lengths", f"--data={tmp_path}"])
    sections = read_record(tmp_path / "1k.json")["sections"]
    assert [len(section["rows"]) for section in sections.values()] == [2]
    assert all(len(points) == 5 for points in sections["lengths"]["series"].values())
    assert (tmp_path / "cost-1k.png").exists()
    printed = capsys.readouterr()
    assert "one window of 10 y / of 6 months, users, 20 rows" in printed.out
    assert "1/1 lengths" in printed.err
    main(["--size", "1k", "--only", "lengths", "--missing", f"--data={tmp_path}"])
    assert "lengths ..." not in capsys.readouterr().err
    assert [sorted((ROOT / folder).iterdir()) for folder in KEPT] == committed


def test_a_record_may_be_kept_elsewhere(tmp_path: Path) -> None:
    folders = [f"--{name}={tmp_path / name}" for name in ("data", "results", "pictures")]
    main(["--size", "1k", "--only", "start", *folders])
    assert read_record(tmp_path / "results" / "1k.json")["sections"]


def test_an_unknown_section_is_refused_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "windows,nothing"])
    assert "nothing; there are windows" in capsys.readouterr().err


def test_every_section_says_what_it_is() -> None:
    for measure in [*SECTIONS.values(), *UNATTENDED.values()]:
        assert measure.__doc__


def test_the_commands_of_make_exist() -> None:
    targets = re.findall(r"^([a-z0-9-]+): .*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"bench", "bench-200m", "bench-drift"} <= set(targets)
