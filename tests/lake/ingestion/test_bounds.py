"""Bounds: a small file costs little, whatever is packed into it; what is honest passes."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.errors import IngestError
from featurestore.lake.bounds import Bounds
from featurestore.lake.ingestion.ingest import ingest
from featurestore.lake.ingestion.ingest_report import IngestReport
from featurestore.lake.ingestion.intake import check_input, portions_of
from featurestore.lake.ingestion.lines import LineMeter
from featurestore.lake.ingestion.quarantine import read_quarantine
from featurestore.lake.layout import Layout, create_or_open
from featurestore.lake.table import Table
from featurestore.spec.csv_format import Csv
from featurestore.spec.source import EventSource

SCHEMA = {"event_id": "int64", "event_time": "timestamp", "note": "string"}
EVENTS = EventSource("events", schema=SCHEMA, event_time="event_time", event_id="event_id")
HEADER = "event_id,event_time,note\n"
PACK = {
    "": lambda content: content,
    ".gz": gzip.compress,
    ".zst": lambda content: pa.compress(content, codec="zstd", asbytes=True),
}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return create_or_open(tmp_path / "store")


def record(number: int, note: str = "x") -> str:
    return f"{number},2024-05-01T00:00:00Z,{note}\n"


def json_line(number: int, note: str = '"x"') -> str:
    return f'{{"event_id": {number}, "event_time": "2024-05-01T00:00:00Z", "note": {note}}}\n'


def read(layout: Layout, path: Path, content: str | bytes, **bounds: Any) -> IngestReport:
    packed = PACK.get(path.suffix, PACK[""])(content if isinstance(content, bytes) else content.encode())
    path.write_bytes(packed)
    return ingest(replace(layout, bounds=Bounds(**bounds)), EVENTS, path)


def refused(layout: Layout, path: Path, content: str | bytes, **bounds: Any) -> str:
    with pytest.raises(IngestError) as caught:
        read(layout, path, content, **bounds)
    assert Table.open(layout.events("events")).version == -1
    told = str(caught.value)
    assert path.name in told
    (name,) = bounds
    assert f"bounds=fs.Bounds({name}=" in told
    assert f"--bound {name}=" in told
    return told


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize(
    ("content", "line"),
    [
        (HEADER.strip() + "," + "a" * 5000, 1),
        (HEADER + "".join(map(record, range(500))) + record(500, "a" * 5000) + record(501), 502),
        (HEADER + record(1) + '2,2024-05-01,"open\n' + record(3, "a" * 5000), 4),
        (HEADER + record(1) + "2,2024-05-01," + "a" * 5000, 3),
    ],
    ids=["header", "record", "behind an open quote", "no line end"],
)
def test_a_csv_line_beyond_the_bound_is_an_error_with_its_number(
    layout: Layout, tmp_path: Path, packing: str, content: str, line: int
) -> None:
    told = refused(layout, tmp_path / f"a.csv{packing}", content, line_bytes=4000)
    assert f"line {line:,}, has more than 4,000 bytes" in told


def test_a_line_is_bounded_also_where_the_file_is_read_record_by_record(layout: Layout, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes((HEADER + "# note\n" + record(1) + record(2, "á" * 5000)).encode("utf-16"))
    with pytest.raises(IngestError, match=r"line 4, has more than 4,000 bytes"):
        ingest(replace(layout, bounds=Bounds(line_bytes=4000)), EVENTS, path, csv=Csv(encoding="utf-16", comment="#"))


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("chunk", [1502, 2000, 10_000])
def test_the_meter_counts_lines_whatever_the_pieces(tmp_path: Path, newline: bytes, chunk: int) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x")
    lines = [b"a" * length for length in (1500, 0, 3, 0, 0, 1500, 20)]
    content = newline.join(lines)
    meter = LineMeter(path, Bounds(line_bytes=1500 + len(newline) - 1))
    for start in range(0, len(content), chunk):
        meter.read(content[start : start + chunk])
    assert meter.lines == len(lines)
    if newline != b"\r":
        assert meter.blank == 3
    with pytest.raises(IngestError, match="line 1,"):
        LineMeter(path, Bounds(line_bytes=1499)).read(content)


@pytest.mark.parametrize(
    ("name", "packing", "content"),
    [
        ("a.csv", ".gz", HEADER + record(1) * 40_000),
        ("a.csv", ".zst", HEADER + record(1) * 40_000),
        ("a.jsonl", ".gz", json_line(1) * 20_000),
        ("a.jsonl", ".zst", json_line(1) * 20_000),
        ("b.csv", ".gz", HEADER + record(1) + "\n" * 900_000),
    ],
)
def test_what_becomes_far_more_than_its_bytes_is_refused_before_anything_is_laid_aside(
    layout: Layout, tmp_path: Path, name: str, packing: str, content: str
) -> None:
    path = tmp_path / (name + packing)
    path.write_bytes(PACK[packing](content.encode()))
    with pytest.raises(IngestError, match=r"becomes .* or more when it is read. Allowed are 500,000, or 50 times"):
        ingest(replace(layout, bounds=Bounds(decompressed_bytes=500_000, decompression_ratio=50)), EVENTS, path)
    assert list(layout.root.glob("spill/*")) == []


@pytest.mark.parametrize("bounds", [{"decompressed_bytes": 10}, {"decompression_ratio": 1}, {"rows": 10}, {"rows_per_byte": 1}])
@pytest.mark.parametrize("packing", [".gz", ".zst"])
def test_beyond_one_of_size_and_ratio_a_file_passes(
    layout: Layout, tmp_path: Path, packing: str, bounds: dict[str, int]
) -> None:
    content = HEADER + "".join(map(record, range(3000)))
    assert read(layout, tmp_path / f"a.csv{packing}", content, **bounds).rows_added == 3000


def test_too_many_lines_for_the_bytes_are_refused(layout: Layout, tmp_path: Path) -> None:
    for name, content in (("a.csv.gz", HEADER + "1\n" * 50_000), ("a.jsonl.gz", json_line(1) + "{}\n" * 50_000)):
        path = tmp_path / name
        path.write_bytes(gzip.compress(content.encode()))
        with pytest.raises(IngestError, match=r"rows or more in .* bytes. Allowed are 1,000, or 16 for each byte"):
            ingest(replace(layout, bounds=Bounds(rows=1000)), EVENTS, path)


def test_too_many_columns_are_refused(layout: Layout, tmp_path: Path) -> None:
    wide = HEADER.strip() + "".join(f",c{number}" for number in range(50)) + "\n"
    assert "53 columns. Allowed are 52" in refused(layout, tmp_path / "a.csv", wide, columns=52)
    table = parquet_events(10)
    for number in range(50):
        table = table.append_column(f"c{number}", pa.nulls(10, pa.int8()))
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(IngestError, match=r"53 columns\. Allowed are 52"):
        ingest(replace(layout, bounds=Bounds(columns=52)), EVENTS, tmp_path / "a.parquet")
    assert read(layout, tmp_path / "a.csv", wide, columns=53).rows_read == 0


# JSON lines


def test_a_json_line_beyond_the_bound_goes_to_the_quarantine_and_the_others_land(layout: Layout, tmp_path: Path) -> None:
    content = json_line(1) + json_line(2, f'"{"a" * 30_000}"') + "\n" + json_line(3, f'"{"b" * 15_000}"') + json_line(4)
    report = read(layout, tmp_path / "a.jsonl", content, line_bytes=16_000)
    assert (report.rows_added, report.quarantined) == (3, {"line too long": 1})
    (kept,) = read_quarantine(layout, EVENTS).to_pylist()
    assert kept["row"].startswith('"{\\"event_id\\": 2')
    assert kept["row"].endswith(' ... (30,065 bytes)"')
    (file,) = report.lines
    assert (file.lines, file.records, file.quarantined_lines, file.blank_lines, file.quarantined_at) == (5, 3, 1, 1, (2,))


def test_a_json_file_that_begins_with_a_line_beyond_the_bound_is_refused(layout: Layout, tmp_path: Path) -> None:
    told = refused(layout, tmp_path / "a.jsonl.gz", json_line(1, f'"{"a" * 30_000}"') + json_line(2), line_bytes=16_000)
    assert "line 1, has more than 16,000 bytes" in told


def test_an_unreadable_json_line_is_kept_whole_with_its_number(layout: Layout, tmp_path: Path) -> None:
    bad = '{"event_id": 2, "note": "' + "a" * 20_000 + '"'
    report = read(layout, tmp_path / "a.jsonl", json_line(1) + bad + "\n" + json_line(3))
    assert report.quarantined == {"unreadable line": 1}
    assert bad.replace('"', '\\"') in read_quarantine(layout, EVENTS)["row"][0].as_py()
    assert "1 quarantined (line 2)" in str(report)


@pytest.mark.parametrize("opened", ["[", '{"a":', '[{"a":'])
def test_a_json_value_nested_too_deeply_goes_to_the_quarantine(layout: Layout, tmp_path: Path, opened: str) -> None:
    for name, deep in (("cut", opened * 20_000), ("whole", "[" * 200 + "]" * 200)):
        report = read(layout, tmp_path / f"{name}.jsonl", json_line(1) + json_line(2, deep))
        assert (report.rows_read, report.quarantined) == (2, {"nested too deeply": 1})
    flat = "[" + ", ".join(['{"a": [1, "[[{"]}'] * 300) + "]"
    assert read(layout, tmp_path / "flat.jsonl", json_line(3, flat)).quarantined == {}
    assert read(layout, tmp_path / "whole.jsonl", json_line(4, "[" * 200 + "]" * 200), nesting=201).rows_added == 1


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_every_line_of_json_is_accounted_for_whatever_ends_it(layout: Layout, tmp_path: Path, newline: str, mark: str) -> None:
    lines = [json_line(1).strip(), "", "no json", "  ", json_line(2).strip(), "[1]", json_line(3, "null").strip()]
    report = read(layout, tmp_path / "a.jsonl", mark + newline.join(lines))
    assert (report.rows_added, report.quarantined) == (3, {"unreadable line": 2})
    (file,) = report.lines
    assert (file.lines, file.record_lines, file.quarantined_lines, file.blank_lines) == (7, 3, 2, 2)
    assert file.quarantined_at == (3, 6)
    assert sorted(read_quarantine(layout, EVENTS)["row"].to_pylist()) == ['"[1]"', '"no json"']


def test_bad_bytes_cost_their_line(layout: Layout, tmp_path: Path) -> None:
    content = json_line(1).encode() + json_line(2, '"é"').encode("latin-1") + json_line(3, '"é"').encode()
    report = read(layout, tmp_path / "a.jsonl.gz", content)
    assert (report.rows_added, report.quarantined) == (2, {"bytes of another encoding": 1})
    assert "\\\\xe9" in read_quarantine(layout, EVENTS)["row"][0].as_py()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[\n" + json_line(1).strip() + ",\n" + json_line(2) + "]\n", "JSON array of several lines"),
        ("[" + json_line(1).strip() + "]\n", "one object per line, not an array"),
        (json_line(1).encode("utf-16"), "looks like UTF-16; JSON lines are UTF-8"),
    ],
)
def test_an_array_or_another_encoding_is_an_error_that_says_so(
    layout: Layout, tmp_path: Path, content: str | bytes, message: str
) -> None:
    with pytest.raises(IngestError, match=message):
        read(layout, tmp_path / "a.json", content)


def test_keys_of_any_letters_are_told_and_stop_nothing(layout: Layout, tmp_path: Path) -> None:
    odd = ["a\\b", "c/d", "e~f", 'g"h', "", "$.x", "0", "é"]
    extra = "".join(f", {json.dumps(key)}: 1" for key in odd)
    report = read(layout, tmp_path / "a.jsonl", json_line(1).replace("}", extra + "}"))
    assert (report.rows_added, report.extra_columns) == (1, tuple(odd))


# Parquet


def parquet_events(rows: int, note: Any = None) -> pa.Table:
    return pa.table(
        {
            "event_id": pa.array(range(rows), pa.int64()),
            "event_time": pa.array([1_714_521_600_000_000] * rows, pa.timestamp("us", "UTC")),
            "note": pa.array([note] * rows, pa.string()),
        }
    )


@pytest.mark.parametrize("encoding", ["dictionary", "DELTA_BYTE_ARRAY"])
def test_parquet_that_repeats_one_long_text_is_refused_by_what_it_becomes(
    layout: Layout, tmp_path: Path, encoding: str
) -> None:
    path = tmp_path / "a.parquet"
    options: dict[str, Any] = (
        {} if encoding == "dictionary" else {"use_dictionary": False, "column_encoding": {"note": encoding}}
    )
    pq.write_table(parquet_events(2000, "x" * 10_000), path, compression="zstd", **options)
    assert path.stat().st_size < 100_000
    bounds = Bounds(decompressed_bytes=1 << 20, batch_bytes=1 << 20)
    with pytest.raises(IngestError, match=r"a\.parquet has .* bytes and becomes 20,0.*bounds=fs\.Bounds\(decompression_ratio="):
        ingest(replace(layout, bounds=bounds), EVENTS, path)
    assert ingest(replace(layout, bounds=replace(bounds, decompressed_bytes=1 << 30)), EVENTS, path).rows_added == 2000


def test_parquet_of_many_rows_in_few_bytes_is_refused_by_its_footer(layout: Layout, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    options: dict[str, Any] = {
        "use_dictionary": ["note"],
        "column_encoding": {"event_id": "DELTA_BINARY_PACKED", "event_time": "DELTA_BINARY_PACKED"},
    }
    pq.write_table(parquet_events(100_000), path, compression="zstd", **options)
    with pytest.raises(IngestError, match=r"100,000 rows or more in .* bytes. Allowed are 1,000, or 10 for each byte"):
        ingest(replace(layout, bounds=Bounds(rows=1000, rows_per_byte=10)), EVENTS, path)
    assert ingest(layout, EVENTS, path).rows_added == 100_000


def test_portions_are_cut_by_bytes(tmp_path: Path) -> None:
    bounds = Bounds(portion_bytes=1 << 20, batch_bytes=1 << 20)
    path = tmp_path / "a.parquet"
    pq.write_table(parquet_events(3000, "x" * 5000), path)
    checked = check_input(path, EVENTS, bounds=replace(bounds, decompressed_bytes=1 << 30))
    frame = parquet_events(3000, "x" * 5000)
    for portions in (
        portions_of(checked, limit=10_000, bounds=bounds),
        portions_of(frame.to_reader(), limit=10_000, bounds=bounds),
    ):
        sizes = [(portion.rows, portion.size_bytes) for portion in portions if not portion.ends_file]
        assert sum(rows for rows, _ in sizes) == 3000
        assert max(size for _, size in sizes) <= 2 << 20
        assert len(sizes) > 10


def test_a_commit_has_no_more_bytes_than_its_bound_and_nothing_is_lost(layout: Layout) -> None:
    frames: Iterable[pa.RecordBatch] = itertools.chain.from_iterable(
        parquet_events(1000, "x" * 1000).set_column(0, "event_id", pa.array(range(start, start + 1000))).to_batches()
        for start in range(0, 5000, 1000)
    )
    reader = pa.RecordBatchReader.from_batches(parquet_events(0).schema, frames)
    report = ingest(replace(layout, bounds=Bounds(portion_bytes=1 << 20, batch_bytes=2 << 20)), EVENTS, reader)
    assert (report.rows_added, report.version) == (5000, 2)


# The fast way and its relatives


def test_blank_lines_cost_nothing_and_are_counted(layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from featurestore.lake.ingestion import csv_portions

    monkeypatch.setattr(csv_portions, "open_text", None)  # what reads record by record would open the file with it
    for name, newline in (("a.csv", "\n"), ("b.csv", "\r\n")):
        content = (HEADER + "\n" + record(1) + "\n\n" + record(2, '"y"') + "\n").replace("\n", newline)
        (file,) = read(layout, tmp_path / name, content).lines
        assert (file.lines, file.records, file.blank_lines, file.header_lines) == (7, 2, 4, 1)


def test_blank_lines_beside_line_breaks_within_texts_are_told_apart(layout: Layout, tmp_path: Path) -> None:
    content = HEADER + record(1, '"a\n\nb"') + "\n" + record(2)
    (file,) = read(layout, tmp_path / "a.csv", content).lines
    assert (file.lines, file.records, file.record_lines, file.blank_lines) == (6, 2, 4, 1)


def test_a_large_csv_file_is_parsed_twice_instead_of_being_laid_aside(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from featurestore.lake.ingestion import csv_portions

    monkeypatch.setattr(csv_portions, "_KEPT_BYTES", 1000)
    content = HEADER + "".join(record(number, '"a, b\nc"' if number % 7 == 0 else "x") for number in range(5000))
    report = read(layout, tmp_path / "a.csv.gz", content)
    assert (report.rows_added, report.quarantined) == (5000, {})
    damaged = content + record(5000, '"open')
    report = read(layout, tmp_path / "b.csv.gz", damaged)
    assert (report.duplicates, report.quarantined) == (5000, {"unclosed quote": 1})
    assert report.lines[0].quarantined_at == (report.lines[0].lines,)


def test_spaces_before_fields_and_stray_quotes_take_linear_time(layout: Layout, tmp_path: Path) -> None:
    spaces = HEADER + record(1) + '2, 2024-05-01T00:00:00Z, "x"' + ", y" * 50_000 + "\n"
    report = read(layout, tmp_path / "a.csv", spaces)
    assert report.quarantined == {"unreadable line": 1}
    quotes = HEADER + record(1) + '2,2024-05-01T00:00:00Z,"x' + ' "y"' * 20_000 + "\n" + record(3)
    assert read(layout, tmp_path / "b.csv", quotes).rows_read == 3
