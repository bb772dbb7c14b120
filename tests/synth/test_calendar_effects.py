from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from featurestore.calendar import spring_festival
from featurestore.synth.categories import CATEGORIES, opening_shares, shares
from featurestore.synth.chance import Stream, generator, inverse_cdf
from featurestore.synth.seasonality import PEAK, SHOULDER, congestion, growth, hour_weights, offers, season
from featurestore.timeline import Month


@pytest.mark.parametrize("year", [2017, 2020, 2024])
def test_spring_festival_moves_with_the_lunar_year(year: int) -> None:
    first = spring_festival(year)
    weekday = season(date(year, 4, 1) + timedelta(days=(first.weekday() - date(year, 4, 1).weekday()) % 7))
    assert season(first) == pytest.approx(0.42 * weekday)
    assert season(first - timedelta(days=7)) == pytest.approx(1.35 * weekday)
    assert season(first + timedelta(days=14)) == pytest.approx(weekday)


def test_double_11_loses_its_peak_over_the_years() -> None:
    peaks = [season(date(year, 11, 11)) for year in range(2016, 2026)]
    assert 9 < peaks[0] < 10
    assert 4.2 < peaks[-1] < 5
    assert offers(date(2024, 11, 11)) == PEAK
    assert offers(date(2024, 11, 5)) == SHOULDER


def test_double_11_starts_at_midnight() -> None:
    festival, ordinary = hour_weights(date(2021, 11, 11)), hour_weights(date(2021, 11, 9))
    assert festival[0] / festival.sum() > 3 * ordinary[0] / ordinary.sum()


def test_crowded_days_are_less_congested_each_year() -> None:
    slow = [congestion(date(year, 11, 11)) for year in (2016, 2020, 2025)]
    assert slow[0] > slow[1] > slow[2] > 1.0


def test_the_shop_gains_28_points_a_year_and_later_7() -> None:
    assert growth(5.0) - growth(4.0) == pytest.approx(0.28)
    assert growth(9.0) - growth(8.0) == pytest.approx(0.07)


@pytest.mark.parametrize("month", [Month(2016, 1), Month(2020, 3), Month(2022, 12), Month(2025, 12)])
def test_shares_of_categories_add_up(month: Month) -> None:
    assert shares(month).sum() == pytest.approx(1.0)
    assert (shares(month) > 0).all()


def test_a_planted_share_is_reached_exactly() -> None:
    fresh = CATEGORIES.index("FRESH")
    calm = shares(Month(2017, 7))[fresh]
    assert shares(Month(2019, 7))[fresh] == pytest.approx(calm * 1.35 ** (19 / 12))
    assert opening_shares()[fresh] == pytest.approx(0.012)


def test_a_table_gives_each_outcome_its_share() -> None:
    weights = generator(1, Stream.USERS).random((3, 50))
    table = inverse_cdf(weights, size=4096)
    counts = np.stack([np.bincount(row, minlength=50) for row in table])
    assert np.abs(counts / 4096 - weights / weights.sum(axis=1, keepdims=True)).max() <= 1 / 4096
