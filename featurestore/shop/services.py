"""What the shop's consumers read. Views are shared: a feature that several read is one column, computed once."""

from __future__ import annotations

from featurestore.shop.assortment import sku_in_category
from featurestore.shop.categories import category_demand
from featurestore.shop.hours import region_hours, warehouse_hours
from featurestore.shop.regions import region_cutoff, region_service
from featurestore.shop.skus import sku_demand, sku_places
from featurestore.shop.users import user_activity, user_taste
from featurestore.spec import FeatureService

RETURN_PROBABILITY = "sku_returns:return_probability"

recommendation = FeatureService(
    "recommendation_v1",
    features=[user_activity, user_taste, sku_demand, RETURN_PROBABILITY],
    owner="recommendations",
    description="Ranks SKUs for a user: spine of user_id, sku_id and category.",
)
demand = FeatureService(
    "demand_v1",
    features=[
        sku_demand,
        category_demand,
        sku_in_category,
        sku_places,
        "region_service:order_profile_182d",
        RETURN_PROBABILITY,
    ],
    owner="demand",
    description="Plans stock by SKU and region: spine of sku_id, category and region_id.",
)
routing = FeatureService(
    "routing_v1",
    features=[region_service, region_cutoff, region_hours, sku_places, RETURN_PROBABILITY],
    owner="fulfilment",
    description="Chooses warehouses, promises and cutoffs: spine of sku_id and region_id.",
)
warehousing = FeatureService(
    "warehousing_v1",
    features=[warehouse_hours],
    owner="fulfilment",
    description="Plans shifts and waves, every two hours of a peak day: spine of warehouse_id.",
)
