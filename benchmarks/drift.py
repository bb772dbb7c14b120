"""Measure drift monitors, ours and others, on ten years of features whose changes are known.

    python benchmarks/drift.py                              all worlds; peers on hard data
    python benchmarks/drift.py --worlds hard --no-peers     some worlds, ours alone; the record keeps the others
    python benchmarks/drift.py --missing                    goes on after an interruption
    python benchmarks/drift.py --quick                      hard data, few features, no record: a look
    python benchmarks/drift.py --speed                      seconds and memory for 300 features

A feature has a season (none, Double 11 and 618, Spring Festival or a sine) whose size varies, a harmless AR(1) wander, and
missing values that jitter; two of five features have a change planted. Months 36 to 119 are scored. A false episode is one
that begins before the change, or without one; a feature that is in alarm already when its change comes counts as not found.
Every monitor reads the same rows, in a process of its own. ``growing`` stands for the shop that grows.

Writes benchmarks/results/drift.json after every measurement, then docs/drift-monitors.png, and prints the tables.
No threshold was set on the default seeds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from benchmarks.isolated import isolated  # noqa: E402 (this file also runs as a script)
from benchmarks.monitors.growing import score_growing  # noqa: E402
from benchmarks.monitors.picture import draw  # noqa: E402
from benchmarks.monitors.record import add_growing, add_score, read_record  # noqa: E402
from benchmarks.monitors.score import EVIDENTLY, OURS, PEERS, score  # noqa: E402
from benchmarks.monitors.speed import in_words, measure_speed  # noqa: E402
from benchmarks.monitors.table import render  # noqa: E402
from benchmarks.monitors.worlds import HARD, WORLDS  # noqa: E402

GROWING = "growing"
QUICK_FEATURES = 20


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse arguments, measure, write and print what was found."""
    given = _parser().parse_args(arguments)
    if given.speed:
        asked = {"features": given.features or 300, "rows": given.rows}
        print(in_words(isolated(measure_speed, **asked, seed=given.seeds[0]), **asked))
        return
    if given.quick:
        with tempfile.TemporaryDirectory() as folder:
            given.worlds, given.seeds, given.features = [HARD.name], given.seeds[:1], given.features or QUICK_FEATURES
            given.evidently_features = min(given.evidently_features, given.features)
            _measure(given, Path(folder) / "drift.json")
    else:
        given.features = given.features or 100
        _measure(given, given.results / "drift.json")


def _measure(given: argparse.Namespace, file: Path) -> None:
    there = read_record(file) if given.missing else {"scores": {}}
    for world, monitor, features in _asked(given):
        if f"{world}; {monitor}" in there["scores"]:
            continue
        started = time.monotonic()
        asked = {"features": features, "rows": given.rows, "seeds": given.seeds}
        scored = score(world, monitor, **asked, data=given.data.resolve())
        add_score(file, scored, world=world, monitor=monitor, **asked)
        say(f"{world}; {monitor}: {time.monotonic() - started:.0f} s {scored.reason}")
    if GROWING in given.worlds and GROWING not in there:
        rows = isolated(score_growing, users=given.users, seed=given.seeds[0])
        add_growing(file, rows, users=given.users, seed=given.seeds[0])
        say(GROWING)
    record = read_record(file)
    if picture := draw(record, given.pictures / "drift-monitors.png") if not given.quick else None:
        say(str(picture))
    print(render(record))


def _asked(given: argparse.Namespace) -> Iterator[tuple[str, str, int]]:
    """List worlds, monitors and numbers of features; Evidently sees the first ones."""
    for world in given.worlds:
        if world == GROWING:
            continue
        yield from ((world, monitor, given.features) for monitor in OURS)
        if world in given.peers_in and not given.no_peers:
            for monitor in PEERS:
                yield world, monitor, given.evidently_features if monitor in EVIDENTLY else given.features


def say(line: str) -> None:
    """Tell the progress, beside the tables."""
    print(line, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="hard data, few features, one seed; nothing is recorded")
    parser.add_argument("--speed", action="store_true", help="only seconds and memory")
    parser.add_argument("--features", type=int, help="features per seed; 100 by default, 300 with --speed")
    parser.add_argument(
        "--evidently-features", type=int, default=40, help="features per seed that Evidently sees, which is slow"
    )
    parser.add_argument("--rows", type=int, default=1500, help="rows per month")
    parser.add_argument("--users", type=int, default=6000, help="users of the growing shop")
    parser.add_argument("--seeds", type=int, nargs="+", default=[7001, 7002, 7003])
    parser.add_argument(
        "--worlds",
        type=_worlds,
        default=[*WORLDS, GROWING],
        help=f"separated by semicolons: {'; '.join([*WORLDS, GROWING]).replace('%', '%%')}",
    )
    parser.add_argument("--peers-in", type=_worlds, default=[HARD.name], help="worlds in which peers are asked")
    parser.add_argument("--no-peers", action="store_true", help="leave other monitors out")
    parser.add_argument("--missing", action="store_true", help="only what the record does not have")
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "bench", help="where the peers' environments are kept")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--pictures", type=Path, default=ROOT / "docs")
    return parser


def _worlds(text: str) -> list[str]:
    names = [name.strip() for name in text.split(";")]
    if unknown := [name for name in names if name not in WORLDS and name != GROWING]:
        raise argparse.ArgumentTypeError(f"{'; '.join(unknown)}; there are {'; '.join([*WORLDS, GROWING])}")
    return names


if __name__ == "__main__":
    main()
