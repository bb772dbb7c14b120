"""What SKUs sell, where, and how likely an order of one comes back."""

from __future__ import annotations

from featurestore.shop.events import events, sku, sku_region
from featurestore.spec import Calibration, Count, Derived, FeatureView, Last, Mean, Outcome, Sum

MATURITY = "45d"
"""Length after an order by which its returns are complete: the shop takes nothing back after 40 days."""

sku_demand = FeatureView(
    "sku_demand",
    entity=sku,
    source=events,
    aggregations=[
        Sum("units", "quantity", where="event_type = 'buy'", windows=("7d", "28d", "364d")),
        Count("orders", where="event_type = 'buy'", windows=("28d",)),
        Count("views", where="event_type = 'view'", windows=("28d",)),
        Mean("price_cents", "list_price_cents", where="event_type = 'buy'", windows=("28d",)),
        Last("category", "category"),
    ],
    derived=[
        Derived("conversion_28d", "orders_28d / nullif(views_28d, 0)"),
        Derived("trend_28d", "13 * units_28d / nullif(units_364d, 0)"),
    ],
    segments=("category",),
    owner="demand",
    description="Units, price and conversion of a SKU; the trend is four weeks against the mean four weeks of a year.",
)

sku_returns = FeatureView(
    "sku_returns",
    entity=sku,
    source=events,
    event_time="ordered_at",
    delay=MATURITY,
    aggregations=[
        Count("orders", where="event_type = 'buy'", windows=("90d", "1y")),
        Count("returns", where="event_type = 'return'", windows=("90d", "1y")),
        Last("category", "category", where="event_type = 'buy'"),
    ],
    derived=[
        Derived("return_rate_90d", "returns_90d / nullif(orders_90d, 0)"),
        Derived(
            "return_probability",
            "(returns_1y + calibrated('return_prior.a', by = category)) / "
            "(orders_1y + calibrated('return_prior.a', by = category) + calibrated('return_prior.b', by = category))",
            outcome=Outcome("returns_1y", trials="orders_1y"),
        ),
    ],
    owner="fulfilment",
    description=(
        "Returns of a SKU, counted by the time of their orders once all of these have matured; the probability is the empirical "
        "Bayes mean under its category's prior."
    ),
)

return_prior = Calibration(
    "return_prior",
    fit="beta_binomial",
    inputs=["sku_returns:returns_1y", "sku_returns:orders_1y"],
    by="sku_returns:category",
    loss="log_loss",
    consumers={"recommendation_v1": "sku_demand:views_28d", "demand_v1": "sku_demand:units_28d", "routing_v1": None},
    description="Beta prior of a category's return probabilities: what is known of a SKU before its first order.",
)

sku_places = FeatureView(
    "sku_places",
    entity=sku_region,
    source=events,
    aggregations=[Sum("units", "quantity", where="event_type = 'buy'", windows=("28d", "364d"))],
    segments=("region_id",),
    owner="demand",
    description="Units of a SKU in a region: what to keep near whom.",
)
