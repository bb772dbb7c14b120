"""From histograms to a few numbers a month whose sampling variance is known: what the change-point model tests.

    location    mean normal score / u             variance 1 / n
    spread      ln(sd of normal scores / u)       variance (kurtosis - 1) / (4 n), 1 / (2 n) for a normal
    missing     arcsine of the root of the share  variance 1 / (4 n)
    category    2 arcsine of the root of a share  variance 1 / n, one series per bin (a profile's rows scatter less)
    calibration level and slope of a forecast     variance sum n p (1 - p) / n^2 p (1 - p), see ``reliability``

Normal scores come from the pooled histogram of the first twelve months that can be judged, so a lognormal looks normal and
a count looks like a coarse normal; u is the median monthly standard deviation of those months.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from featurestore.drift.reliability import BUCKETS, CALIBRATION, level_and_slope
from featurestore.drift.sketches.edges import CATEGORY, NUMERIC, PROFILE
from featurestore.drift.sketches.feature_series import FeatureSeries

LOCATION, SPREAD, MISSING, SHARE = "location", "spread", "missing", "category"
KINDS = (LOCATION, SPREAD, MISSING, SHARE, CALIBRATION)
LEVEL, SLOPE = "level", "slope"
REFERENCE_MONTHS = 12
MIN_VALUES = 10
MAX_POSITIONS = 24
_BEYOND = 0.5
_NORMAL = NormalDist()


@dataclass(frozen=True, eq=False)
class SeriesSet:
    """Series of one kind, ``S`` of them over ``M`` months.

    Attributes:
        kind: ``location``, ``spread``, ``missing``, ``category`` or ``calibration``.
        features: [S] index of the feature that each belongs to.
        labels: [S] what it is of, where a feature has several: the category or the list position.
        values: [S, M] less their median in the first year; NaN where nothing was seen.
        variances: [S, M] sampling variance.
        is_segment: [S] whether it is of a segment.
    """

    kind: str
    features: np.ndarray
    labels: tuple[str, ...]
    values: np.ndarray
    variances: np.ndarray
    is_segment: np.ndarray

    def of(self, rows: np.ndarray) -> SeriesSet:
        """Return some of the series."""
        labels = tuple(self.labels[row] for row in rows)
        return SeriesSet(
            self.kind, self.features[rows], labels, self.values[rows], self.variances[rows], is_segment=self.is_segment[rows]
        )


def collect_series(features: Sequence[FeatureSeries], *, min_rows: int) -> list[SeriesSet]:
    """Compute the statistics of all features, kind by kind; kinds without any series and features without any month are left out."""
    listed: dict[str, list[tuple[int, str, np.ndarray, np.ndarray]]] = {kind: [] for kind in KINDS}
    for i, feature in enumerate(features):
        is_sufficient = feature.is_sufficient(min_rows)
        if not is_sufficient.any():
            continue
        if feature.kind == CALIBRATION:
            listed[CALIBRATION].extend((i, label, *series) for label, series in _reliability(feature, is_sufficient))
            continue
        listed[MISSING].append((i, "", *_missing(feature, is_sufficient)))
        if feature.kind == NUMERIC:
            location, spread = _numeric(feature.counts, is_sufficient)
            listed[LOCATION].append((i, "", *location))
            if feature.segment is None:
                listed[SPREAD].append((i, "", *spread))
        elif feature.kind in (CATEGORY, PROFILE):
            listed[SHARE].extend((i, label, *series) for label, series in _shares(feature, is_sufficient))
    is_segment = np.array([feature.segment is not None for feature in features])
    return [_stacked(kind, rows, is_segment) for kind, rows in listed.items() if rows]


def bin_scores(reference: np.ndarray) -> np.ndarray:
    """Give each bin the mean of a standard normal between the reference's quantiles at its limits -> [bins].

    Bins that the reference never filled continue outwards in steps of a half, inwards they take the score of their limit.
    """
    share = np.cumsum(reference) / reference.sum()
    limits = [_NORMAL.inv_cdf(p) if 0 < p < 1 else (-np.inf if p <= 0 else np.inf) for p in np.minimum(share[:-1], 1)]
    edges = np.concatenate([[-np.inf], limits, [np.inf]])
    density = np.exp(-np.square(edges) / 2) / np.sqrt(2 * np.pi)
    is_filled = reference > 0
    first, last = np.flatnonzero(is_filled)[[0, -1]]
    inner = np.clip(edges[1:], -8, 8)
    scores = np.where(is_filled, (density[:-1] - density[1:]) * reference.sum() / np.maximum(reference, 1e-300), inner)
    index = np.arange(len(reference))
    scores = np.where(index < first, scores[first] - _BEYOND * (first - index), scores)
    return np.asarray(np.where(index > last, scores[last] + _BEYOND * (index - last), scores))


def _numeric(counts: np.ndarray, is_sufficient: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    rows = counts.sum(axis=1)
    is_used = is_sufficient & (rows >= MIN_VALUES)
    nothing = np.full(len(rows), np.nan)
    year = np.flatnonzero(is_used)[:REFERENCE_MONTHS]
    if not len(year):
        return (nothing, nothing), (nothing, nothing)
    pooled = counts[year].sum(axis=0)
    scores = bin_scores(pooled)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = counts @ scores / rows
        sd = np.sqrt(np.maximum(counts @ np.square(scores) / rows - np.square(mean), 0.0))
    unit = float(np.median(sd[year]))
    centred = scores - pooled @ scores / pooled.sum()
    second, fourth = (float(pooled @ centred**power / pooled.sum()) for power in (2, 4))
    is_constant = unit < 0.05
    with np.errstate(divide="ignore", invalid="ignore"):
        location = np.where(is_used, mean / (1.0 if is_constant else unit), np.nan), 1 / rows
        spread = np.full(len(rows), np.nan) if is_constant else np.where(is_used & (sd > 0), np.log(sd / unit), np.nan)
        kurtosis = 3.0 if is_constant else min(max(fourth / second**2, 2.0), 20.0)
        return location, (spread, (kurtosis - 1) / (4 * rows))


def _missing(feature: FeatureSeries, is_sufficient: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    share = (feature.empty + 0.375) / (feature.rows + 0.75)
    with np.errstate(divide="ignore"):
        return np.where(is_sufficient, np.arcsin(np.sqrt(np.minimum(share, 1.0))), np.nan), 0.25 / feature.rows


def _shares(feature: FeatureSeries, is_sufficient: np.ndarray) -> list[tuple[str, tuple[np.ndarray, np.ndarray]]]:
    rows = feature.counts.sum(axis=1)
    is_used = is_sufficient & (rows >= MIN_VALUES)
    if feature.kind == PROFILE:
        names, counts = _folded(feature.counts)
    else:
        names = list(feature.labels)
        counts = feature.counts
        if len(names) == 4 and not counts[:, 2].any():
            names = [names[0], names[3]]  # of two values one says it all
            counts = counts[:, [0, 3]]
    sampling = _profile_sampling(feature, rows) if feature.kind == PROFILE else 1 / np.maximum(rows, 1)
    shares = []
    for name, own in zip(names, counts.T, strict=True):
        values = 2 * np.arcsin(np.sqrt(np.minimum((own + 0.375) / (rows + 0.75), 1.0)))
        shares.append((name, (np.where(is_used, values, np.nan), sampling)))
    return shares


def _reliability(feature: FeatureSeries, is_sufficient: np.ndarray) -> list[tuple[str, tuple[np.ndarray, np.ndarray]]]:
    is_used = is_sufficient & (feature.counts[:, :BUCKETS].sum(axis=1) >= MIN_VALUES)
    level, slope, variance = level_and_slope(feature.counts)
    return [(label, (np.where(is_used, own, np.nan), variance)) for label, own in ((LEVEL, level), (SLOPE, slope))]


def _profile_sampling(feature: FeatureSeries, rows: np.ndarray) -> np.ndarray:
    """Return the variance of a profile's shares -> [M]: as many draws as would scatter as much as its rows do.

    A row of a profile is a mean of many events, so that it scatters less than the single draw that a category is.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        single = 1 - np.square(feature.counts / rows[:, None]).sum(axis=1)
        return np.asarray(np.clip(feature.m2 / rows / single, 1e-4, 1.0) / np.maximum(rows, 1))


def _folded(counts: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Fold long profiles: an hour-of-week profile to its hours and its days, others to neighbouring positions."""
    size = counts.shape[1]
    if size <= MAX_POSITIONS:
        return [str(i) for i in range(size)], counts
    if size == 168:
        week = counts.reshape(-1, 7, 24)
        names = [f"hour {i}" for i in range(24)] + [f"day {i}" for i in range(7)]
        return names, np.concatenate([week.sum(axis=1), week.sum(axis=2)], axis=1)
    starts = np.linspace(0, size, MAX_POSITIONS + 1).astype(int)[:-1]
    ends = [*starts[1:], size]
    return [f"{low}-{high - 1}" for low, high in zip(starts, ends, strict=True)], np.add.reduceat(counts, starts, axis=1)


def _stacked(kind: str, rows: list[tuple[int, str, np.ndarray, np.ndarray]], is_segment: np.ndarray) -> SeriesSet:
    values = np.stack([row[2] for row in rows])
    is_seen = ~np.isnan(values)
    first_year = is_seen & (np.cumsum(is_seen, axis=1) <= REFERENCE_MONTHS)
    centre = np.array([np.median(own[used]) if used.any() else 0.0 for own, used in zip(values, first_year, strict=True)])
    variances = np.where(is_seen, np.stack([row[3] for row in rows]), np.nan)
    owners = np.array([row[0] for row in rows])
    return SeriesSet(
        kind, owners, tuple(row[1] for row in rows), values - centre[:, None], variances, is_segment=is_segment[owners]
    )
