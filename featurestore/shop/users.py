"""What users do, at all and in each category: lifecycle, value, taste."""

from __future__ import annotations

from featurestore.shop.events import events, user, user_category
from featurestore.spec import Count, Derived, FeatureView, Recency, Sum

OWNER = "growth"

user_activity = FeatureView(
    "user_activity",
    entity=user,
    source=events,
    aggregations=[
        Count("buys", where="event_type = 'buy'", windows=("30d", "1y", "10y")),
        Sum("spend_cents", "amount_cents", where="event_type = 'buy'", windows=("90d", "1y", "10y")),
        Count("views", where="event_type = 'view'", windows=("30d",)),
        Count("coupons", where="event_type = 'coupon_redeem'", windows=("1y",)),
        Recency("since_buy", where="event_type = 'buy'"),
    ],
    derived=[
        Derived("basket_cents_1y", "spend_cents_1y / nullif(buys_1y, 0)"),
        Derived("coupon_share_1y", "coupons_1y / nullif(buys_1y, 0)"),
    ],
    owner=OWNER,
    description="Frequency, value and recency of a user; long windows tell customers for life from guests of the season.",
)

user_taste = FeatureView(
    "user_taste",
    entity=user_category,
    source=events,
    aggregations=[
        Count("views", where="event_type = 'view'", windows=("30d", "10y")),
        Count("buys", where="event_type = 'buy'", windows=("1y", "10y")),
        Recency("since_buy", where="event_type = 'buy'"),
    ],
    owner=OWNER,
    description="A user's short and long interest in a category; where they differ, long history is to be trusted less.",
)
