"""RetailRocket: views, carts and transactions of visitors; and what is known of items, as changes."""

from __future__ import annotations

from featurestore.mappings import read_ready
from featurestore.spec.source import EventSource

MAPPING = read_ready("retailrocket")
SOURCE = EventSource(
    "events",
    schema={
        "event_time": "timestamp",
        "event_type": "string",
        "user_id": "int64",
        "sku_id": "int64",
        "order_id": "int64",
    },
    event_time="event_time",
    event_id=None,
    values={"event_type": ("view", "cart", "buy")},
    mapping=MAPPING,
    description="What visitors did, from RetailRocket's events.csv.",
)

PROPERTIES_MAPPING = read_ready("retailrocket_properties")
PROPERTIES = EventSource(
    "item_properties",
    schema={
        "event_id": "string",
        "event_time": "timestamp",
        "event_type": "string",
        "sku_id": "int64",
        "value": "string",
    },
    event_time="event_time",
    event_id="event_id",
    mapping=PROPERTIES_MAPPING,
    description="Categories and availability of items as they changed; Last of it is what held at a time.",
)
