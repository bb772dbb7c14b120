"""Users: when they arrive and leave, where they live, what they like."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from featurestore.synth.categories import opening_shares
from featurestore.synth.chance import Stream, generator, hashed, inverse_cdf, month_number, table_size
from featurestore.synth.drift_plan import REGIONS, region_factors
from featurestore.synth.seasonality import growth, years_since_start
from featurestore.timeline import Month, months_between

TASTE_MONTHS = 20
"""A user's favourite category is drawn anew after so many months."""
FIRST_TIER3_REGION = 17
SENSITIVITY_BANDS = 4
_HISTORY_MONTHS = 36
_LIFE_SCALE_MONTHS, _LIFE_SHAPE = 24.0, 0.7
_FAVOURITES = inverse_cdf(opening_shares(), size=1024)


@dataclass(frozen=True, eq=False)
class Users:
    """The users of a shop, arrays by ``user_id - 1``; ids ascend with the arrival.

    Attributes:
        arrival: Number of the first month (see ``month_number``), int32.
        leaving: Number of the first month without the user, int32.
        activity: Mean rate relative to other users, gamma.
        sensitivity: To prices, in [0, 1], beta.
        region: region_id, 1 .. ``REGIONS``, int32.
    """

    seed: int
    arrival: np.ndarray
    leaving: np.ndarray
    activity: np.ndarray
    sensitivity: np.ndarray
    region: np.ndarray

    @cached_property
    def sensitivity_band(self) -> np.ndarray:
        """The quarter of [0, 1] that holds each user's sensitivity, int32."""
        bands: np.ndarray = np.minimum(self.sensitivity * SENSITIVITY_BANDS, SENSITIVITY_BANDS - 1).astype(np.int32)
        return bands

    def active(self, month: Month) -> np.ndarray:
        """Return the indices of the users of a month: those that have arrived and not left."""
        number = month_number(month)
        return np.flatnonzero((self.arrival <= number) & (number < self.leaving))

    def weights(self, month: Month, users: np.ndarray) -> np.ndarray:
        """Weigh users by their expected orders in a month, the planted changes of single regions included."""
        by_region = region_factors("orders", [month.first_day])[0]
        weights: np.ndarray = self.activity[users] * (by_region / by_region[0])[self.region[users]]
        return weights

    def presence(self, month: Month) -> float:
        """Return the share of the shop's expected orders that the planted changes of single regions leave."""
        users = self.active(month)
        return float(self.weights(month, users).sum() / self.activity[users].sum())

    def table(self, month: Month) -> np.ndarray:
        """Tabulate the active users of a month by weight: an inverse CDF of user indices, int32."""
        users = self.active(month).astype(np.int32)
        table: np.ndarray = users[inverse_cdf(self.weights(month, users), size=table_size(len(users)))]
        return table

    def favourites(self, month: Month, users: np.ndarray) -> np.ndarray:
        """Return the users' favourite categories in a month, as indices of ``CATEGORIES``.

        Each user changes in a month of its own, so tastes drift slowly in the whole shop.
        """
        epoch = (month_number(month) + users % TASTE_MONTHS) // TASTE_MONTHS
        favourites: np.ndarray = _FAVOURITES[hashed(self.seed, users, epoch) >> np.uint64(54)]
        return favourites


def draw_users(*, seed: int, count: int, first: Month, last: Month) -> Users:
    """Draw the users that a shop needs from its first to its last month, those it opens with included."""
    random = generator(seed, Stream.USERS)
    arrivals = _arrivals(count=count, first=first, last=last)
    lives = np.ceil(_LIFE_SCALE_MONTHS * random.weibull(_LIFE_SHAPE, count)).astype(np.int32)
    return Users(
        seed=seed,
        arrival=arrivals,
        leaving=arrivals + np.maximum(lives, 1),
        activity=random.gamma(0.8, 1 / 0.8, count),
        sensitivity=random.beta(2.0, 3.0, count),
        region=_regions(random, arrivals),
    )


def _arrivals(*, count: int, first: Month, last: Month) -> np.ndarray:
    """Spread arrivals so that, with the users leaving, the number of active ones follows the growth curve."""
    months = months_between(first.shift(-_HISTORY_MONTHS), last)
    age = np.arange(len(months))
    alive = np.exp(-((age / _LIFE_SCALE_MONTHS) ** _LIFE_SHAPE))
    arriving = np.zeros(len(months))
    for i, month in enumerate(months):
        staying = float(arriving[:i] @ alive[i:0:-1])
        arriving[i] = max(growth(max(years_since_start(month.first_day), -3.0)) - staying, 0.0)
    edges = np.rint(np.cumsum(arriving) / arriving.sum() * count).astype(np.int64)
    numbers = np.arange(month_number(months[0]), month_number(last) + 1, dtype=np.int32)
    return np.repeat(numbers, np.diff(edges, prepend=0))


def _regions(random: np.random.Generator, arrivals: np.ndarray) -> np.ndarray:
    """Draw provinces by Zipf; the later a user arrives, the likelier a third-tier one."""
    region = np.arange(1, REGIONS + 1)
    zipf = region**-0.7
    years = np.clip(arrivals // 12 - 2013, 0, 12)
    weights = zipf * np.where(region >= FIRST_TIER3_REGION, 1 + 0.12 * np.arange(13)[:, None], 1.0)
    tables = inverse_cdf(weights, size=4096)
    drawn: np.ndarray = tables[years, random.integers(0, 4096, len(arrivals))] + 1
    return drawn
