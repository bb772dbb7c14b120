"""Endings: what can be ingested can be a spine and can be written, under the same names."""

from __future__ import annotations

import gzip
import os
from datetime import datetime, timezone
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from featurestore.compute.retrieval.historical import write_features
from featurestore.compute.retrieval.spine import spine_batches
from featurestore.compute.retrieval.spine_files import SpineTexts
from featurestore.errors import IngestError, SpineError, StoreError
from featurestore.lake.ingestion.ingest import ingest
from featurestore.lake.layout import Layout, create_or_open
from featurestore.lake.session import connect
from featurestore.lake.table import Table, parquet_scan_sql
from featurestore.spec.source import EventSource

SCHEMA = {"id": "int64", "at": "timestamp", "name": "string", "price": "double"}
EVENTS = EventSource("events", schema=SCHEMA, event_time="at", event_id="id")
ROWS = pa.table(
    {
        "id": [1, 2, 3],
        "at": pa.array([datetime(2024, 1, day, tzinfo=timezone.utc) for day in (1, 2, 3)], pa.timestamp("us", "UTC")),
        "name": ["a", 'b "quoted", 中', "c"],
        "price": [1.5, None, 2.0],
    }
)
TEXTS = [f"{text}{more}" for text in (".csv", ".tsv", ".jsonl", ".ndjson", ".json") for more in ("", ".gz", ".zst")]
ENDINGS = [*TEXTS, ".parquet", ".pq", ".arrow", ".feather", ".ipc", ".CSV", ".Parquet"]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return create_or_open(tmp_path / "store")


def committed(layout: Layout) -> list[tuple[object, ...]]:
    with connect(layout.root) as session:
        scan = parquet_scan_sql(Table.open(layout.events("events")).files())
        return session.sql(f'SELECT id, epoch_us("at"), name, price FROM {scan} ORDER BY id').fetchall()


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_written_file_is_a_spine_and_can_be_ingested(layout: Layout, tmp_path: Path, ending: str) -> None:
    file = write_features(ROWS.to_reader(), tmp_path / f"rows{ending}")
    _, pieces = spine_batches(file, batch_rows=10, texts=SpineTexts(as_of="at", key_types={"id": "int64"}))
    spine = pa.concat_tables(pieces)
    assert [spine[name].to_pylist() for name in ("id", "name")] == [ROWS[name].to_pylist() for name in ("id", "name")]
    assert pc.cast(spine["at"], pa.timestamp("us", "UTC")).equals(ROWS["at"])
    prices = ["1.5", None, "2"] if ".csv" in ending.lower() or ".tsv" in ending else [1.5, None, 2.0]
    assert spine["price"].to_pylist() == prices
    assert ingest(layout, EVENTS, file).rows_added == 3
    times = pc.cast(ROWS["at"], pa.int64()).to_pylist()
    assert committed(layout) == list(
        zip(ROWS["id"].to_pylist(), times, ROWS["name"].to_pylist(), ROWS["price"].to_pylist(), strict=True)
    )


def test_an_arrow_stream_is_read_as_well_as_a_file(layout: Layout, tmp_path: Path) -> None:
    with pa.ipc.new_stream(str(tmp_path / "rows.arrow"), ROWS.schema) as writer:
        writer.write_table(ROWS)
    assert ingest(layout, EVENTS, tmp_path / "rows.arrow").rows_added == 3


def test_views_of_texts_and_extra_columns_of_an_arrow_file_do_not_stop_it(layout: Layout, tmp_path: Path) -> None:
    rows = ROWS.set_column(2, "name", ROWS["name"].cast(pa.string_view()))
    odd = pa.array([(1, 2, 3)] * 3, pa.month_day_nano_interval())
    with pa.ipc.new_file(str(tmp_path / "rows.arrow"), rows.append_column("odd", odd).schema) as writer:
        writer.write_table(rows.append_column("odd", odd))
    report = ingest(layout, EVENTS, tmp_path / "rows.arrow")
    assert (report.rows_added, report.extra_columns) == (3, ("odd",))


@pytest.mark.parametrize("name", ["rows.xlsx", "rows.parquet.gz", "rows", "rows.gz", "rows.csv.bz2", ".csv", "rows.txt"])
def test_an_unknown_ending_is_refused_with_those_that_are_known(layout: Layout, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(b"id,at\n")
    for error, call in (
        (IngestError, lambda: ingest(layout, EVENTS, file)),
        (SpineError, lambda: spine_batches(file, batch_rows=10)),
        (SpineError, lambda: write_features(ROWS.to_reader(), file)),
    ):
        with pytest.raises(error, match=r"has no known format.*\.parquet, .*\.gz or \.zst"):
            call()
    assert file.read_bytes() == b"id,at\n"


def _zstd(text: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(text)
    return bytes(sink.getvalue())


PACKERS = {".gz": gzip.compress, ".zst": _zstd}
HALVES = [
    "".join(
        f'{{"id": {n}, "at": "2024-01-01", "name": "{n * 7919}", "price": 1}}\n' for n in range(start, start + 3000)
    ).encode()
    for start in (0, 3000)
]
SKIPPABLE = b"\x50\x2a\x4d\x18\x05\x00\x00\x00abcde"


def packed(ending: str, how: str) -> bytes:
    pack = PACKERS[ending]
    first, second = map(pack, HALVES)
    return {
        "two parts": first + second,
        "an empty part first": pack(b"") + first + second,
        "cut in the text": pack(b"".join(HALVES))[:-1000],
        "cut in the last byte": pack(b"".join(HALVES))[:-1],
        "cut in the second part": (first + second)[:-100],
        "cut in the head of the second part": first + second[:5],
        "text behind it": first + HALVES[1],
        "rubbish behind it": first + second + b"rubbish behind it",
    }[how]


@pytest.mark.parametrize("ending", PACKERS)
@pytest.mark.parametrize("how", ["two parts", "an empty part first"])
def test_several_compressed_parts_are_one_text(layout: Layout, tmp_path: Path, ending: str, how: str) -> None:
    file = tmp_path / f"rows.jsonl{ending}"
    file.write_bytes(packed(ending, how))
    assert ingest(layout, EVENTS, file).rows_added == 6000
    schema, pieces = spine_batches(file, batch_rows=10_000, texts=SpineTexts(as_of="at"))
    assert sum(piece.num_rows for piece in pieces) == 6000
    assert schema.names == ["id", "at", "name", "price"]


@pytest.mark.parametrize("ending", PACKERS)
@pytest.mark.parametrize("how", [
    "cut in the text", "cut in the last byte", "cut in the second part", "cut in the head of the second part", "text behind it",
    "rubbish behind it",
])  # fmt: skip
def test_a_damaged_compressed_file_is_refused_before_anything_is_committed(
    layout: Layout, tmp_path: Path, ending: str, how: str
) -> None:
    write_features(ROWS.to_reader(), tmp_path / "a.parquet")
    file = tmp_path / f"b.jsonl{ending}"
    file.write_bytes(packed(ending, how))
    with pytest.raises(IngestError, match=r"b\.jsonl\..* cannot be read: .*Nothing was committed"):
        ingest(layout, EVENTS, tmp_path, batch_rows=2)
    assert Table.open(layout.events("events")).version == -1
    with pytest.raises(SpineError, match="cannot be read as"):
        spine_batches(file, batch_rows=10)


@pytest.mark.parametrize("ending", PACKERS)
def test_a_csv_that_was_cut_off_is_refused_before_anything_is_committed(layout: Layout, tmp_path: Path, ending: str) -> None:
    write_features(ROWS.to_reader(), tmp_path / "a.parquet")
    text = "id,at,name,price\n" + "".join(f"{n},2024-01-01,{n * 7919},1\n" for n in range(5000))
    (tmp_path / f"b.csv{ending}").write_bytes(PACKERS[ending](text.encode())[:-500])
    with pytest.raises(IngestError, match="Nothing was committed"):
        ingest(layout, EVENTS, tmp_path, batch_rows=2)
    assert Table.open(layout.events("events")).version == -1


def test_frames_that_zstd_passes_over_are_no_damage(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.zst").write_bytes(SKIPPABLE.join(map(_zstd, HALVES)))
    assert ingest(layout, EVENTS, tmp_path / "a.jsonl.zst").rows_added == 6000


@pytest.mark.parametrize("name", ["rows.arrow", "rows.parquet"])
def test_a_file_of_columns_that_was_cut_off_is_refused(layout: Layout, tmp_path: Path, name: str) -> None:
    file = write_features(ROWS.to_reader(), tmp_path / name)
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(IngestError, match="is not a whole"):
        ingest(layout, EVENTS, file)
    with pytest.raises(SpineError, match="cannot be read as"):
        spine_batches(file, batch_rows=10)


@pytest.mark.parametrize(("name", "says"), [
    ("zip.csv.zst", "is gzip, but its name says CSV"),
    ("zip.csv", "is gzip, but its name says CSV"),
    ("zip.arrow", "not a whole Arrow IPC file"),
])  # fmt: skip
def test_a_file_of_another_kind_than_its_name_is_refused(layout: Layout, tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / name).write_bytes(gzip.compress(b"id,at,name,price\n1,2024-01-01,a,1\n"))
    with pytest.raises(IngestError, match=says):
        ingest(layout, EVENTS, tmp_path / name)


def test_a_pipe_is_refused_and_never_opened(layout: Layout, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rows.csv")
    for error, call in (
        (IngestError, lambda: ingest(layout, EVENTS, tmp_path / "rows.csv")),
        (IngestError, lambda: ingest(layout, EVENTS, tmp_path)),
        (SpineError, lambda: spine_batches(tmp_path / "rows.csv", batch_rows=10)),
    ):
        with pytest.raises(error, match="is a pipe, a socket or a device"):
            call()


@pytest.mark.parametrize("what", ["folder", "link", "pipe", "device"])
def test_only_a_file_is_ever_replaced_by_an_output(tmp_path: Path, what: str) -> None:
    path = tmp_path / "out.parquet"
    if what == "folder":
        path.mkdir()
    elif what == "link":
        path.symlink_to(tmp_path / "elsewhere.parquet")
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path = Path(os.devnull)
    with pytest.raises(StoreError, match=f"is a {what}"):
        write_features(ROWS.to_reader(), path)
    assert not path.is_file()


def test_lists_cannot_be_csv(tmp_path: Path) -> None:
    with pytest.raises(SpineError, match=r"'a' is list<.*>, for which CSV has no type.*Parquet holds"):
        write_features(pa.table({"a": [[1, 2]]}).to_reader(), tmp_path / "a.csv")
    assert not (tmp_path / "a.csv").exists()


def test_texts_without_a_word_in_json_are_written_as_texts(tmp_path: Path) -> None:
    file = write_features(pa.table({"a": [float("nan"), float("inf"), 1.0]}).to_reader(), tmp_path / "a.jsonl")
    assert file.read_text() == '{"a": "nan"}\n{"a": "inf"}\n{"a": 1.0}\n'
