"""REES46: the log of a multi-category shop or a cosmetics shop, a file a month."""

from __future__ import annotations

from featurestore.mappings import read_ready
from featurestore.spec.source import EventSource

MAPPING = read_ready("rees46")
SOURCE = EventSource(
    "events",
    schema={
        "event_time": "timestamp",
        "event_type": "string",
        "user_id": "int64",
        "session_id": "string",
        "sku_id": "int64",
        "category_id": "int64",
        "category": "string",
        "brand": "string",
        "price_cents": "int64",
    },
    event_time="event_time",
    event_id=None,
    values={"event_type": ("view", "cart", "uncart", "buy")},
    mapping=MAPPING,
    description="Views, carts and purchases, from REES46's monthly files.",
)
