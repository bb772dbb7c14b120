"""What households, products and commodities of the Complete Journey are known by, and who reads it.

household_shopping     recommendation_v1, promotion_v1
household_taste        recommendation_v1
product_sales          recommendation_v1, demand_v1
commodity_sales        demand_v1, promotion_v1

One year cannot tell a season from a drift, so nothing here is calibrated.
"""

from __future__ import annotations

from featurestore.datasets.completejourney.events import SOURCE
from featurestore.spec import Count, Derived, Entity, FeatureService, FeatureView, Last, Profile, Recency, Sum
from featurestore.spec.document import Definition

household = Entity("household", key="household_id", description="A household with a loyalty card.")
product = Entity("product", key="product_id", description="An article, as the till knows it.")
commodity = Entity("commodity", key="commodity", description="A product category, such as YOGURT.")
household_commodity = Entity(
    "household_commodity", key=("household_id", "commodity"), description="What a household makes of a category."
)

_BUY = "event_type = 'buy'"
_BASKET = "line_number = 1"  # one line of each basket, so that counting it counts baskets
_PIECES = "not is_fuel"
_PROMOTED = "is_on_display or is_in_mailer"
_REDEEM = "event_type = 'coupon_redeem'"

household_shopping = FeatureView(
    "household_shopping",
    entity=household,
    source=SOURCE,
    aggregations=[
        Count("baskets", where=_BASKET, windows=("7d", "28d", "91d", "1y")),
        Count("lines", where=_BUY, windows=("28d", "91d", "1y")),
        Sum("spend_cents", "amount_cents", windows=("7d", "28d", "91d", "1y")),
        Sum("retail_discount_cents", "retail_discount_cents", windows=("91d", "1y")),
        Sum("coupon_discount_cents", "coupon_discount_cents", windows=("91d", "1y")),
        Count("private_label_lines", where="brand = 'Private'", windows=("91d", "1y")),
        Count("promoted_lines", where=_PROMOTED, windows=("91d", "1y")),
        Count("redemptions", where=_REDEEM, windows=("28d", "91d", "1y")),
        Recency("since_buy", where=_BUY),
        Recency("since_redeem", where=_REDEEM),
        Last("store", "store_id"),
        Profile("baskets_by_weekday", by="day_of_week", where=_BASKET, windows=("1y",)),
    ],
    derived=[
        Derived("basket_cents_91d", "spend_cents_91d / nullif(baskets_91d, 0)"),
        Derived("pace", "13.0 / 4 * spend_cents_28d / nullif(spend_cents_91d, 0)"),
        Derived("private_label_share_1y", "private_label_lines_1y / nullif(lines_1y, 0)"),
        Derived("promoted_share_1y", "promoted_lines_1y / nullif(lines_1y, 0)"),
        Derived("discount_share_1y", "retail_discount_cents_1y / nullif(spend_cents_1y + retail_discount_cents_1y, 0)"),
    ],
    owner="recommendations",
    description="How often, how much and how price-consciously a household shops.",
)

product_sales = FeatureView(
    "product_sales",
    entity=product,
    source=SOURCE,
    aggregations=[
        Count("baskets", where=_BUY, windows=("7d", "28d", "91d", "1y")),
        Sum("units", "quantity", where=_PIECES, windows=("7d", "28d", "91d", "1y")),
        Sum("spend_cents", "amount_cents", where=_PIECES, windows=("28d", "91d", "1y")),
        Count("promoted_lines", where=_PROMOTED, windows=("28d", "1y")),
        Recency("since_sold", where=_BUY),
        Last("commodity", "commodity"),
    ],
    derived=[
        Derived("unit_cents_91d", "spend_cents_91d / nullif(units_91d, 0)"),
        Derived("pace", "13.0 / 4 * units_28d / nullif(units_91d, 0)"),
        Derived("promoted_share_1y", "promoted_lines_1y / nullif(baskets_1y, 0)"),
    ],
    owner="demand",
    description="How a product sells: baskets, pieces, revenue, and how much of it on display or in the mailer.",
)

commodity_sales = FeatureView(
    "commodity_sales",
    entity=commodity,
    source=SOURCE,
    aggregations=[
        Count("lines", where=_BUY, windows=("7d", "28d", "91d", "1y")),
        Sum("units", "quantity", where=_PIECES, windows=("7d", "28d", "91d", "1y")),
        Sum("spend_cents", "amount_cents", windows=("28d", "91d", "1y")),
        Count("promoted_lines", where=_PROMOTED, windows=("28d", "1y")),
        Profile("lines_by_weekday", by="day_of_week", where=_BUY, windows=("91d", "1y")),
    ],
    derived=[
        Derived("pace", "13.0 / 4 * lines_28d / nullif(lines_91d, 0)"),
        Derived("promoted_share_1y", "promoted_lines_1y / nullif(lines_1y, 0)"),
    ],
    owner="demand",
    description="How a product category sells, and on which days of the week.",
)

household_taste = FeatureView(
    "household_taste",
    entity=household_commodity,
    source=SOURCE,
    aggregations=[
        Count("lines", where=_BUY, windows=("28d", "91d", "1y")),
        Sum("spend_cents", "amount_cents", windows=("91d", "1y")),
        Count("private_label_lines", where="brand = 'Private'", windows=("1y",)),
        Recency("since_buy", where=_BUY),
    ],
    derived=[Derived("private_label_share_1y", "private_label_lines_1y / nullif(lines_1y, 0)")],
    owner="recommendations",
    description="How often and how recently a household buys in a product category.",
)

recommendation = FeatureService(
    "recommendation_v1",
    features=[
        household_shopping,
        household_taste,
        "product_sales:baskets_91d",
        "product_sales:pace",
        "product_sales:unit_cents_91d",
    ],
    owner="recommendations",
    description="Ranks products for a household; the commodity is that of the candidate.",
)
demand = FeatureService(
    "demand_v1",
    features=[product_sales, commodity_sales],
    owner="demand",
    description="Forecasts the pieces of a product to be sold.",
)
promotion = FeatureService(
    "promotion_v1",
    features=[
        "household_shopping:redemptions_91d",
        "household_shopping:redemptions_1y",
        "household_shopping:since_redeem",
        "household_shopping:promoted_share_1y",
        "household_shopping:discount_share_1y",
        "household_shopping:spend_cents_91d",
        "commodity_sales:promoted_share_1y",
    ],
    owner="promotions",
    description="Decides which households get the coupons of a campaign.",
)

OBJECTS: tuple[Definition, ...] = (
    SOURCE,
    *(household, product, commodity, household_commodity),
    *(household_shopping, household_taste, product_sales, commodity_sales),
    *(recommendation, demand, promotion),
)
