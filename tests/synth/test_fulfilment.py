"""Orders and what becomes of them, followed over the months by order_id."""

from __future__ import annotations

import pandas as pd
import pytest

from featurestore.synth import TIMEZONE, Shop

SHOP = Shop(seed=5, events=80_000, first_month="2019-11", last_month="2020-06", faults=False)
CARRIED = ["user_id", "sku_id", "category", "region_id", "warehouse_id", "quantity", "channel", "ordered_at", "promised_at"]


@pytest.fixture(scope="module")
def events() -> dict[str, pd.DataFrame]:
    everything = pd.concat([SHOP.month(month).to_pandas() for month in SHOP.months])
    return dict(list(everything.groupby("event_type")))


def finished(buys: pd.DataFrame) -> pd.DataFrame:
    """Leave out orders whose events may lie beyond the shop's last month."""
    return buys[buys.ordered_at < pd.Timestamp("2020-05-01", tz=TIMEZONE)]


@pytest.mark.parametrize("step", ["ship", "deliver"])
def test_each_order_is_shipped_and_delivered_exactly_once_over_the_months(events, step: str) -> None:
    orders = finished(events["buy"]).order_id
    assert orders.is_unique
    assert set(orders) <= set(events[step].order_id)
    assert events[step].order_id.is_unique
    assert set(events[step].order_id) <= set(events["buy"].order_id)


def test_deliveries_spill_into_later_months(events) -> None:
    months = events["deliver"].event_time.dt.tz_convert(TIMEZONE).dt.strftime("%Y%m").astype("int64")
    later = months - events["deliver"].order_id // 10**9
    assert (later > 0).any()
    assert (later == 0).any()


@pytest.mark.parametrize("step", ["ship", "deliver", "return"])
def test_later_events_carry_what_their_order_was(events, step: str) -> None:
    joined = events[step].merge(events["buy"], on="order_id", suffixes=("", "_of_order"))
    assert len(joined) == len(events[step])
    for column in CARRIED:
        assert (joined[column] == joined[f"{column}_of_order"]).all(), column


def test_an_order_is_shipped_before_it_is_delivered_and_returned_within_forty_days(events) -> None:
    steps = events["buy"].set_index("order_id")[["event_time"]].rename(columns={"event_time": "buy"})
    for step in ("ship", "deliver", "return"):
        steps[step] = events[step].set_index("order_id").event_time
    shipped = steps.dropna(subset=["ship"])
    assert (shipped.buy <= shipped.ship).all()
    both = steps.dropna(subset=["ship", "deliver"])
    assert (both.ship < both.deliver).all()
    returned = steps.dropna(subset=["deliver", "return"])
    assert len(returned) > 50
    assert (returned.deliver < returned["return"]).all()
    assert (returned["return"] - returned.buy < pd.Timedelta(days=40)).all()


def test_a_return_refunds_what_was_paid(events) -> None:
    joined = events["return"].merge(events["buy"], on="order_id", suffixes=("", "_of_order"))
    assert (joined.amount_cents == joined.amount_cents_of_order).all()


def test_a_coupon_is_redeemed_with_its_order_and_is_part_of_the_discount(events) -> None:
    joined = events["coupon_redeem"].merge(events["buy"], on="order_id", suffixes=("", "_of_order"))
    assert len(joined) == len(events["coupon_redeem"])
    assert (joined.event_time == joined.event_time_of_order).all()
    assert (joined.discount_cents <= joined.discount_cents_of_order).all()


def test_every_order_has_a_view_of_its_sku_by_its_user_in_the_half_hour_before(events) -> None:
    buys = events["buy"].sort_values("event_time")
    views = events["view"].sort_values("event_time")[["event_time", "user_id", "sku_id"]].assign(viewed=lambda t: t.event_time)
    found = pd.merge_asof(buys, views, on="event_time", by=["user_id", "sku_id"], tolerance=pd.Timedelta(minutes=31))
    assert found.viewed.notna().all()


def test_late_orders_are_kept_less_often_than_early_ones(events) -> None:
    ordinary = events["deliver"][events["deliver"].ordered_at >= pd.Timestamp("2020-03-15", tz=TIMEZONE)]
    hour = ordinary.ordered_at.dt.tz_convert(TIMEZONE).dt.hour
    on_time = ordinary.event_time <= ordinary.promised_at
    assert on_time[hour < 12].mean() > 0.97
    assert on_time[hour < 12].mean() > on_time[(hour >= 14) & (hour < 20)].mean() + 0.02
