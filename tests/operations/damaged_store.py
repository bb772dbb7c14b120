"""A small store with a file of each kind, and the ways in which a disk spoils one; ``python -m tests.operations.damaged_store 40``.

Run as a script it flips so many bytes in each kind of file, one after the other, and counts what becomes of answers: equal, refused
with a StoreError, another error, or wrong and silent, which must be none.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pyarrow as pa

import featurestore as fs
from featurestore.compute.materialization import ledger
from featurestore.compute.search import block_digests, key_index
from featurestore.compute.windows import opened_views
from featurestore.lake import checkpoint_sums, delta_log, digests, table
from featurestore.lake.newest import NewestVersions

START = datetime(2024, 1, 3, 9, tzinfo=timezone.utc)
AT = datetime(2024, 3, 20, tzinfo=timezone.utc)
EVENTS = fs.EventSource(
    "events",
    schema={
        "event_id": "int64",
        "event_time": "timestamp",
        "ingested_at": "timestamp",
        "user_id": "int64",
        "cents": "int64",
        "category": "string",
    },
    event_time="event_time",
    event_id="event_id",
    ingested_at="ingested_at",
)
VIEW = fs.FeatureView(
    "activity",
    entity=fs.Entity("user", key="user_id"),
    source=EVENTS,
    aggregations=[
        fs.Count("seen", windows=("30d", "lifetime")),
        fs.Sum("spend", "cents", windows=("30d",)),
        fs.Max("dearest", "cents", windows=("90d",)),
        fs.Distinct("kinds", "category", windows=("90d",)),
    ],
)
SERVICE = fs.FeatureService("routing_v1", features=["activity"])
KINDS = {
    "events": "lake/events/*/*/*.parquet",
    "superseded": "lake/superseded/*/*.parquet",
    "quarantine": "lake/quarantine/*/*.parquet",
    "keys": "lake/keys/user/*/*.parquet",
    "item keys": "lake/keys/items_*/*/*.parquet",
    "tiles": "lake/tiles/*/*/*/*.parquet",
    "ledger": "lake/ledger/*/*/kind=ledger/*/*.parquet",
    "balances": "lake/ledger/*/*/kind=balances/*/*.parquet",
    "sub-ledger": "lake/ledger/*/*/kind=*.*/*/*.parquet",
    "hot": "hot/*/*.arrow",
    "key index": "hot/$keys/*/*.arrow",
    "known": "known/*/*.arrow",
    "snapshots": "lake/snapshots/*/*/*/*.parquet",
    "sketches": "lake/sketches/*/*/*/*.parquet",
    "scores": "lake/scores/*/*/*/*.parquet",
    "days": "lake/days/*/*/*.parquet",
    "log of events": "lake/events/*/_delta_log/*0.json",
    "log of tiles": "lake/tiles/*/*/_delta_log/*0.json",
    "publications": "publications/*/*.json",
    "pins": "pins/*.json",
}
COMPUTED = {"tiles", "ledger", "balances", "sub-ledger", "hot", "key index", "known", "snapshots", "sketches", "scores", "days"}


def rows(first: int, last: int, *, cents: int = 100, late: int = 0) -> pa.Table:
    numbers = range(first, last)
    times = [START + timedelta(hours=7 * number) for number in numbers]
    return pa.table(
        {
            "event_id": list(numbers),
            "event_time": times,
            "ingested_at": [time + timedelta(days=late) for time in times],
            "user_id": [None if number == 3 else number % 40 for number in numbers],
            "cents": [cents + number * 37 % 1000 for number in numbers],
            "category": [("toys", "food", "books")[number % 3] for number in numbers],
        }
    )


def make_store(root: Path) -> fs.FeatureStore:
    """Make a store with events of three months, corrections, an invalid row, a publication, a pin and two audited months."""
    store = fs.FeatureStore(root)
    store.apply([EVENTS, VIEW, SERVICE])
    store.ingest("events", rows(0, 260))
    store.ingest("events", rows(20, 25, cents=900, late=3))
    invalid = rows(300, 301)
    store.ingest("events", invalid.set_column(1, "event_time", pa.nulls(1, pa.timestamp("us", "UTC"))))
    store.materialize()
    store.audit(["2024-01", "2024-02"])
    store.publish("routing_v1")
    answer = as_known(store)
    store.pin("model", answer)
    return store


def spine() -> pa.Table:
    return pa.table({"user_id": list(range(40)), "as_of": [AT - timedelta(days=day % 30) for day in range(40)]})


def plain(store: fs.FeatureStore) -> pa.Table:
    return store.get_historical_features(spine(), ["activity"])


def as_known(store: fs.FeatureStore) -> pa.Table:
    return store.get_historical_features(spine(), ["activity"], as_known=True)


def files(root: Path, kind: str) -> list[Path]:
    """List the files of a kind; of events those that the newest version names."""
    found = sorted(root.glob(KINDS[kind]))
    if kind != "events":
        return found
    committed = {file.path for file in table.Table.open(root / "lake/events/events").files()}
    return [path for path in found if path in committed]


def flip(path: Path, at: float = 0.5) -> None:
    """Turn over one bit; the disk says nothing of it: size and time stay."""
    content = bytearray(path.read_bytes())
    content[int(len(content) * at)] ^= 1 << 3
    _spoil(path, bytes(content))


def truncate(path: Path) -> None:
    _spoil(path, path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    _spoil(path, b"")


def zero(path: Path) -> None:
    _spoil(path, bytes(path.stat().st_size))


def delete(path: Path) -> None:
    path.unlink()


DAMAGES: tuple[Callable[[Path], None], ...] = (flip, truncate, empty, zero, delete)


def _spoil(path: Path, content: bytes) -> None:
    status = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def forget() -> None:
    """Forget what this process knows of files, as a new one would."""
    digests._CHECKED.clear()
    digests._DAMAGED.clear()
    block_digests._CHECKED.clear()
    block_digests._has_digests.cache_clear()
    key_index._NEWEST = NewestVersions[key_index.KeyIndex]()
    opened_views._KEPT.clear()
    ledger.months_of.cache_clear()
    table._NEWEST = NewestVersions[table.Table]()
    delta_log._WHOLE.clear()
    checkpoint_sums._JUDGED.clear()


def main(flips: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = make_store(Path(folder) / "store")
        expected = plain(store), as_known(store)
        chance = random.Random(7)
        for kind in KINDS:
            counts = Counter[str]()
            for number in range(flips):
                root = Path(shutil.copytree(Path(folder) / "store", Path(folder) / "copy"))
                path = chance.choice(files(root, kind))
                if number % 2 and kind != "hot":
                    shutil.rmtree(root / "hot")  # so that the Parquet files are read
                damage = DAMAGES[number // 2 % 8 % 5] if number // 2 % 8 < 5 else flip
                damage(path) if damage is not flip else flip(path, chance.random())
                counts[_outcome(root, expected)] += 1
                shutil.rmtree(root)
            sys.stdout.write(f"{kind:16} {dict(sorted(counts.items()))}\n")


def _outcome(root: Path, expected: tuple[pa.Table, pa.Table]) -> str:
    forget()
    try:
        store = fs.FeatureStore(root)
        got = plain(store), as_known(store)
    except fs.FeatureStoreError:
        result = "refused"
    except Exception as error:
        return f"other: {type(error).__name__}"
    else:
        result = "equal" if got == expected else "WRONG"
    forget()
    store = fs.FeatureStore(root)
    try:
        report = store.doctor()
        if result == "refused" and report.is_sound and (plain(store), as_known(store)) != expected:
            return "WRONG after doctor"
    except fs.FeatureStoreError as error:
        return f"doctor: {str(error)[:80]}"
    return f"{result}, {'healed' if report.damages and report.is_sound else 'told' if report.damages else 'no damage'}"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
