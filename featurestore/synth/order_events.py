"""Order events: what an order writes into the log, each event in the month of its own time."""

from __future__ import annotations

import numpy as np

from featurestore.synth.chance import Stream, generator
from featurestore.synth.events import ABSENT, EventRows, month_start_s
from featurestore.synth.orders import Orders
from featurestore.timeline import Month

SPILL_MONTHS = 2
"""A month's orders have events up to so many months later: everything ends within 40 days."""
_CART_SHARE = 0.6
_MAX_LEAD_S = 1800
_SEEN = ("user_id", "sku_id", "category", "region_id", "channel", "list_price_cents")
_CARRIED = ("user_id", "sku_id", "category", "region_id", "order_id", "quantity", "channel", "ordered_at")


def buying_rows(orders: Orders, *, seed: int) -> list[EventRows]:
    """List what happens up to the order: the view that led to it, for most a cart, the order, for some a coupon.

    The view and the cart of an order in the month's first minutes happen at the month's start, not before it.
    """
    random = generator(seed, Stream.LEADS, month=orders.month)
    start = month_start_s(orders.month)
    lead = random.integers(2, _MAX_LEAD_S, len(orders.ordered))
    columns = _order_columns(orders)
    offered = (orders.payments.discount_cents - orders.payments.coupon_cents) // orders.payments.quantity
    looked = {name: columns[name] for name in _SEEN} | {"discount_cents": offered}
    filled = np.flatnonzero(random.random(len(lead), np.float32) < _CART_SHARE)
    redeemed = np.flatnonzero(orders.payments.coupon_cents)
    coupons = {name: columns[name] for name in _CARRIED} | {"discount_cents": orders.payments.coupon_cents}
    ordered = columns["ordered_at"]
    return [
        EventRows("view", np.maximum(ordered - lead, start), looked),
        EventRows(
            "cart",
            np.maximum(ordered - lead // 2, start)[filled],
            _take(looked | {"quantity": orders.payments.quantity}, filled),
        ),
        EventRows("buy", ordered, columns),
        EventRows("coupon_redeem", ordered[redeemed], _take(coupons, redeemed)),
    ]


def fulfilment_rows(orders: Orders, *, month: Month) -> list[EventRows]:
    """List the shipping, delivery and return of orders that happen in a month, the orders' own or a later one."""
    start = month_start_s(month)
    end = month_start_s(month.next())
    origin = month_start_s(orders.month)
    what = orders.fulfilment
    columns = _order_columns(orders)
    rows = []
    for event_type, instants in (("ship", what.shipped), ("deliver", what.delivered), ("return", what.returned)):
        happens = np.flatnonzero((instants != ABSENT) & (origin + instants >= start) & (origin + instants < end))
        carried = {name: columns[name] for name in (*_CARRIED, "warehouse_id", "promised_at")}
        if event_type == "return":
            carried["amount_cents"] = columns["amount_cents"]
        rows.append(EventRows(event_type, (origin + instants)[happens], _take(carried, happens)))
    return rows


def _order_columns(orders: Orders) -> dict[str, np.ndarray]:
    start = month_start_s(orders.month)
    payments = orders.payments
    return {
        "user_id": orders.choices.user + 1,
        "sku_id": orders.choices.sku + 1,
        "category": orders.choices.category,
        "region_id": orders.region,
        "warehouse_id": orders.fulfilment.warehouse,
        "order_id": orders.order_id,
        "quantity": payments.quantity,
        "list_price_cents": payments.list_price_cents,
        "amount_cents": payments.amount_cents,
        "discount_cents": payments.discount_cents,
        "channel": orders.channel,
        "ordered_at": start + orders.ordered,
        "promised_at": start + orders.fulfilment.promised,
    }


def _take(columns: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
    return {name: values[rows] for name, values in columns.items()}
