"""CSV: every line of every file is an event, a row of the quarantine, blank, a comment or the header, and none is bent."""

from __future__ import annotations

import csv
import gzip
import io
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.errors import DefinitionError, IngestError
from featurestore.lake.ingestion.csv_damage import Dialect
from featurestore.lake.ingestion.csv_records import Splitter
from featurestore.lake.ingestion.ingest import ingest
from featurestore.lake.ingestion.ingest_report import IngestReport
from featurestore.lake.ingestion.quarantine import read_quarantine
from featurestore.lake.layout import Layout, create_or_open
from featurestore.lake.session import connect
from featurestore.lake.table import Table, parquet_scan_sql
from featurestore.spec.csv_format import Csv
from featurestore.spec.document import document, fingerprint, source_from
from featurestore.spec.source import EventSource

SCHEMA = {"event_id": "int64", "event_time": "timestamp", "note": "string", "amount": "double"}
EVENTS = EventSource("events", schema=SCHEMA, event_time="event_time", event_id="event_id")
HEADER = "event_id,event_time,note,amount\n"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return create_or_open(tmp_path / "store", timezone="Asia/Shanghai")


def line(number: int, note: str = "x", amount: str = "1.5") -> str:
    return f"{number},2024-05-01T00:00:00Z,{note},{amount}\n"


def committed(layout: Layout, columns: str = "event_id") -> list[Any]:
    files = Table.open(layout.events("events")).files()
    if not files:
        return []
    with connect(layout.root) as session:
        found = session.sql(f"SELECT {columns} FROM {parquet_scan_sql(files)} ORDER BY event_id").fetchall()
    return [row[0] if len(row) == 1 else row for row in found]


def read(layout: Layout, path: Path, content: str | bytes, **options: Any) -> IngestReport:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    report = ingest(layout, EVENTS, path, csv=Csv(**options) if options else None)
    (file,) = report.lines
    others = file.quarantined_lines + file.blank_lines + file.comment_lines + file.header_lines
    assert file.record_lines + others == file.lines
    assert report.rows_read == file.records + file.quarantined_lines
    assert report.rows_read == report.rows_added + report.duplicates + sum(report.quarantined.values())
    return report


@pytest.mark.parametrize("packing", ["plain", "gz", "zst"])
def test_an_unclosed_quote_costs_the_lines_within_its_bound_and_no_other(layout: Layout, tmp_path: Path, packing: str) -> None:
    lines = [line(number) for number in range(2000)]
    lines[300] = line(300, note='"never closed')
    content = (HEADER + "".join(lines)).encode()
    name = {"plain": "a.csv", "gz": "a.csv.gz", "zst": "a.csv.zst"}[packing]
    packed = {"plain": content, "gz": gzip.compress(content), "zst": pa.compress(content, codec="zstd", asbytes=True)}[packing]
    report = read(layout, tmp_path / name, packed)
    assert (report.rows_read, report.rows_added) == (2000, 1000)
    assert report.quarantined == {"unclosed quote": 1, "inside an unclosed quote": 999}
    assert committed(layout) == [*range(300), *range(1300, 2000)]
    kept = read_quarantine(layout, EVENTS).to_pylist()
    assert {row["reason"]: row["row"] for row in kept}["unclosed quote"] == '"300,2024-05-01T00:00:00Z,\\"never closed,1.5"'
    assert len(kept) == 1000


def test_the_bound_is_settable(layout: Layout, tmp_path: Path) -> None:
    lines = [line(number) for number in range(50)]
    lines[10] = line(10, note='"never closed')
    report = read(layout, tmp_path / "a.csv", HEADER + "".join(lines), max_record_lines=3)
    assert committed(layout) == [*range(10), *range(13, 50)]
    assert report.quarantined == {"unclosed quote": 1, "inside an unclosed quote": 2}


def test_in_a_file_of_quoted_texts_an_unclosed_quote_costs_two_lines(layout: Layout, tmp_path: Path) -> None:
    lines = [line(number, note=f'"text {number}"') for number in range(2000)]
    lines[300] = line(300, note='"never closed')
    report = read(layout, tmp_path / "a.csv", HEADER + "".join(lines))
    assert report.quarantined == {"unreadable line": 1, "inside an unclosed quote": 1}
    assert committed(layout) == [*range(300), *range(302, 2000)]


def test_a_row_inside_an_open_quote_becomes_no_event(layout: Layout, tmp_path: Path) -> None:
    text = HEADER + line(1) + line(2, note='"pasted:\n' + line(99) + "end") + line(3)
    report = read(layout, tmp_path / "a.csv", text)
    assert (committed(layout), report.rows_read) == ([1], 5)
    stray = HEADER + line(4) + line(5, note='"he said "so:\n' + line(98) + 'end"') + line(6)
    read(layout, tmp_path / "b.csv", stray)
    assert committed(layout) == [1, 4, 6]


def test_quoted_line_breaks_belong_to_their_record(layout: Layout, tmp_path: Path) -> None:
    good = HEADER + line(1, note='"two\nlines, ""quoted"""') + line(2, note='"crlf\r\n\r\nx"') + line(3)
    for name, content, lines in (("a.csv", good, 7), ("b.csv", good + "4,5\n", 8)):
        file = read(layout, tmp_path / name, content).lines[0]
        assert (file.lines, file.records, file.record_lines) == (lines, 3, 6)
        assert committed(layout, "note") == ['two\nlines, "quoted"', "crlf\r\n\r\nx", "x"]


@pytest.mark.parametrize("count", [6, 300_000])
def test_line_ends_may_be_mixed(layout: Layout, tmp_path: Path, count: int) -> None:
    lines = [line(number) for number in range(count)]
    half = count // 2
    mixed = HEADER.replace("\n", "\r\n") + "".join(lines[:half]) + "".join(lines[half:]).replace("\n", "\r\n")
    assert read(layout, tmp_path / "a.csv", mixed).rows_added == count
    assert read(layout, tmp_path / "b.csv", mixed.replace("\r\n", "\n").replace("\n", "\r")).duplicates == count


def test_blank_lines_comments_and_lines_before_the_header_are_counted(layout: Layout, tmp_path: Path) -> None:
    text = "# exported,by,us,1\n\n" + HEADER + line(1) + "\n  \n# 7,2024-05-01,y,1\n" + line(2) + "\r\n"
    file = read(layout, tmp_path / "a.csv", text, comment="#").lines[0]
    assert (file.lines, file.records, file.blank_lines, file.comment_lines, file.header_lines) == (9, 2, 4, 2, 1)
    assert committed(layout) == [1, 2]
    file = read(layout, tmp_path / "b.csv", "\n" + HEADER + line(3) + "\n" + line(4)).lines[0]
    assert (file.records, file.blank_lines) == (2, 2)


def test_what_pandas_writes_by_default_is_read_without_its_index(layout: Layout, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"event_id": [1, 2], "event_time": [datetime(2024, 5, 1)] * 2, "note": ["a", None], "amount": [1.5, 2]}
    )
    report = read(layout, tmp_path / "a.csv", frame.to_csv())
    assert (report.rows_added, report.extra_columns) == (2, ())
    assert committed(layout, "event_id, note") == [(1, "a"), (2, None)]


def test_a_comma_behind_all_records_is_no_column_and_behind_one_a_field_too_many(layout: Layout, tmp_path: Path) -> None:
    rows = "".join(line(number) for number in range(3))
    ends = rows.replace("\n", ",\n")
    assert read(layout, tmp_path / "a.csv", HEADER + ends).rows_added == 3
    assert read(layout, tmp_path / "b.csv", HEADER.replace("\n", ",\n") + ends).duplicates == 3
    assert read(layout, tmp_path / "c.csv", HEADER.replace("\n", ",\n") + rows).duplicates == 3
    report = read(layout, tmp_path / "d.csv", HEADER + rows + "9,2024-05-01,hello, 7,\n")
    assert (report.duplicates, report.quarantined) == (3, {"unreadable line": 1})


def test_bytes_of_another_encoding_are_kept_and_the_encoding_is_guessed(layout: Layout, tmp_path: Path) -> None:
    chinese = (HEADER + line(1) + line(2, note="天津市")).encode("gb18030")
    report = read(layout, tmp_path / "a.csv", chinese)
    assert (committed(layout), report.quarantined) == ([1], {"bytes of another encoding": 1})
    assert "encoding='gb18030'" in str(report)
    assert "\\\\xcc\\\\xec" in read_quarantine(layout, EVENTS)["row"][0].as_py()
    western = (HEADER + line(3) + line(4, note="Zoë was here")).encode("latin-1")
    assert "encoding='latin-1'" in str(read(layout, tmp_path / "b.csv", western))
    with pytest.raises(IngestError, match="encoding='utf-16'"):
        ingest(layout, EVENTS, _written(tmp_path / "c.csv", HEADER.encode("utf-16")))
    for number, encoding in ((5, "gb18030"), (6, "utf-16")):
        content = (HEADER + line(number, note="天津市")).encode(encoding)
        assert read(layout, tmp_path / f"{encoding}.csv", content, encoding=encoding).rows_added == 1
    assert committed(layout, "note")[-2:] == ["天津市", "天津市"]
    bad = HEADER.encode("gb18030") + line(7).encode() + b"8,2024-05-01,\xff\xff,1\n"
    assert read(layout, tmp_path / "d.csv", bad, encoding="gb18030").quarantined == {"bytes of another encoding": 1}


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_one_bad_byte_in_many_lines_costs_its_line(layout: Layout, tmp_path: Path) -> None:
    content = bytearray((HEADER + "".join(line(number, note="abc") for number in range(20_000))).encode())
    content[content.index(b"abc", 500_000)] = 0xFF
    report = read(layout, tmp_path / "a.csv", bytes(content))
    assert (report.rows_added, report.quarantined) == (19_999, {"bytes of another encoding": 1})


def test_a_byte_order_mark_is_no_part_of_the_first_name(layout: Layout, tmp_path: Path) -> None:
    assert read(layout, tmp_path / "a.csv", "\ufeff" + HEADER + line(1)).rows_added == 1
    assert read(layout, tmp_path / "b.csv", "\ufeff" + HEADER + line(2) + "\n").rows_added == 1


def test_extra_columns_may_differ_in_their_case(layout: Layout, tmp_path: Path) -> None:
    header = "NOTE,event_id,event_time,note,amount,Extra,extra,\n"
    content = header + "upper,1,2024-05-01,lower,1.5,a,b,\n" + "upper,2,2024-05-01,lower,x,a,b,\n"
    report = read(layout, tmp_path / "a.csv", content)
    assert committed(layout, "note") == ["lower"]
    assert report.extra_columns == ("NOTE (column 1)", "Extra", "extra (column 7)")


def test_null_is_what_is_not_written_and_an_empty_text_is_a_text(layout: Layout, tmp_path: Path) -> None:
    notes = ["", '""', "\\N", '"\\N"', "NA", '"NA"', "null"]
    rows = "".join(line(number, note=note) for number, note in enumerate(notes))
    expected = [None, "", None, "\\N", "NA", "NA", "null"]
    assert read(layout, tmp_path / "a.csv", HEADER + rows).rows_added == 7
    assert committed(layout, "note") == expected
    assert read(layout, tmp_path / "b.csv", HEADER + rows + "\n").duplicates == 7
    other = create_or_open(tmp_path / "other", timezone="UTC")
    for name, end in (("c.csv", ""), ("d.csv", "\n")):
        read(other, tmp_path / name, HEADER + rows + end, null=["NA"], empty_as_null=True)
        assert committed(other, "note") == [None, None, None, "\\N", None, None, "null"]


def test_texts_of_tables_are_never_reinterpreted(layout: Layout) -> None:
    texts = ["", "\\N", "NA", "null"]
    moments = pa.array([datetime(2024, 5, 1)] * 4, pa.timestamp("us"))
    table = pa.table({"event_id": range(4), "event_time": moments, "note": texts, "amount": [1.0] * 4})
    ingest(layout, EVENTS, table, csv=Csv(null=["NA"], empty_as_null=True))
    assert committed(layout, "note") == texts


def test_numbers_are_read_by_their_point_and_their_groups(layout: Layout, tmp_path: Path) -> None:
    amounts = ["1.234,5", "-1,25", "12", "1.5", "1.23,4", "1,5e3", "nan"]
    rows = "".join(line(number, amount=amount).replace(",", ";", 3) for number, amount in enumerate(amounts))
    report = read(layout, tmp_path / "a.csv", HEADER.replace(",", ";") + rows, decimal=",", thousands=".")
    assert committed(layout, "event_id, amount") == [(0, 1234.5), (1, -1.25), (2, 12.0), (5, 1500.0), (6, None)]
    assert report.quarantined == {"unparsable amount": 2}
    assert (
        '"amount":"1.5"'
        in read_quarantine(layout, EVENTS)["row"][1].as_py() + read_quarantine(layout, EVENTS)["row"][0].as_py()
    )
    english = HEADER + line(10, amount='"1,234.50"') + line(11, amount='"1,23"')
    read(layout, tmp_path / "b.csv", english, thousands=",")
    assert committed(layout, "amount")[-1] == 1234.5


def test_backslashes_may_escape_quotes(layout: Layout, tmp_path: Path) -> None:
    rows = line(1, note='"say \\"hi\\", then go"') + line(2, note='"a \\\\"')
    for name, end in (("a.csv", ""), ("b.csv", "\n")):
        read(layout, tmp_path / name, HEADER + rows + end, escape="\\")
        assert committed(layout, "note") == ['say "hi", then go', "a \\"]


def test_columns_may_be_named_by_the_caller(layout: Layout, tmp_path: Path) -> None:
    names = ["event_id", "event_time", "note", "amount"]
    assert read(layout, tmp_path / "a.csv", line(1) + line(2), header=False, names=names).rows_added == 2
    assert read(layout, tmp_path / "b.csv", "a,b,c,d\n" + line(3), names=names).rows_added == 1
    assert read(layout, tmp_path / "c.csv", line(4).replace(",", "|"), delimiter="|", header=False, names=names).rows_added == 1


def test_more_than_half_in_quarantine_is_said_first(layout: Layout, tmp_path: Path) -> None:
    report = read(layout, tmp_path / "a.csv", HEADER + line(1) + line(2) + "x\ny\n")
    assert not report.is_mostly_quarantined
    report = read(layout, tmp_path / "b.csv", HEADER + line(3) + "x\ny\n")
    assert (report.rows_added, report.is_mostly_quarantined) == (1, True)
    assert str(report).startswith("events: more than half of a batch was quarantined; 3 rows read")


def test_a_source_says_how_its_files_are_written(layout: Layout, tmp_path: Path) -> None:
    source = EventSource(
        "events", schema=SCHEMA, event_time="event_time", event_id="event_id", csv=Csv(delimiter=";", decimal=",", null=("-",))
    )
    assert source_from(document(source)) == source
    assert "csv" not in document(EVENTS)
    assert fingerprint(source) == fingerprint(EVENTS)
    path = _written(tmp_path / "a.csv", b"event_id;event_time;note;amount\n1;2024-05-01;-;2,5\n")
    ingest(layout, source, path)
    assert committed(layout, "note, amount") == [(None, 2.5)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"delimiter": "||"},
        {"quote": "é"},
        {"delimiter": '"'},
        {"decimal": ";"},
        {"thousands": "."},
        {"null": "NA"},
        {"comment": ""},
        {"header": False},
        {"names": ["a", "a"]},
        {"encoding": "utf-9"},
        {"encoding": "rot13"},
        {"max_record_lines": 0},
    ],
)
def test_a_format_that_contradicts_itself_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match="Csv"):
        Csv(**wrong)


TEXTS = st.text(alphabet='ab," \n\\x', max_size=8)
DIALECT = Dialect(",", '"', '"', None, 20, 1 << 20)


def _split(text: str) -> tuple[list[list[str | None]], list[str], int]:
    splitter = Splitter(DIALECT, io.StringIO(text, newline="\n"))
    records = [values for values in splitter.records(3) if values is not None]
    return records, [refused for refused, _ in splitter.refused], splitter.counts.total


@given(st.lists(st.tuples(st.integers(0, 999), TEXTS, TEXTS), max_size=12), st.sampled_from(["\n", "\r\n"]))
@settings(max_examples=200, deadline=None)
def test_what_is_written_well_is_split_as_it_was(rows: list[tuple[int, str, str]], end: str) -> None:
    written = io.StringIO()
    csv.writer(written, quoting=csv.QUOTE_NONNUMERIC, lineterminator=end).writerows(rows)
    records, refused, total = _split(written.getvalue())
    assert records == [[str(number), *texts] for number, *texts in rows]
    assert (refused, total) == ([], written.getvalue().count("\n"))


NOTES = ("x", '"y"', '"two\n1,in,side\nlines"', '"a ""b"""', '"""1,in,side\n1,in,side"')
DAMAGES = {
    "a quote does not close": lambda row: row.replace('",z', ",z"),
    "a quote opens": lambda row: row.replace(",z", ',"z'),
    "a quote is not doubled": lambda row: row.replace('""', '"', 1),
    "a field is added": lambda row: "," + row,
}


@given(st.lists(st.tuples(st.sampled_from(NOTES), st.sampled_from([*DAMAGES, *[""] * 12])), min_size=1, max_size=60))
@settings(max_examples=300, deadline=None)
def test_damage_loses_nothing_outside_open_quotes_and_invents_nothing(given_rows: list[tuple[str, str]]) -> None:
    rows = [f"{number},{note},z\n" for number, (note, _) in enumerate(given_rows)]
    text = [DAMAGES[damage](row) if damage else row for row, (_, damage) in zip(rows, given_rows, strict=True)]
    damaged = [number for number, (row, written) in enumerate(zip(rows, text, strict=True)) if row != written]
    records, refused, total = _split("".join(text))

    covered = sum(1 + sum((value or "").count("\n") for value in values) for values in records)
    assert total == "".join(text).count("\n") == covered + len(refused)
    assert ["1", "in", "side"] not in records
    found = {int(values[0] or -1) for values in records if values[2] == "z"}
    first, last = (damaged[0], damaged[-1]) if damaged else (len(rows), -1)
    assert set(range(first)) <= found
    begins = [sum(row.count("\n") for row in text[:number]) for number in range(len(text) + 1)]
    beyond = {n for n in range(last + 1, len(rows)) if begins[n] >= begins[last + 1] + DIALECT.max_record_lines}
    assert beyond <= found
    if all(damage in ("", "a field is added") for _, damage in given_rows):
        assert set(range(len(rows))) - set(damaged) <= found
