"""Times through every door, in zones that put their clocks back and forward, beside zoneinfo and pandas."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.lake.arrow_parquet import read_parquet
from featurestore.lake.ingestion.ingest import ingest
from featurestore.lake.ingestion.ingest_report import IngestReport
from featurestore.lake.layout import Layout, create_or_open
from featurestore.lake.table import Table
from featurestore.spec.source import EventSource
from featurestore.timeline import day_starts_us, placed_us, to_us, utc_offsets

UTC = timezone.utc
ZONES = (
    "America/New_York",
    "America/Sao_Paulo",
    "Europe/Berlin",
    "Australia/Sydney",
    "Asia/Kathmandu",
    "Asia/Shanghai",
    "UTC",
)
STRANGE_ZONES = (
    "Australia/Lord_Howe",
    "America/Havana",
    "Pacific/Apia",
    "Africa/Casablanca",
    "America/St_Johns",
    "Asia/Tehran",
)
FIRST, LAST = datetime(1990, 1, 2), datetime(2026, 1, 1)
DOORS = ("csv", "parquet", "arrow", "pandas", "polars")


def changes(zone: str) -> list[datetime]:
    """The wall clocks, before each change, of the years that events may be of."""
    offsets = utc_offsets(zone)
    times = [start + offset for (_, offset), (start, _) in itertools.pairwise(offsets)]
    return [time for time in (datetime(1970, 1, 1) + timedelta(microseconds=us) for us in times) if FIRST <= time < LAST]


def clocks_near_changes(zone: str, seed: int, size: int, *, last: int | None = None) -> list[datetime]:
    """Wall clocks within hours of a change and on its edges, of some changes or all; of all years too where it is all."""
    rng = np.random.default_rng(seed)
    near = (changes(zone) or [FIRST])[-last if last else 0 :]
    hours = 3 * timedelta(hours=1) // timedelta(microseconds=1)
    drawn = zip(rng.integers(0, len(near), size), rng.integers(-hours, hours, size), strict=True)
    shown = [near[i] + timedelta(microseconds=int(us)) for i, us in drawn]
    edges = [
        change + timedelta(hours=hour, microseconds=us) for change in near[-6:] for hour in (-1, 0, 1) for us in (-1, 0, 1)
    ]
    span = (LAST - FIRST) // timedelta(microseconds=1)
    anywhere = [] if last else [FIRST + timedelta(microseconds=int(us)) for us in rng.integers(0, span, size // 2)]
    return [*shown, *edges, *anywhere]


def instant(clock: datetime, zone: str) -> datetime:
    return clock.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC)


def kind(clock: datetime, zone: str) -> str:
    """Whether clocks show it once, twice or never, by the fold alone."""
    first, second = (clock.replace(tzinfo=ZoneInfo(zone), fold=fold).utcoffset() for fold in (0, 1))
    assert first is not None
    assert second is not None
    return "repeated" if first > second else "skipped" if first < second else "plain"


def through(door: str, table: pa.Table, folder: Path) -> object:
    """Deliver a table by a door; the CSV file and the frames write each time as their library does."""
    if door == "csv":
        csv.write_csv(table, folder / "rows.csv")
        return folder / "rows.csv"
    if door == "parquet":
        pq.write_table(table, folder / "rows.parquet")
        return folder / "rows.parquet"
    frames: dict[str, Callable[[pa.Table], object]] = {
        "arrow": lambda rows: rows,
        "pandas": pa.Table.to_pandas,
        "polars": pl.from_arrow,
    }
    return frames[door](table)


def delivered(
    layout: Layout, table: pa.Table, door: str, folder: Path, zone: str | None = None
) -> tuple[IngestReport, pa.Table]:
    schema = {"id": "int64", "t": "timestamp", **dict.fromkeys(table.column_names[2:], "timestamp")}
    source = EventSource("s", schema=schema, event_time="t", event_id="id", timezone=zone)
    report = ingest(layout, source, through(door, table, folder))
    files = Table.open(layout.events("s")).files()
    return report, pa.concat_tables(read_parquet(file.path) for file in files).sort_by("id")


@pytest.mark.parametrize("zone", [*ZONES, *STRANGE_ZONES])
def test_a_wall_clock_is_placed_as_zoneinfo_places_its_first_fold(zone: str) -> None:
    clocks = clocks_near_changes(zone, seed=7, size=2_000)
    us, repeated, skipped = placed_us(np.array([to_us(clock) for clock in clocks], np.int64), zone)
    assert us.tolist() == [to_us(instant(clock, zone)) for clock in clocks]
    kinds = [kind(clock, zone) for clock in clocks]
    assert repeated.tolist() == [each == "repeated" for each in kinds]
    assert skipped.tolist() == [each == "skipped" for each in kinds]


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(ZONES), st.datetimes(datetime(1971, 1, 1), datetime(2037, 12, 31)))
def test_any_wall_clock_is_placed_as_pandas_and_zoneinfo_place_it(zone: str, clock: datetime) -> None:
    us, repeated, _ = placed_us(np.array([to_us(clock)], np.int64), zone)
    assert us.tolist() == [to_us(instant(clock, zone))]
    if kind(clock, zone) != "skipped":  # pandas moves what is skipped to the end of the gap
        assert us[0] * 1000 == pd.Timestamp(clock).tz_localize(zone, ambiguous=True).value
    assert repeated[0] == (kind(clock, zone) == "repeated")


@pytest.mark.parametrize("zone", ZONES)
def test_every_door_reads_wall_clocks_in_the_zone_of_the_store(tmp_path: Path, zone: str) -> None:
    clocks = clocks_near_changes(zone, seed=11, size=60, last=2)
    table = pa.table(
        {"id": range(len(clocks)), "t": pa.array(clocks, pa.timestamp("us")), "also": pa.array(clocks, pa.timestamp("us"))}
    )
    expected = [instant(clock, zone) for clock in clocks]
    kinds = [kind(clock, zone) for clock in clocks]
    layout = create_or_open(tmp_path / "store", timezone=zone)
    for number, door in enumerate(DOORS):
        report, kept = delivered(layout, table, door, tmp_path)
        assert kept["t"].to_pylist() == kept["also"].to_pylist() == expected
        assert (report.rows_added, report.duplicates) == ((0, len(clocks)) if number else (len(clocks), 0)), door
        assert report.assumed_timezone == zone
        assert (report.repeated_hours, report.skipped_hours) == (2 * kinds.count("repeated"), 2 * kinds.count("skipped"))


@pytest.mark.parametrize("zone", ZONES)
def test_times_that_name_a_zone_and_dates_are_the_same_through_every_door(tmp_path: Path, zone: str) -> None:
    moments = [instant(clock, zone) for clock in clocks_near_changes(zone, seed=13, size=20, last=2)]
    days = [*(change.date() for change in changes(zone)), date(2024, 2, 29)][-len(moments) :]
    days += [date(2024, 1, 1)] * (len(moments) - len(days))
    starts = day_starts_us(np.array([(day - date(1970, 1, 1)).days for day in days], np.int64), zone).tolist()
    aware = pa.array(moments, pa.timestamp("us", zone))
    table = pa.table({"id": range(len(moments)), "t": aware, "day": pa.array(days)})
    layout = create_or_open(tmp_path / "store", timezone=zone)
    for door in DOORS:
        report, kept = delivered(layout, table, door, tmp_path)
        assert kept["t"].to_pylist() == moments, door
        assert [to_us(day) for day in kept["day"].to_pylist()] == starts, door
        assert report.assumed_timezone == zone


@pytest.mark.parametrize("door", DOORS)
def test_no_zone_is_assumed_where_all_times_name_one(tmp_path: Path, door: str) -> None:
    moments = [instant(clock, "Europe/Berlin") for clock in clocks_near_changes("Europe/Berlin", seed=19, size=9, last=1)]
    table = pa.table({"id": range(len(moments)), "t": pa.array(moments, pa.timestamp("us", "Europe/Berlin"))})
    report, kept = delivered(create_or_open(tmp_path / "store", timezone="Europe/Berlin"), table, door, tmp_path)
    assert kept["t"].to_pylist() == moments
    assert (report.assumed_timezone, report.repeated_hours, report.skipped_hours) == (None, 0, 0)


@pytest.mark.parametrize("zone", ZONES)
def test_texts_that_only_people_write_are_placed_by_the_same_rule(tmp_path: Path, zone: str) -> None:
    clocks = [clock.replace(microsecond=0) for clock in clocks_near_changes(zone, seed=17, size=30, last=2)]
    moments = [instant(clock, zone) for clock in clocks]
    local = [moment.astimezone(ZoneInfo(zone)) for moment in moments]
    table = pa.table(
        {
            "id": range(len(clocks)),
            "t": [clock.strftime("%Y-%m-%d %I:%M:%S %p") for clock in clocks],
            "named": [clock.strftime(f"%d %b %Y %H:%M:%S {zone}") for clock in clocks],
            "offset": [each.strftime("%Y%m%dT%H%M%S%z") for each in local],
            "plain": [each.isoformat() for each in local],
        }
    )
    for door in ("csv", "arrow"):
        layout = create_or_open(tmp_path / door, timezone="Asia/Tokyo")
        report, kept = delivered(layout, table, door, tmp_path, zone)
        assert report.quarantined == {}
        assert all(kept[column].to_pylist() == moments for column in ("t", "named", "offset", "plain"))
        assert report.assumed_timezone == zone
        kinds = [kind(clock, zone) for clock in clocks]
        assert (report.repeated_hours, report.skipped_hours) == (2 * kinds.count("repeated"), 2 * kinds.count("skipped"))


def test_the_zone_of_the_source_goes_before_that_of_the_store_and_the_report_says_it(tmp_path: Path) -> None:
    table = pa.table({"id": [1, 2, 3], "t": ["2024-11-03 01:30:00", "2024-03-10 02:30:00", "2024-01-05T10:00:00Z"]})
    layout = create_or_open(tmp_path / "store", timezone="Asia/Shanghai")
    report, kept = delivered(layout, table, "arrow", tmp_path, "America/New_York")
    assert [time.isoformat() for time in kept["t"].to_pylist()] == [
        "2024-11-03T05:30:00+00:00",
        "2024-03-10T07:30:00+00:00",
        "2024-01-05T10:00:00+00:00",
    ]
    assert str(report).splitlines()[1:] == [
        "  times without a zone are read in America/New_York; 1 in an hour that the clocks show twice: the first; "
        "1 in an hour that they skip: moved forward"
    ]


def test_a_store_of_before_reads_them_in_utc_still(tmp_path: Path) -> None:
    table = pa.table({"id": [1], "t": pa.array([datetime(2024, 1, 5, 10)], pa.timestamp("us"))})
    layout = replace(create_or_open(tmp_path / "store", timezone="Asia/Shanghai"), naive_timezone="UTC")
    report, kept = delivered(layout, table, "arrow", tmp_path)
    assert kept["t"].to_pylist() == [datetime(2024, 1, 5, 10, tzinfo=UTC)]
    assert report.assumed_timezone == "UTC"


def test_what_is_quarantined_is_counted_once(tmp_path: Path) -> None:
    """Invalid rows are read twice, and times of theirs must not count twice."""
    clock = datetime(2024, 11, 3, 1, 30)
    table = pa.table({"id": pa.array([1, None], pa.int64()), "t": pa.array([clock, clock], pa.timestamp("us"))})
    layout = create_or_open(tmp_path / "store", timezone="America/New_York")
    report, _ = delivered(layout, table, "arrow", tmp_path)
    assert report.quarantined == {"missing event_id": 1}
    assert report.repeated_hours == 2
