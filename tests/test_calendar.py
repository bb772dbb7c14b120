"""The retail calendar, against dates that everybody can look up."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from featurestore.calendar import (
    AFTER_SPRING_FESTIVAL,
    BEFORE_SPRING_FESTIVAL,
    DOUBLE_11,
    MID_YEAR,
    ORDINARY,
    SEASONS,
    SPRING_FESTIVAL,
    Season,
    days_to_spring_festival,
    retail_season,
    spring_festival,
    year_before,
)
from featurestore.errors import DefinitionError
from featurestore.timeline import Month, months_between

FESTIVALS = {
    2015: (2, 19), 2016: (2, 8), 2017: (1, 28), 2018: (2, 16), 2019: (2, 5), 2020: (1, 25), 2021: (2, 12), 2022: (2, 1),
    2023: (1, 22), 2024: (2, 10), 2025: (1, 29), 2026: (2, 17), 2033: (1, 31), 2034: (2, 19),
}  # fmt: skip


def test_spring_festival_falls_on_the_published_dates() -> None:
    assert {year: spring_festival(year) for year in FESTIVALS} == {year: date(year, *day) for year, day in FESTIVALS.items()}


def test_every_month_has_one_season_and_every_year_one_festival_with_its_neighbours() -> None:
    for year in range(2016, 2027):
        labels = [retail_season(month).label for month in months_between(Month(year - 1, 12), Month(year, 11))]
        festival = FESTIVALS[year][0]
        assert labels[festival - 1 : festival + 2] == [BEFORE_SPRING_FESTIVAL, SPRING_FESTIVAL, AFTER_SPRING_FESTIVAL]
        assert (labels[6], labels[11]) == (MID_YEAR, DOUBLE_11)
        assert labels.count(ORDINARY) == len(labels) - 5
        assert set(labels) <= set(SEASONS)


def test_days_to_the_festival_count_to_the_nearest_one_and_are_negative_behind_it() -> None:
    assert [days_to_spring_festival(day) for day in (date(2024, 2, 10), date(2024, 2, 9), date(2024, 2, 11))] == [0, 1, -1]
    assert days_to_spring_festival(date(2024, 12, 31)) == 29
    assert days_to_spring_festival(date(2024, 7, 1)) == -142


def test_a_season_is_a_value_that_knows_whether_it_is_festive() -> None:
    assert retail_season("2024-11") == retail_season(date(2024, 11, 11)) == Season(DOUBLE_11)
    assert Season(DOUBLE_11).is_festival
    assert not retail_season("2024-08").is_festival


def test_a_month_whose_lunar_year_is_unknown_is_refused_with_the_range() -> None:
    with pytest.raises(DefinitionError, match="1900 to 2099"):
        retail_season("2150-01")


def before(*days: date) -> list[date]:
    return year_before(np.array(days, "datetime64[D]").astype(np.int64)).astype("datetime64[D]").tolist()


def test_a_day_near_the_spring_festival_is_compared_by_its_distance_from_it_and_any_other_by_its_date() -> None:
    eve, first, lanterns = date(2024, 2, 9), date(2024, 2, 10), date(2024, 2, 24)
    assert before(eve, first, lanterns) == [date(2023, 1, 21), date(2023, 1, 22), date(2023, 2, 5)]
    assert before(first - timedelta(days=39), first - timedelta(days=40)) == [date(2022, 12, 14), date(2023, 1, 1)]
    assert before(first + timedelta(days=16), first + timedelta(days=17)) == [date(2023, 2, 7), date(2023, 2, 27)]
    assert before(date(2024, 11, 11), date(2024, 2, 29), date(2024, 3, 1)) == [
        date(2023, 11, 11),
        date(2023, 2, 28),
        date(2023, 3, 1),
    ]


def test_festivals_are_compared_with_themselves_and_no_ordinary_day_with_the_weeks_around_a_spring_festival() -> None:
    for year in range(2001, 2050):
        fixed = [date(year, month, day) for month, day in ((3, 8), (6, 18), (11, 11), (12, 12))]
        assert before(*fixed) == [day.replace(year=year - 1) for day in fixed]
        for day in (date(year, 1, 1) + timedelta(days=i) for i in range(365)):
            ahead = days_to_spring_festival(day)
            if -6 <= ahead <= 18:
                assert days_to_spring_festival(before(day)[0]) == ahead
            elif not -16 <= ahead <= 39:
                assert not -4 <= days_to_spring_festival(before(day)[0]) <= 18, day


def test_the_year_before_lies_353_to_385_days_back_whatever_the_day() -> None:
    days = np.arange(np.datetime64("1890-01-01"), np.datetime64("2110-01-01")).astype(np.int64)
    back = days - year_before(days)
    assert (back.min(), back.max()) == (353, 385)
