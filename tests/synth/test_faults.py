"""Faults of the record: the same shop with and without them."""

from __future__ import annotations

import pandas as pd
import pytest

from featurestore.synth import EVENT_SCHEMA, TIMEZONE, Shop
from featurestore.synth.faults import SKEWED_WAREHOUSE

FAULTY = Shop(seed=8, events=4_000_000)
PERFECT = Shop(seed=8, events=4_000_000, faults=False)
CONTENT = [name for name in EVENT_SCHEMA if name != "ingested_at"]


def both(month: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    faulty, perfect = (shop.month(month).to_pandas() for shop in (FAULTY, PERFECT))
    return faulty.assign(day=perfect.event_time.dt.tz_convert(TIMEZONE).dt.day), perfect


def test_prices_are_a_hundred_times_too_high_for_three_days() -> None:
    faulty, perfect = both("2021-02")
    wrong = faulty.day.isin([2, 3, 4])
    for column in ("list_price_cents", "amount_cents", "discount_cents"):
        expected = perfect[column].where(~wrong, perfect[column] * 100)
        pd.testing.assert_series_equal(faulty[column], expected)


def test_one_warehouse_ships_eight_hours_ahead_for_two_days() -> None:
    faulty, perfect = both("2021-02")
    wrong = (faulty.event_type == "ship") & (faulty.warehouse_id == SKEWED_WAREHOUSE) & faulty.day.isin([22, 23])
    assert wrong.sum() > 10
    assert (faulty.event_time - perfect.event_time == pd.Timedelta(hours=8))[wrong].all()
    assert (faulty.event_time == perfect.event_time)[~wrong].all()
    assert (faulty.ingested_at == perfect.ingested_at).all()


def test_a_fifth_of_the_regions_is_missing_for_a_week() -> None:
    faulty, _ = both("2023-05")
    missing = faulty.region_id.isna()
    week = faulty.day.between(8, 14)
    assert missing[week].mean() == pytest.approx(0.2, abs=0.01)
    assert not missing[~week & faulty.day.notna()].any()


def test_redelivered_events_have_the_same_id_and_content_and_arrive_a_day_later() -> None:
    faulty, perfect = both("2023-05")
    again = faulty.iloc[len(perfect) :]
    assert len(again) / (perfect.event_type == "deliver").sum() == pytest.approx(0.03, rel=0.3)
    first = faulty.iloc[: len(perfect)].set_index("event_id").loc[again.event_id].reset_index()
    pd.testing.assert_frame_equal(first[CONTENT], again[CONTENT].reset_index(drop=True))
    assert (again.ingested_at.to_numpy() - first.ingested_at.to_numpy() == pd.Timedelta(days=1)).all()


def test_other_months_have_no_faults() -> None:
    assert FAULTY.month("2021-03").equals(PERFECT.month("2021-03"))


def test_the_truth_of_a_shop_without_faults_does_not_list_them() -> None:
    assert {drift.name for drift in FAULTY.truth().drifts} - {drift.name for drift in PERFECT.truth().drifts} == {
        "price_unit",
        "clock_skew",
        "region_missing",
        "redelivery",
    }
