"""The shop's event log and the entities that its features are about."""

from __future__ import annotations

from featurestore.spec import Entity, EventSource

TIMEZONE = "Asia/Shanghai"
"""The shop's business time zone."""
EVENT_TYPES = ("view", "cart", "buy", "coupon_issue", "coupon_redeem", "ship", "deliver", "return")

events = EventSource(
    "events",
    schema={
        "event_id": "int64",
        "event_time": "timestamp",
        "ingested_at": "timestamp",
        "event_type": "string",
        "user_id": "int64",
        "sku_id": "int64",
        "category": "string",
        "region_id": "int64",
        "warehouse_id": "int64",
        "order_id": "int64",
        "quantity": "int64",
        "list_price_cents": "int64",
        "amount_cents": "int64",
        "discount_cents": "int64",
        "channel": "string",
        "ordered_at": "timestamp",
        "promised_at": "timestamp",
    },
    event_time="event_time",
    event_id="event_id",
    ingested_at="ingested_at",
    landing="landing/events",
    id_scope="source",
    values={"event_type": EVENT_TYPES},
    description=(
        "Behaviour and fulfilment of a shop. Each event carries category and region as of itself; those of an order carry the "
        "order's time and promise."
    ),
)

user = Entity("user", key="user_id", description="A customer's account.")
sku = Entity("sku", key="sku_id", description="An article that is sold.")
category = Entity("category", key="category", description="A category of SKUs.")
region = Entity("region", key="region_id", description="A province that orders are delivered to.")
warehouse = Entity("warehouse", key="warehouse_id", description="Where orders are picked and shipped from.")
user_category = Entity("user_category", key=("user_id", "category"), description="A user's relation to a category.")
sku_region = Entity("sku_region", key=("sku_id", "region_id"), description="A SKU's demand in a region.")
ENTITIES = (user, sku, category, region, warehouse, user_category, sku_region)
