"""Two of the shop's views, their calibrations and one service: enough for every asset, quick enough for tests."""

from __future__ import annotations

from featurestore.shop import TIMEZONE, events
from featurestore.shop.categories import category_demand, seasonal_index
from featurestore.shop.skus import return_prior, sku_returns
from featurestore.spec import Calibration, FeatureService

__all__ = ["OBJECTS", "TIMEZONE"]

planning = FeatureService("planning_v1", features=[category_demand, "sku_returns:return_probability"], owner="planning")
calibrations = [
    Calibration(each.name, fit=each.fit, inputs=each.inputs, by=each.by, loss=each.loss, consumers=[planning])
    for each in (return_prior, seasonal_index)
]
OBJECTS = [events, category_demand, sku_returns, planning, *calibrations]
