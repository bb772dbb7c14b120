"""Olist: orders of a Brazilian marketplace, bought, paid, shipped and delivered."""

from __future__ import annotations

from featurestore.mappings import read_ready
from featurestore.spec.source import EventSource

MAPPING = read_ready("olist")
SOURCE = EventSource(
    "events",
    schema={
        "event_id": "string",
        "event_time": "timestamp",
        "event_type": "string",
        "order_id": "string",
        "item": "int32",
        "user_id": "string",
        "region_id": "string",
        "sku_id": "string",
        "seller_id": "string",
        "price_cents": "int64",
        "freight_cents": "int64",
        "promised_at": "timestamp",
    },
    event_time="event_time",
    event_id="event_id",
    mapping=MAPPING,
    description="Items of orders at each step of their way, from Olist's orders, items and customers.",
)
