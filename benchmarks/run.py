"""Measure the engine's targets as ratios in one run, and other tools beside it.

    python benchmarks/run.py --size 1m                        also 10m, 50m; 200m runs once, unattended
    python benchmarks/run.py --size 100k                      a look: few sections, one call, no other tools, no committed record
    python benchmarks/run.py --size 10m --only windows,ingest some sections; the record keeps the others
    python benchmarks/run.py --size 10m --missing             goes on after an interruption

Events, stores and the peers' environments are kept below data/bench, so a second run is quicker. Writes
benchmarks/results/SIZE.json after every section, docs/cost-SIZE.png, and prints a table. Below 1m both go to data/bench.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from benchmarks.findings import Bench  # noqa: E402 (this file also runs as a script)
from benchmarks.isolated import IsolatedError  # noqa: E402
from benchmarks.picture import draw  # noqa: E402
from benchmarks.record import add_section, read_record  # noqa: E402
from benchmarks.sections import LOOK, SECTIONS, UNATTENDED  # noqa: E402
from benchmarks.sizes import Size  # noqa: E402
from benchmarks.table import render  # noqa: E402

ONCE_FROM_EVENTS = 100_000_000
EVERY = {**SECTIONS, **UNATTENDED}


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse arguments, run the sections, write and print what they found."""
    given = _parser().parse_args(arguments)
    is_a_look = given.size.is_a_look
    bench = Bench(
        given.size,
        given.data.resolve(),
        runs=given.runs or (1 if is_a_look else 5),
        has_peers=not (given.no_peers or is_a_look),
    )
    results, pictures = (given.data, given.data) if is_a_look else (ROOT / "benchmarks" / "results", ROOT / "docs")
    record_file = (given.results or results) / f"{bench.size.name}.json"
    usual = LOOK if is_a_look else UNATTENDED if bench.size.events >= ONCE_FROM_EVENTS else SECTIONS
    if given.fresh:
        shutil.rmtree(bench.data, ignore_errors=True)
    bench.data.mkdir(parents=True, exist_ok=True)
    there = read_record(record_file)["sections"]
    names = [name for name in given.only or usual if not (given.missing and name in there)]
    failed: list[str] = []
    for number, name in enumerate(names, start=1):
        say(f"{number}/{len(names)} {name} ...")
        started = time.monotonic()
        try:
            findings = EVERY[name](bench)
        except IsolatedError as error:
            failed.append(name)
            say(f"{name} failed: {error}")
            continue
        took_s = time.monotonic() - started
        add_section(record_file, bench, name, findings, seconds=took_s)
        say(f"{number}/{len(names)} {name}: {took_s:.0f} s")
    record = read_record(record_file)
    picture = draw(record, (given.pictures or pictures) / f"cost-{bench.size.name}.png")
    say(f"{record_file}{'' if picture is None else f', {picture}'}")
    print(render(record, EVERY))
    if failed:
        raise SystemExit(f"Not measured, see above: {', '.join(failed)}")


def say(line: str) -> None:
    """Tell the progress, beside the table."""
    print(line, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=Size.parse, default=Size.parse("1m"), help="events: 100k, 1m, 10m, 50m, 200m")
    parser.add_argument("--only", type=_sections, help=f"comma-separated: {', '.join(EVERY)}")
    parser.add_argument("--missing", action="store_true", help="only sections that the record does not have")
    parser.add_argument("--runs", type=int, help="calls that a median is taken of; 5, below 1m 1")
    parser.add_argument("--no-peers", action="store_true", help="leave other tools out")
    parser.add_argument("--fresh", action="store_true", help="delete what is kept from earlier runs first")
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "bench", help="where stores are kept")
    parser.add_argument("--results", type=Path, help="where the record is kept; benchmarks/results, below 1m --data")
    parser.add_argument("--pictures", type=Path, help="where the picture is drawn; docs, below 1m --data")
    return parser


def _sections(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in EVERY]:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}; there are {', '.join(EVERY)}")
    return names


if __name__ == "__main__":
    main()
