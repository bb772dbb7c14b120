"""Two of the shop's views, its calibration and one service: enough for every asset, quick enough for tests."""

from __future__ import annotations

from featurestore.shop import TIMEZONE, events
from featurestore.shop.categories import category_demand
from featurestore.shop.skus import return_prior, sku_returns
from featurestore.spec import Calibration, FeatureService

__all__ = ["OBJECTS", "TIMEZONE"]

planning = FeatureService("planning_v1", features=[category_demand, "sku_returns:return_probability"], owner="planning")
prior = Calibration(
    return_prior.name,
    fit=return_prior.fit,
    inputs=return_prior.inputs,
    by=return_prior.by,
    loss=return_prior.loss,
    consumers=[planning],
)
OBJECTS = [events, category_demand, sku_returns, planning, prior]
