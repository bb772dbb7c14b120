"""Categories: their names, shares of the orders, prices, elasticities and returns."""

from __future__ import annotations

import math

import numpy as np

from featurestore.synth.drift_plan import PLANTED, factor
from featurestore.timeline import Month

CATEGORIES = (
    "FRESH", "APPAREL", "ELECTRONICS", "PHARMA", "GROCERY", "BEAUTY", "HOME", "APPLIANCES", "BABY", "SPORTS",
    "SHOES", "BAGS", "JEWELRY", "TOYS", "BOOKS", "FURNITURE", "KITCHEN", "PETS", "AUTO", "TOOLS",
    "GARDEN", "STATIONERY", "SNACKS", "BEVERAGES", "LIQUOR", "HEALTH", "PERSONAL_CARE", "CLEANING", "TEXTILES", "LIGHTING",
    "COMPUTERS", "PHONES", "CAMERAS", "GAMING", "MUSIC", "OUTDOOR", "TRAVEL", "WATCHES", "EYEWEAR", "GIFTS",
)  # fmt: skip
_FIXED_SHARES = {"FRESH": 0.012, "APPAREL": 0.14, "ELECTRONICS": 0.10, "PHARMA": 0.02}
_MEDIAN_PRICES_CENTS = {"FRESH": 4_500, "APPAREL": 15_900, "ELECTRONICS": 89_900, "PHARMA": 5_900}
_RETURN_FACTORS = {"APPAREL": 4.0, "SHOES": 2.5, "BAGS": 1.5, "FRESH": 0.5, "GROCERY": 0.4, "PHARMA": 0.3}
_RETURN_PROBABILITY = 0.035
_SEASONAL_AMPLITUDE = 0.12


def opening_shares() -> np.ndarray:
    """Return each category's share of the orders in 2016, in the order of ``CATEGORIES``."""
    rest = [i for i, name in enumerate(CATEGORIES) if name not in _FIXED_SHARES]
    shares = np.array([_FIXED_SHARES.get(name, 0.0) for name in CATEGORIES])
    tail = (np.arange(len(rest)) + 3.0) ** -0.6
    shares[rest] = (1 - shares.sum()) * tail / tail.sum()
    return shares


def shares(month: Month) -> np.ndarray:
    """Return each category's expected share of a month's orders.

    The seasons swing all shares; the planted changes then multiply some, and the others make room for them.
    """
    phases = np.arange(len(CATEGORIES)) * 5 % 12
    calm = opening_shares() * (1 + _SEASONAL_AMPLITUDE * np.sin((month.month - phases) * (math.pi / 6)))
    calm /= calm.sum()
    times = _planted_factors(month)
    hit = times != 1.0
    room = (1 - (calm * times)[hit].sum()) / calm[~hit].sum()
    return np.asarray(calm * np.where(hit, times, room))


def elasticities(month: Month) -> np.ndarray:
    """Return the exponent e of each category's acceptance ``price ratio ** -e``, between 1.2 and 2.8 at first."""
    spread = np.arange(len(CATEGORIES)) * 7 % len(CATEGORIES) / (len(CATEGORIES) - 1)
    return (1.2 + 1.6 * spread) * factor("elasticity", month.first_day)


def median_prices_cents() -> np.ndarray:
    """Return each category's median list price, in cents."""
    others = 3_000 * 1.4 ** (np.arange(len(CATEGORIES)) * 11 % 10)
    return np.array([_MEDIAN_PRICES_CENTS.get(name, price) for name, price in zip(CATEGORIES, others, strict=True)])


def return_probabilities() -> np.ndarray:
    """Return each category's mean probability that an order comes back, before the planted changes."""
    return np.array([_RETURN_PROBABILITY * _RETURN_FACTORS.get(name, 1.0) for name in CATEGORIES])


def _planted_factors(month: Month) -> np.ndarray:
    times = np.ones(len(CATEGORIES))
    for drift in PLANTED:
        if drift.moves == "share" and drift.category is not None and drift.is_active(month.first_day):
            years = drift.years_advanced(month) if drift.kind == "gradual" else 1.0
            times[CATEGORIES.index(drift.category)] *= drift.magnitude**years
    return times
