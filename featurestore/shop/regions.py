"""When regions order, and whether what they order arrives as promised."""

from __future__ import annotations

from featurestore.shop.events import events, region
from featurestore.spec import Calibration, Count, Derived, FeatureView, Last, Outcome, Profile

OWNER = "fulfilment"
DELIVERED_AFTER = "28d"
"""Length after an order by which it counts as late if it is not delivered."""
PROMISE_LEVEL = 0.95
_ON_TIME = "event_type = 'deliver' AND event_time <= promised_at"

region_service = FeatureView(
    "region_service",
    entity=region,
    source=events,
    aggregations=[
        Count("orders", where="event_type = 'buy'", windows=("28d",)),
        Profile("order_profile", by="hour_of_week", where="event_type = 'buy'", windows=("28d", "182d")),
        Count("shipments", where="event_type = 'ship'", windows=("28d",)),
        Count("fast_shipments", where="event_type = 'ship' AND event_time <= ordered_at + INTERVAL 8 HOUR", windows=("28d",)),
        Count("deliveries", where="event_type = 'deliver'", windows=("28d",)),
        Count("on_time_deliveries", where=_ON_TIME, windows=("28d",)),
    ],
    derived=[
        Derived("fast_ship_rate_28d", "fast_shipments_28d / nullif(shipments_28d, 0)"),
        Derived(
            "on_time_rate_28d",
            "on_time_deliveries_28d / nullif(deliveries_28d, 0)",
            outcome=Outcome("on_time_deliveries_28d", trials="deliveries_28d"),
        ),
    ],
    owner=OWNER,
    description=(
        "Orders of a region by hour of the week (26 weeks: divide by 26 for the expected orders of an hour), and the shares "
        "shipped within eight hours and delivered as promised."
    ),
)

region_cutoff = FeatureView(
    "region_cutoff",
    entity=region,
    source=events,
    event_time="ordered_at",
    delay=DELIVERED_AFTER,
    aggregations=[
        Profile("orders", by="hour_of_day", where="event_type = 'buy'", windows=("91d",)),
        Profile("on_time", by="hour_of_day", where=_ON_TIME, windows=("91d",)),
        Last("region", "region_id", where="event_type = 'buy'"),
    ],
    derived=[
        Derived("on_time_share_91d", "profile_sum(on_time_91d) / nullif(profile_sum(orders_91d), 0)"),
        Derived("cutoff_hour", f"last_bucket_at_least(on_time_91d, orders_91d, {PROMISE_LEVEL})"),
        Derived("promised_cutoff_hour", "calibrated('order_cutoff.hour', by = region)"),
    ],
    owner=OWNER,
    description=(
        "The latest hour of the day in which at least 95 % of a region's orders arrived as promised, undelivered ones counted "
        "as late, NULL when no hour did; and the cutoff that was fitted, back-tested and promised (-1: none)."
    ),
)

order_cutoff = Calibration(
    "order_cutoff",
    fit="order_cutoff",
    inputs=["region_cutoff:orders_91d", "region_cutoff:on_time_91d"],
    by="region_cutoff:region",
    loss="pinball",
    consumers=["routing_v1"],
    description="The last hour of the day whose orders still get the promise of that day: 95 % of them arrive as promised.",
)
