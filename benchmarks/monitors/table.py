"""The tables: what each monitor cost and cried in each world, the bar, what was found of each change and how late."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from benchmarks.monitors.bar import BIG, distances, share_within
from benchmarks.monitors.features import SIZES
from benchmarks.monitors.score import PEERS
from benchmarks.monitors.tally import Tally
from benchmarks.monitors.worlds import WORLDS
from benchmarks.table import HEADER, cells, markdown_table

QUIET = (
    "world",
    "monitor",
    "clean feature-years",
    "false episodes / feature-year, festival months",
    "false months / feature-year, festival months",
    "steps >= .45 sd within 0/1/2 months",
    "again",
    "CPU s",
    "GiB",
)
EXPLAINED = "found within 0 / 1 / 2 / 12 months; median delay (number)"
GROWN = (
    "feature",
    "months judged",
    "raw level: episodes, months in alarm",
    "as the audit scores it: episodes, months in alarm",
)
NAMES = [f"{kind} {size:g}" for kind, sizes in SIZES.items() for size in sizes]
FAULTS = {"unit 100", "nulls 0.5"}


def render(record: Mapping[str, Any]) -> str:
    """Render a record as Markdown."""
    entries = sorted(record["scores"].values(), key=lambda entry: list(WORLDS).index(entry["world"]))
    quiet = [_quiet(entry) for entry in entries]
    targets = [cells(row) for row in distances(record["scores"])]
    tables = [markdown_table(QUIET, quiet), markdown_table(HEADER, targets)]
    tables += [_found(list(own)) for _, own in groupby(entries, key=lambda entry: entry["world"])]
    if grown := record.get("growing"):
        lines = [(row["feature"], str(row["months"]), _pair(row["raw"]), _pair(row["scored"])) for row in grown["rows"]]
        tables.append(markdown_table(GROWN, lines))
    return "\n\n".join(tables)


def _quiet(entry: Mapping[str, Any]) -> tuple[str, ...]:
    if entry["tally"] is None:
        return entry["world"], entry["monitor"], "-", entry["reason"], *["-"] * (len(QUIET) - 4)
    tally = Tally(**entry["tally"])
    years = max(tally.feature_years, 1e-9)
    festival = max(tally.festival_years, 1e-9)
    steps = [delay for name in BIG for delay in tally.delays.get(name, ())]
    return (
        entry["world"],
        entry["monitor"],
        f"{tally.feature_years:.0f}",
        f"{tally.false_episodes / years:.4f}, {tally.festival_episodes / festival:.4f}",
        f"{tally.false_months / years:.3f}, {tally.festival_months / festival:.3f}",
        f"{_shares(steps, (0, 1, 2))} ({len(steps)})" if steps else "-",
        str(tally.again),
        f"{entry['cpu_s']:.1f}",
        f"{entry['peak_bytes'] / 2**30:.2f}",
    )


def _found(entries: Sequence[Mapping[str, Any]]) -> str:
    """Render what was found in one world: a line per change, a column per monitor."""
    answered = [entry for entry in entries if entry["tally"]]
    tallies = [Tally(**entry["tally"]) for entry in answered]
    names = sorted({name for tally in tallies for name in tally.delays}, key=_place)
    lines = [(name, *(_delays(tally.delays.get(name, ())) for tally in tallies)) for name in names]
    if faults := [_named(entry, tally) for entry, tally in zip(answered, tallies, strict=True) if FAULTS & set(tally.delays)]:
        lines.append(("called a data fault", *faults))
    return markdown_table((f"{entries[0]['world']}: {EXPLAINED}", *(entry["monitor"] for entry in answered)), lines)


def _delays(delays: Sequence[int | None]) -> str:
    known = [delay for delay in delays if delay is not None]
    median = f"{statistics.median(known):g}" if known else "-"
    return f"{_shares(delays, (0, 1, 2, 12))}; {median} ({len(delays)})" if delays else "-"


def _named(entry: Mapping[str, Any], tally: Tally) -> str:
    if entry["monitor"] in PEERS:
        return "-"
    return f"{tally.named_faults} of {sum(len(tally.delays.get(name, ())) for name in FAULTS)}"


def _shares(delays: Sequence[int | None], months: Iterable[int]) -> str:
    return " / ".join(f"{share_within(delays, bound):.2f}".removeprefix("0") for bound in months)


def _place(name: str) -> tuple[int, str]:
    return NAMES.index(name) if name in NAMES else len(NAMES), name


def _pair(counts: Sequence[int]) -> str:
    return f"{counts[0]}, {counts[1]}"
