"""Bad input: a clear error with nothing committed, or a quarantined row with its reason and the good rows kept."""

from __future__ import annotations

import gzip
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.errors import IngestError
from featurestore.lake.ingestion.ingest import ingest
from featurestore.lake.ingestion.quarantine import count_quarantined, read_quarantine
from featurestore.lake.layout import Layout, create_or_open
from featurestore.lake.session import connect
from featurestore.lake.table import Table, parquet_scan_sql
from featurestore.spec.source import EventSource

UTC = timezone.utc
EVENTS = EventSource(
    "events",
    schema={
        "event_id": "int64",
        "event_time": "timestamp",
        "kind": "string",
        "amount": "int32",
        "price": "double",
        "day": "date",
    },
    event_time="event_time",
    event_id="event_id",
    values={"kind": ["view", "buy"]},
)
GOOD = {"event_id": 1, "event_time": datetime(2024, 5, 1, tzinfo=UTC), "kind": "buy", "amount": 3, "price": 1.5, "day": None}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return create_or_open(tmp_path / "store", timezone="Asia/Shanghai")


def committed(layout: Layout, columns: str = "event_id") -> list[Any]:
    files = Table.open(layout.events("events")).files()
    if not files:
        return []
    with connect(layout.root) as session:
        found = session.sql(f"SELECT {columns} FROM {parquet_scan_sql(files)} ORDER BY event_id").fetchall()
    return [row[0] if len(row) == 1 else row for row in found]


def rows(*changes: dict[str, Any], good: int = 2, types: dict[str, pa.DataType] | None = None) -> pa.Table:
    """Build ``good`` good rows and one row per change (event_id from 100)."""
    made = [{**GOOD, "event_id": number} for number in range(good)]
    made += [{**GOOD, "event_id": 100 + number, **change} for number, change in enumerate(changes)]
    known = {"event_time": pa.timestamp("us", "UTC"), "amount": pa.int32(), "day": pa.date32(), **(types or {})}
    return pa.table({name: pa.array([row[name] for row in made], known.get(name)) for name in GOOD})


@pytest.mark.parametrize(
    ("change", "types", "reason"),
    [
        ({"event_id": None}, {}, "missing event_id"),
        ({"event_time": None}, {}, "missing event_time"),
        ({"event_time": datetime(1989, 12, 31, 23, 59, tzinfo=UTC)}, {}, "absurd event_time"),
        ({"event_time": datetime.now(UTC) + timedelta(days=1, hours=1)}, {}, "future event_time"),
        ({"kind": "veiw"}, {}, "unknown value of kind"),
        ({"amount": float("nan")}, {"amount": pa.float64()}, "NaN in amount"),
        ({"amount": 1.5}, {"amount": pa.float64()}, "fraction in amount"),
        ({"amount": float("inf")}, {"amount": pa.float64()}, "out of range amount"),
        ({"amount": 2**31}, {"amount": pa.int64()}, "out of range amount"),
        ({"day": datetime(3024, 1, 1, tzinfo=UTC).date()}, {}, "absurd day"),
    ],
)
def test_an_invalid_row_goes_to_the_quarantine_and_the_good_rows_land(
    layout: Layout, change: dict[str, Any], types: dict[str, pa.DataType], reason: str
) -> None:
    report = ingest(layout, EVENTS, rows(change, types=types))
    assert (report.rows_read, report.rows_added, report.quarantined) == (3, 2, {reason: 1})
    assert committed(layout) == [0, 1]
    (kept,) = read_quarantine(layout, EVENTS).to_pylist()
    assert kept["reason"] == reason
    assert json.loads(kept["row"])["kind"] == change.get("kind", "buy")


def test_texts_are_parsed_strictly(layout: Layout, tmp_path: Path) -> None:
    lines = {
        "1,2024-05-01T10:00:00+08:00,buy,3,1.5,2024-01-01": None,
        "2,2024-05-01 10:00:00,view,,,": None,
        '3,2024-05-01,buy,"5.0", nan ,': None,
        "4,1714521600,buy,1,1,": "unparsable event_time",
        "5,2024-13-01,buy,1,1,": "unparsable event_time",
        "6,2024-05-01,buy,1.5,1,": "fraction in amount",
        "7,2024-05-01,buy,NaN,1,": "NaN in amount",
        "8,2024-05-01,buy,ten,1,": "unparsable amount",
        "9,2024-05-01,buy,1,1 EUR,": "unparsable price",
        "x,2024-05-01,buy,1,1,": "unparsable event_id",
        ",2024-05-01,buy,1,1,": "missing event_id",
        "10,,buy,1,1,": "missing event_time",
        "11,2024-05-01,buy,99999999999,1,": "out of range amount",
        "12,2024-05-01,buy": "unreadable line",
        "13,2024-05-01,buy,1,1,,,more": "unreadable line",
        "14,2024-05-01,buy,1,1,2024-02-30": "unparsable day",
    }
    file = tmp_path / "a.csv"
    file.write_text("\n".join(["event_id,event_time,kind,amount,price,day", *lines]) + "\n")
    report = ingest(layout, EVENTS, file)
    expected = [reason for reason in lines.values() if reason]
    assert report.quarantined == {reason: expected.count(reason) for reason in expected}
    assert report.rows_read == len(lines)
    assert report.non_finite == 1
    assert committed(layout, "event_id, epoch_us(event_time), amount, price") == [
        (1, 1_714_528_800_000_000, 3, 1.5),
        (2, 1_714_528_800_000_000, None, None),
        (3, 1_714_492_800_000_000, 5, None),
    ]
    assert {row["source_file"] for row in read_quarantine(layout, EVENTS).to_pylist()} == {"a.csv"}


def test_naive_timestamps_are_read_in_the_zone_of_their_source(layout: Layout, tmp_path: Path) -> None:
    shanghai = EventSource(
        "events", schema={"event_id": "int64", "event_time": "timestamp"}, event_time="event_time", event_id="event_id",
        timezone="Asia/Shanghai",
    )  # fmt: skip
    file = tmp_path / "a.csv"
    file.write_text(
        "event_id,event_time\n1,2024-05-01 08:00:00\n2,2024-05-01 00:00:00Z\n3,2024-05-01 08:00:00+08\n4,2024-05-01\n"
    )
    ingest(layout, shanghai, file)
    naive = pa.table({"event_id": [5], "event_time": pa.array([datetime(2024, 5, 1, 8)], pa.timestamp("ns"))})
    aware = pa.table(
        {"event_id": [6], "event_time": pa.array([datetime(2024, 5, 1, 0, tzinfo=UTC)], pa.timestamp("ns", "UTC"))}
    )
    ingest(layout, shanghai, naive)
    ingest(layout, shanghai, aware)
    midnight = 1_714_521_600_000_000
    assert committed(layout, "epoch_us(event_time)") == [midnight] * 3 + [midnight - 8 * 3_600_000_000] + [midnight] * 2


def test_an_integer_is_no_timestamp_and_a_number_no_text(layout: Layout) -> None:
    table = rows(good=1).set_column(1, "event_time", pa.array([1_714_521_600]))
    assert ingest(layout, EVENTS, table).quarantined == {"wrong type event_time": 1}
    assert ingest(layout, EVENTS, rows({"amount": True}, good=0, types={"amount": pa.bool_()})).quarantined == {
        "wrong type amount": 1
    }
    assert ingest(layout, EVENTS, rows({"kind": 7}, good=0, types={"kind": pa.int64()})).quarantined == {"wrong type kind": 1}


def test_nan_and_infinity_become_null_and_are_counted(layout: Layout) -> None:
    report = ingest(layout, EVENTS, rows({"price": float("nan")}, {"price": float("-inf")}, {"price": -0.0}))
    assert (report.rows_added, report.non_finite, report.quarantined) == (5, 2, {})
    assert [str(price) for price in committed(layout, "price")] == ["1.5", "1.5", "None", "None", "0.0"]


def test_no_text_is_guessed_to_be_a_number(layout: Layout, tmp_path: Path) -> None:
    """DuckDB's cast reads ``1_000``, ``0x10`` and ``+-1``, and rounds what has a long fraction."""
    whole = {"1_000": None, "0.9999999999999999999999": None, "1.00000000000000000001": None, "0x10": None, "0b1": None}
    whole |= {"+-1": None, "1 000": None, "\uff11\uff12": None, "1d": None, "1e400": None, "9007199254740993.0": None}
    whole |= {"+1": 1, " 7 ": 7, "1e3": 1000, "25e-1": None, "1.000000000000000000000": 1, "5.": 5, "007": 7}
    real = {"1_0.5": None, "0x1p3": None, "+-1": None, "1 000": None, "\u0663": None, "1d5": None, "nan(7)": None}
    real |= {"1e400": None, "-1e400": None, ".5": 0.5, "5.": 5.0, "1e3": 1000.0, "4.9e-324": 5e-324, "+1": 1.0}
    for column, texts in (("amount", whole), ("price", real)):
        numbered = dict(enumerate(texts))
        file = tmp_path / f"{column}.jsonl"
        rows_of = [
            {
                "event_id": number + 1,
                "event_time": "2024-05-01",
                "kind": "buy",
                "amount": "1",
                "price": "1",
                "day": "",
                column: text,
            }
            for number, text in numbered.items()
        ]
        file.write_text("".join(f"{json.dumps(row)}\n" for row in rows_of))
        fresh = create_or_open(tmp_path / column)
        report = ingest(fresh, EVENTS, file)
        assert dict(committed(fresh, f"event_id - 1, {column}")) == {
            number: texts[text] for number, text in numbered.items() if texts[text] is not None
        }
        assert sum(report.quarantined.values()) == sum(value is None for value in texts.values())
        assert report.non_finite == 0
    assert report.quarantined["out of range price"] == 2


def test_the_same_batch_twice_changes_nothing(layout: Layout) -> None:
    table = rows({"kind": "veiw"}, {"event_time": None})
    first = ingest(layout, EVENTS, table)
    kept = read_quarantine(layout, EVENTS)
    second = ingest(layout, EVENTS, table)
    assert (second.version, second.files, second.duplicates, second.rows_added) == (first.version, 0, 2, 0)
    assert second.quarantined == first.quarantined
    assert read_quarantine(layout, EVENTS) == kept
    assert count_quarantined(layout, EVENTS) == {"missing event_time": 1, "unknown value of kind": 1}


def test_extra_columns_are_ignored_and_reported_but_kept_in_the_quarantine(layout: Layout) -> None:
    table = rows({"kind": "?"}).append_column("Note", pa.array(["a", "b", "c"]))
    report = ingest(layout, EVENTS, table)
    assert report.extra_columns == ("Note",)
    assert "Note" in str(report)
    assert json.loads(read_quarantine(layout, EVENTS)["row"][0].as_py())["Note"] == "c"


def write(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_unreadable_files_are_named_and_nothing_is_committed(layout: Layout, tmp_path: Path) -> None:
    good = tmp_path / "0.parquet"
    pq.write_table(rows(), good)
    whole = good.read_bytes()
    bad = {
        write(tmp_path / "empty.parquet", b""): "empty",
        write(tmp_path / "empty.csv", b""): "empty",
        write(tmp_path / "empty.jsonl", b""): "empty",
        write(tmp_path / "cut.parquet", whole[: len(whole) // 2]): "not a whole Parquet file",
        write(tmp_path / "text.parquet", "event_id\n1\n"): "not a whole Parquet file",
        write(tmp_path / "parquet.csv", whole): "is a Parquet file",
        write(tmp_path / "parquet.jsonl", whole): "is a Parquet file",
        write(tmp_path / "gzip.csv", gzip.compress(b"event_id\n1\n")): "is gzip",
        write(tmp_path / "plain.csv.gz", "event_id\n1\n"): "name says CSV",
        write(tmp_path / "cut.csv.gz", gzip.compress(b"event_id,kind\n1,buy\n")[:14]): "cannot be read",
        write(tmp_path / "array.json", '[{"event_id": 1}]'): "one object per line",
        write(tmp_path / "html.csv", "<html><body>error 500</body></html>\n"): "no column 'event_id'",
        write(tmp_path / "zip.zip", b"PK"): "no known format",
        write(tmp_path / "twice.csv", "event_id,event_time,kind,amount,price,day,day\n"): "twice",
        tmp_path / "nowhere.parquet": "names no file",
    }
    for file, message in bad.items():
        with pytest.raises(IngestError, match=message) as caught:
            ingest(layout, EVENTS, [good, file])
        assert file.name in str(caught.value)
    assert Table.open(layout.events("events")).version == -1


def test_a_missing_column_names_the_nearest_one(layout: Layout, tmp_path: Path) -> None:
    table = rows().rename_columns(["event_id", "event_tme", "kind", "amount", "price", "day"])
    with pytest.raises(IngestError, match="event_tme"):
        ingest(layout, EVENTS, table)
    file = write(tmp_path / "a.jsonl", '{"event_id": 1, "event_tme": "2024-05-01"}\n')
    with pytest.raises(IngestError, match=r"a\.jsonl.*'event_time'"):
        ingest(layout, EVENTS, file)


def test_a_valid_file_without_rows_is_fine(layout: Layout, tmp_path: Path) -> None:
    pq.write_table(rows(good=0), tmp_path / "a.parquet")
    write(tmp_path / "b.csv", "event_id,event_time,kind,amount,price,day\n")
    report = ingest(layout, EVENTS, [tmp_path / "a.parquet", tmp_path / "b.csv"])
    assert (report.rows_read, report.version, report.months) == (0, -1, ())


def test_a_damaged_page_behind_a_good_footer_is_an_error_with_the_file_name(layout: Layout, tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    pq.write_table(rows(good=5000), file)
    content = bytearray(file.read_bytes())
    content[40:400] = bytes(360)
    file.write_bytes(content)
    with pytest.raises(IngestError, match=r"a\.parquet"):
        ingest(layout, EVENTS, file)
    assert Table.open(layout.events("events")).version == -1


def test_something_that_holds_no_rows_is_refused(layout: Layout) -> None:
    with pytest.raises(IngestError, match="dict"):
        ingest(layout, EVENTS, {"event_id": [1]})
    assert ingest(layout, EVENTS, []).rows_read == 0


def test_a_line_that_has_a_key_twice_is_quarantined(layout: Layout, tmp_path: Path) -> None:
    row = '"event_time": "2024-05-01", "kind": "buy", "price": 1, "day": null'
    lines = [
        f'{{"event_id": 1, "amount": 1, {row}, "amount": 2}}',
        f'{{"event_id": 2, "amount": 1, {row}, "\\u0061mount": 1}}',
        f'{{"event_id": 3, "amount": 1, {row}, "more": {{"a": 1, "a": 2}}}}',
    ]
    file = tmp_path / "a.jsonl"
    file.write_text("\n".join(lines))
    report = ingest(layout, EVENTS, file)
    assert (report.rows_added, report.quarantined) == (1, {"a key twice": 2})
    assert report.lines[0].quarantined_at == (1, 2)
    assert {row["row"] for row in read_quarantine(layout, EVENTS).to_pylist()} == {json.dumps(line) for line in lines[:2]}


def test_commas_behind_lines_are_named(layout: Layout, tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"event_id": 1},\n{"event_id": 2},\n')
    with pytest.raises(IngestError, match="lines that end in a comma"):
        ingest(layout, EVENTS, file)
