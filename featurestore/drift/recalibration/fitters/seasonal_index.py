"""The seasonal index of demand: what a month of each season sells, as a multiple of the mean month of the year before.

    expected orders of a month = orders of the 364 days before / 364 x days of the month x index[group, season]

The season is the festival's label, else the month of the year. An index is a group's own ratio, shrunk toward that of all
groups the more, the fewer orders it rests on: orders are Poisson around ``expected x index``, the groups' indices gamma around
the mean of all, its spread by moments as in ``beta_binomial``. A season that has not come round since the change keeps the
champion's index.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa

from featurestore.calendar import retail_season
from featurestore.drift.recalibration.fitters.fitter import Fitter, Loss, column, groups_of
from featurestore.errors import CalibrationError
from featurestore.spec.calibration import ANY_GROUP, INFLOW_PREFIX
from featurestore.timeline import Month

YEAR_DAYS = 364
MIN_ORDERS = 20.0
"""A season in which all groups together were expected to sell less is not judged."""
_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_FESTIVALS = {
    "618": "mid_year",
    "double11": "double11",
    "before_spring_festival": "before_spring_festival",
    "spring_festival": "spring_festival",
    "after_spring_festival": "after_spring_festival",
}
SEASONS = (*_FESTIVALS.values(), *(name for name in _MONTHS if name not in ("june", "november")))
"""Parameters of a group, one per season; June is always 618 and November Double 11."""


def season_of(day: date) -> str:
    """Name the season of a month, one of ``SEASONS``.

    >>> season_of(date(2024, 11, 1)), season_of(date(2024, 2, 1)), season_of(date(2024, 8, 1))
    ('double11', 'spring_festival', 'august')
    """
    return _FESTIVALS.get(retail_season(day).label, _MONTHS[day.month - 1])


def fit(rows: pa.Table, champion: pa.Table | None = None) -> pa.Table:
    """Fit an index per group and season.

    Args:
        rows: ``month``, ``group``, ``orders`` (of the 364 days before the month), ``inflow_orders`` (of the month).
        champion: Its indices are kept for the seasons that the rows do not hold.

    Returns:
        ``group``, a column per season (NULL where nothing is known), ``orders``; the group ``"*"`` of all comes last.

    Raises:
        CalibrationError: no month has orders before it.
    """
    season = _seasons(rows)
    sold = column(rows, f"{INFLOW_PREFIX}orders")
    expected = _plain_forecast(rows)
    groups = groups_of(rows)
    if not expected.sum():
        raise CalibrationError("No month has orders in the year before it, so there is nothing to compare with.")
    old = {} if champion is None else {row["group"]: row for row in champion.to_pylist()}
    names = sorted({*groups, *old} - {ANY_GROUP})
    table = {name: {each: _kept(old, name, each) for each in SEASONS} for name in (*names, ANY_GROUP)}
    for each in sorted(set(season)):
        mine = season == each
        if expected[mine].sum() < MIN_ORDERS:
            continue
        y, e = (np.array([values[mine & (groups == name)].sum() for name in names]) for values in (sold, expected))
        mean, strength = _gamma_prior(y, e)
        table[ANY_GROUP][each] = mean
        for name, own, forecast in zip(names, y, e, strict=True):
            table[name][each] = float((own + strength * mean) / (forecast + strength))
    counted = {name: float(sold[groups == name].sum()) for name in names} | {ANY_GROUP: float(sold.sum())}
    return pa.table(
        {
            "group": [*names, ANY_GROUP],
            **{each: pa.array([row[each] for row in table.values()], pa.float64()) for each in SEASONS},
            "orders": [int(counted[name]) for name in table],
        }
    )


def loss(parameters: pa.Table, rows: pa.Table, name: str) -> Loss:
    """Judge the forecasts of the rows by their Poisson deviance, ``2 (y ln(y / forecast) - (y - forecast))`` per row.

    A season without an index is forecast as the mean month. Orders vary more than Poisson does; the gate's bootstrap over
    groups sees that, the deviance need not.
    """
    index = {row["group"]: row for row in parameters.to_pylist()}
    factors = [
        index.get(group, index[ANY_GROUP])[season] or index[ANY_GROUP][season] or 1.0
        for group, season in zip(groups_of(rows), _seasons(rows), strict=True)
    ]
    forecast = np.maximum(_plain_forecast(rows) * np.array(factors, float), 1e-9)
    sold = column(rows, f"{INFLOW_PREFIX}orders")
    surprise = sold * np.log(np.maximum(sold, 1e-300) / forecast)
    return Loss(2 * (surprise - (sold - forecast)), np.ones(len(sold)))


def _seasons(rows: pa.Table) -> np.ndarray:
    days = rows["month"].to_pylist()
    names = {day: season_of(day) for day in set(days)}
    return np.array([names[day] for day in days], object)


def _plain_forecast(rows: pa.Table) -> np.ndarray:
    """Expect the mean day of the year before on each day of the month -> [rows]."""
    days = {day: (Month.parse(day).next().first_day - day).days for day in set(rows["month"].to_pylist())}
    lengths = np.array([days[day] for day in rows["month"].to_pylist()], float)
    return np.asarray(column(rows, "orders") / YEAR_DAYS * lengths)


def _gamma_prior(sold: np.ndarray, expected: np.ndarray) -> tuple[float, float]:
    """Return the mean index of all groups and the expected orders that it weighs as much as."""
    is_known = expected > 0
    y = sold[is_known]
    e = expected[is_known]
    mean = (y.sum() + 0.5) / (e.sum() + 0.5)
    spread = (e * np.square(y / e - mean)).sum() - mean * (len(e) - 1)
    room = e.sum() - np.square(e).sum() / e.sum()
    variance = spread / room if room > 0 else 0.0
    return float(mean), float(min(mean / variance, 1e9)) if variance > 0 else 1e9


def _kept(old: dict[str, dict[str, float | None]], group: str, season: str) -> float | None:
    return old[group][season] if group in old else old.get(ANY_GROUP, {}).get(season)


SEASONAL_INDEX = Fitter(
    ("orders",),
    ("poisson_deviance",),
    fit,
    loss,
    is_about_known=True,
    needs_full_windows=True,
    least_months=15,
    most_months=36,
)
"""An index per group and season. A challenger waits until every season has come round, and three again."""
