"""A log with two checkpoints, and what becomes of answers when a file of it is damaged; ``python -m tests.lake.log_damages 600``.

Run as a script it turns over so many single bits, in one file of a log after the other, and counts what becomes of answers: equal, or
refused with a StoreError that names the file. Anything else is a fault.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from featurestore.errors import FeatureStoreError
from featurestore.lake.checkpoints import checkpoint_damages, write_checkpoint
from featurestore.lake.delta_log import committed_us, entry_path
from featurestore.lake.digests import recorded_digest
from featurestore.lake.table import Table, commit
from tests.lake.test_table import rows, staged

MONTH = "2024-08"
FIRST, SECOND, LAST = 4, 8, 11
"""The versions of the checkpoints, and the newest one."""


def make_log(path: Path) -> Path:
    """Make a table of twelve commits, with checkpoints and with a number that each commit records."""
    for number in range(LAST + 1):
        commit(path, add=[staged(path, MONTH, [number], f"{number}")], partition_by=("month",), marks={"load": number})
        if number in (FIRST, SECOND):
            write_checkpoint(path)
    return path


def shorten(path: Path) -> Path:
    """Delete the entries that the second checkpoint stands for, as a vacuum does."""
    for version in range(SECOND):
        entry_path(path, version).unlink()
    for file in checkpoint_files(path, FIRST):
        file.unlink()
    return path


def checkpoint_files(path: Path, version: int) -> list[Path]:
    """List a checkpoint and its sum."""
    return sorted((path / "_delta_log").glob(f"{version:020}.checkpoint.*"))


def answers(path: Path, versions: tuple[int | None, ...] = (None, 10)) -> list[Any]:
    """Return all that is read from a log: rows, files with their statistics and digests, columns, numbers and times."""
    found = list[Any]()
    for version in versions:
        table = Table.open(path, version)
        files = [(file.name, file.rows, file.size_bytes, recorded_digest(file)) for file in table.files()]
        about = table.version, table.table_id, table.column_types(), table.mark("load"), committed_us(path, table.version)
        found += [rows(path) if version is None else None, files, *about]
    return found


def outcome(path: Path, damaged: Path, expected: list[Any]) -> str:
    """Read a log in which one file is damaged; say what becomes of the answers."""
    try:
        return "equal" if answers(path) == expected else "WRONG"
    except FeatureStoreError as error:
        return "refused" if damaged.name in str(error) else f"UNNAMED: {error}"
    except Exception as error:  # which is what is looked for
        return f"OTHER: {type(error).__name__}: {error}"


def flip(path: Path, chance: random.Random) -> None:
    """Turn over one bit of a file."""
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def flips(made: Path, folder: Path, count: int, *, seed: int, has_sums: bool = True) -> Counter[tuple[str, str, str]]:
    """Turn over bits in copies of a log; count kind of log, kind of file, and what became of the answers.

    Args:
        made: The log, which stays.
        folder: Where the copies go, each under a name of its own.
        count: Number of flips.
        seed: Of the random numbers.
        has_sums: Whether the checkpoints keep their sums; those of older releases have none.
    """
    chance = random.Random(seed)
    expected = answers(made)
    counts = Counter[tuple[str, str, str]]()
    for number in range(count):
        path = Path(shutil.copytree(made, folder / f"{seed}-{number}"))
        kind = ("all entries", "shortened")[number % 2]
        if number % 2:
            shorten(path)
        if not has_sums:
            for file in (path / "_delta_log").glob("*.sum"):
                file.unlink()
        files = sorted(file for file in (path / "_delta_log").iterdir() if not file.name.startswith("."))
        kinds = sorted({file.name[20:] for file in files})
        ending = kinds[number // 2 % len(kinds)]
        file = chance.choice([file for file in files if file.name[20:] == ending])
        flip(file, chance)
        what = outcome(path, file, expected)
        if ending != ".json" and has_sums and file in checkpoint_files(path, SECOND) and not checkpoint_damages(path):
            what += ", NOT NAMED"
        counts[kind, file.name.lstrip("0123456789.") or file.name, what] += 1
        shutil.rmtree(path)
    return counts


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = make_log(Path(folder) / "made")
        for has_sums in (True, False):
            sys.stdout.write(f"checkpoints {'with' if has_sums else 'without'} sums\n")
            for key, times in sorted(flips(made, Path(folder), count, seed=7 + has_sums, has_sums=has_sums).items()):
                sys.stdout.write(f"{times:6} {' | '.join(key)}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
