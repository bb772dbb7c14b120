"""The explanation: a month against the pool of the same season in earlier years.

The pool of a month holds up to three earlier months of the same season label and, where the label says nothing (an
ordinary month), of the same calendar month. It answers "different from what?" in words that people know (PSI,
Jensen-Shannon, Kolmogorov-Smirnov), and slowly finds small changes that persist.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from featurestore.drift.monitor.changes.noise import named_season
from featurestore.drift.sketches.distance import jensen_shannon, kolmogorov_smirnov, population_stability_index
from featurestore.timeline import Month

POOL_YEARS = 3
SPREAD_FACTOR = 3.0
IQR_OF_NORMAL = 1.349
MIN_PAST = 6


@dataclass(frozen=True, eq=False)
class PoolComparison:
    """Distances of ``M`` months from their pools; NaN where a month has none.

    Attributes:
        psi: [M] population stability index, less what sampling alone would give.
        js: [M] Jensen-Shannon distance, base 2.
        ks: [M] Kolmogorov-Smirnov distance between the bins.
        threshold: [M] PSI that matters: the policy's, or more where the feature's seasons have always differed.
        members: [M, M] whether month ``j`` is in the pool of month ``i``.
    """

    psi: np.ndarray
    js: np.ndarray
    ks: np.ndarray
    threshold: np.ndarray
    members: np.ndarray

    @property
    def score(self) -> np.ndarray:
        """PSI in units of its threshold -> [M]."""
        return np.asarray(self.psi / self.threshold)


def season_labels(months: Sequence[Month], season: Callable[[Month], object]) -> list[str]:
    """Name what months must share to be compared: the season's label, with the calendar month where it is ordinary."""
    names = []
    for month in months:
        label, is_festival = named_season(season(month))
        names.append(label if is_festival else f"{label}-{month.month:02d}")
    return names


def pool_members(labels: Sequence[str], is_sufficient: np.ndarray, *, baseline: int = 0) -> np.ndarray:
    """Choose the pool of each month -> [M, M].

    Args:
        labels: Season of each month, as ``season_labels``.
        is_sufficient: [M] months that may serve as a reference.
        baseline: Months before this index describe what the feature used to be and serve no later month. A later
            month without an earlier one of its season since then is compared with up to twelve months before it.
    """
    size = len(labels)
    _, codes = np.unique(labels, return_inverse=True)
    index = np.arange(size)
    is_earlier = (index[None, :] < index[:, None]) & is_sufficient[None, :]
    is_earlier &= (index[None, :] >= baseline) | (index[:, None] < baseline)
    same = is_earlier & (codes[None, :] == codes[:, None])
    recent = np.cumsum(same[:, ::-1], axis=1)[:, ::-1] <= POOL_YEARS
    fallback = is_earlier & (index[:, None] - index[None, :] <= 12) & (index[:, None] >= baseline) & (baseline > 0)
    return np.asarray(np.where((same.any(axis=1))[:, None], same & recent, fallback))


def compare_with_pool(counts: np.ndarray, members: np.ndarray, *, is_sufficient: np.ndarray, psi: float) -> PoolComparison:
    """Compare each month's counts with its pool's.

    Args:
        counts: [M, bins] rows per bin.
        members: [M, M] pools, as ``pool_members``.
        is_sufficient: [M] months that are judged.
        psi: Least PSI that matters.
    """
    reference = members.astype(float) @ counts
    rows = counts.sum(axis=1)
    pooled = reference.sum(axis=1)
    has_both = is_sufficient & (rows > 0) & (pooled > 0)
    used = ((reference + counts) > 0).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Under equal distributions the PSI of n and m rows in B bins is (1/n + 1/m) times a chi-square with B - 1 degrees.
        sampling = (used - 1) * (1 / rows + 1 / pooled)
    excess = np.maximum(np.where(has_both, population_stability_index(counts, reference) - sampling, np.nan), 0.0)
    hidden = np.where(has_both, 0.0, np.nan)
    return PoolComparison(
        psi=excess,
        js=jensen_shannon(counts, reference) + hidden,
        ks=kolmogorov_smirnov(counts, reference) + hidden,
        threshold=_thresholds(excess, psi),
        members=members & has_both[:, None],
    )


def no_comparison(members: np.ndarray, *, is_sufficient: np.ndarray) -> PoolComparison:
    """Say which months a month would be compared with, where bins are no distribution: distances are NaN."""
    nothing = np.full(len(members), np.nan)
    known = members & is_sufficient[:, None]
    return PoolComparison(psi=nothing, js=nothing, ks=nothing, threshold=np.ones(len(members)), members=known)


def _thresholds(excess: np.ndarray, psi: float) -> np.ndarray:
    """Raise the threshold where the same season has differed from year to year before -> [M]."""
    thresholds = np.full(len(excess), psi)
    past = list[float]()
    for t, own in enumerate(excess):
        if len(past) >= MIN_PAST:
            low, middle, high = (past[len(past) * quarter // 4] for quarter in (1, 2, 3))
            thresholds[t] = max(psi, middle + SPREAD_FACTOR * (high - low) / IQR_OF_NORMAL)
        if not np.isnan(own):
            insort(past, own)
    return thresholds
