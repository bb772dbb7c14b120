"""The tables: what each monitor cost and cried in each world; what was found of each change, and how late."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.monitors.features import BIG_STEPS, SIZES
from benchmarks.monitors.score import PEERS
from benchmarks.monitors.tally import Tally
from benchmarks.monitors.worlds import WORLDS

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
FOUND = ("world", "change", "number", "monitor", "within 0/1/2/12 months", "median delay")
GROWN = (
    "feature",
    "months judged",
    "raw level: episodes, months in alarm",
    "as the audit scores it: episodes, months in alarm",
)
BIG = [f"step {size:g}" for size in BIG_STEPS] + ["first step", "second step"]
NAMES = [f"{kind} {size:g}" for kind, sizes in SIZES.items() for size in sizes]


def render(record: Mapping[str, Any]) -> str:
    """Render a record as Markdown."""
    entries = sorted(record["scores"].values(), key=lambda entry: list(WORLDS).index(entry["world"]))
    quiet = [_quiet(entry) for entry in entries]
    found = [line for entry in entries if entry["tally"] for line in _found(entry)]
    tables = [_table(QUIET, quiet), _table(FOUND, sorted(found, key=_place))]
    if grown := record.get("growing"):
        lines = [(row["feature"], str(row["months"]), _pair(row["raw"]), _pair(row["scored"])) for row in grown["rows"]]
        tables.append(_table(GROWN, lines))
    return "\n\n".join(tables)


def within(delays: Sequence[int | None], *, months: int) -> str:
    """Write the share that was found within some months.

    >>> within([0, 1, None, 3], months=1)
    '.50'
    """
    share = sum(delay is not None and delay <= months for delay in delays) / len(delays)
    return f"{share:.2f}".removeprefix("0")


def _quiet(entry: Mapping[str, Any]) -> tuple[str, ...]:
    if entry["tally"] is None:
        return entry["world"], entry["monitor"], "-", entry["reason"], *["-"] * (len(QUIET) - 4)
    tally = Tally(**entry["tally"])
    years, festival = max(tally.feature_years, 1e-9), max(tally.festival_years, 1e-9)
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


def _found(entry: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    tally = Tally(**entry["tally"])
    for name, delays in tally.delays.items():
        known = [delay for delay in delays if delay is not None]
        median = f"{statistics.median(known):g} of {len(known)} found" if known else "-"
        yield entry["world"], name, str(len(delays)), entry["monitor"], _shares(delays, (0, 1, 2, 12)), median
    faults = sum(len(tally.delays.get(name, ())) for name in ("unit 100", "nulls 0.5"))
    if faults and entry["monitor"] not in PEERS:
        share = f"{tally.named_faults / faults:.2f}".removeprefix("0")
        yield entry["world"], "called a data fault", str(faults), entry["monitor"], share, "-"


def _shares(delays: Sequence[int | None], months: Iterable[int]) -> str:
    return " / ".join(within(delays, months=bound) for bound in months)


def _place(line: tuple[str, ...]) -> tuple[int, int, str]:
    world, name = line[:2]
    return list(WORLDS).index(world), NAMES.index(name) if name in NAMES else len(NAMES), name


def _pair(counts: Sequence[int]) -> str:
    return f"{counts[0]}, {counts[1]}"


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[i]) for line in (header, *lines)) for i in range(len(header))]
    rule = ["-" * max(width, 3) for width in widths]
    text = (" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in (header, rule, *lines))
    return "\n".join(f"| {line} |" for line in text)
