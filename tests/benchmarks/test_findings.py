"""Rows, the record, the table and the picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.findings import Bench, Findings, Row
from benchmarks.picture import draw
from benchmarks.record import add_section, read_record
from benchmarks.sizes import Size
from benchmarks.table import render


def test_a_row_is_judged_by_its_target() -> None:
    assert Row("a", 1.0, at_most=1.05).verdict == "met"
    assert Row("a", 2.1, at_most=1.05).verdict == "2.00 x too much"
    assert Row("a", 20.0, at_least=15).verdict == "met"
    assert Row("a", 5.0, at_least=15).verdict == "3.00 x too little"
    assert Row("a", at_least=15, note="not installable: why").verdict == "not measured"
    assert Row("a", 5.0).verdict == "-"


@pytest.mark.parametrize(("text", "events"), [("100k", 100_000), ("1m", 1_000_000), ("200m", 200_000_000), ("5000", 5_000)])
def test_sizes_are_read(text: str, events: int) -> None:
    assert Size.parse(text).events == events


@pytest.mark.parametrize("text", ["", "m", "1g", "-1m", "12"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no size"):
        Size.parse(text)


def test_a_section_that_is_measured_again_replaces_itself_alone(tmp_path: Path) -> None:
    file, bench = tmp_path / "1k.json", Bench(Size.parse("1k"), tmp_path)
    for name, measured in (("windows", 1.0), ("ingest", 2.0), ("windows", 3.0)):
        add_section(file, bench, name, Findings((Row(f"{name} row", measured),)), seconds=1.0)
    table = render(read_record(file), ["windows", "ingest", "peers"])
    assert [line.split("|")[1:4] for line in table.splitlines()[4:]] == [
        [" windows row ", " -      ", " 3.00     "],
        [" ingest row  ", " -      ", " 2.00     "],
    ]


def test_the_picture_shows_the_sections_that_were_measured(tmp_path: Path) -> None:
    file, picture, bench = tmp_path / "1k.json", tmp_path / "cost.png", Bench(Size.parse("1k"), tmp_path)
    series = {"ours, users": [(1.0, 0.5), (10.0, 0.5)], "range join, SKUs": [(1.0, 2.0), (10.0, 20.0)]}
    assert draw(read_record(file), picture) is None
    assert draw(add_section(file, bench, "lengths", Findings((), series), seconds=1.0), picture) == picture
    assert draw(add_section(file, bench, "growth", Findings((), series), seconds=1.0), picture) == picture
    assert picture.read_bytes().startswith(b"\x89PNG")
