"""The tiny shop two years on: its events have a new column, which one view reads, and a warehouse's number became a double."""

from __future__ import annotations

from dataclasses import fields

from featurestore.spec import Count, EventSource, FeatureView, Last, Registry
from tests.pipelines import tiny_shop
from tests.pipelines.tiny_shop import TIMEZONE

__all__ = ["EVENTS", "OBJECTS", "TIMEZONE"]

_BEFORE = {field.name: getattr(tiny_shop.events, field.name) for field in fields(EventSource) if field.name != "earlier"}
_SCHEMA = {**tiny_shop.events.types, "warehouse_id": "double", "coupon": "string"}
EVENTS = EventSource(**{**_BEFORE, "schema": _SCHEMA, "values": dict(_BEFORE["values"])})
_RETURNS = next(each for each in tiny_shop.OBJECTS if isinstance(each, FeatureView) and each.name == "sku_returns")
_GAINED = [Last("coupon", "coupon"), Count("coupons", where="coupon IS NOT NULL", windows=("90d",))]
_RETURNS_NOW = FeatureView(
    "sku_returns",
    **{
        **{field.name: getattr(_RETURNS, field.name) for field in fields(FeatureView) if field.name != "name"},
        "source": EVENTS,
        "aggregations": [*_RETURNS.aggregations, *_GAINED],
        "join_keys": dict(_RETURNS.join_keys),
        "tags": dict(_RETURNS.tags),
    },
)
_REGISTRY = Registry().merged(tiny_shop.OBJECTS).merged([EVENTS, _RETURNS_NOW], first={})
OBJECTS = [
    *_REGISTRY.sources.values(),
    *_REGISTRY.views.values(),
    *_REGISTRY.services.values(),
    *_REGISTRY.calibrations.values(),
]
