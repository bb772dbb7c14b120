"""Each planted change is visible in the events, with its magnitude."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from featurestore.errors import DefinitionError
from featurestore.synth import CONTROL_MONTHS, PLANTED, TIMEZONE, PlantedDrift, Shop
from featurestore.synth.drift_plan import factor, planted, region_factors
from featurestore.timeline import Month

SHOP = Shop(seed=21, events=6_000_000, faults=False)
"""Large enough for a single month to show a change; only the months asked for are drawn."""


@lru_cache(maxsize=64)
def _month(month: str) -> pa.Table:
    return SHOP.month(month).filter(pc.field("event_type") != "view")


def events(event_type: str, *months: str) -> pd.DataFrame:
    """Events of one type in some months, with local ``month``, ``day`` and ``hour``, and those of their orders."""
    rows = pd.concat([_month(month).filter(pc.field("event_type") == event_type).to_pandas() for month in months])
    local, ordered = (rows[name].dt.tz_convert(TIMEZONE) for name in ("event_time", "ordered_at"))
    columns = {"month": local.dt.strftime("%Y-%m"), "day": local.dt.day, "hour": local.dt.hour}
    return rows.assign(**columns, ordered_month=ordered.dt.strftime("%Y-%m"), ordered_day=ordered.dt.day)


def transit_hours(month: str, *, region: int | None = None, days: tuple[int, int] = (1, 20)) -> float:
    """Mean hours from ship to deliver of the orders of some days of a month."""
    shipped = events("ship", month).set_index("order_id")
    delivered = events("deliver", month).set_index("order_id")
    hours = (delivered.event_time - shipped.event_time.reindex(delivered.index)).dt.total_seconds() / 3600
    chosen = (delivered.ordered_month == month) & delivered.ordered_day.between(*days)
    return float(hours[chosen & (delivered.region_id == region) if region else chosen].mean())


def category_share(month: str, category: str) -> float:
    return float((events("buy", month).category == category).mean())


def orders_per_day(month: str, first: int, last: int) -> float:
    return events("buy", month).day.between(first, last).sum() / (last - first + 1)


def test_1_ship_hours_fall_by_the_factor_1_6_in_2018() -> None:
    shipped = {month: events("ship", month) for month in ("2017-10", "2018-04")}
    hours = {month: (rows.event_time - rows.ordered_at).dt.total_seconds().mean() for month, rows in shipped.items()}
    assert hours["2018-04"] / hours["2017-10"] == pytest.approx(1 / 1.6, rel=0.03)


def test_2_the_live_channel_grows_to_38_percent() -> None:
    shares = {month: (events("buy", month).channel == "live").mean() for month in ("2019-04", "2020-08", "2022-01")}
    assert shares["2019-04"] == 0
    assert shares["2020-08"] == pytest.approx(0.19, abs=0.03)
    assert shares["2022-01"] == pytest.approx(0.38, abs=0.03)


def test_3_covid_cuts_orders_and_delays_deliveries() -> None:
    assert orders_per_day("2020-02", 17, 23) / orders_per_day("2020-02", 25, 29) == pytest.approx(0.68, rel=0.15)
    assert transit_hours("2020-02", days=(8, 20)) / transit_hours("2020-04") == pytest.approx(2.4, rel=0.05)


def test_4_covid_lifts_fresh_food_until_june() -> None:
    others = category_share("2019-06", "FRESH") * 1.35
    assert category_share("2020-06", "FRESH") / others == pytest.approx(1.8, rel=0.25)
    assert category_share("2020-07", "FRESH") < 0.75 * category_share("2020-06", "FRESH")


def test_5_fresh_food_gains_and_clothes_lose_from_year_to_year() -> None:
    for category, yearly in (("FRESH", 1.35), ("APPAREL", 0.965)):
        grown = category_share("2025-05", category) / category_share("2019-05", category)
        assert grown == pytest.approx(yearly ** (70 / 12), rel=0.3)


@pytest.mark.parametrize(("month", "wave"), [("2019-10", 1.0), ("2021-10", 1.4)])
def test_6_the_pre_sale_wave_begins_in_2020(month: str, wave: float) -> None:
    assert orders_per_day(month, 22, 28) / orders_per_day(month, 8, 14) == pytest.approx(wave, rel=0.1)


def test_7_9_single_regions_change_alone() -> None:
    assert transit_hours("2021-07", region=9) / transit_hours("2021-04", region=9) == pytest.approx(0.6, rel=0.08)
    assert transit_hours("2022-04", region=1) / transit_hours("2021-04", region=1) == pytest.approx(3.0, rel=0.08)
    assert transit_hours("2022-04", region=2) / transit_hours("2021-04", region=2) == pytest.approx(1.0, rel=0.08)
    share = {month: (events("buy", month).region_id == 1).mean() for month in ("2022-03", "2022-04", "2022-06")}
    assert share["2022-04"] / share["2022-03"] == pytest.approx(0.59, rel=0.2)
    assert share["2022-06"] / share["2022-03"] == pytest.approx(1.0, rel=0.1)


def test_8_evenings_gain_weight() -> None:
    late = {month: (events("buy", month).hour >= 20).mean() for month in ("2022-02", "2022-03")}
    odds = {month: share / (1 - share) for month, share in late.items()}
    assert odds["2022-03"] / odds["2022-02"] == pytest.approx(1.6, rel=0.1)


def test_10_the_reopening_wave_sells_four_times_the_medicine_and_delays() -> None:
    assert category_share("2022-12", "PHARMA") / category_share("2021-12", "PHARMA") == pytest.approx(4.0, rel=0.25)
    assert transit_hours("2022-12", days=(15, 25)) / transit_hours("2023-04") == pytest.approx(1.7, rel=0.04)


def test_11_buyers_answer_more_to_discounts() -> None:
    depth = {}
    for month in ("2023-05", "2023-08"):
        buys = events("buy", month).set_index("order_id")
        coupons = events("coupon_redeem", month).set_index("order_id").discount_cents.reindex(buys.index).fillna(0)
        depth[month] = ((buys.discount_cents - coupons) / (buys.quantity * buys.list_price_cents)).mean()
    assert 1.03 < depth["2023-08"] / depth["2023-05"] < 1.2


def test_12_the_peak_of_12_december_vanishes() -> None:
    peaks = {year: orders_per_day(f"{year}-12", 12, 12) / orders_per_day(f"{year}-12", 1, 11) for year in (2022, 2023)}
    assert peaks[2022] > 2.7
    assert peaks[2023] == pytest.approx(1.09, rel=0.15)


def test_13_floods_slow_all_deliveries() -> None:
    assert transit_hours("2024-07") / transit_hours("2024-05") == pytest.approx(1.35, rel=0.03)


def test_14_orders_come_back_more_often_from_august_2024() -> None:
    returned = events("return", "2024-06", "2024-07", "2024-08", "2024-09", "2024-10").groupby("ordered_month").size()
    rate = {month: returned[month] / len(events("buy", month)) for month in ("2024-06", "2024-07", "2024-08")}
    assert rate["2024-08"] / (rate["2024-06"] + rate["2024-07"]) * 2 == pytest.approx(1.6, rel=0.15)


def test_15_the_trade_in_subsidy_lifts_electronics() -> None:
    assert category_share("2024-09", "ELECTRONICS") / category_share("2023-09", "ELECTRONICS") == pytest.approx(1.5, rel=0.12)


def test_16_ai_coupons_lift_redemption() -> None:
    rate = {month: len(events("coupon_redeem", month)) / len(events("buy", month)) for month in ("2024-12", "2025-12")}
    assert rate["2025-12"] / rate["2024-12"] == pytest.approx(1.15, rel=0.07)


def test_17_one_sku_in_a_hundred_comes_back_more_often_from_a_month_of_its_own() -> None:
    truth = SHOP.truth()
    skus = truth.skus().to_pandas()
    assert skus.incident.notna().mean() == pytest.approx(0.01, rel=0.3)
    one = skus[skus.incident.between("2018-01", "2022-01")].iloc[0]
    before, after = (truth.return_probability([one.sku_id], Month.parse(one.incident).shift(by))[0] for by in (-1, 0))
    assert after == pytest.approx(min(before * 3.7, 0.9))


def test_20_the_ring_redeems_at_night_twenty_times_as_often_as_others() -> None:
    truth, month = SHOP.truth(), "2022-06"
    ring, users = np.array(truth.ring_user_ids), truth.users().to_pandas()
    coupons, buys = events("coupon_redeem", month), events("buy", month)
    active = ((users.arrival <= month) & (users.leaving > month)).sum()
    usual = (~coupons.user_id.isin(ring)).sum() / active
    assert coupons.user_id.isin(ring).sum() / len(ring) / usual == pytest.approx(20, rel=0.2)
    ordered = buys[buys.user_id.isin(ring)]
    assert (ordered.hour < 5).mean() > 0.7
    assert set(ordered.region_id) == {planted("coupon_ring").region}
    assert events("buy", "2022-07").user_id.isin(ring).sum() < len(ordered) / 4


@pytest.mark.parametrize("month", CONTROL_MONTHS)
def test_19_nothing_is_planted_in_control_months(month: Month) -> None:
    for drift in PLANTED:
        if drift.kind == "gradual":
            assert drift.years_advanced(month) == drift.years_advanced(month.shift(-1))
        elif drift.moves != "sku_return_probability":
            assert drift.first_month != month
            assert drift.last_month is None or not drift.first_month <= month <= drift.last_month


def test_factors_multiply_what_is_in_force() -> None:
    march, april = Month(2022, 3).first_day, Month(2022, 4).first_day
    assert factor("transit_hours", april) == 1.0
    by_region = region_factors("transit_hours", [march, april])
    assert by_region[:, 1].tolist() == [1.0, 3.0]
    assert by_region[:, 9].tolist() == [0.6, 0.6]
    assert by_region[:, 2].tolist() == [1.0, 1.0]


def test_names_of_planted_drifts_are_unique_and_unknown_ones_are_refused() -> None:
    assert len({drift.name for drift in PLANTED}) == len(PLANTED)
    with pytest.raises(DefinitionError, match="Did you mean 'floods'"):
        planted("flood")


@pytest.mark.parametrize("wrong", [{"kind": "sudde"}, {"moves": "order"}, {"last": Month(2017, 1).first_day}])
def test_a_planted_drift_that_makes_no_sense_is_refused(wrong: dict) -> None:
    sound = vars(planted("floods")) | {"first": Month(2018, 1).first_day}
    with pytest.raises(DefinitionError):
        PlantedDrift(**sound | wrong)
