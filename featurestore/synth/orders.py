"""Orders: everything bought in one month, with what was paid and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featurestore.synth.chance import Stream, generator
from featurestore.synth.coupon_ring import draw_ring_orders
from featurestore.synth.demand import DEPTHS_PERCENT, Choices, MonthDemand
from featurestore.synth.drift_plan import factor
from featurestore.synth.fulfilment import DAY_S, Fulfilment, fulfil
from featurestore.synth.world import World
from featurestore.timeline import Month

COUPON_PERCENT = 8
"""A coupon takes so much off the order, on top of the offer."""
_REDEEM_BONUS_BY_OFFERS = np.array([0.0, 0.05, 0.15])
_RING_REDEEM_PROBABILITY = 0.97
_QUANTITIES = np.repeat(np.array([1, 2, 3, 4], np.int64), [200, 40, 12, 4])


@dataclass(frozen=True, eq=False)
class Payments:
    """What was paid, arrays by order.

    Attributes:
        quantity: Pieces of the SKU.
        list_price_cents: Of one piece.
        discount_cents: Of the order, the coupon's part included.
        coupon_cents: 0 without a coupon.
    """

    quantity: np.ndarray
    list_price_cents: np.ndarray
    discount_cents: np.ndarray
    coupon_cents: np.ndarray

    @property
    def amount_cents(self) -> np.ndarray:
        """What was paid: quantity times list price, less the discount."""
        amount: np.ndarray = self.quantity * self.list_price_cents - self.discount_cents
        return amount


@dataclass(frozen=True, eq=False)
class Orders:
    """One month's orders, arrays by order; ``ordered`` is in seconds since the month began."""

    month: Month
    ordered: np.ndarray
    region: np.ndarray
    channel: np.ndarray
    choices: Choices
    payments: Payments
    fulfilment: Fulfilment

    @property
    def order_id(self) -> np.ndarray:
        """Ids of the orders, unique over all months."""
        return (self.month.year * 100 + self.month.month) * 10**9 + np.arange(len(self.ordered))


def draw_orders(world: World, demand: MonthDemand) -> Orders:
    """Draw the orders of a month by day, and after them those of the coupon ring."""
    month, users = demand.month, world.users
    random = generator(world.seed, Stream.ORDERS, month=month)
    usual = demand.seconds(random, demand.orders_per_day)
    ring = draw_ring_orders(random, users, month, expected_orders=float(demand.orders_per_day.sum()), size=world.ring_size)
    ordered = np.concatenate([usual, ring.ordered])
    buyers = np.concatenate([demand.draw_users(random, len(usual)), ring.user])
    choices = demand.choices(random, users, buyers)
    redeem = _redeem_probability(world, demand, ordered=ordered, buyers=buyers)
    redeem[len(usual) :] = _RING_REDEEM_PROBABILITY
    return Orders(
        month=month,
        ordered=ordered,
        region=users.region[buyers],
        channel=demand.draw_channels(random, len(buyers)),
        choices=choices,
        payments=_draw_payments(random, world, demand, ordered=ordered, choices=choices, redeem=redeem),
        fulfilment=fulfil(
            generator(world.seed, Stream.FULFILMENT, month=month),
            lanes=world.lanes,
            days=demand.days,
            ordered=ordered,
            region=users.region[buyers],
            return_probability=world.skus.return_probabilities(month)[choices.sku],
        ),
    )


def _redeem_probability(world: World, demand: MonthDemand, *, ordered: np.ndarray, buyers: np.ndarray) -> np.ndarray:
    """Return the probability that each order redeems a coupon: sensitive users do it more, and so do crowded days."""
    usual = 0.10 + 0.35 * world.users.sensitivity[buyers] + _REDEEM_BONUS_BY_OFFERS[demand.offers[ordered // DAY_S]]
    return np.asarray(usual * factor("redeem_probability", demand.month.first_day))


def _draw_payments(
    random: np.random.Generator,
    world: World,
    demand: MonthDemand,
    *,
    ordered: np.ndarray,
    choices: Choices,
    redeem: np.ndarray,
) -> Payments:
    count = len(ordered)
    day_offers = demand.offers[ordered // DAY_S]
    band = world.users.sensitivity_band[choices.user]
    depth = demand.accepted_depths[day_offers, band, choices.category, random.integers(0, 256, count, np.uint8)]
    quantity = _QUANTITIES[random.integers(0, len(_QUANTITIES), count, np.uint16)]
    price = world.skus.prices_cents(demand.month)[choices.sku]
    gross = quantity * price
    coupon = np.where(random.random(count) < redeem, np.maximum(gross * COUPON_PERCENT // 100, 1), 0)
    return Payments(
        quantity=quantity,
        list_price_cents=price,
        discount_cents=gross * DEPTHS_PERCENT[depth] // 100 + coupon,
        coupon_cents=coupon,
    )
