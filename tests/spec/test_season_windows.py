"""Declared windows: what they hold, their JSON form, and what is refused at definition time."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from featurestore.calendar import SEASONS
from featurestore.errors import DefinitionError
from featurestore.spec import Count, Distinct, SeasonWindow, YearBefore
from featurestore.spec.aggregations import aggregation_document, aggregation_from
from featurestore.timeline import GRAINS, Clock, Offset, from_us, to_us
from tests.spec.definitions import view

SHAPES = (
    "30d",
    "lifetime",
    "ytd",
    "mtd",
    Offset("30d", by="1y"),
    Offset("ytd", by="1y"),
    SeasonWindow("618", years=2),
    YearBefore("30d"),
)


def months_of(window: SeasonWindow, day: str, *, delay: int = 0) -> list[str]:
    """The months that a season window holds at the first instant of a day, as ``first:first behind``."""
    clock = Clock("1d", "UTC")
    as_of = to_us(datetime.fromisoformat(day).replace(tzinfo=timezone.utc))
    found = []
    for piece in clock.window(np.array([as_of]), window, delay=delay):
        edges = [clock.start_us(int(edge.steps[0])) for edge in (piece.left, piece.right) if edge]
        if edges[0] < edges[1]:
            found.append(":".join(f"{from_us(edge):%Y-%m-%d}" for edge in edges))
    return found


def test_a_season_counts_from_the_first_step_behind_its_month() -> None:
    window = SeasonWindow("double11", years=2)
    assert months_of(window, "2023-11-30") == ["2022-11-01:2022-12-01", "2021-11-01:2021-12-01"]
    assert months_of(window, "2023-12-01") == ["2023-11-01:2023-12-01", "2022-11-01:2022-12-01"]
    assert months_of(window, "2023-12-07", delay=7) == months_of(window, "2023-11-30")
    assert months_of(window, "2023-12-08", delay=7) == months_of(window, "2023-12-01")


def test_the_spring_festival_is_the_month_that_holds_its_first_day() -> None:
    assert months_of(SeasonWindow("spring_festival", years=3), "2024-12-01") == [
        "2024-02-01:2024-03-01",
        "2023-01-01:2023-02-01",
        "2022-02-01:2022-03-01",
    ]
    assert months_of(SeasonWindow("before_spring_festival", years=2), "2024-02-01") == [
        "2024-01-01:2024-02-01",
        "2022-12-01:2023-01-01",
    ]


def test_there_are_fewer_occurrences_where_the_calendar_has_fewer() -> None:
    assert months_of(SeasonWindow("618", years=3), "1901-07-01") == ["1901-06-01:1901-07-01", "1900-06-01:1900-07-01"]
    assert months_of(SeasonWindow("618", years=3), "1899-01-01") == []


@pytest.mark.parametrize("grain", GRAINS)
@pytest.mark.parametrize("season", SEASONS[1:])
def test_occurrences_lie_about_a_year_apart_and_do_not_overlap(season: str, grain: str) -> None:
    clock = Clock(grain, "Asia/Kolkata")
    as_of = np.array([to_us(datetime(2030, 5, 17))])
    edges = [
        clock.start_us(int(edge.steps[0]))
        for piece in SeasonWindow(season, years=20).pieces(clock, clock.floor(as_of), 0)
        for edge in (piece.right, piece.left)
        if edge
    ]
    assert edges == sorted(edges, reverse=True)
    days = np.diff(edges[::2]) / -86_400e6
    assert days.min() > 330
    assert days.max() < 400


def hours_of(window: YearBefore, as_of: str, *, delay: int = 0, zone: str = "Asia/Shanghai") -> str:
    """The first and the last hour that a window holds, on the clock of a zone."""
    clock = Clock("1h", zone)
    instant = to_us(datetime.fromisoformat(as_of).replace(tzinfo=ZoneInfo(zone)))
    (piece,) = clock.window(np.array([instant]), window, delay=delay)
    assert piece.left
    edges = [clock.start_us(int(steps[0])) for steps in (piece.left.steps, piece.right.steps)]
    return " to ".join(f"{from_us(edge).astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}" for edge in edges)


def test_a_year_before_holds_the_same_hours_of_the_festivals_day() -> None:
    assert hours_of(YearBefore("2h"), "2024-11-11T10:30") == "2023-11-11 08:00 to 2023-11-11 10:00"
    # The day of the last hour decides: at midnight it is the day that has ended.
    assert hours_of(YearBefore("24h"), "2024-11-12T00:00") == "2023-11-11 00:00 to 2023-11-12 00:00"
    assert hours_of(YearBefore("24h"), "2024-02-10T00:00") == "2023-01-21 00:00 to 2023-01-22 00:00"
    assert hours_of(YearBefore("24h"), "2024-03-01T00:00") == "2023-02-28 00:00 to 2023-03-01 00:00"
    assert hours_of(YearBefore("2h"), "2024-11-12T10:30", delay=24) == "2023-11-11 08:00 to 2023-11-11 10:00"
    # Clocks changed on 31 March 2024 and on 26 March 2023: the day after each is compared hour by hour.
    assert hours_of(YearBefore("2h"), "2024-04-01T10:00", zone="Europe/Berlin") == "2023-04-01 08:00 to 2023-04-01 10:00"
    assert hours_of(YearBefore("2h"), "2024-03-27T10:00", zone="Europe/Berlin") == "2023-03-27 08:00 to 2023-03-27 10:00"


def test_a_year_before_knows_how_far_it_looks_back_at_most() -> None:
    assert (YearBefore("24h").length_hours, YearBefore("24h").look_back_hours) == (24, 24 + 385 * 24)
    assert YearBefore("lifetime").look_back_hours is None


def test_windows_survive_their_json_form() -> None:
    declared = Count("n", windows=SHAPES)
    text = json.dumps(aggregation_document(declared))
    assert aggregation_from(json.loads(text)) == declared
    assert [name for name, _ in declared.outputs()] == [
        "n_30d",
        "n_lifetime",
        "n_ytd",
        "n_mtd",
        "n_30d_offset_1y",
        "n_ytd_offset_1y",
        "n_618_2y",
        "n_30d_year_before",
    ]


def test_what_is_no_season_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(DefinitionError, match="Did you mean 'double11'"):
        SeasonWindow("double_11", years=3)
    with pytest.raises(DefinitionError, match="no season that returns"):
        SeasonWindow("ordinary", years=3)
    for years in (0, 101, 1.5, True, "3"):
        with pytest.raises(DefinitionError, match="from 1 to 100"):
            SeasonWindow("618", years=years)  # type: ignore[arg-type]


def test_windows_that_the_grain_or_the_aggregation_cannot_take_are_refused() -> None:
    with pytest.raises(DefinitionError, match="grain='1h'"):
        view("activity", Count("n", windows=(Offset("1h", by="1y"),)))
    with pytest.raises(DefinitionError, match="grain='1h'"):
        view("activity", Count("n", windows=(Offset("1d", by="36h"),)))
    with pytest.raises(DefinitionError, match=r"write windows=\(Offset"):
        Count("n", windows=Offset("30d", by="1y"))  # type: ignore[arg-type]
    with pytest.raises(DefinitionError, match="repeat"):
        Count("n", windows=(Offset("30d", by="1y"), Offset("30d", by="1y")))
    with pytest.raises(DefinitionError, match="'ytd'"):
        Count("n", windows=("qtd",))
    with pytest.raises(DefinitionError, match="grain='1h'"):
        view("activity", Count("n", windows=(YearBefore("2h"),)))
    with pytest.raises(DefinitionError, match="not a window"):
        YearBefore("2 hours")
    with pytest.raises(DefinitionError, match=r"YearBefore takes a length.*Offset"):
        YearBefore(Offset("2h", by="1y"))  # type: ignore[arg-type]
    with pytest.raises(DefinitionError, match="one length"):
        Distinct("n", "category", windows=(YearBefore("ytd"),))
