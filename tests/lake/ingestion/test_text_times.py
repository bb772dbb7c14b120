"""Spellings of times and dates: the instant that each says, or the reason of its quarantine; none loses a word."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.csv as csv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.lake.arrow_parquet import read_parquet
from featurestore.lake.ingestion.ingest import ingest
from featurestore.lake.ingestion.text_times import Fault, TextTime, read_day, read_time
from featurestore.lake.layout import Layout, create_or_open
from featurestore.lake.table import Table
from featurestore.spec.source import EventSource
from featurestore.timeline import to_us

UTC = timezone.utc
SHANGHAI, NEW_YORK = "Asia/Shanghai", "America/New_York"


def clock(text: str) -> datetime:
    """A wall clock, of the zone that is assumed."""
    return datetime.fromisoformat(text)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


TEN = clock("2024-01-05T10:00:00")
TEN_UTC = utc("2024-01-05T10:00:00")
TWO_UTC = utc("2024-01-05T02:00:00")
SPELLINGS: dict[str, datetime | Fault] = {
    # what names no zone
    "2024-01-05 10:00:00": TEN,
    "2024-01-05T10:00:00": TEN,
    "2024-01-05t10:00:00": TEN,
    "2024-01-05 10:00": TEN,
    "2024-01-05T10": TEN,
    "  2024-01-05   10:00:00  ": TEN,
    "2024/01/05 10:00": TEN,
    "2024/1/5 10:00:00": TEN,
    "2024.01.05 10:00:00": TEN,
    "2024-1-5 10:00:00": TEN,
    "20240105T100000": TEN,
    "20240105T1000": TEN,
    "20240105 10:00:00": TEN,
    "5 Jan 2024 10:00:00": TEN,
    "05-Jan-2024 10:00:00": TEN,
    "January 5, 2024 10:00": TEN,
    "January 5, 2024, 10:00 AM": TEN,
    "Fri, 05 Jan 2024 10:00:00": TEN,
    "2024-01-05": clock("2024-01-05"),
    "2024/01/05": clock("2024-01-05"),
    "20240105": clock("2024-01-05"),
    "2024-01-05 10:00:00.5": clock("2024-01-05T10:00:00.5"),
    "2024-01-05 10:00:00,5": clock("2024-01-05T10:00:00.5"),
    "2024-01-05 23:59:59.999999999": clock("2024-01-05T23:59:59.999999"),
    "2024-01-05 11:59:59.9999999 PM": clock("2024-01-05T23:59:59.999999"),
    "20240105T235959.9999999": clock("2024-01-05T23:59:59.999999"),
    "2024-01-05 24:00:00": clock("2024-01-06"),
    "2024-01-05 24:00": clock("2024-01-06"),
    "2024-12-31T24:00:00.000": clock("2025-01-01"),
    # halves of the day
    "2024-01-05 10:00:00 AM": TEN,
    "2024-01-05 10:00:00 PM": clock("2024-01-05T22:00"),
    "2024-01-05 10:00:00PM": clock("2024-01-05T22:00"),
    "2024-01-05 10:00:00 pm": clock("2024-01-05T22:00"),
    "2024-01-05 10:00:00 p.m.": clock("2024-01-05T22:00"),
    "2024-01-05 10:00 PM": clock("2024-01-05T22:00"),
    "2024-01-05 10 PM": clock("2024-01-05T22:00"),
    "2024-01-05 12:00:00 AM": clock("2024-01-05T00:00"),
    "2024-01-05 12:30:00 AM": clock("2024-01-05T00:30"),
    "2024-01-05 12:00:00 PM": clock("2024-01-05T12:00"),
    "2024-01-05 10:00:00.25 PM": clock("2024-01-05T22:00:00.25"),
    "2024-01-05 13:00:00 PM": Fault.UNPARSABLE,
    "2024-01-05 00:30:00 AM": Fault.UNPARSABLE,
    "2024-01-05 10:00:00 XM": Fault.ABBREVIATION,
    # UTC by its names
    "2024-01-05T10:00:00Z": TEN_UTC,
    "2024-01-05t10:00:00z": TEN_UTC,
    "2024-01-05 10:00:00 Z": TEN_UTC,
    "2024-01-05 10:00:00 UTC": TEN_UTC,
    "2024-01-05 10:00:00UTC": TEN_UTC,
    "2024-01-05 10:00:00 utc": TEN_UTC,
    "2024-01-05 10:00:00 GMT": TEN_UTC,
    "2024-01-05T10Z": TEN_UTC,
    "20240105T100000Z": TEN_UTC,
    "2024-01-05 10:00:00 PM UTC": utc("2024-01-05T22:00"),
    "Fri, 05 Jan 2024 10:00:00 GMT": TEN_UTC,
    # offsets
    "2024-01-05 10:00:00+8": TWO_UTC,
    "2024-01-05 10:00:00+08": TWO_UTC,
    "2024-01-05 10:00:00 +08": TWO_UTC,
    "2024-01-05 10:00:00+0800": TWO_UTC,
    "2024-01-05 10:00:00 +0800": TWO_UTC,
    "2024-01-05T10:00:00+08:00": TWO_UTC,
    "2024-01-05T10:00:00.000+08:00": TWO_UTC,
    "2024-01-05T10:00+08:00:00": TWO_UTC,
    "20240105T100000+0800": TWO_UTC,
    "2024/01/05 10:00 +08:00": TWO_UTC,
    "2024-01-05 10:00:00 UTC+8": TWO_UTC,
    "2024-01-05 10:00:00 UTC+08:00": TWO_UTC,
    "2024-01-05 10:00:00 GMT+08:00": TWO_UTC,
    "2024-01-05 10:00:00 GMT+0800": TWO_UTC,
    "2024-01-05 10:00:00 AM +08:00": TWO_UTC,
    "Fri, 05 Jan 2024 10:00:00 +0800": TWO_UTC,
    "2024-01-05 10:00:00-05:30": utc("2024-01-05T15:30"),
    "2024-01-05 10:00:00 -5": utc("2024-01-05T15:00"),
    "2024-01-05T10:00:00-00:00": TEN_UTC,
    "2024-01-05+08:00": utc("2024-01-04T16:00"),
    "2024-01-05Z": utc("2024-01-05T00:00"),
    "2024-01-05 23:59:59.9999999+00": utc("2024-01-05T23:59:59.999999"),
    "2024-01-05T24:00:00Z": utc("2024-01-06T00:00"),
    "2024-01-05 10:00:00+99:99": Fault.UNKNOWN_ZONE,
    "2024-01-05 10:00:00+08:75": Fault.UNKNOWN_ZONE,
    "2024-01-05 10:00:00+16:00": Fault.UNKNOWN_ZONE,
    "2024-01-05 10:00:00+800": Fault.WORDS,
    "2024-01-05 10:00:00Z+08": Fault.WORDS,
    "2024-01-05 10:00:00+08 UTC": Fault.WORDS,
    "2024-01-05-08": Fault.UNPARSABLE,
    "2024-01-05T10-30": Fault.UNPARSABLE,
    # names of zones
    "2024-01-05 10:00:00 Asia/Shanghai": TWO_UTC,
    "2024-01-05 10:00:00 America/New_York": utc("2024-01-05T15:00"),
    "2024-07-05 10:00:00 America/New_York": utc("2024-07-05T14:00"),
    "2024-01-05 10:00:00 PM America/New_York": utc("2024-01-06T03:00"),
    "2024-01-05 10:00:00 America/Argentina/Buenos_Aires": utc("2024-01-05T13:00"),
    "2024-01-05 10:00:00 Etc/GMT-8": TWO_UTC,  # POSIX: what lies east of Greenwich is negative
    "2024-01-05 10:00:00 GMT-8": utc("2024-01-05T18:00"),
    "2024-11-03 01:30:00 America/New_York": utc("2024-11-03T05:30"),
    "2024-03-10 02:30:00 America/New_York": utc("2024-03-10T07:30"),
    "2024-01-05T10:00:00+08:00[Asia/Shanghai]": TWO_UTC,
    "2024-01-05T10:00:00 [Asia/Shanghai]": TWO_UTC,
    "2024-11-03T01:30:00-05:00[America/New_York]": utc("2024-11-03T06:30"),
    "2024-01-05T10:00:00+09:00[Asia/Shanghai]": Fault.UNKNOWN_ZONE,
    "2024-01-05 10:00:00 Mars/Olympus": Fault.UNKNOWN_ZONE,
    "2024-01-05 10:00:00 asia/shanghai": Fault.UNKNOWN_ZONE,
    "2024-01-05 10:00:00 Singapore": Fault.WORDS,
    # abbreviations, of which several zones use each
    **{
        f"2024-01-05 10:00:00 {word}": Fault.ABBREVIATION
        for word in ("CST", "BST", "IST", "EST", "EDT", "PST", "AST", "MST", "CET", "ECT", "GST", "SST", "PRC")
    },
    "2024-01-05 10:00:00 PM EST": Fault.ABBREVIATION,
    "Fri, 05 Jan 2024 10:00:00 EST": Fault.ABBREVIATION,
    # words
    "2024-01-05 10:00:00 garbage": Fault.WORDS,
    "2024-01-05 10:00:00 AM AM": Fault.ABBREVIATION,
    "2024-01-05 10:00:00 A": Fault.WORDS,
    "2024-01-05 10:00:00 o'clock": Fault.WORDS,
    "2024-01-05 10:00:00 UTC?": Fault.WORDS,
    "2024-01-05 10:00:00;": Fault.WORDS,
    "2024-01-05 10:00:00 (UTC)": Fault.WORDS,
    "2024-01-05 10:00:00 Uhr": Fault.WORDS,
    "2024-01-05 10:00:00 +08:00 (CST)": Fault.WORDS,
    "2024-01-05 10:00:00.": Fault.WORDS,
    "2024-01-05 garbage": Fault.WORDS,
    "2024-01-05 10:00:00 BC": Fault.ABBREVIATION,
    "2024-01-05 (BC)": Fault.WORDS,
    "garbage 2024-01-05 10:00:00": Fault.UNPARSABLE,
    # orders of day and month
    "05.01.2024": Fault.EITHER_ORDER,
    "05/01/2024 10:00": Fault.EITHER_ORDER,
    "25/12/2024 10:00": Fault.EITHER_ORDER,
    "01-05-24": Fault.EITHER_ORDER,
    "1/5/2024 10:00:00 PM": Fault.EITHER_ORDER,
    # no such time
    "2024-02-30 10:00:00": Fault.UNPARSABLE,
    "2024-13-01": Fault.UNPARSABLE,
    "2024-01-05 25:00:00": Fault.UNPARSABLE,
    "2024-01-05 24:00:01": Fault.UNPARSABLE,
    "2024-01-05 24:00:00.0000001": Fault.UNPARSABLE,
    "2024-01-05 10:60": Fault.UNPARSABLE,
    "2024-01-05 10:00:60": Fault.UNPARSABLE,
    "2016-12-31 23:59:60": Fault.LEAP_SECOND,
    "2016-12-31T23:59:60Z": Fault.LEAP_SECOND,
    "Thu, 05 Jan 2024 10:00:00": Fault.UNPARSABLE,  # a Friday
    "0000-01-01": Fault.UNPARSABLE,
    "12024-01-05 10:00:00": Fault.UNPARSABLE,
    "2024-01-05 10": Fault.UNPARSABLE,
    "2024-01/05": Fault.UNPARSABLE,
    "2024-005": Fault.UNPARSABLE,
    "2024-W01-5": Fault.UNPARSABLE,
    "24-01-05": Fault.EITHER_ORDER,
    "2024-01": Fault.UNPARSABLE,
    "2024": Fault.UNPARSABLE,
    "20240105100000": Fault.UNPARSABLE,
    "1704448800": Fault.UNPARSABLE,
    "1704448800.5": Fault.UNPARSABLE,
    "10:00:00": Fault.UNPARSABLE,
    "infinity": Fault.UNPARSABLE,
    "-infinity": Fault.UNPARSABLE,
    "now": Fault.UNPARSABLE,
    "today": Fault.UNPARSABLE,
    "epoch": Fault.UNPARSABLE,
    "yesterday": Fault.UNPARSABLE,
    "0044-03-15 (BC)": Fault.WORDS,
    "NaT": Fault.UNPARSABLE,
    "null": Fault.UNPARSABLE,
}
DAYS: dict[str, date | Fault] = {
    "2024-01-05": date(2024, 1, 5),
    " 2024-1-5 ": date(2024, 1, 5),
    "2024/01/05": date(2024, 1, 5),
    "20240105": date(2024, 1, 5),
    "5 Jan 2024": date(2024, 1, 5),
    "2024-01-05 00:00:00": date(2024, 1, 5),
    "2024-01-05T00:00:00.000Z": date(2024, 1, 5),
    "2024-01-05 12:00 AM": date(2024, 1, 5),
    "2024-01-05 10:00:00": Fault.TIME_OF_DAY,
    "2024-01-04T16:00:00Z": Fault.TIME_OF_DAY,
    "2024-01-05 garbage": Fault.WORDS,
    "2024-01-05 00:00 CST": Fault.ABBREVIATION,
    "05/01/2024": Fault.EITHER_ORDER,
    "2024-02-30": Fault.UNPARSABLE,
    "epoch": Fault.UNPARSABLE,
    "infinity": Fault.UNPARSABLE,
    "0044-03-15 (BC)": Fault.WORDS,
}
REASONS = {
    Fault.UNPARSABLE: "unparsable",
    Fault.WORDS: "words behind the time",
    Fault.ABBREVIATION: "abbreviation of several zones",
    Fault.UNKNOWN_ZONE: "unknown zone",
    Fault.EITHER_ORDER: "day and month in either order",
    Fault.LEAP_SECOND: "leap second",
    Fault.TIME_OF_DAY: "time of day in the date",
}


def instant(expected: datetime, zone: str) -> datetime:
    return expected if expected.tzinfo else expected.replace(tzinfo=ZoneInfo(zone))


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_text_is_read_as_a_whole_or_refused(spelling: str) -> None:
    expected, read = SPELLINGS[spelling], read_time(spelling)
    if isinstance(expected, Fault):
        assert read is expected
    else:
        assert isinstance(read, TextTime)
        assert (read.us, read.is_naive) == (to_us(expected), expected.tzinfo is None)


@pytest.mark.parametrize("spelling", DAYS)
def test_the_text_of_a_date_is_the_day_that_it_writes(spelling: str) -> None:
    expected = DAYS[spelling]
    days = expected if isinstance(expected, Fault) else (expected - date(1970, 1, 1)).days
    assert read_day(spelling) == days


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=30), st.sampled_from(sorted(SPELLINGS)), st.integers(0, 40))
def test_any_text_is_read_or_refused_and_none_raises(words: str, spelling: str, at: int) -> None:
    for text in (words, spelling[:at] + words + spelling[at:], spelling * 40, "2024-01-05 10:00:00." + "9" * 5_000):
        assert read_time(text) is None or isinstance(read_time(text), TextTime | Fault)
        assert read_day(text) is None or isinstance(read_day(text), int)
        assert (read_time(text) is None) == (not text.strip())


@pytest.mark.parametrize("door", ["csv", "jsonl", "arrow"])
@pytest.mark.parametrize(("store_zone", "zone"), [(SHANGHAI, None), (SHANGHAI, NEW_YORK), ("UTC", None), ("UTC", "UTC")])
def test_every_spelling_is_its_instant_or_lies_in_the_quarantine(
    tmp_path: Path, door: str, store_zone: str, zone: str | None
) -> None:
    source = EventSource(
        "s",
        schema={"id": "int64", "t": "timestamp", "seen": "timestamp", "day": "date"},
        event_time="t",
        event_id="id",
        timezone=zone,
    )
    layout = create_or_open(tmp_path / "store", timezone=store_zone)
    rows = [(text, expected, "2024-01-05", date(2024, 1, 5)) for text, expected in SPELLINGS.items()]
    rows += [("2024-01-05T10:00:00", TEN, text, day) for text, day in DAYS.items()]
    table = pa.table(
        {
            "id": list(range(len(rows))),
            "t": [row[0] for row in rows],
            "seen": [row[0] for row in rows],
            "day": [row[2] for row in rows],
        }
    )
    report = ingest(layout, source, delivered(table, tmp_path, door))
    told: dict[str, int] = {}
    for _, expected, _, day in rows:
        fault, column = (expected, "t") if isinstance(expected, Fault) else (day, "day")
        if isinstance(fault, Fault):
            told[f"{REASONS[fault]} {column}"] = told.get(f"{REASONS[fault]} {column}", 0) + 1
    short = {
        reason.split(":")[0].replace(" in ", " ").replace(" the date ", " "): n for reason, n in report.quarantined.items()
    }
    assert short == {reason.replace(" in ", " ").replace(" the date ", " "): n for reason, n in told.items()}
    assert report.rows_added + sum(report.quarantined.values()) == len(rows)
    assumed = zone or store_zone
    assert report.assumed_timezone == assumed
    kept = committed(layout)
    good = {i: row for i, row in enumerate(rows) if not isinstance(row[1], Fault) and not isinstance(row[3], Fault)}
    wrong = [
        (row[0], got["t"], got["day"])
        for got, row in zip(kept, good.values(), strict=True)
        if not got["t"] == got["seen"] == instant(row[1], assumed) or got["day"] != row[3]
    ]
    assert not wrong
    assert (report.repeated_hours, report.skipped_hours) == (2, 2)


def committed(layout: Layout) -> list[dict[str, Any]]:
    files = Table.open(layout.events("s")).files()
    return pa.concat_tables(read_parquet(file.path) for file in files).sort_by("id").to_pylist()


def delivered(table: pa.Table, folder: Path, door: str) -> pa.Table | Path:
    """Write a table of texts to a file, or give it as it is."""
    if door == "arrow":
        return table
    if door == "jsonl":
        file = folder / "rows.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
        return file
    csv.write_csv(table, folder / "rows.csv")
    return folder / "rows.csv"


def test_a_time_far_away_is_quarantined_and_not_bent(tmp_path: Path) -> None:
    source = EventSource("s", schema={"id": "int64", "t": "timestamp"}, event_time="t", event_id="id")
    layout = create_or_open(tmp_path / "store", timezone=NEW_YORK)
    texts = ["0001-01-01", "9999-12-31 24:00", "9999-12-31 24:00Z", "1969-12-31 10:00 PM", "9999-12-31T23:59:59"]
    report = ingest(layout, source, pa.table({"id": list(range(5)), "t": texts}))
    assert report.quarantined == {"absurd event_time": 2, "future event_time": 1, "unparsable t": 2}
    for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.timestamp("ns"), pa.timestamp("ns", "UTC")):
        far = pa.array([-(2**63), 2**63 - 2, 2**63 - 1, -(2**63) + 1], kind)
        report = ingest(layout, source, pa.table({"id": list(range(4)), "t": far}))
        assert sum(report.quarantined.values()) == 4, kind


def test_one_microsecond_is_the_least_of_every_door(tmp_path: Path) -> None:
    """Nanoseconds are cut, so that an event is the same however it comes, also before 1970."""
    source = EventSource("s", schema={"id": "int64", "t": "timestamp", "seen": "timestamp"}, event_time="t", event_id="id")
    moments = ["2024-01-31T23:59:59.999999999", "2024-01-05T10:00:00.000000999"]
    seen = ["1969-12-31T23:59:59.999999999", "1900-01-01T00:00:00.000000001"]
    layouts = [create_or_open(tmp_path / str(i), timezone=NEW_YORK) for i in range(3)]
    texts = pa.table({"id": [1, 2], "t": moments, "seen": seen})
    ns = texts.set_column(1, "t", texts["t"].cast(pa.timestamp("ns"))).set_column(
        2, "seen", texts["seen"].cast(pa.timestamp("ns"))
    )
    for layout, rows in zip(layouts, (texts, ns, delivered(texts, tmp_path, "csv")), strict=True):
        ingest(layout, source, rows)
        assert ingest(layout, source, ns).duplicates == 2
        kept = committed(layout)
        zone = ZoneInfo(NEW_YORK)
        assert kept[0]["t"] == datetime(2024, 1, 31, 23, 59, 59, 999_999, tzinfo=zone)
        assert kept[0]["seen"] == datetime(1970, 1, 1, tzinfo=zone) - timedelta(microseconds=1)
