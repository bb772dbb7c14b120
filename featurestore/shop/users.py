"""What users do, on the whole and in each category: lifecycle, value, taste."""

from __future__ import annotations

from featurestore.shop.events import events, user, user_category
from featurestore.spec import Calibration, Count, Decayed, Derived, FeatureView, Outcome, Recency, Sum

OWNER = "growth"
TASTE_WINDOWS = ("90d", "1y", "3y", "10y")
"""Windows over which purchases may tell of a user's taste."""
TASTE_HALF_LIVES = ("90d", "1y")
"""Lengths after which a purchase may tell half as much."""
TASTES = (*(f"buys_{window}" for window in TASTE_WINDOWS), *(f"fading_buys_{length}" for length in TASTE_HALF_LIVES))
"""Features of ``user_taste`` of which the calibration ``taste_window`` chooses one."""
_BOUGHT = " + ".join(f"calibrated('taste_window.uses_{name}') * {name}" for name in TASTES)

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
        Count("buys", where="event_type = 'buy'", windows=TASTE_WINDOWS),
        *(Decayed(f"fading_buys_{length}", where="event_type = 'buy'", half_life=length) for length in TASTE_HALF_LIVES),
        Recency("since_buy", where="event_type = 'buy'"),
    ],
    derived=[
        Derived(
            "purchase_probability",
            f"1 / (1 + exp(-(calibrated('taste_window.intercept') + calibrated('taste_window.slope') * ln(1 + {_BOUGHT}))))",
            outcome=Outcome("buys_90d"),
        )
    ],
    owner=OWNER,
    description=(
        "A user's short and long interest in a category, and how likely they buy in it within a month, told from the window "
        "or half-life that tells best."
    ),
)

taste_window = Calibration(
    "taste_window",
    fit="window_choice",
    inputs=[f"user_taste:{name}" for name in TASTES],
    loss="log_loss",
    consumers={"recommendation_v1": "user_taste:views_30d"},
    description="Which window or half-life of purchases tells best who buys in a category next month, with its curve.",
)
