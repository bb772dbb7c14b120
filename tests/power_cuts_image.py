"""Cuts of power on a real file system: an ext4 image is copied under a writer, its journal replayed, the store looked at.

    python -m tests.power_cuts_image 60                  # needs root, Linux and loop devices
    python -m tests.power_cuts_image 20 --without-syncs  # the same with every fsync left out: must break promises

``tests.power_cuts`` makes every state that POSIX allows; here a kernel and a file system choose. A process lives a store's life on
a mounted image and notes outside it what was acknowledged. At random instants it is stopped, and the image copied until two copies
are equal: then nothing was written meanwhile, and what was copied is what the disk held at that instant. What the kernel had not
written yet is missing from it, as after a cut. Each copy is mounted, which replays its journal, and must keep every promise.
"""

from __future__ import annotations

import argparse
import filecmp
import multiprocessing
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from tests.power_cuts import Moment, Run, Word, broken_promises

IMAGE_MB = 96
MOST_COPIES = 50


@dataclass
class Notebook:
    """Notes what was acknowledged, outside the image; takes the place of the watched disk.

    Attributes:
        root: Where the image is mounted.
        notes: Where the words go, each a pickle.
        word: The last one.
    """

    root: Path
    notes: BinaryIO
    word: Word = field(default_factory=Word)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch nothing: the kernel decides what reaches the disk. What lies there before has been delivered, and is on it."""
        os.sync()
        self.acknowledge()
        yield

    def acknowledge(self, **facts: object) -> None:
        """Note what a call that has returned has promised."""
        self.word = replace(self.word, **facts)
        self.notes.write(pickle.dumps(self.word))
        self.notes.flush()


def live(folder: Path, notes: Path, end: Path, rounds: int, *, has_syncs: bool) -> None:
    """Live a store's life on the mounted image; leave at the end what it answered."""
    if not has_syncs:
        os.fsync = os.fdatasync = lambda handle: None
    with notes.open("ab") as opened:
        run = Run.made(folder, rounds=rounds, disk=Notebook(folder, opened))
    end.write_bytes(pickle.dumps((run.answers, run.delivered)))


def last_word(notes: Path) -> Word:
    """Read the last word that was noted; a note that was being written does not count."""
    word = Word()
    if notes.exists():
        with notes.open("rb") as opened:
            while True:
                try:
                    word = pickle.load(opened)
                except (EOFError, pickle.UnpicklingError):
                    return word
    return word


@contextmanager
def mounted(image: Path, place: Path) -> Iterator[Path]:
    """Mount an image by a loop device; a journal is replayed."""
    place.mkdir()
    subprocess.run(["mount", "-o", "loop", image, place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def settled_copy(image: Path, target: Path) -> bool:
    """Copy an image until two copies are equal; says whether that came about."""
    other = target.with_suffix(".again")
    try:
        for _ in range(MOST_COPIES):
            for each in (target, other):
                subprocess.run(["cp", "--sparse=always", image, each], check=True)
            if filecmp.cmp(target, other, shallow=False):
                return True
        return False
    finally:
        other.unlink(missing_ok=True)


def cut_images(aside: Path, count: int, *, rounds: int, seed: int, has_syncs: bool) -> tuple[Run, list[tuple[Path, Word]]]:
    """Let a store live on an image and copy that at random instants -> the life, each copy with what was acknowledged by then."""
    rng = random.Random(seed)
    image, notes, end = aside / "disk.img", aside / "notes", aside / "end"
    with image.open("wb") as made:
        made.truncate(IMAGE_MB << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    cuts = []
    context = multiprocessing.get_context("spawn")
    with mounted(image, aside / "disk") as folder:
        writer = context.Process(target=live, args=(folder, notes, end, rounds), kwargs={"has_syncs": has_syncs})
        writer.start()
        while writer.is_alive() and not (notes.exists() and notes.stat().st_size):
            time.sleep(0.05)
        while writer.is_alive() and len(cuts) < count:
            time.sleep(rng.uniform(0.0, 0.6))
            os.kill(writer.pid or 0, signal.SIGSTOP)
            try:
                target = aside / f"cut{len(cuts)}.img"
                if settled_copy(image, target):
                    cuts.append((target, last_word(notes)))
            finally:
                os.kill(writer.pid or 0, signal.SIGCONT)
        writer.join()
        if writer.exitcode:
            raise SystemExit(f"the writer ended with {writer.exitcode}")
    answers, delivered = pickle.loads(end.read_bytes())
    return Run(Notebook(aside, notes.open("ab")), answers, delivered), cuts  # type: ignore[arg-type]


def main() -> None:
    """Cut as often as is asked, and say what broke."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--without-syncs", action="store_true")
    asked = parser.parse_args()
    if not sys.platform.startswith("linux") or os.geteuid():
        raise SystemExit("An image can be mounted by root alone, on Linux. python -m tests.power_cuts needs neither.")
    broken = 0
    with tempfile.TemporaryDirectory() as folder:
        aside = Path(folder)
        run, cuts = cut_images(aside, asked.count, rounds=asked.rounds, seed=asked.seed, has_syncs=not asked.without_syncs)
        for i, (image, word) in enumerate(cuts):
            with mounted(image, aside / f"mounted{i}") as place:
                shutil.copytree(place, aside / f"store{i}", ignore=shutil.ignore_patterns("lost+found"))
            promises = broken_promises(run, Moment({}, {}, {}, {}, word), aside / f"store{i}")
            shutil.rmtree(aside / f"store{i}")
            image.unlink()
            broken += bool(promises)
            for promise in promises:
                sys.stdout.write(f"cut {i}, {len(word.events)} rows acknowledged: {promise}\n")
    sys.stdout.write(f"{len(cuts)} cuts of an ext4 image, {broken} with broken promises\n")
    sys.exit(broken > 0)


if __name__ == "__main__":
    main()
