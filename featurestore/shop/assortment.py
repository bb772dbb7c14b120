"""How SKUs stand among those of their category."""

from __future__ import annotations

from featurestore.shop.categories import category_demand
from featurestore.shop.skus import sku_demand
from featurestore.spec import Derived, JoinedView

sku_in_category = JoinedView(
    "sku_in_category",
    views=[sku_demand, category_demand],
    keys={"category": "sku_demand:category"},
    derived=[
        Derived("order_share_28d", "sku_demand__orders_28d / nullif(category_demand__orders_28d, 0)"),
        Derived("trend_against_category", "sku_demand__trend_28d / nullif(category_demand__season_28d, 0)"),
    ],
    owner="demand",
    description="A SKU's share of its category's orders, and whether it grows faster than the category.",
)
