"""Cuts of power: what a disk may hold after one, for every sync of a run, and whether a store still keeps its word.

    python -m tests.power_cuts 400          # so many cuts of one run, each looked at; a line for each that breaks a promise

1. ``Disk`` watches a folder. At each ``fsync`` of this process, and whenever something is acknowledged, it compares the folder with
   what it saw before. So it also sees what libraries write, and takes that for not flushed: they flush nothing.
2. What is flushed is certain: the bytes of a file as of its last sync, the names in a folder as of its last sync. All else is open:
   ``Moment.cut`` makes a folder in which, by a seeded choice, each name that came or went since is there or not (of a name that
   was given to another file, the old or the new one), and each file whose bytes were not flushed has its old bytes, none, the
   first part of the new ones, zeros, or all. Names may so survive in any order. No file system may do worse under POSIX, and
   ext4 and xfs do less.
3. ``broken_promises`` opens what is left: acknowledged rows, definitions, pins, publications and parameters are there; what is
   published answers as it did; going on gives one version of each event, ``verify`` finds the rebuilt store equal.
"""

from __future__ import annotations

import argparse
import os
import random
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import RLock

import pyarrow as pa
import pyarrow.parquet as pq

import featurestore as fs
from featurestore.drift.recalibration.calibration_versions import Challenger, champion, record
from featurestore.drift.recalibration.recalibrate import Decision, Trigger
from featurestore.lake.table import Table
from tests.test_client import ACTIVITY, EVENTS, SKUS, USER, rows

FOLDER = -1
"""Stands for the file of a name that is a folder's."""
SERVICE = fs.FeatureService("service", features=[ACTIVITY])
SEEN = fs.FeatureView("seen", entity=USER, source=EVENTS, aggregations=[fs.Count("n")])
Names = dict[Path, dict[str, int]]


@dataclass(frozen=True)
class Word:
    """What was acknowledged so far."""

    events: frozenset[int] = frozenset()
    views: frozenset[str] = frozenset()
    publication: int = -1
    pins: frozenset[str] = frozenset()
    parameters: int = 0


@dataclass(frozen=True)
class Moment:
    """What is certain, and what is open, at one moment of a run.

    Attributes:
        certain: Folder to its flushed names, each with its file.
        open: Folder and name to what it may stand for, besides what is certain; ``None`` for nothing.
        flushed: File to its flushed bytes.
        written: File to its newest bytes.
        word: What was acknowledged.
    """

    certain: Names
    open: dict[tuple[Path, str], set[int | None]]
    flushed: dict[int, bytes]
    written: dict[int, bytes]
    word: Word

    def cut(self, target: Path, rng: random.Random) -> None:
        """Make a folder that holds what a disk may hold when the power fails now."""
        mood = rng.choice(("nothing more", "all names", "any"))
        self._fill(Path(), target, rng, mood)

    def _fill(self, folder: Path, target: Path, rng: random.Random, mood: str) -> None:
        target.mkdir()
        certain = self.certain.get(folder, {})
        names = {*certain, *(name for place, name in self.open if place == folder)}
        for name in sorted(names):
            others = sorted(self.open.get((folder, name), set()), key=str)
            file = certain.get(name)
            if others and mood == "all names":
                file = next((other for other in reversed(others) if other is not None), file)
            elif others and mood == "any":
                file = rng.choice([file, *others])
            if file == FOLDER:
                self._fill(folder / name, target / name, rng, mood)
            elif file is not None:
                (target / name).write_bytes(self._bytes(file, rng))

    def _bytes(self, file: int, rng: random.Random) -> bytes:
        new = self.written.get(file, b"")
        old = self.flushed.get(file)
        if old == new:
            return new
        return rng.choice([old or b"", b"", new[: rng.randrange(len(new) + 1)], bytes(len(new)), new])


@dataclass
class Disk:
    """A folder whose syncs are watched."""

    root: Path
    word: Word = Word()
    moments: list[Moment] = field(default_factory=list)
    syncs: int = 0
    _certain: Names = field(default_factory=dict)
    _names: Names = field(default_factory=dict)
    _open: dict[tuple[Path, str], set[int | None]] = field(default_factory=dict)
    _flushed: dict[int, bytes] = field(default_factory=dict)
    _written: dict[int, bytes] = field(default_factory=dict)
    _seen: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    _held: dict[int, int] = field(default_factory=dict)  # open, so that no other file is given its number
    _lock: RLock = field(default_factory=RLock)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch the syncs of this process; what lies in the folder before is certain."""
        real = os.fsync

        def fsync(handle: int) -> None:
            with self._lock:
                self._before(handle)
            real(handle)

        self._look()
        self._certain = {folder: dict(names) for folder, names in self._names.items()}
        self._flushed = dict(self._written)
        self._open.clear()
        os.fsync = fsync
        try:
            yield
        finally:
            os.fsync = real
            for handle in self._held.values():
                os.close(handle)

    def acknowledge(self, **facts: object) -> None:
        """Note what a call that has returned has promised."""
        with self._lock:
            self.word = replace(self.word, **facts)
            self._look()
            self._keep()

    def _before(self, handle: int) -> None:
        """Keep the moment before a sync, then take for certain what the sync makes so."""
        status = os.fstat(handle)
        path = Path(os.readlink(f"/proc/self/fd/{handle}"))
        if not path.is_relative_to(self.root):
            return
        self.syncs += 1
        self._look()
        self._keep()
        folder = path.relative_to(self.root)
        if stat.S_ISDIR(status.st_mode):
            self._certain[folder] = dict(self._names.get(folder, {}))
            for key in [key for key in self._open if key[0] == folder]:
                del self._open[key]
        elif status.st_ino in self._written:
            self._flushed[status.st_ino] = self._written[status.st_ino]

    def _keep(self) -> None:
        certain = {folder: dict(names) for folder, names in self._certain.items()}
        still_open = {key: set(values) for key, values in self._open.items()}
        self.moments.append(Moment(certain, still_open, dict(self._flushed), dict(self._written), self.word))

    def _look(self) -> None:
        """Compare the folder with what was seen before."""
        names: Names = {Path(): {}}
        for place, folders, files in os.walk(self.root):
            folder = Path(place).relative_to(self.root)
            found = dict.fromkeys(folders, FOLDER)
            for name in files:
                try:
                    status = (path := Path(place, name)).stat()
                    trace = status.st_size, status.st_mtime_ns, status.st_ctime_ns
                    if self._seen.get(status.st_ino) != trace:
                        if status.st_ino not in self._held:
                            self._held[status.st_ino] = os.open(path, os.O_RDONLY)
                        self._written[status.st_ino] = path.read_bytes()
                        self._seen[status.st_ino] = trace
                except FileNotFoundError:
                    continue  # another thread was faster
                found[name] = status.st_ino
            names[folder] = found
        for folder in {*names, *self._names}:
            old, new = self._names.get(folder, {}), names.get(folder, {})
            for name in {*old, *new}:
                if old.get(name) != new.get(name):
                    self._open.setdefault((folder, name), set()).update({old.get(name), new.get(name)})
        self._names = names


def batch(first: int, count: int, month: int) -> pa.Table:
    """Events with consecutive ids in one month of 2024, of three users more with each batch."""
    start = datetime(2024, month, 1, 8)
    return rows(*((first + i, start + timedelta(hours=7 * i), (first + i) % (3 + first // 5), 100 + i) for i in range(count)))


@dataclass
class Run:
    """A store's life under a watched disk.

    Attributes:
        disk: What was seen.
        answers: Number of a publication to what it answered.
    """

    disk: Disk
    answers: dict[int, pa.Table] = field(default_factory=dict)
    delivered: set[int] = field(default_factory=set)

    @classmethod
    def made(cls, folder: Path, *, rounds: int, disk: Disk | None = None) -> Run:
        """Let a store live in a folder: landing files, tables, refreshes, publications, pins, parameters, a vacuum."""
        run = cls(disk or Disk(folder))
        landing = folder / "store" / "landing" / "events"
        landing.mkdir(parents=True)
        for i in range(rounds):
            events = batch(100 + 5 * i, 5, 1 + i % 3)
            pq.write_table(events, landing / f"{i:03}.parquet")
            os.rename(landing / f"{i:03}.parquet", folder / f"{i:03}.parquet")
        with run.disk.watched():
            run._live(landing, rounds)
        return run

    def _live(self, landing: Path, rounds: int) -> None:
        store = fs.FeatureStore(landing.parents[1], timezone="Asia/Shanghai")
        store.apply([EVENTS, ACTIVITY, SKUS, SERVICE])
        self._told(store, views=frozenset(store.registry.views))
        for i in range(rounds):
            if i % 3 == 2:
                os.rename(self.disk.root / f"{i:03}.parquet", landing / f"{i:03}.parquet")
                store.ingest("events")
            else:
                store.ingest("events", batch(100 + 5 * i, 5, 1 + i % 3))
            self.delivered |= set(range(100 + 5 * i, 105 + 5 * i))
            self._told(store, events=frozenset(self.delivered))
            if i % 2:
                store.materialize()
                number = store.publish("service").number
                self.answers[number] = answer(store, number)
                self._told(store, publication=number)
            if i == rounds // 2:
                store.apply([SEEN])
                self._told(store, views=frozenset(store.registry.views))
                decision = Decision("prior", Trigger("2024-01", "x"), 5, 10, ("2024-01",), (), True, "because")
                table = pa.table({"group": ["*"], "a": [0.5]})
                record(store.layout.calibrations("prior"), Challenger(table, "beta_binomial", 0, 10), decision)
                self._told(store, parameters=1)
                store.pin("model", store.published("service"))
                self._told(store, pins=frozenset({"model"}))
                store.vacuum(retention_hours=1)

    def _told(self, store: fs.FeatureStore, **facts: object) -> None:
        self.disk.acknowledge(**facts)


def answer(store: fs.FeatureStore, number: int) -> pa.Table:
    """Return what the last publication, which is this one, answers at its as_of."""
    publication = store.published("service")
    assert publication.number == number
    return store.get_batch_features(publication.as_of, "service", versions=publication).replace_schema_metadata()


def broken_promises(run: Run, moment: Moment, folder: Path) -> list[str]:
    """Say which promises a store does not keep after a cut; its folder is changed."""
    word, broken = moment.word, list[str]()
    try:
        store = fs.FeatureStore(folder / "store", timezone="Asia/Shanghai")
        if missing := word.views - set(store.registry.views):
            return [f"views {sorted(missing)} are lost"]
        if not word.views:
            store.apply([EVENTS, ACTIVITY, SKUS, SERVICE])
        if lost := word.events - (events := event_ids(store)).keys():
            broken.append(f"{len(lost)} acknowledged rows are lost")
        if word.publication >= 0:
            publication = store.published("service")
            if publication.number < word.publication:
                broken.append(f"publication {word.publication} is lost")
            elif publication.number in run.answers and not answer(store, publication.number).equals(
                run.answers[publication.number]
            ):
                broken.append(f"publication {publication.number} answers otherwise")
        if word.pins - set(fs_pins(store)):
            broken.append("a pin is lost")
        if word.parameters and champion(store.layout.calibrations("prior")) is None:
            broken.append("parameters are lost")
        broken += going_on(run, store)
        if events and (twice := [event for event, count in event_ids(store).items() if count > 1]):
            broken.append(f"{len(twice)} events are there twice")
    except fs.FeatureStoreError as error:
        broken.append(f"{type(error).__name__}: {str(error)[:150]}")
    return broken


def going_on(run: Run, store: fs.FeatureStore) -> Iterator[str]:
    """Go on with a store after a cut, and yield what is wrong with what comes out."""
    store.ingest("events")
    store.ingest("events", pa.concat_tables(batch(100 + 5 * i, 5, 1 + i % 3) for i in range(len(run.delivered) // 5)))
    store.materialize()
    if not (verdict := store.verify()).is_equal:
        yield f"verify: {str(verdict)[:150]}"
    if set(event_ids(store)) != run.delivered:
        yield "going on does not give all events"
    number = store.publish("service").number
    if number in run.answers and number == max(run.answers) and not answer(store, number).equals(run.answers[number]):
        yield "the end answers otherwise"


def event_ids(store: fs.FeatureStore) -> dict[int, int]:
    """Count the committed rows of each event."""
    counts: dict[int, int] = {}
    for file in Table.open(store.layout.events("events")).files():
        for event in pq.ParquetFile(file.path).read(["event_id"])["event_id"].to_pylist():
            counts[event] = counts.get(event, 0) + 1
    return counts


def fs_pins(store: fs.FeatureStore) -> set[str]:
    """Return the names of the pins."""
    return {path.stem for path in store.layout.pins.glob("*.json")}


def cuts(run: Run, count: int, *, seed: int) -> Iterator[tuple[int, list[str]]]:
    """Cut the power at moments of a run, and yield the number of each and what broke."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as aside:
        for i in range(count):
            at = rng.randrange(len(run.disk.moments))
            folder = Path(aside) / str(i)
            run.disk.moments[at].cut(folder, rng)
            yield at, broken_promises(run, run.disk.moments[at], folder)


def main() -> None:
    """Cut as often as is asked, and say what broke."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = Run.made(Path(folder), rounds=asked.rounds)
        broken = 0
        for at, promises in cuts(run, asked.count, seed=asked.seed):
            broken += bool(promises)
            for promise in promises:
                sys.stdout.write(f"moment {at} of {len(run.disk.moments)}: {promise}\n")
        sys.stdout.write(f"{asked.count} cuts, {run.disk.syncs} syncs, {broken} cuts with broken promises\n")
    sys.exit(broken > 0)


if __name__ == "__main__":
    main()
