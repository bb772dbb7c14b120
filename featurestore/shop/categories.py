"""What categories sell, through which channel and at what discount, and what they will sell in their festival months."""

from __future__ import annotations

from featurestore.shop.events import category, events
from featurestore.spec import Calibration, Count, Derived, FeatureView, Last, Sum

FESTIVAL_DAYS = {"double11": 30, "mid_year": 30, "spring_festival": 30}
"""Festival months with a forecast, and their days (a Spring Festival month has 28 to 31)."""

category_demand = FeatureView(
    "category_demand",
    entity=category,
    source=events,
    aggregations=[
        Count("orders", where="event_type = 'buy'", windows=("28d", "364d")),
        Count("live_orders", where="event_type = 'buy' AND channel = 'live'", windows=("28d",)),
        Count("coupons", where="event_type = 'coupon_redeem'", windows=("28d",)),
        Sum("paid_cents", "amount_cents", where="event_type = 'buy'", windows=("28d",)),
        Sum("discount_cents", "discount_cents", where="event_type = 'buy'", windows=("28d",)),
        Last("name", "category", where="event_type = 'buy'"),
    ],
    derived=[
        Derived("season_28d", "13 * orders_28d / nullif(orders_364d, 0)"),
        Derived("live_share_28d", "live_orders_28d / nullif(orders_28d, 0)"),
        Derived("coupon_share_28d", "coupons_28d / nullif(orders_28d, 0)"),
        Derived("discount_share_28d", "discount_cents_28d / nullif(paid_cents_28d + discount_cents_28d, 0)"),
        *(
            Derived(f"{festival}_orders", f"orders_364d / 364.0 * {days} * calibrated('seasonal_index.{festival}', by = name)")
            for festival, days in FESTIVAL_DAYS.items()
        ),
    ],
    owner="demand",
    description=(
        "Orders of a category against its own year, and what they took: live streams, coupons, discounts; and the orders of a "
        "festival month if it came now."
    ),
)

seasonal_index = Calibration(
    "seasonal_index",
    fit="seasonal_index",
    inputs=["category_demand:orders_364d"],
    by="category_demand:name",
    loss="poisson_deviance",
    consumers=["demand_v1"],
    description="What a month of each season sells in a category, as a multiple of the mean month of the year before.",
)
