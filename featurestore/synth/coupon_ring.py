"""The coupon ring: accounts of one region that order at night for the coupons' sake."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featurestore.synth.drift_plan import planted
from featurestore.synth.users import Users
from featurestore.timeline import Month

ACCOUNTS_PER_MILLION_EVENTS = 30
_USUAL_REDEMPTIONS_PER_ORDER = 0.25
_NIGHT_HOURS = 5


@dataclass(frozen=True, eq=False)
class RingOrders:
    """Orders of the ring in one month: seconds since the month began, and user indices."""

    ordered: np.ndarray
    user: np.ndarray


def ring_members(users: Users, *, size: int) -> np.ndarray:
    """Return the ring's user indices: long-standing users of one region, at most ``size``; none outside its time."""
    drift = planted("coupon_ring")
    first = drift.first_month
    standing = np.intersect1d(users.active(first.shift(-2)), users.active(first.shift(2)), assume_unique=True)
    members: np.ndarray = standing[users.region[standing] == drift.region]
    return members[:size]


def draw_ring_orders(
    random: np.random.Generator, users: Users, month: Month, *, expected_orders: float, size: int
) -> RingOrders:
    """Draw the ring's orders of a month: enough for its accounts to redeem 20 times as often as others do."""
    drift = planted("coupon_ring")
    nobody = RingOrders(np.empty(0, np.int64), np.empty(0, np.int64))
    if not drift.is_active(month.first_day):
        return nobody
    members = ring_members(users, size=size)
    usual = expected_orders / len(users.active(month)) * _USUAL_REDEMPTIONS_PER_ORDER
    count = int(random.poisson(usual * drift.magnitude * len(members)))
    if not count:
        return nobody
    days = (month.next().first_day - month.first_day).days
    night = random.integers(0, days, count) * 86_400 + random.integers(0, _NIGHT_HOURS * 3600, count)
    return RingOrders(np.sort(night), members[random.integers(0, len(members), count)])
