"""Visits: views and carts that end without an order, and the coupons that the shop issues."""

from __future__ import annotations

import numpy as np

from featurestore.synth.chance import Stream, generator
from featurestore.synth.demand import DEPTHS_PERCENT, MonthDemand
from featurestore.synth.events import EventRows, month_start_s
from featurestore.synth.world import World

CART_PROBABILITY = 0.22
COUPONS_PER_ORDER = 0.6
_FACE_VALUES_CENTS = np.array([500, 500, 500, 1000, 1000, 2000, 2000, 5000])
_MAX_CART_LAG_S = 1800


def visit_rows(world: World, demand: MonthDemand) -> list[EventRows]:
    """Draw a month's views without an order, and the carts that some of them fill."""
    random = generator(world.seed, Stream.VISITS, month=demand.month)
    seconds = demand.seconds(random, demand.visits_per_day)
    choices = demand.choices(random, world.users, demand.draw_users(random, len(seconds)))
    depth = demand.offered_depths[demand.offers[seconds // 86_400], random.integers(0, 256, len(seconds), np.uint8)]
    price = world.skus.prices_cents(demand.month)[choices.sku]
    columns = {
        "user_id": choices.user + 1,
        "sku_id": choices.sku + 1,
        "category": choices.category,
        "region_id": world.users.region[choices.user],
        "list_price_cents": price,
        "discount_cents": price * DEPTHS_PERCENT[depth] // 100,
        "channel": demand.draw_channels(random, len(seconds)),
    }
    filled = np.flatnonzero(random.random(len(seconds), np.float32) < CART_PROBABILITY)
    carts = {name: values[filled] for name, values in columns.items()} | {"quantity": np.ones(len(filled), np.int64)}
    lag = random.integers(1, _MAX_CART_LAG_S, len(filled))
    start = month_start_s(demand.month)
    last = len(demand.days) * 86_400 - 1
    return [
        EventRows("view", start + seconds, columns),
        EventRows("cart", start + np.minimum(seconds[filled] + lag, last), carts),
    ]


def coupon_rows(world: World, demand: MonthDemand) -> list[EventRows]:
    """Draw the coupons that the shop issues in a month; a coupon is good for any SKU."""
    random = generator(world.seed, Stream.COUPONS, month=demand.month)
    seconds = demand.seconds(random, demand.orders_per_day * COUPONS_PER_ORDER)
    user = demand.draw_users(random, len(seconds))
    columns = {
        "user_id": user + 1,
        "region_id": world.users.region[user],
        "discount_cents": _FACE_VALUES_CENTS[random.integers(0, len(_FACE_VALUES_CENTS), len(seconds))],
        "channel": demand.draw_channels(random, len(seconds)),
    }
    return [EventRows("coupon_issue", month_start_s(demand.month) + seconds, columns)]
