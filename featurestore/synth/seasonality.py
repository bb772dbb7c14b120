"""Calendar effects: a day's orders as a multiple of an ordinary day's.

Ten festivals of one kind are not alike: Double 11 loses its peak over the years, the pre-sale wave begins in 2020,
12 December ends in 2023, and Spring Festival moves with the lunar year.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from featurestore.calendar import days_to_spring_festival
from featurestore.synth.drift_plan import factor, planted

WEEKDAYS = (0.97, 0.96, 0.97, 0.98, 1.0, 1.07, 1.05)
ORDINARY, SHOULDER, PEAK = 0, 1, 2
"""How many offers a day has: few, many, nearly everywhere."""

_MORNING_TO_NIGHT = (22, 12, 7, 5, 4, 6, 12, 22, 38, 55, 66, 64, 58, 54, 56, 58, 57, 55, 53, 60, 72, 76, 66, 42)
_EVENING = slice(20, 24)


def growth(years: float) -> float:
    """Return the shop's size so many years after 2016-01-01, where it is 1.

    It gains 28 % of that size a year for five years, and 7 % of it a year after that.
    """
    return 1 + 0.28 * min(years, 5.0) + 0.07 * max(years - 5.0, 0.0)


def years_since_start(day: date) -> float:
    """Count the years from 2016-01-01 to a day; negative before."""
    return (day - date(2016, 1, 1)).days / 365.25


def season(day: date) -> float:
    """Return a day's orders relative to an ordinary day's; growth and planted disturbances are left out."""
    return (
        WEEKDAYS[day.weekday()]
        * _spring(day)
        * _double_11(day)
        * _pre_sale(day)
        * _mid_year(day)
        * _double_12(day)
        * _march(day)
    )


def offers(day: date) -> int:
    """Tell how many offers a day has: ``ORDINARY``, ``SHOULDER`` or ``PEAK``."""
    if (day.month, day.day) in ((11, 11), (6, 18)) or _double_12(day) > 2:
        return PEAK
    crowded = _double_11(day) > 1 or _mid_year(day) > 1 or _march(day) > 1 or _pre_sale(day) > 1
    return SHOULDER if crowded else ORDINARY


def congestion(day: date) -> float:
    """Return the factor on the fulfilment times of a day's orders: crowded days are slower, less so each year."""
    year = day.year - 2016
    load = sum(max(season(day - timedelta(days=back)), 1.0) for back in range(3)) / 3
    holiday = 0.8 * max(1 - year / 12, 0.0) if -5 <= -days_to_spring_festival(day) <= 5 else 0.0
    return (1 + max(0.25 - 0.022 * year, 0.04) * (load - 1)) * (1 + holiday)


def hour_weights(day: date) -> np.ndarray:
    """Weigh the 24 hours of a day by their orders; 11 November starts at midnight."""
    weights = np.array(_MORNING_TO_NIGHT, np.float64)
    weights[_EVENING] *= factor("evening_weight", day)
    if (day.month, day.day) == (11, 11):
        weights[:2] = weights.sum() * np.array([0.2, 0.08])
    return weights


def _spring(day: date) -> float:
    since = -days_to_spring_festival(day)
    if -18 <= since <= -4:
        return 1.35
    return 0.42 if -1 <= since <= 6 else 1.0


def _double_11(day: date) -> float:
    if day.month != 11 or day.day > 12:
        return 1.0
    if day.day == 11:
        return max(9.4 - 0.533 * (day.year - 2016), 3.0)
    return 1.5 if day.day == 12 else 1.25


def _pre_sale(day: date) -> float:
    wave = planted("pre_sale_wave")
    in_wave = (day.month == 10 and day.day >= 21) or (day.month == 11 and day.day <= 3)
    return wave.magnitude if in_wave and wave.is_active(day) else 1.0


def _mid_year(day: date) -> float:
    if day.month != 6 or day.day > 18:
        return 1.0
    return max(4.2 - 0.1 * (day.year - 2016), 2.0) if day.day == 18 else 1.2


def _double_12(day: date) -> float:
    return 3.2 * factor("double12_peak", day) if (day.month, day.day) == (12, 12) else 1.0


def _march(day: date) -> float:
    return 1.5 if day.month == 3 and 6 <= day.day <= 8 else 1.0
