"""Numbers that are written by hand are those of the records."""

from __future__ import annotations

import statistics
from typing import Any

import pytest

from benchmarks.findings import plain
from benchmarks.monitors.bar import BIG, share_within
from benchmarks.record import read_record
from tests.docs.pages import README, ROOT, read

RESULTS = ROOT / "benchmarks" / "results"
ENGINE = {row["what"]: row["measured"] for s in read_record(RESULTS / "50m.json")["sections"].values() for row in s["rows"]}
DRIFT = read_record(RESULTS / "drift.json")["scores"]
MONITORS = (
    "ours, recalibrated",
    "NannyML; three years",
    "Evidently; first year",
    "KS, chi-square, BH; previous month",
)


@pytest.mark.parametrize(
    ("row", "measured"),
    [
        (
            "windows up to 10 years / up to 6 months",
            (
                "10 y windows / 6 months, users, spine spread over the decade, 500,000 rows",
                "10 y windows / 6 months, SKUs, spine spread over the decade, 500,000 rows",
            ),
        ),
        ("a training set / Polars", ("whole call, users, 500,000 rows x 40 features / Polars reading the totals once",)),
        ("a day's events", ("daily refresh at 10 years of history / at 1 year",)),
        (
            "a month of 2 M events",
            ("ingest 2,000,000 rows into 50,000,000, id_scope=month, ids in sequence / DuckDB sorted COPY",),
        ),
    ],
)
def test_readme_says_what_the_engine_measured(row: str, measured: tuple[str, ...]) -> None:
    assert _last_cell(read(README), row) == ", ".join(plain(ENGINE[what]) for what in measured)


def test_readme_says_what_the_monitors_cried() -> None:
    ours, *others = (_per_year(entry, "false_episodes", "feature_years") for entry in _of_hard())
    cried = _last_cell(read(README), "drift: false episodes")
    every = [_tally(name)["false_episodes"] / _tally(name)["feature_years"] for name in DRIFT if _is_a_peer(name)]
    assert cried == f"{ours}; {min(every):.2f}"
    assert f"best of {('no', 'one', 'two', 'three', 'four', 'five')[len(every)]} other" in read(README)
    assert f"{min(every):.2f}" in others


def test_the_page_of_benchmarks_says_what_the_monitors_measured() -> None:
    text = read(ROOT / "docs" / "benchmarks.md")
    assert _cells(text, "false episodes a feature-year")[2:] == [
        _per_year(e, "false_episodes", "feature_years") for e in _of_hard()
    ]
    assert _cells(text, "the same, festival months")[2:] == [
        _per_year(e, "festival_episodes", "festival_years") for e in _of_hard()
    ]
    assert _cells(text, "false months a feature-year, ")[2:] == [
        _per_year(e, "false_months", "feature_years", 1) for e in _of_hard()
    ]
    steps = [[delay for name in BIG for delay in e["delays"].get(name, ())] for e in _of_hard()]
    found = [f"{round(share_within(delays, 1) * len(delays))} of {len(delays)}" for delays in steps]
    assert _cells(text, "steps of .45 sd and more")[2:] == found
    trends = [e["delays"].get("trend 0.04", ()) for e in _of_hard()]
    assert _cells(text, "trends of .04 sd a month")[2:] == [_in_words(delays) for delays in trends]


def _in_words(delays: list[int | None]) -> str:
    found = [delay for delay in delays if delay is not None]
    within = round(share_within(delays, 24) * len(delays))
    return f"{statistics.median(found):.0f}; {within} of {len(delays)}" if found else "none to find"


def _is_a_peer(name: str) -> bool:
    return name.startswith("hard; ") and not name.startswith("hard; ours")


def _tally(name: str) -> dict[str, Any]:
    found: dict[str, Any] = DRIFT[name]["tally"]
    return found


def _of_hard() -> list[dict[str, Any]]:
    return [_tally(f"hard; {monitor}") for monitor in MONITORS]


def _per_year(tally: dict[str, Any], count: str, years: str, digits: int = 2) -> str:
    value = tally[count] / tally[years]
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}" if value < 1 else f"{value:.{digits}f}"


def _cells(text: str, row: str) -> list[str]:
    (line,) = (line for line in text.splitlines() if line.startswith(f"| {row}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def _last_cell(text: str, row: str) -> str:
    return _cells(text, row)[-1]
