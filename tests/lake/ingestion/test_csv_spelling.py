"""How a CSV file says how it is written, and what is done where it does not say it, or says it wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest

from featurestore.errors import IngestError
from featurestore.lake.ingestion.ingest import ingest
from featurestore.lake.ingestion.ingest_report import IngestReport
from featurestore.lake.layout import Layout, create_or_open
from featurestore.spec.csv_format import Csv
from featurestore.spec.source import EventSource

NOTES = EventSource("notes", schema={"id": "int64", "at": "timestamp", "note": "string"}, event_time="at", event_id="id")
NAMES = ("id", "at", "note")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return create_or_open(tmp_path / "store")


def read(layout: Layout, tmp_path: Path, content: bytes, csv: Csv | None = None) -> IngestReport:
    file = tmp_path / "a.csv"
    file.write_bytes(content)
    return ingest(layout, NOTES, file, csv=csv)


@pytest.mark.parametrize("first", ["sep=;\n", "sep=;\r\n", '"sep=;"\n', "SEP=;\n", "\ufeffsep=;\n"])
@pytest.mark.parametrize("second", ["id;at;note\n", ""])
def test_the_delimiter_that_excel_writes_into_the_first_line_is_taken(
    layout: Layout, tmp_path: Path, first: str, second: str
) -> None:
    csv = None if second else Csv(header=False, names=NAMES)
    report = read(layout, tmp_path, f"{first}{second}1;2024-01-05;a,b|c\n".encode(), csv)
    assert (report.rows_read, report.rows_added) == (1, 1)
    assert (report.lines[0].comment_lines, report.lines[0].records) == (1, 1)


def test_a_later_line_that_looks_so_is_a_record(layout: Layout, tmp_path: Path) -> None:
    report = read(layout, tmp_path, b"id;at;note\n1;2024-01-05;a\nsep=;\n")
    assert (report.rows_added, report.quarantined) == (1, {"unreadable line": 1})


@pytest.mark.parametrize("header", ["", "A;B;C\n"])
def test_where_the_caller_names_the_columns_the_delimiter_is_found_too(layout: Layout, tmp_path: Path, header: str) -> None:
    csv = Csv(header=bool(header), names=NAMES)
    assert read(layout, tmp_path, f"{header}1;2024-01-05;a,b\n2;2024-01-05;c\n".encode(), csv).rows_added == 2


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
@pytest.mark.parametrize("written", ["utf-8", "utf-16-le"])
def test_an_encoding_with_a_byte_order_mark_is_refused_without_one(
    layout: Layout, tmp_path: Path, encoding: str, written: str
) -> None:
    with pytest.raises(IngestError, match=f"does not begin with a byte order mark, as {encoding} does. Say .*{encoding}-le"):
        read(layout, tmp_path, "id,at,note\n1,2024-01-05,a\n".encode(written), Csv(encoding=encoding))


def test_what_is_said_to_be_ascii_and_is_not_is_quarantined(layout: Layout, tmp_path: Path) -> None:
    report = read(layout, tmp_path, "id,at,note\n1,2024-01-05,é\n2,2024-01-05,e\n".encode(), Csv(encoding="ascii"))
    assert (report.rows_added, report.quarantined) == (1, {"bytes of another encoding": 1})
