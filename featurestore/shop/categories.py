"""What categories sell, through which channel and at what discount."""

from __future__ import annotations

from featurestore.shop.events import category, events
from featurestore.spec import Count, Derived, FeatureView, Sum

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
    ],
    derived=[
        Derived("season_28d", "13 * orders_28d / nullif(orders_364d, 0)"),
        Derived("live_share_28d", "live_orders_28d / nullif(orders_28d, 0)"),
        Derived("coupon_share_28d", "coupons_28d / nullif(orders_28d, 0)"),
        Derived("discount_share_28d", "discount_cents_28d / nullif(paid_cents_28d + discount_cents_28d, 0)"),
    ],
    owner="demand",
    description="Orders of a category against its own year, and what they took: live streams, coupons, discounts.",
)
