"""Daily counts: the hours of a day are those of the business zone's clock, also on days when it is put back or forward."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from featurestore.drift.data_faults.feature_fault import CLOCK
from featurestore.drift.data_faults.source_fault import find_source_faults
from featurestore.lake import daily
from featurestore.lake.daily import daily_counts
from featurestore.lake.ingestion.ingest import ingest
from featurestore.lake.layout import create_or_open
from featurestore.lake.table import Table
from featurestore.spec.source import EventSource
from featurestore.timeline import Month

SOURCE = EventSource("s", schema={"id": "int64", "t": "timestamp"}, event_time="t", event_id="id")
# A zone, and the days on which its clocks change.
CHANGES = {
    "America/New_York": ("2024-03-10", "2024-11-03"),
    "Europe/Berlin": ("2024-03-31", "2024-10-27"),
    "Australia/Sydney": ("2024-04-07", "2024-10-06"),
    "Australia/Lord_Howe": ("2024-04-07", "2024-10-06"),  # by half an hour
    "America/Sao_Paulo": ("2018-02-18", "2018-11-04"),  # at midnight
    "America/Havana": ("2024-03-10", "2024-11-03"),  # at one, back to midnight
    "Asia/Shanghai": (),
    "Asia/Kathmandu": (),
}


@pytest.mark.parametrize("zone", CHANGES)
def test_constant_local_hours_are_no_fault_of_the_clock(tmp_path: Path, zone: str) -> None:
    layout = create_or_open(tmp_path / "store", timezone=zone)
    days = [
        datetime.fromisoformat(change) + timedelta(days=day)
        for change in CHANGES[zone] or ("2024-03-10",)
        for day in range(-31, 9)
    ]
    # Shop hours with a peak at noon, well away from the hours that are skipped or repeated.
    minutes = [8 * 60 + i * 3 for i in range(60)] + [12 * 60 + i * 2 for i in range(60)]
    times = [day + timedelta(minutes=minute) for day in days for minute in minutes]
    ingest(layout, SOURCE, pa.table({"id": range(len(times)), "t": pa.array(times, pa.timestamp("us"))}))
    counted = daily_counts(layout, SOURCE, Month(2030, 1))
    usual = Counter(minute // 60 for minute in minutes)
    hours = [row["hours"] for row in counted.to_pylist() if row["column"] is None]
    assert len(hours) == len(days)
    assert all(row == [usual[hour] for hour in range(24)] for row in hours)
    assert not [fault for fault in find_source_faults("s", counted, {}) if fault.kind == CLOCK]


@pytest.mark.parametrize("zone", CHANGES)
def test_each_event_counts_in_the_hour_that_the_clock_showed(tmp_path: Path, zone: str) -> None:
    layout = create_or_open(tmp_path / "store", timezone=zone)
    starts = [datetime.fromisoformat(change).replace(tzinfo=timezone.utc) for change in CHANGES[zone] or ("2024-03-10",)]
    times = [start + timedelta(minutes=10 * i) for start in starts for i in range(-6 * 24, 6 * 48)]
    ingest(layout, SOURCE, pa.table({"id": range(len(times)), "t": pa.array(times, pa.timestamp("us", "UTC"))}))
    local = [time.astimezone(ZoneInfo(zone)) for time in times]
    expected = Counter((time.date(), time.hour) for time in local)
    counted = daily_counts(layout, SOURCE, Month(2030, 1)).to_pylist()
    told = {(row["day"], i): n for row in counted if row["column"] is None for i, n in enumerate(row["hours"]) if n}
    assert told == expected
    assert all(row["rows"] == sum(row["hours"]) for row in counted if row["column"] is None)


def test_only_months_with_a_change_are_counted_anew_in_an_older_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = create_or_open(tmp_path / "store", timezone="America/New_York")
    times = [datetime(2024, month, 15, 12) for month in range(1, 13)]
    ingest(layout, SOURCE, pa.table({"id": range(12), "t": pa.array(times, pa.timestamp("us"))}))
    with monkeypatch.context() as before:
        before.setattr(daily, "FORMAT", 1)
        daily_counts(layout, SOURCE, Month(2024, 12))
    days = Table.open(layout.days("s"))
    old = {file.partition["month"]: file.name for file in days.files()}
    daily_counts(layout, SOURCE, Month(2024, 12))
    new = {file.partition["month"]: file.name for file in Table.open(layout.days("s")).files()}
    assert {month for month in old if old[month] != new[month]} == {"2024-03", "2024-11"}
