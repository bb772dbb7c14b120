from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from featurestore.errors import DefinitionError
from featurestore.synth import Shop
from featurestore.timeline import Month

SHOP = Shop(seed=31, events=200_000, first_month="2024-01", last_month="2024-12")


@pytest.fixture(scope="module")
def events() -> pd.DataFrame:
    return pd.concat([SHOP.month(month).to_pandas().assign(month=str(month)) for month in SHOP.months])


def test_orders_come_back_as_often_as_the_true_probabilities_say(events: pd.DataFrame) -> None:
    truth = SHOP.truth()
    buys = events[(events.event_type == "buy") & (events.month <= "2024-10")]
    returned = buys.order_id.isin(events[events.event_type == "return"].order_id)
    chance = np.concatenate([truth.return_probability(group.sku_id, month) for month, group in buys.groupby("month")])
    for low, high in ((0.0, 0.02), (0.02, 0.06), (0.06, 0.15), (0.15, 0.9)):
        band = (chance >= low) & (chance < high)
        spread = np.sqrt((chance[band] * (1 - chance[band])).sum()) / band.sum()
        assert abs(returned.to_numpy()[band].mean() - chance[band].mean()) < 4 * spread


def test_users_appear_only_between_arrival_and_leaving(events: pd.DataFrame) -> None:
    users = SHOP.truth().users().to_pandas()
    seen = events[~events.event_type.isin(["ship", "deliver", "return"])].merge(users, on="user_id")
    assert len(seen) == (~events.event_type.isin(["ship", "deliver", "return"])).sum()
    assert (seen.arrival <= seen.month).all()
    assert (seen.month < seen.leaving).all()
    assert (seen.region_id_x == seen.region_id_y).all()


def test_skus_are_bought_only_after_their_launch_and_in_their_category(events: pd.DataFrame) -> None:
    seen = events[events.event_type == "buy"].merge(SHOP.truth().skus().to_pandas(), on="sku_id")
    assert len(seen) == (events.event_type == "buy").sum()
    assert (seen.launch <= seen.month).all()
    assert (seen.category_x == seen.category_y).all()


def test_sensitive_users_redeem_more_coupons(events: pd.DataFrame) -> None:
    users = SHOP.truth().users().to_pandas().set_index("user_id")
    buys = events[events.event_type == "buy"]
    redeemed = buys.order_id.isin(events[events.event_type == "coupon_redeem"].order_id)
    sensitive = users.sensitivity[buys.user_id].to_numpy() > 0.5
    assert redeemed[sensitive].mean() > redeemed[~sensitive].mean() + 0.05


def test_the_number_of_active_users_follows_the_growth_of_the_shop() -> None:
    users = Shop(seed=6, events=3_000_000).truth().users().to_pandas()
    active = [((users.arrival <= month) & (users.leaving > month)).sum() for month in ("2016-01", "2021-01", "2025-12")]
    assert active[1] / active[0] == pytest.approx(2.4, rel=0.1)
    assert active[2] / active[0] == pytest.approx(2.75, rel=0.1)


def test_later_users_live_more_often_in_small_cities() -> None:
    users = Shop(seed=6, events=3_000_000).truth().users().to_pandas()
    small = users.region_id >= 17
    assert small[users.arrival >= "2023-01"].mean() > small[users.arrival < "2017-01"].mean() + 0.05


def test_drifts_are_listed_by_the_month_in_which_they_start() -> None:
    starting = {drift.name: drift.first_month for drift in SHOP.truth().drifts}
    assert [name for name, month in starting.items() if month == Month(2024, 8)] == ["refund_only"]
    assert Month(2024, 3) not in starting.values()
    assert "covid_orders" not in starting


@pytest.mark.parametrize("sku_id", [0, 10**9])
def test_an_unknown_sku_has_no_true_probability(sku_id: int) -> None:
    with pytest.raises(DefinitionError, match=f"no SKU {sku_id}; its sku_ids run from 1 to"):
        SHOP.truth().return_probability([1, sku_id], "2024-05")
