"""Paths and processes that deltalake cannot work with: refused with what to do, and never another folder, never a panic."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from featurestore.errors import IngestError, StoreError
from featurestore.lake.ingestion.ingest import ingest
from featurestore.lake.layout import create_or_open
from featurestore.spec.source import EventSource

EVENTS = EventSource("events", schema={"id": "int64", "at": "timestamp"}, event_time="at", event_id="id")
ODD_NAMES = ["a%20b", "a%2Fb", "%41", "a\\b", "a\nb", "a\tb", "a\x7fb", "caf\udce9"]
PLAIN_NAMES = ["100%", "%zz", "a b#?", "中é"]
FORKED = """
import os, sys, warnings
from datetime import datetime
import pyarrow as pa
import featurestore as fs
warnings.simplefilter("ignore", DeprecationWarning)  # of fork beside threads, which is what is tried here
def rows(number):
    return pa.table({"id": [number], "at": [datetime(2024, 1, 1)], "user": ["u"]})
source = fs.EventSource("s", event_time="at", event_id="id", schema={"id": "int64", "at": "timestamp", "user": "string"})
view = fs.FeatureView("v", entity=fs.Entity("user", key="user"), source=source, aggregations=[fs.Count("n", windows=("lifetime",))])
store = fs.FeatureStore(sys.argv[1])
store.apply([view])
store.ingest("s", rows(1))
store.materialize()
read = lambda: store.get_batch_features("2025-01-01", [view]).to_pylist()
before = read()
def in_child(call):
    child = os.fork()
    if child == 0:
        try:
            print("answer", call() == before, flush=True)
        except fs.FeatureStoreError as error:
            print(type(error).__name__, "spawn" in str(error), flush=True)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
in_child(read)
in_child(lambda: store.ingest("s", rows(2)))
in_child(store.vacuum)
store.ingest("s", rows(3))
store.materialize()
print(store.get_batch_features("2025-01-01", [view])["v__n_lifetime"].to_pylist())
"""


@pytest.mark.parametrize("name", ODD_NAMES, ids=map(ascii, ODD_NAMES))
def test_a_store_is_not_made_where_its_tables_could_not_lie(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match="Rename"):
        create_or_open(tmp_path / name / "store")
    assert not (tmp_path / name).exists()


def test_a_store_has_a_path() -> None:
    with pytest.raises(StoreError, match="The path is empty"):
        create_or_open("")


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_other_odd_names_are_names_of_stores(tmp_path: Path, name: str) -> None:
    layout = create_or_open(tmp_path / name)
    assert ingest(layout, EVENTS, pa.table({"id": [1], "at": [datetime(2024, 1, 5)]})).rows_added == 1
    assert ingest(layout, EVENTS, pa.table({"id": [1], "at": [datetime(2024, 1, 5)]})).duplicates == 1


def test_a_delta_table_is_never_read_for_another_that_its_path_would_mean(tmp_path: Path) -> None:
    for name, number in (("A", 1), ("x", 2)):
        write_deltalake(str(tmp_path / name), pa.table({"id": [number], "at": [datetime(2024, 1, 5)]}))
    (tmp_path / "x").rename(tmp_path / "%41")
    layout = create_or_open(tmp_path / "store")
    with pytest.raises(IngestError, match="has '%41' in it"):
        ingest(layout, EVENTS, tmp_path / "%41")


def test_a_file_whose_name_is_no_utf8_is_refused(tmp_path: Path) -> None:
    file = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.csv"))
    file.write_text("id,at\n1,2024-01-05\n")
    layout = create_or_open(tmp_path / "store")
    for given in (file, tmp_path / "caf*.csv", os.fsdecode(os.fsencode(tmp_path) + b"/c\xe9.csv")):
        with pytest.raises(IngestError, match=r"letters that are no UTF-8. Rename it."):
            ingest(layout, EVENTS, given)


def test_where_python_reads_names_as_ascii_the_error_says_how_to_change_that(tmp_path: Path) -> None:
    (tmp_path / "订单.csv").write_text("id,at\n1,2024-01-05\n")
    script = "import featurestore as fs, sys; fs.FeatureStore(sys.argv[1])"
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "订单.csv")], env=plain, capture_output=True, check=False
    )
    assert b"StoreError" in done.stderr
    assert b"set PYTHONUTF8=1" in done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
def test_a_forked_child_reads_what_its_parent_has_read_and_is_told_to_be_spawned_otherwise(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKED, str(tmp_path / "store")], capture_output=True, text=True, check=False, timeout=100
    )
    assert done.stdout.splitlines() == ["answer True", *["StoreError True"] * 2, "[2]"], done.stderr
    assert "panicked" not in done.stderr
