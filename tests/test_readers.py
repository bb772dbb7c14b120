"""Who may read a store and not write to it: every answer is the same, and what would change it is refused with what to do."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

import featurestore as fs

EVENTS = fs.EventSource(
    "events",
    schema={"id": "int64", "at": "timestamp", "user": "string", "known": "timestamp"},
    event_time="at",
    event_id="id",
    ingested_at="known",
)
VIEW = fs.FeatureView(
    "activity", entity=fs.Entity("user", key="user"), source=EVENTS, aggregations=[fs.Count("n", windows=("30d", "lifetime"))]
)
READ = """
import sys
from datetime import datetime
import pyarrow as pa
import featurestore as fs
store = fs.FeatureStore(sys.argv[1])
spine = pa.table({"user": ["a", "b"], "as_of": [datetime(2024, 3, 1)] * 2})
print(store.get_batch_features("2024-03-01", ["activity"]).num_rows)
for as_known in (False, True):
    print(store.get_historical_features(spine, ["activity"], as_known=as_known)["activity__n_lifetime"].to_pylist())
print(store.verify().is_equal, store.quarantine("events").num_rows, store.status().sources[0].rows)
row = {"id": [9], "at": [datetime(2024, 2, 1)], "user": ["a"], "known": [datetime(2024, 2, 1)]}
for change in (lambda: store.ingest("events", pa.table(row)), lambda: store.remove("activity")):
    try:
        change()
    except fs.FeatureStoreError as error:
        print(type(error).__name__, "ermission" in str(error))
"""


def filled(root: Path) -> fs.FeatureStore:
    store = fs.FeatureStore(root)
    store.apply([VIEW])
    at = [datetime(2024, 1, day) for day in (1, 2, 3, 4)]
    known = [datetime(2024, 1, 1), datetime(2024, 1, 2), datetime(2024, 1, 3), datetime(2024, 4, 1)]
    store.ingest("events", pa.table({"id": range(4), "at": at, "user": ["a", "b", "a", "a"], "known": known}))
    store.ingest("events", pa.table({"id": [None], "at": at[:1], "user": ["a"], "known": known[:1]}))
    store.materialize()
    return store


def without_power() -> list[str]:
    """Return what to put before a command so that rights count for root too."""
    if os.name == "nt":
        pytest.skip("Windows has other rights")
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root may write everywhere")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"]


def test_who_may_not_write_reads_everything_that_is_there(tmp_path: Path) -> None:
    prefix = without_power()
    root = filled(tmp_path / "store").layout.root
    places = [root, *root.rglob("*")]
    for place in places:
        place.chmod(stat.S_IMODE(place.stat().st_mode) & 0o555)
    try:
        done = subprocess.run(
            [*prefix, sys.executable, "-c", READ, str(root)], capture_output=True, text=True, check=False, timeout=100
        )
    finally:
        for place in places:
            place.chmod(stat.S_IMODE(place.stat().st_mode) | 0o200)
    assert done.stdout.splitlines() == ["2", "[3, 1]", "[2, 1]", "True 1 4", *["StoreError True"] * 2], done.stderr
    assert sorted([root, *root.rglob("*")]) == sorted(places)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
def test_all_files_of_a_store_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        store = filled(tmp_path / "store")
        store.apply([fs.FeatureService("ranking", features=[VIEW])])
        store.publish("ranking")
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in store.layout.root.rglob("*") if path.is_file()}
    assert modes == {0o640}
