"""SKUs: their categories, life cycles, prices and true return probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featurestore.synth.categories import CATEGORIES, median_prices_cents, opening_shares, return_probabilities
from featurestore.synth.chance import Stream, generator, inverse_cdf, month_number
from featurestore.synth.drift_plan import factor, planted
from featurestore.timeline import Month, months_between

INCIDENT_SHARE = 0.01
RETURN_PRIOR_STRENGTH = 20.0
"""``a + b`` of the beta distribution from which a category's SKUs draw their return probabilities."""
PRICE_GROWTH_PER_YEAR = 0.02
_NO_INCIDENT = np.iinfo(np.int32).max
_ENTRIES_PER_SKU = 16
_MIN_SKUS_PER_CATEGORY = 6
_SEASONED_MONTHS = 18


@dataclass(frozen=True, eq=False)
class SkuTable:
    """An inverse CDF of SKUs inside each category: category ``c`` owns ``sizes[c]`` entries from ``starts[c]`` on."""

    entries: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray

    def draw(self, random: np.random.Generator, categories: np.ndarray) -> np.ndarray:
        """Draw a SKU index for each category index."""
        offsets = (random.random(len(categories), dtype=np.float32) * self.sizes[categories]).astype(np.int32)
        drawn: np.ndarray = self.entries[self.starts[categories] + offsets]
        return drawn


@dataclass(frozen=True, eq=False)
class Skus:
    """The SKUs of a shop, arrays by ``sku_id - 1``, sorted by category.

    Attributes:
        category: Index of ``CATEGORIES``, int32.
        launch: Number of the first month (see ``month_number``), int32.
        prime: Months from launch to the peak of demand.
        width_months: Standard deviation of the life cycle, a gaussian.
        popularity: Zipf weight inside the category.
        price_cents: List price in 2016.
        return_probability: Before the planted changes.
        incident: Number of the first month with a quality incident, or a number beyond all months.
    """

    category: np.ndarray
    launch: np.ndarray
    prime: np.ndarray
    width_months: np.ndarray
    popularity: np.ndarray
    price_cents: np.ndarray
    return_probability: np.ndarray
    incident: np.ndarray

    @property
    def has_incident(self) -> np.ndarray:
        """Whether a SKU has a quality incident at some time."""
        return self.incident < _NO_INCIDENT

    def table(self, month: Month) -> SkuTable:
        """Tabulate the SKUs of a month by demand inside their categories; those not launched yet have none."""
        age = month_number(month) - self.launch
        weights = self.popularity * np.exp(-0.5 * ((age - self.prime) / self.width_months) ** 2) + 1e-5
        weights[age < 0] = 0.0
        counts = np.bincount(self.category, minlength=len(CATEGORIES))
        weights /= np.bincount(self.category, weights)[self.category]
        sizes = counts * _ENTRIES_PER_SKU
        # One table for all: a category's weights add up to its number of SKUs, so its entries begin where they should.
        entries = inverse_cdf(weights * counts[self.category], size=int(sizes.sum()))
        return SkuTable(entries, (np.cumsum(sizes) - sizes).astype(np.int32), sizes.astype(np.float32))

    def prices_cents(self, month: Month) -> np.ndarray:
        """Return every SKU's list price in a month: it grows by 2 % of its first price a year."""
        years = (month_number(month) - month_number(Month(2016, 1))) / 12
        return np.maximum(self.price_cents * (1 + PRICE_GROWTH_PER_YEAR * years), 100).astype(np.int64)

    def return_probabilities(self, month: Month) -> np.ndarray:
        """Return every SKU's true probability that an order made in a month comes back."""
        incident = np.where(month_number(month) >= self.incident, planted("sku_incidents").magnitude, 1.0)
        return np.minimum(self.return_probability * incident * factor("return_probability", month.first_day), 0.9)


def draw_skus(*, seed: int, count: int, first: Month, last: Month) -> Skus:
    """Draw the SKUs that a shop sells from its first to its last month."""
    random = generator(seed, Stream.SKUS)
    sizes = np.maximum(np.rint(count * opening_shares()).astype(np.int64), _MIN_SKUS_PER_CATEGORY)
    category = np.repeat(np.arange(len(CATEGORIES), dtype=np.int32), sizes)
    rank = np.arange(len(category)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    months = len(months_between(first, last)) + _SEASONED_MONTHS
    launch = month_number(first) - _SEASONED_MONTHS + random.integers(0, months, len(category))
    launch[rank == 0] = month_number(first) - _SEASONED_MONTHS  # every category has something to sell on the first day
    mean = return_probabilities()[category]
    incident = np.where(
        random.random(len(category)) < INCIDENT_SHARE, launch + random.integers(2, 24, len(category)), _NO_INCIDENT
    )
    return Skus(
        category=category,
        launch=launch.astype(np.int32),
        prime=random.gamma(4.0, 3.0, len(category)),
        width_months=random.uniform(6.0, 24.0, len(category)),
        popularity=(rank[np.lexsort((random.random(len(category)), category))] + 1.0) ** -0.95,
        price_cents=median_prices_cents()[category] * random.lognormal(0.0, 0.7, len(category)),
        return_probability=random.beta(RETURN_PRIOR_STRENGTH * mean, RETURN_PRIOR_STRENGTH * (1 - mean)),
        incident=incident.astype(np.int32),
    )
