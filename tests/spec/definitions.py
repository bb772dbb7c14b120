"""Definitions that the tests of spec/ vary."""

from __future__ import annotations

from featurestore.spec import Aggregation, Count, Derived, Entity, EventSource, FeatureView, Sum

SCHEMA = {
    "event_id": "int64",
    "event_time": "timestamp",
    "ingested_at": "timestamp",
    "ordered_at": "timestamp",
    "event_type": "string",
    "user_id": "int64",
    "sku_id": "int64",
    "category": "string",
    "amount_cents": "int64",
    "weight": "double",
    "is_gift": "bool",
    "birthday": "date",
}
USER = Entity("user", key="user_id")
BUY = "event_type = 'buy'"


def source(**changes) -> EventSource:
    arguments = {"schema": SCHEMA, "event_time": "event_time", "event_id": "event_id", "ingested_at": "ingested_at"}
    return EventSource("events", **{**arguments, **changes})


def view(name: str = "activity", *aggregations: Aggregation, **changes) -> FeatureView:
    arguments = {
        "entity": USER,
        "source": source(),
        "aggregations": aggregations
        or (Count("buys", where=BUY, windows=("30d", "lifetime")), Sum("spend", "amount_cents", windows=("30d",))),
    }
    return FeatureView(name, **{**arguments, **changes})


def with_basket(**changes) -> FeatureView:
    return view(derived=[Derived("basket", "spend_30d / nullif(buys_30d, 0)")], **changes)
