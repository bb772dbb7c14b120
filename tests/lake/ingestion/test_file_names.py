"""A file's name means that file alone, whatever characters of patterns it holds."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

import featurestore as fs

EVENTS = fs.EventSource(
    "events",
    schema={"event_id": "int64", "event_time": "timestamp", "user_id": "int64"},
    event_time="event_time",
    event_id="event_id",
)
VIEW = fs.FeatureView("user", entity=fs.Entity("user", key="user_id"), source=EVENTS, aggregations=[fs.Count("events")])
ENDINGS = ("csv", "csv.gz", "jsonl", "parquet")
# A name that is a pattern, and one that this pattern would match.
NAMES = [
    ("orders[1]", "orders1"),
    ("orders*", "orders-all"),
    ("orders?", "orders2"),
    ("[a]b[c]", "abc"),
    ("it's [x]", "it's x"),
]


def store_in(folder: Path) -> fs.FeatureStore:
    store = fs.FeatureStore(folder)
    store.apply([VIEW])
    return store


def write(path: Path, ids: list[int]) -> Path:
    rows = pl.DataFrame({"event_id": ids, "event_time": datetime(2024, 1, 5), "user_id": 7})
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        rows.write_parquet(path)
    elif path.suffix == ".jsonl":
        rows.write_ndjson(path)
    elif path.suffix == ".gz":
        import gzip

        path.write_bytes(gzip.compress(rows.write_csv().encode()))
    else:
        rows.write_csv(path)
    return path


def counted(store: fs.FeatureStore) -> int:
    store.materialize()
    table = store.get_batch_features(datetime(2024, 2, 1), [VIEW])
    return int(table["user__events"][0].as_py())


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(("name", "other"), NAMES)
def test_only_the_file_that_is_named_is_read(tmp_path: Path, name: str, other: str, ending: str) -> None:
    wanted = write(tmp_path / "in" / f"{name}.{ending}", [1, 2])
    write(tmp_path / "in" / f"{other}.{ending}", [3, 4, 5])
    report = store_in(tmp_path / "store").ingest("events", wanted)
    assert (report.rows_read, report.rows_added) == (2, 2)


@pytest.mark.parametrize("ending", ENDINGS)
def test_files_whose_names_match_each_other_are_read_once_each_from_a_folder(tmp_path: Path, ending: str) -> None:
    write(tmp_path / "in" / f"2024-01[1].{ending}", [1, 2])
    write(tmp_path / "in" / f"2024-011.{ending}", [3])
    store = store_in(tmp_path / "store")
    report = store.ingest("events", tmp_path / "in")
    assert (report.rows_read, report.rows_added) == (3, 3)
    assert counted(store) == 3


def test_a_pattern_that_a_caller_gives_is_one_still(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a1.csv", [1])
    write(tmp_path / "in" / "a2.csv", [2])
    write(tmp_path / "in" / "b1.csv", [3])
    assert store_in(tmp_path / "store").ingest("events", str(tmp_path / "in" / "a[12].csv")).rows_added == 2


def test_a_store_below_a_folder_with_such_a_name_answers_like_any_other(tmp_path: Path) -> None:
    store = store_in(tmp_path / "r[1]*" / "store")
    store.ingest("events", write(tmp_path / "r[1]*" / "in" / "x[0].parquet", [1, 2, 3]))
    store.ingest("events", write(tmp_path / "r[1]*" / "in" / "y.csv", [3, 4]))
    assert counted(store) == 4
    assert store.verify().is_equal


def test_a_spine_is_the_file_that_is_named(tmp_path: Path) -> None:
    store = store_in(tmp_path / "store")
    store.ingest("events", write(tmp_path / "in" / "a.csv", [1]))
    store.materialize()
    for name, users in (("spine[1]", [7, 8]), ("spine1", [9])):
        spine = pl.DataFrame({"user_id": users, "as_of": datetime(2024, 2, 1)})
        spine.write_parquet(tmp_path / f"{name}.parquet")
    read = store.stream_historical_features(tmp_path / "spine[1].parquet", [VIEW]).read_all()
    assert read["user_id"].to_pylist() == [7, 8]


ADDRESSES = ("s3://bucket/x", "gs://bucket/x.parquet", "https://example.org/x.csv", "abfss://c@a/x.parquet")


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_is_refused_and_makes_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.chdir(tmp_path)
    store = store_in(tmp_path / "store")
    spine = pl.DataFrame({"user_id": [7], "as_of": [datetime(2024, 2, 1)]})
    for call in (
        lambda: fs.FeatureStore(address),
        lambda: store.ingest("events", address),
        lambda: store.ingest("events", Path(address)),
        lambda: store.stream_historical_features(address, [VIEW]),
        lambda: store.write_historical_features(spine, [VIEW], address),
    ):
        with pytest.raises(fs.FeatureStoreError, match="is an address"):
            call()
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_a_file_address_is_answered_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(fs.IngestError, match=r"Give the path itself: '/data/x\.csv'"):
        store_in(tmp_path / "store").ingest("events", "file:" + "///data/x.csv")


def test_a_pattern_passes_over_folders_that_are_set_aside_unless_it_names_them(tmp_path: Path) -> None:
    for number, folder in enumerate(("", "sub", "_temporary/0", "sub/_temporary/0/part", ".hidden")):
        write(tmp_path / "given" / folder / "part.csv", [number])
    assert store_in(tmp_path / "a").ingest("events", tmp_path / "given" / "**" / "*.csv").rows_added == 2
    assert store_in(tmp_path / "b").ingest("events", tmp_path / "given" / "_temporary" / "*" / "*.csv").rows_added == 1
    with pytest.raises(fs.FeatureStoreError, match="The path is empty"):
        store_in(tmp_path / "c").ingest("events", "")
