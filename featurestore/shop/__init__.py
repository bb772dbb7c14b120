"""The reference definitions of an online shop: one event source, seven entities, shared views, four consumers.

user_activity, user_taste            recommendation_v1
sku_demand                           recommendation_v1, demand_v1
sku_returns:return_probability       recommendation_v1, demand_v1, routing_v1
category_demand, sku_in_category     demand_v1
sku_places                           demand_v1, routing_v1
region_service, region_cutoff        demand_v1 (the order profile), routing_v1
region_hours                         routing_v1, by the hour
warehouse_hours                      warehousing_v1, by the hour
"""

from __future__ import annotations

from featurestore.shop.assortment import sku_in_category
from featurestore.shop.categories import category_demand, seasonal_index
from featurestore.shop.events import ENTITIES, EVENT_TYPES, TIMEZONE, events
from featurestore.shop.hours import region_hours, warehouse_hours
from featurestore.shop.regions import order_cutoff, region_cutoff, region_service
from featurestore.shop.services import demand, recommendation, routing, warehousing
from featurestore.shop.skus import return_prior, sku_demand, sku_places, sku_returns
from featurestore.shop.users import taste_window, user_activity, user_taste
from featurestore.spec.document import Definition

VIEWS = (
    user_activity,
    user_taste,
    sku_demand,
    sku_returns,
    sku_places,
    category_demand,
    region_service,
    region_cutoff,
    region_hours,
    warehouse_hours,
)
JOINED_VIEWS = (sku_in_category,)
SERVICES = (recommendation, demand, routing, warehousing)
CALIBRATIONS = (return_prior, seasonal_index, order_cutoff, taste_window)
OBJECTS: tuple[Definition, ...] = (events, *ENTITIES, *VIEWS, *JOINED_VIEWS, *SERVICES, *CALIBRATIONS)
"""Everything to hand to ``FeatureStore.apply``."""

__all__ = [
    "CALIBRATIONS",
    "ENTITIES",
    "EVENT_TYPES",
    "JOINED_VIEWS",
    "OBJECTS",
    "SERVICES",
    "TIMEZONE",
    "VIEWS",
    "events",
    "return_prior",
]
