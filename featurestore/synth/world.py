"""The world of a shop: what stays the same over its months."""

from __future__ import annotations

from dataclasses import dataclass

from featurestore.synth.coupon_ring import ACCOUNTS_PER_MILLION_EVENTS
from featurestore.synth.demand import MonthDemand, Rates, days_of, month_demand
from featurestore.synth.fulfilment import Lanes, draw_lanes
from featurestore.synth.skus import Skus, draw_skus
from featurestore.synth.users import Users, draw_users
from featurestore.timeline import Month, months_between

EVENTS_PER_USER = 60
EVENTS_PER_SKU = 800
_MIN_USERS = 500
_MIN_RING = 12


@dataclass(frozen=True, eq=False)
class World:
    """A shop's users, SKUs, lanes and rates, drawn once from its seed."""

    seed: int
    users: Users
    skus: Skus
    lanes: Lanes
    rates: Rates
    ring_size: int

    def demand(self, month: Month) -> MonthDemand:
        """Tabulate what a month's orders and visits are drawn from."""
        return month_demand(month, rates=self.rates, users=self.users, skus=self.skus)


def create_world(*, seed: int, events: int, first: Month, last: Month) -> World:
    """Draw the world in which about ``events`` events happen from the first to the last month."""
    days = [day for month in months_between(first, last) for day in days_of(month)]
    return World(
        seed=seed,
        users=draw_users(seed=seed, count=max(events // EVENTS_PER_USER, _MIN_USERS), first=first, last=last),
        skus=draw_skus(seed=seed, count=events // EVENTS_PER_SKU, first=first, last=last),
        lanes=draw_lanes(seed=seed),
        rates=Rates.for_total(events, days),
        ring_size=max(events * ACCOUNTS_PER_MILLION_EVENTS // 10**6, _MIN_RING),
    )
