"""The three signals of operations, computed by a store and recounted from the events by pandas."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from featurestore.client import FeatureStore
from featurestore.shop import OBJECTS
from featurestore.synth import TIMEZONE, Shop

SHOP = Shop(seed=17, events=60_000, first_month="2021-07", last_month="2021-12")
AS_OF = pd.Timestamp("2021-12-20", tz=TIMEZONE)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    root: Path = tmp_path_factory.mktemp("shop")
    store = FeatureStore(root / "store", timezone=TIMEZONE)
    store.apply(OBJECTS)
    SHOP.write_landing(root / "store" / "landing" / "events")
    store.ingest("events")
    store.materialize(["region_service", "region_cutoff", "sku_returns", "sku_demand", "category_demand"])
    return store


@pytest.fixture(scope="module")
def events() -> pd.DataFrame:
    return pd.concat([SHOP.month(month).to_pandas() for month in SHOP.months])


def features(store: FeatureStore, view: str, key: str) -> pd.DataFrame:
    table = store.get_batch_features(AS_OF.to_pydatetime(), [view]).to_pandas()
    return table.set_index(key).rename(columns=lambda name: name.removeprefix(f"{view}__")).sort_index()


def within(times: pd.Series, days: int, *, delay_days: int = 0) -> pd.Series:
    right = AS_OF - timedelta(days=delay_days)
    return (times >= right - timedelta(days=days)) & (times < right)


def test_the_on_time_rate_of_a_region_is_that_of_its_deliveries(store: FeatureStore, events: pd.DataFrame) -> None:
    delivered = events[(events.event_type == "deliver") & within(events.event_time, 28)]
    expected = (delivered.event_time <= delivered.promised_at).groupby(delivered.region_id).mean()
    found = features(store, "region_service", "region_id").on_time_rate_28d.dropna()
    pd.testing.assert_series_equal(found, expected, check_names=False, check_index_type=False)


def test_the_order_profile_of_a_region_counts_its_orders_by_local_hour_of_the_week(
    store: FeatureStore, events: pd.DataFrame
) -> None:
    bought = events[(events.event_type == "buy") & within(events.event_time, 28)]
    local = bought.event_time.dt.tz_convert(TIMEZONE)
    hour = local.dt.dayofweek * 24 + local.dt.hour
    found = features(store, "region_service", "region_id").order_profile_28d
    for region, hours in hour.groupby(bought.region_id):
        expected = hours.value_counts().reindex(range(168), fill_value=0).tolist()
        assert list(found[region]) == expected


def test_the_cutoff_of_a_region_is_the_last_hour_whose_orders_arrive_as_promised(
    store: FeatureStore, events: pd.DataFrame
) -> None:
    known = events[within(events.ordered_at, 91, delay_days=28)]
    hour = known.ordered_at.dt.tz_convert(TIMEZONE).dt.hour
    on_time = (known.event_type == "deliver") & (known.event_time <= known.promised_at)
    orders = (known.event_type == "buy").groupby([known.region_id, hour]).sum()
    share = on_time.groupby([known.region_id, hour]).sum() / orders.where(orders > 0)
    reached = share[share >= 0.95].rename_axis(["region", "hour"]).reset_index(name="share").groupby("region").hour.max()
    found = features(store, "region_cutoff", "region_id").cutoff_hour.dropna()
    pd.testing.assert_series_equal(found, reached.astype(float), check_names=False, check_index_type=False)


def test_returns_of_a_sku_count_by_the_time_of_mature_orders(store: FeatureStore, events: pd.DataFrame) -> None:
    mature = events[within(events.ordered_at, 90, delay_days=45)]
    found = features(store, "sku_returns", "sku_id")
    for event_type, column in (("buy", "orders_90d"), ("return", "returns_90d")):
        expected = mature[mature.event_type == event_type].groupby("sku_id").size()
        assert found[column][found[column] > 0].to_dict() == expected.to_dict()
    assert found.returns_90d.sum() > 50
    assert (found.returns_90d <= found.orders_90d).all()


def test_the_share_of_a_sku_is_that_of_its_categorys_orders(store: FeatureStore, events: pd.DataFrame) -> None:
    bought = events[(events.event_type == "buy") & within(events.event_time, 28)]
    known = events[events.event_time < AS_OF].sort_values(["event_time", "event_id"])
    category = known.groupby("sku_id").category.last()
    orders = bought.groupby("sku_id").size().reindex(category.index, fill_value=0)
    whole = category.map(bought.groupby("category").size())
    found = features(store, "sku_in_category", "sku_id").order_share_28d
    pd.testing.assert_series_equal(found.dropna(), (orders / whole).dropna(), check_names=False, check_index_type=False)
    assert (found > 0).sum() > 50
    # SKUs stay in their category here, so the shares of a category are a whole.
    np.testing.assert_allclose(found.groupby(category).sum(min_count=1).dropna(), 1.0)


def test_a_spine_row_before_the_shop_opened_is_answered(store: FeatureStore) -> None:
    spine = pd.DataFrame({"region_id": [1], "as_of": [datetime(2020, 1, 1)]})
    (row,) = store.get_historical_features(spine, ["region_service:orders_28d", "region_cutoff:cutoff_hour"]).to_pylist()
    assert row["region_service__orders_28d"] == 0
    assert row["region_cutoff__cutoff_hour"] is None
