"""How a statistic moves when nothing has changed: a Gaussian series with a season, written down as covariances.

    level        AR(1): wanders, and stays where it went
    month        the same calendar month has the same effect every year
    festival     months of the same moving festival have the same effect, wherever it falls
    amplitude    the season's size varies from year to year: rho^2 s s' inside a year, less the mean year
    jitter       independent from month to month
    sampling     1 / n, known, or part of it where each month looks at the same rows
    diffuse      an unknown overall mean, and whatever has been forgotten: one-off months, baselines before a recalibration

All sizes are in units of the kind of statistic (``UNITS``). Month indices count from the first month of the features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np

from featurestore.drift.monitor.changes.statistic import LOCATION, MISSING, SHARE, SPREAD
from featurestore.drift.reliability import CALIBRATION
from featurestore.timeline import Month, months_between

UNITS = {LOCATION: 1.0, SPREAD: 0.3, MISSING: 0.2, SHARE: 0.25, CALIBRATION: 1.0}
DIFFUSE = 4.0
UNSEEN = 1e4
NO_EFFECT = (0.0, 0.0)
EFFECTS = (NO_EFFECT, (0.15, 0.15), (0.5, 0.5), (0.0, 0.5), (0.5, 0.0))
LOOK_AROUND = 60


class Noise(NamedTuple):
    """What moves a series from month to month.

    Attributes:
        level: Innovation of the AR(1) level, in units.
        memory: Its coefficient.
        jitter: Standard deviation of what is independent from month to month, in units.
        sampling: Share of the sampling variance that is independent from month to month; less than one where each month
            looks at much the same rows.
    """

    level: float
    memory: float
    jitter: float
    sampling: float = 1.0


REFERENCE_NOISE = Noise(0.035, 0.9, 0.03)
INDEPENDENT_PARTS = ((0.0, 1.0), (0.05, 1.0), (0.12, 1.0), (0.02, 0.1))


@dataclass(frozen=True)
class NoiseGrid:
    """The candidates: every combination of level, memory and independent part, with every effect and amplitude.

    Effects are pairs: sd of the month effect, sd of the festival effect.
    """

    levels: tuple[float, ...]
    memories: tuple[float, ...]
    amplitudes: tuple[float, ...]

    @property
    def noises(self) -> list[Noise]:
        """Every combination of level, memory and independent part."""
        return [Noise(*pair, *part) for pair, part in product(product(self.levels, self.memories), INDEPENDENT_PARTS)]

    def amplitudes_of(self, effect: tuple[float, float]) -> tuple[float, ...]:
        """Amplitudes to try with an effect: without a season there is nothing to vary."""
        return (0.0,) if effect == NO_EFFECT else self.amplitudes


GRIDS = {
    LOCATION: NoiseGrid((0.015, 0.035, 0.07, 0.14, 0.28), (0.9, 0.98), (0.0, 0.1, 0.2, 0.3)),
    SPREAD: NoiseGrid((0.015, 0.035, 0.07), (0.9,), (0.0, 0.2)),
    MISSING: NoiseGrid((0.015, 0.035, 0.07), (0.9,), (0.0, 0.2)),
    SHARE: NoiseGrid((0.01, 0.035, 0.09), (0.9,), (0.0, 0.15, 0.3)),
    CALIBRATION: NoiseGrid((0.005, 0.0125, 0.035, 0.1), (0.9, 0.98), (0.0, 0.15, 0.3)),
}


@dataclass(frozen=True, eq=False)
class MonthRelations:
    """What each pair of ``M`` months has in common; [M, M], but for ``years``.

    Attributes:
        same_month: The calendar month.
        same_festival: The season label of a festival that moves between calendar months.
        same_year: The year.
        lag: Months between them.
        years: [M] the year of each.
    """

    same_month: np.ndarray
    same_festival: np.ndarray
    same_year: np.ndarray
    lag: np.ndarray
    years: np.ndarray

    @classmethod
    def of(cls, months: Sequence[Month], season: Callable[[Month], object]) -> MonthRelations:
        """Relate contiguous months, asking ``season`` for labels. A festival with a fixed month is a month effect."""
        keys = np.array(_festival_keys(months, season))
        calendar, years = (np.array([getattr(month, name) for month in months]) for name in ("month", "year"))
        index = np.arange(len(months))
        return cls(
            same_month=(calendar[:, None] == calendar).astype(float),
            same_festival=((keys[:, None] == keys) & (keys != "")).astype(float),
            same_year=(years[:, None] == years).astype(float),
            lag=np.abs(index[:, None] - index),
            years=years,
        )

    def noise(self, window: slice, noise: Noise, effect: tuple[float, float], *, unit: float) -> np.ndarray:
        """Return the covariance that all series with these parameters share, sampling and amplitude aside -> [n, n]."""
        lag = self.lag[window, window]
        (month, festival) = effect
        wander = noise.level**2 / (1 - noise.memory**2) * noise.memory**lag
        seasonal = month**2 * self.same_month[window, window] + festival**2 * self.same_festival[window, window]
        shared = DIFFUSE + wander + seasonal + noise.jitter**2 * (lag == 0)
        return np.asarray(unit**2 * shared)

    def amplitude(self, window: slice) -> np.ndarray:
        """Return what ``rho^2 s s'`` is multiplied with: together inside a year, less the mean over the window's years."""
        return np.asarray(self.same_year[window, window] - 1 / len(np.unique(self.years[window])))


def named_season(season: object) -> tuple[str, bool]:
    """Return the label of a season, and whether it is a festival: by its attributes, or of a plain value by its text.

    >>> named_season("ordinary"), named_season("carnival")
    (('ordinary', False), ('carnival', True))
    """
    label = str(getattr(season, "label", season))
    return label, bool(getattr(season, "is_festival", label != "ordinary"))


def _festival_keys(months: Sequence[Month], season: Callable[[Month], object]) -> list[str]:
    """Label the months of festivals that are seen in more than one calendar month; others get an empty text."""
    if not months:
        return []
    first = months[0].shift(-LOOK_AROUND)
    last = months[-1].shift(LOOK_AROUND)
    around = months_between(first, last)
    named = [named_season(season(month)) for month in around]
    labels = [label if is_festival else "" for label, is_festival in named]
    places: dict[str, set[int]] = {}
    for month, label in zip(around, labels, strict=True):
        places.setdefault(label, set()).add(month.month)
    return [label if len(places[label]) > 1 else "" for label in labels[LOOK_AROUND : LOOK_AROUND + len(months)]]
