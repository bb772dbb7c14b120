"""Demand: what a month's orders and visits are drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from featurestore.synth.categories import elasticities, opening_shares, shares
from featurestore.synth.chance import inverse_cdf
from featurestore.synth.drift_plan import factor, planted
from featurestore.synth.seasonality import growth, hour_weights, offers, season, years_since_start
from featurestore.synth.skus import Skus, SkuTable
from featurestore.synth.users import SENSITIVITY_BANDS, Users
from featurestore.timeline import Month

CHANNELS = ("app", "web", "live", "content")
EVENTS_PER_ORDER = 10.5
"""An order and what belongs to it (4.9 events), visits that end without one (5), coupons issued (.6)."""
FAVOURITE_SHARE = 0.4
"""Share of choices that follow the user's favourite category."""
DEPTHS_PERCENT = np.array([0, 5, 10, 15, 20, 30, 40])
_OFFERED = np.array(
    [
        [0.62, 0.10, 0.10, 0.07, 0.06, 0.03, 0.02],
        [0.40, 0.12, 0.14, 0.12, 0.11, 0.07, 0.04],
        [0.12, 0.08, 0.15, 0.20, 0.20, 0.15, 0.10],
    ]
)
_ENTRIES = 256
_CATEGORY_ENTRIES = 4096
_VISIT_DAMPING = 0.8


@dataclass(frozen=True, eq=False)
class Choices:
    """Who looks at what: indices of users, categories and SKUs, row by row."""

    user: np.ndarray
    category: np.ndarray
    sku: np.ndarray


@dataclass(frozen=True, eq=False)
class MonthDemand:
    """The distributions of one month, as inverse CDFs.

    Attributes:
        orders_per_day, visits_per_day: Expected numbers, by day of the month.
        offers: ``offers(day)`` by day of the month.
        hours: ``(days, 1024)`` hours.
        offered_depths: ``(3, 256)`` indices of ``DEPTHS_PERCENT``, by ``offers``.
        accepted_depths: ``(3, bands, categories, 256)``, the same among orders.
    """

    month: Month
    days: tuple[date, ...]
    orders_per_day: np.ndarray
    visits_per_day: np.ndarray
    offers: np.ndarray
    hours: np.ndarray
    users: np.ndarray
    categories: np.ndarray
    skus: SkuTable
    channels: np.ndarray
    offered_depths: np.ndarray
    accepted_depths: np.ndarray

    def seconds(self, random: np.random.Generator, per_day: np.ndarray) -> np.ndarray:
        """Draw Poisson numbers of instants around ``per_day``: seconds since the month began, int64, by day ascending."""
        day = np.repeat(np.arange(len(self.days)), random.poisson(per_day))
        hour = self.hours[day, random.integers(0, self.hours.shape[1], len(day), np.uint16)].astype(np.int64)
        seconds: np.ndarray = (day * 24 + hour) * 3600 + random.integers(0, 3600, len(day), np.uint16)
        return seconds

    def choices(self, random: np.random.Generator, users: Users, drawn: np.ndarray) -> Choices:
        """Draw a category and a SKU for each user index in ``drawn``."""
        free = self.categories[random.integers(0, _CATEGORY_ENTRIES, len(drawn), np.uint16)]
        follows = random.integers(0, 256, len(drawn), np.uint8) < int(FAVOURITE_SHARE * 256)
        category = np.where(follows, users.favourites(self.month, drawn), free)
        return Choices(drawn, category, self.skus.draw(random, category))

    def draw_users(self, random: np.random.Generator, count: int) -> np.ndarray:
        """Draw indices of the month's active users, by their weights."""
        drawn: np.ndarray = self.users[random.integers(0, len(self.users), count, np.uint32)]
        return drawn

    def draw_channels(self, random: np.random.Generator, count: int) -> np.ndarray:
        """Draw indices of ``CHANNELS``, by the month's shares."""
        drawn: np.ndarray = self.channels[random.integers(0, _ENTRIES, count, np.uint8)]
        return drawn


@dataclass(frozen=True)
class Rates:
    """The expected orders and visits of a day of size and season 1."""

    orders: float
    visits: float

    @classmethod
    def for_total(cls, events: int, days: Sequence[date]) -> Rates:
        """Choose the rates with which about so many events happen on some days."""
        loads = np.array([_load(day) for day in days])
        orders = events / EVENTS_PER_ORDER
        return cls(orders=orders / loads.sum(), visits=orders * 4.1 / (loads**_VISIT_DAMPING).sum())


def days_of(month: Month) -> tuple[date, ...]:
    """List the days of a month."""
    count = (month.next().first_day - month.first_day).days
    return tuple(month.first_day + timedelta(days=i) for i in range(count))


def month_demand(month: Month, *, rates: Rates, users: Users, skus: Skus) -> MonthDemand:
    """Tabulate everything that a month's orders and visits are drawn from."""
    days = days_of(month)
    loads = np.array([_load(day) for day in days])
    presence = users.presence(month)
    return MonthDemand(
        month=month,
        days=days,
        orders_per_day=rates.orders * loads * presence,
        visits_per_day=rates.visits * loads**_VISIT_DAMPING * presence,
        offers=np.array([offers(day) for day in days]),
        hours=inverse_cdf(np.stack([hour_weights(day) for day in days]), size=1024),
        users=users.table(month),
        categories=inverse_cdf(_free_shares(month), size=_CATEGORY_ENTRIES),
        skus=skus.table(month),
        channels=inverse_cdf(_channel_shares(month), size=_ENTRIES),
        offered_depths=inverse_cdf(_OFFERED, size=_ENTRIES),
        accepted_depths=_accepted_depths(month),
    )


def _load(day: date) -> float:
    return growth(years_since_start(day)) * season(day) * factor("orders", day)


def _free_shares(month: Month) -> np.ndarray:
    """Return what choices without a favourite must follow for all choices to have the month's shares."""
    return np.maximum(shares(month) - FAVOURITE_SHARE * opening_shares(), 0.0)


def _channel_shares(month: Month) -> np.ndarray:
    drift = planted("live_channel")
    span = drift.years_advanced(Month.parse(drift.last)) if drift.last else 1.0
    live = drift.magnitude * drift.years_advanced(month) / span if drift.is_active(month.first_day) else 0.0
    return np.array([0.72 * (1 - live), 0.22 * (1 - live), live, 0.06 * (1 - live)])


def _accepted_depths(month: Month) -> np.ndarray:
    """Tabulate the discounts of orders: offers weighed by their acceptance ``(1 - discount) ** -e``.

    The exponent is the category's elasticity, times .5 to 1.5 by the user's sensitivity.
    """
    bands = 0.5 + (np.arange(SENSITIVITY_BANDS) + 0.5) / SENSITIVITY_BANDS
    exponents = bands[:, None, None] * elasticities(month)[:, None]
    accepted = (1 - DEPTHS_PERCENT / 100) ** -exponents
    return inverse_cdf(_OFFERED[:, None, None, :] * accepted, size=_ENTRIES).astype(np.int8)
