"""Time: instants become steps, windows and months as zoneinfo and a calendar say they should."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from featurestore.errors import DefinitionError
from featurestore.timeline import (
    DAY_US,
    GRAINS,
    HOUR_US,
    Clock,
    Interval,
    Month,
    Offset,
    Piece,
    Window,
    day_start_us,
    day_starts_us,
    from_us,
    local_us,
    months_between,
    parse_window,
    to_us,
    utc_offsets,
)

UTC = timezone.utc
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Whole hours, half hours, a half-hour clock change, midnight that does not exist, a skipped day, a change in most months.
ZONES = ["UTC", "Asia/Shanghai", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia"]


def random_instants(seed: int, rows: int = 400) -> np.ndarray:
    low, high = to_us(datetime(1955, 1, 1)), to_us(datetime(2099, 1, 1))
    return np.random.default_rng(seed).integers(low, high, rows)


def wall_clock(instant_us: int, zone: str) -> datetime:
    return from_us(instant_us).astimezone(ZoneInfo(zone)).replace(tzinfo=None)


@pytest.mark.parametrize("zone", ZONES)
def test_the_wall_clock_equals_that_of_zoneinfo_before_and_after_1970(zone: str) -> None:
    instants = np.concatenate([random_instants(1), [start for start, _ in utc_offsets(zone)[1:] if start > to_us(EPOCH)]])
    instants = np.concatenate([instants, instants - 1])
    expected = [(wall_clock(int(instant), zone) - datetime(1970, 1, 1)) // timedelta(microseconds=1) for instant in instants]
    assert local_us(instants, zone).tolist() == expected


@pytest.mark.parametrize("zone", ZONES)
def test_a_day_starts_at_the_first_instant_of_its_date(zone: str) -> None:
    for instant in random_instants(2, 120).tolist():
        day = (wall_clock(instant, zone).date() - date(1970, 1, 1)).days
        start = day_start_us(day, zone)
        assert (wall_clock(start, zone).date() - date(1970, 1, 1)).days == day
        assert (wall_clock(start - 1, zone).date() - date(1970, 1, 1)).days < day


def test_a_date_that_a_zone_skipped_starts_when_the_next_one_does() -> None:
    skipped, following = (date(2011, 12, 30) - date(1970, 1, 1)).days, (date(2011, 12, 31) - date(1970, 1, 1)).days
    assert day_start_us(skipped, "Pacific/Apia") == day_start_us(following, "Pacific/Apia")


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("grain", GRAINS)
def test_a_step_holds_exactly_the_instants_from_its_start_to_the_next_ones(grain: str, zone: str) -> None:
    clock, instants = Clock(grain, zone), random_instants(3)
    steps = clock.floor(instants)
    starts, ends = clock.starts_us(steps), clock.starts_us(steps + 1)
    assert (starts <= instants).all()
    assert (instants < ends).all()
    assert clock.floor(starts).tolist() == steps.tolist()
    assert [clock.ceil(int(start)) for start in starts[:50]] == steps[:50].tolist()
    assert [clock.ceil(int(start) + 1) for start in starts[:50]] == (steps[:50] + 1).tolist()


def test_days_count_the_calendar_and_hours_the_clock_over_a_clock_change() -> None:
    before, behind = to_us(datetime(2024, 3, 30, 23, tzinfo=UTC)), to_us(datetime(2024, 3, 31, 22, tzinfo=UTC))
    assert Clock("1d", "Europe/Berlin").start_us(Clock("1d", "Europe/Berlin").step(before)) == before
    assert Clock("1d", "Europe/Berlin").step(behind) - Clock("1d", "Europe/Berlin").step(before) == 1
    assert (behind - before) // HOUR_US == 23
    assert Clock("1h", "Europe/Berlin").step(behind) - Clock("1h", "Europe/Berlin").step(before) == 23


def edges(pieces: Sequence[Piece]) -> tuple[np.ndarray, np.ndarray]:
    """Both edges of a window of one piece."""
    (piece,) = pieces
    assert piece.left is not None
    return piece.right.steps, piece.left.steps


@pytest.mark.parametrize("grain", GRAINS)
def test_a_window_excludes_the_floor_and_includes_what_lies_exactly_one_window_before(grain: str) -> None:
    clock, as_of = Clock(grain, "Asia/Shanghai"), random_instants(4)
    right, left = edges(clock.window(as_of, Window.parse("30d")))
    assert right.tolist() == clock.floor(as_of).tolist()
    assert set((right - left).tolist()) == {{"1d": 30, "1h": 720, "event": 30 * DAY_US}[grain]}
    moved_right, moved_left = edges(clock.window(as_of, Window.parse("30d"), delay=45))
    assert set((right - moved_right).tolist()) == set((left - moved_left).tolist()) == {45}
    (forever,) = clock.window(as_of, Window.parse("lifetime"))
    assert forever.left is None


@pytest.mark.parametrize("grain", GRAINS)
def test_an_offset_moves_both_edges_back_and_shares_those_of_plain_windows(grain: str) -> None:
    clock, as_of = Clock(grain, "Europe/Berlin"), random_instants(5)
    (piece,) = clock.window(as_of, Offset("30d", by="1y"))
    (year,) = clock.window(as_of, Window.parse("1y"))
    right, left = edges([piece])
    assert right.tolist() == edges([year])[1].tolist()
    assert piece.right.name == year.left.name
    assert left.tolist() == edges(clock.window(as_of, Window.parse("395d")))[1].tolist()


@pytest.mark.parametrize(("text", "months"), [("ytd", 12), ("mtd", 1)])
@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("grain", GRAINS)
def test_a_window_to_date_begins_with_the_first_step_of_the_years_or_months_first_instant(
    grain: str, zone: str, text: str, months: int
) -> None:
    clock, as_of = Clock(grain, zone), random_instants(6, 60)
    right, left = edges(clock.window(as_of, parse_window(text)))
    for floor, start in zip(right.tolist(), left.tolist(), strict=True):
        month = Month.of(clock.start_us(floor), zone)
        first = Month(month.year, 1) if months == 12 else month
        assert clock.start_us(start - 1) < first.interval(zone).start_us <= clock.start_us(start)
        assert start <= floor
    assert (right - edges(clock.window(as_of, parse_window(text), delay=7))[0] == 7).all()


def test_what_is_no_offset_is_refused() -> None:
    with pytest.raises(DefinitionError, match="make by= longer"):
        Offset(Offset("30d", by="1y"), by="1y")  # type: ignore[arg-type]
    with pytest.raises(DefinitionError, match="not a window"):
        Offset("30", by="1y")
    with pytest.raises(DefinitionError, match="has no length"):
        Offset("30d", by="lifetime")
    with pytest.raises(DefinitionError, match="not a window"):
        Offset("30d", by="ytd")
    with pytest.raises(DefinitionError, match="grain='1h'"):
        Offset("30d", by="36h").check("1d")
    assert Offset("lifetime", by="1y").look_back_hours is None


@pytest.mark.parametrize("text", ["", "0d", "-1d", "30", "d", "1m", "1.5d", "30D", " 30d", "forever", "100000d", None, 30])
def test_what_is_no_window_is_refused(text: object) -> None:
    with pytest.raises(DefinitionError, match="not a window"):
        Window.parse(text)  # type: ignore[arg-type]


def test_a_window_must_be_a_whole_multiple_of_the_grain() -> None:
    assert [Window.parse("1y").steps(grain) for grain in GRAINS] == [365, 8760, 365 * DAY_US]
    with pytest.raises(DefinitionError, match="grain='1h'"):
        Window.parse("36h").steps("1d")
    assert Window.parse("lifetime").steps("1d") is None


@pytest.mark.parametrize("zone", ZONES)
def test_months_tile_time_without_gap_or_overlap(zone: str) -> None:
    months = months_between(Month(2010, 11), Month(2013, 2))
    intervals = [month.interval(zone) for month in months]
    assert all(one.end_us == two.start_us for one, two in pairwise(intervals))
    for month, interval in zip(months, intervals, strict=True):
        assert [Month.of(instant, zone) for instant in (interval.start_us, interval.end_us - 1)] == [month, month]
        assert Month.of(interval.start_us - 1, zone) == month.shift(-1)


def test_a_month_as_a_window_reaches_from_its_end_to_its_start_also_over_a_clock_change() -> None:
    for month in months_between(Month(2024, 1), Month(2024, 12)):
        for grain in GRAINS:
            clock = Clock(grain, "Europe/Berlin")
            interval = month.interval("Europe/Berlin")
            _, left = edges(clock.window(np.array([interval.end_us]), month.window(clock)))
            assert clock.start_us(int(left[0])) == interval.start_us


def test_months_are_read_shifted_and_listed() -> None:
    assert [Month.parse(value) for value in ("2024-08", "2024-08-31", date(2024, 8, 5), Month(2024, 8))] == [Month(2024, 8)] * 4
    assert Month(2024, 1).shift(-13) == Month(2022, 12)
    assert Month(2024, 12).next() == Month(2025, 1)
    assert months_between(Month(2024, 2), Month(2024, 1)) == []
    assert Month(2023, 12) < Month(2024, 1)


@pytest.mark.parametrize("value", ["2024-13", "2024-00", "2024", "08-2024", "2024-8", 202408, None, "0999-01", "3000-01"])
def test_what_is_no_month_is_refused(value: object) -> None:
    with pytest.raises(DefinitionError):
        Month.parse(value)  # type: ignore[arg-type]


def test_an_interval_cannot_end_before_it_starts_but_may_be_empty() -> None:
    assert str(Interval(0, 0)) == "[1970-01-01T00:00:00+00:00, 1970-01-01T00:00:00+00:00)"
    with pytest.raises(DefinitionError, match="must not end"):
        Interval(1, 0)


@pytest.mark.parametrize(
    ("grain", "zone"), [("2d", "UTC"), ("day", "UTC"), ("1d", "Asia/Shangai"), ("1d", "../UTC"), ("1d", "")]
)
def test_an_unknown_grain_or_zone_is_refused(grain: str, zone: str) -> None:
    with pytest.raises(DefinitionError, match=r"is not a (grain|time zone)"):
        Clock(grain, zone)


def test_a_moment_without_a_zone_is_utc() -> None:
    assert to_us(datetime(2024, 1, 1)) == to_us(datetime(2024, 1, 1, 8, tzinfo=ZoneInfo("Asia/Shanghai")))
    assert from_us(to_us(datetime(2024, 1, 1, 5, 30, tzinfo=UTC))) == datetime(2024, 1, 1, 5, 30, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "Europe/Berlin", "Asia/Kolkata", "America/Sao_Paulo", "Pacific/Apia", "UTC"])
def test_days_begin_where_the_wall_clock_first_shows_them(zone: str) -> None:
    days = np.arange(-25_000, 30_000, 13)
    starts = day_starts_us(days, zone)
    assert (np.diff(starts) > 0).all()
    assert (local_us(starts, zone) // DAY_US >= days).all()
    assert (local_us(starts - 1, zone) // DAY_US < days).all()
    assert [day_start_us(int(day), zone) for day in days[::50]] == starts[::50].tolist()
