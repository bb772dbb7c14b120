"""Online Retail II: invoice lines of a British gift shop, sales and returns."""

from __future__ import annotations

from featurestore.mappings import read_ready
from featurestore.spec.source import EventSource

MAPPING = read_ready("online_retail_ii")
SOURCE = EventSource(
    "events",
    schema={
        "event_time": "timestamp",
        "event_type": "string",
        "order_id": "string",
        "sku_id": "string",
        "user_id": "int64",
        "country": "string",
        "quantity": "int64",
        "price_cents": "int64",
    },
    event_time="event_time",
    event_id=None,
    mapping=MAPPING,
    description="Lines of invoices, from UCI's Online Retail II.",
)
