"""Names of every kind, in every format: the file of that name is read, and no other, by path, from the landing folder, as a spine."""

from __future__ import annotations

import random
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

from featurestore.compute.retrieval.historical import write_features
from featurestore.compute.retrieval.spine_files import SpineTexts, read_spine_files
from featurestore.lake.ingestion.ingest import ingest
from featurestore.lake.ingestion.landing import landing_of
from featurestore.lake.layout import Layout, create_or_open
from featurestore.lake.session import connect
from featurestore.lake.table import Table, parquet_scan_sql
from featurestore.spec.source import EventSource

EVENTS = EventSource("events", schema={"id": "int64", "at": "timestamp"}, event_time="at", event_id="id")
ENDINGS = (".csv", ".tsv.gz", ".csv.zst", ".jsonl", ".ndjson.gz", ".json.zst", ".parquet", ".arrow")
LETTERS = "ab12[]*?{}%'\"#, !^-~$&;:=+@|\n\t中订é"
CHOSEN = [
    "orders[1]", "orders1", "orders*", "orders-all", "o?", "o2", "{a,b}", "a", "b", "%41", "A", "100%", "it's", "#1", "a,b",
    "a b", " a ", "订单 2024", "a\nb", "[!a]", "[]]", "**", "$HOME", "~", "c:d", "a=b", "file", "-rf", "a;b", "name.csv",
]  # fmt: skip


def names(seed: int) -> list[str]:
    chance = random.Random(seed)
    drawn = ["".join(chance.choices(LETTERS, k=chance.randint(1, 6))) for _ in range(4)]
    return list(dict.fromkeys([*CHOSEN[:16], *CHOSEN[16 + seed % 2 :: 2], *drawn]))


def write(folder: Path, ending: str, seed: int) -> dict[int, Path]:
    """Write a file of one row for each name; the number of the row is that of the name."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for number, name in enumerate(names(seed)):
        rows = pa.table({"id": [number], "at": pa.array([datetime(2024, 1, 5)], pa.timestamp("us"))})
        files[number] = write_features(rows.to_reader(), folder / f"{name}{ending}")
    return files


def committed(layout: Layout) -> list[int]:
    with connect(layout.root) as session:
        scan = parquet_scan_sql(Table.open(layout.events("events")).files())
        return [row[0] for row in session.sql(f"SELECT id FROM {scan} ORDER BY id").fetchall()]


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_file_of_a_name_is_read_and_no_other(tmp_path: Path, ending: str) -> None:
    layout = create_or_open(tmp_path / "store [1]*")
    seed = ENDINGS.index(ending)
    given = write(tmp_path / "given{1}?", ending, seed)
    for number, file in given.items():
        _, batches = read_spine_files([file], SpineTexts(as_of="at", key_types={"id": "int64"}))
        assert [row["id"] for batch in batches for row in batch.to_pylist()] == [number], file
    for number, file in list(given.items())[seed % 5 :: 5]:
        report = ingest(layout, EVENTS, file if number % 2 else str(file))
        assert (report.rows_read, report.rows_added) == (1, 1), file
    assert committed(layout) == list(given)[seed % 5 :: 5]
    landed = write(layout.landing(EVENTS) / "dt=2024-01-05", ending, seed)
    assert len(landing_of(layout, EVENTS).files) == len(landed)
    assert ingest(layout, EVENTS).rows_read == len(landed)
    assert committed(layout) == list(landed)
    assert ingest(layout, EVENTS).rows_read == 0


def test_a_backslash_is_a_letter_of_a_name_too(tmp_path: Path) -> None:
    layout = create_or_open(tmp_path / "store")
    for folder in (tmp_path / "given", layout.landing(EVENTS) / "dt=2024-01-05"):
        folder.mkdir(parents=True)
        for number, name in enumerate(("x\\y", "xy", "x")):
            (folder / f"{name}.csv").write_text(f"id,at\n{number},2024-01-05\n")
    assert ingest(layout, EVENTS, tmp_path / "given" / "x\\y.csv").rows_added == 1
    assert committed(layout) == [0]
    assert ingest(layout, EVENTS).rows_read == 3
