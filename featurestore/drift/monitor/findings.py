"""Findings: per month, feature and segment, the strongest of its statistics' alarms, in words.

The change-point test decides. The pool of the same season explains, and keeps a slow watch on small changes that persist.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from featurestore.concurrency import each_of
from featurestore.drift.data_faults.feature_fault import lasting
from featurestore.drift.monitor.changes.change import ChangeTest
from featurestore.drift.monitor.changes.fit import FIT_MONTHS, Eigenbases
from featurestore.drift.monitor.changes.noise import MonthRelations
from featurestore.drift.monitor.changes.statistic import LOCATION, MISSING, SPREAD, SeriesSet, collect_series
from featurestore.drift.monitor.changes.year import fit_year
from featurestore.drift.monitor.policy import DriftPolicy
from featurestore.drift.monitor.pool import PoolComparison, compare_with_pool, no_comparison, pool_members, season_labels
from featurestore.drift.monitor.state import Finding
from featurestore.drift.monitor.thresholds import MAX_SCORE, Alarms, raise_alarms
from featurestore.drift.reliability import CALIBRATION, Reliability
from featurestore.drift.sketches.edges import PROFILE
from featurestore.drift.sketches.feature_series import FeatureSeries
from featurestore.timeline import Month

SLOW_MONTHS = 3
SHARED = 2.0
SEASON_KEPT = 0.5
"""A new baseline's season is as large as before, give or take all of it: the weight of what is forgotten is four."""


class Findings:
    """Judges the months of all features, a year at a time and in order.

    Args:
        features: What to judge.
        months: The features' months.
        season: Month to its season.
        policy: Thresholds.
    """

    def __init__(
        self,
        features: Sequence[FeatureSeries],
        months: Sequence[Month],
        season: Callable[[Month], object],
        policy: DriftPolicy,
    ) -> None:
        self._features, self._months, self._policy = features, months, policy
        self._series = collect_series(features, min_rows=policy.min_rows)
        self._relations = MonthRelations.of(months, season)
        self._labels = season_labels(months, season)
        self._pools = dict[int, PoolComparison]()
        self._segments = np.zeros(len(features))
        self._baselines = np.full(len(features), -np.inf)
        self._seen_months = [np.cumsum(~np.isnan(series.values), axis=1) for series in self._series]
        self._forgotten = _followed(self._series)
        self._rescaled: list[list[tuple[int, np.ndarray]]] = [[] for _ in self._series]
        self._tests: list[_YearTest] = []
        self._alarms: list[Alarms] = []
        self._strongest = [(0.0, -1, -1)] * len(features)

    def begin_year(self, first: int, end: int) -> None:
        """Fit the noise on the months before ``first`` and get ready for ``[first, end)``."""
        self._segments = _segment_counts(self._features, until=first)
        bases = Eigenbases(self._relations)
        is_alive = np.array([feature.first < end and first < feature.end for feature in self._features])

        def begin(k: int) -> _YearTest:
            series = self._series[k]
            recent = ~np.isnan(series.values[:, max(0, first - FIT_MONTHS) : first])
            # What has ended says nothing of the year, and what ended long ago nothing of its noise.
            rows = np.flatnonzero(is_alive[series.features] | recent.any(axis=1))
            courses = tuple(_placed(self._forgotten[k], rows))
            year = fit_year(series.of(rows), bases, first=first, end=end, courses=courses)
            alive = np.flatnonzero(is_alive[year.series.features])
            return _YearTest(year.series.of(alive), rows[alive], year.test(alive), SEASON_KEPT * year.fit.season[alive])

        self._tests = each_of(begin, range(len(self._series)))
        for k, year in enumerate(self._tests):
            for row, step in _placed(self._rescaled[k], year.rows):
                year.test.forget(row, step * year.seasons[row])

    @property
    def has_year(self) -> bool:
        """Whether a year has begun."""
        return bool(self._tests)

    def step(self, t: int) -> None:
        """Test the next month of the year."""
        self._alarms = []
        self._strongest = [(0.0, -1, -1)] * len(self._features)
        for k, year in enumerate(self._tests):
            series, seen = year.series, self._seen_months[k][year.rows, t]
            alarms = raise_alarms(
                year.test.step(),
                series.kind,
                segments=self._segments[series.features],
                months=seen,
                oldest=t - self._baselines[series.features],
            )
            self._alarms.append(alarms)
            for row in np.flatnonzero(~np.isnan(series.values[:, t]) & (seen > self._policy.min_months)):
                i = int(series.features[row])
                self._strongest[i] = max(self._strongest[i], (float(alarms.score[row]), k, int(row)))

    def finding(self, i: int, t: int) -> Finding:
        """Say what the month last tested means for a feature that can be judged."""
        feature = self._features[i]
        (score, k, row) = self._strongest[i]
        if t in feature.faults:
            kind, text = feature.faults[t]
            return Finding(MAX_SCORE, kind, text, onset=lasting(feature.faults, t), is_extreme=True, is_fault=True)
        compared = self._compared_text(i, t)
        if k < 0:
            return Finding(0.0, LOCATION, f"no statistic has history enough yet{compared}", onset=t)
        alarms = self._alarms[k]
        series = self._tests[k].series
        age = int(alarms.age[row])
        is_slow = bool((self._pool(i).score[max(0, t - SLOW_MONTHS + 1) : t + 1] >= 1).all())
        is_told = score >= 1 or is_slow or feature.kind == CALIBRATION
        what = _described(feature, series, alarms, row, t) if is_told else "no change"
        shape = "growing" if alarms.is_ramp[row] else "all at once"
        when = f", {shape} since {self._months[t - age]}" if score >= 1 else ""
        slow = "; apart from its season for months, though no single change stands out" if is_slow and score < 1 else ""
        inflow = "; scored on the month's inflow" if feature.scored_on == "inflow" else ""
        return Finding(
            score=round(score, 6),
            kind=series.kind,
            text=f"{what}{when} (z {alarms.z[row]:+.1f}){slow}{compared}{inflow}",
            onset=t - age,
            is_confirmed=age > 0,
            is_extreme=bool(alarms.is_extreme[row]),
            is_slow=is_slow,
        )

    def is_shared(self, i: int, whole: int, t: int) -> bool:
        """Say whether a segment's change in the month last tested is one of all rows: more of it than the segment brings.

        A change of the segment alone moves all rows by the segment's share of them at most, since they scatter at least as much.
        """
        _, k, row = self._strongest[i]
        series = self._tests[k].series
        sizes = self._alarms[k].size
        same = [j for j in np.flatnonzero(series.features == whole) if series.labels[j] == series.labels[row]]
        share = self._features[i].rows[t] / max(self._features[whole].rows[t], 1)
        brought = min(SHARED * share, 0.5) * abs(sizes[row])
        return not same or bool(sizes[same[0]] * np.sign(sizes[row]) >= brought)

    def forget(self, i: int, *, baseline: int, since: int | None) -> None:
        """Take the months from ``baseline`` on as a feature's new baseline; those from ``since`` until then as neither.

        Levels are forgotten, and how large the season is; its shape and the noise are kept.
        """
        self._baselines[i] = baseline
        index = np.arange(len(self._months))
        steps = [(index >= start).astype(float) for start in sorted({baseline, baseline if since is None else since})]
        for k, series in enumerate(self._series):
            for row in np.flatnonzero(series.features == i):
                self._forgotten[k] += [(int(row), course) for course in steps]
                self._rescaled[k].append((int(row), steps[0]))
            for place in np.flatnonzero(self._tests[k].series.features == i) if self._tests else ():
                for course in (*steps, steps[0] * self._tests[k].seasons[place]):
                    self._tests[k].test.forget(int(place), course)
        self._pools[i] = self._compare(self._features[i], baseline=baseline)

    def reference(self, i: int, t: int) -> list[str]:
        """List the months of the same season that a month is compared with."""
        return [str(self._months[int(j)]) for j in np.flatnonzero(self._pool(i).members[t])]

    def _compared_text(self, i: int, t: int) -> str:
        pool = self._pool(i)
        if np.isnan(pool.psi[t]):
            return ""
        return f"; against {', '.join(self.reference(i, t))}: PSI {pool.psi[t]:.2f}, JS {pool.js[t]:.2f}, KS {pool.ks[t]:.2f}"

    def _pool(self, i: int) -> PoolComparison:
        """Return the comparison of a feature's months with their seasons; made when it is first asked for."""
        if i not in self._pools:
            self._pools[i] = self._compare(self._features[i], baseline=0)
        return self._pools[i]

    def _compare(self, feature: FeatureSeries, *, baseline: int) -> PoolComparison:
        is_sufficient = feature.is_sufficient(self._policy.min_rows)
        members = pool_members(self._labels, is_sufficient, baseline=baseline)
        if feature.kind == CALIBRATION:
            return no_comparison(members, is_sufficient=is_sufficient)
        return compare_with_pool(feature.counts, members, is_sufficient=is_sufficient, psi=self._policy.psi)


@dataclass(frozen=True, eq=False)
class _YearTest:
    """A year of one kind of statistic: the series that may be judged in it.

    Attributes:
        series: These ``S``.
        rows: [S] their places among all series of the kind.
        test: Their tests.
        seasons: [S, M] their seasons, as far as a new baseline keeps them.
    """

    series: SeriesSet
    rows: np.ndarray
    test: ChangeTest
    seasons: np.ndarray


def _placed(courses: Sequence[tuple[int, np.ndarray]], rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Name the series of each course by its place among some, and leave out those of others."""
    places = {int(row): place for place, row in enumerate(rows)}
    return ((places[row], course) for row, course in courses if row in places)


def _followed(kinds: Sequence[SeriesSet]) -> list[list[tuple[int, np.ndarray]]]:
    """List per kind the courses of unknown size that series follow: a spread follows its feature's location.

    Bins and bounds couple the two: what moves towards the end of the reference's range is told apart less, a share near one
    scatters less. So a spread has changed only by what its location does not explain.
    """
    courses = {
        int(feature): np.nan_to_num(values)
        for series in kinds
        if series.kind == LOCATION
        for feature, values in zip(series.features, series.values, strict=True)
    }
    return [
        [(row, courses[int(feature)]) for row, feature in enumerate(series.features)] if series.kind == SPREAD else []
        for series in kinds
    ]


def _segment_counts(features: Sequence[FeatureSeries], *, until: int) -> np.ndarray:
    """Count the segments of the column that each feature is a segment of -> [features]; 0 for all rows.

    Only segments that were seen before ``until`` count, so that a month's answer does not depend on later ones.
    """
    keys = [(feature.name, (feature.segment or "").partition("=")[0]) for feature in features]
    counts = Counter(key for key, feature in zip(keys, features, strict=True) if feature.first < until)
    return np.array(
        [0.0 if feature.segment is None else max(counts[key], 1) for key, feature in zip(keys, features, strict=True)]
    )


def _described(feature: FeatureSeries, series: SeriesSet, alarms: Alarms, row: int, t: int) -> str:
    """Name a change and its size in words people use."""
    size = float(alarms.size[row])
    label = series.labels[row]
    before = slice(max(0, t - int(alarms.age[row]) - 12), t - int(alarms.age[row]))
    if series.kind == CALIBRATION:
        return _reliability(feature, before, t)
    if series.kind == LOCATION:
        return f"location {size:+.2f} standard deviations"
    if series.kind == SPREAD:
        return f"spread times {np.exp(size):.2f}"
    if series.kind == MISSING:
        return f"missing values {_share(feature.empty[before], feature.rows[before]):.1%} -> {feature.empty[t] / feature.rows[t]:.1%}"
    if feature.kind == PROFILE:
        return f"share of position {label} {'up' if size > 0 else 'down'}"
    own = feature.counts[:, feature.labels.index(label)]
    rows = feature.counts.sum(axis=1)
    return f"share of {label!r} {_share(own[before], rows[before]):.1%} -> {_share(own[t], rows[t]):.1%}"


def _reliability(feature: FeatureSeries, before: slice, t: int) -> str:
    now = Reliability.from_counts(int(feature.rows[t]), feature.counts[t])
    old = Reliability.from_counts(int(feature.rows[before].sum()), feature.counts[before].sum(axis=0))
    then = f" (before {old.observed_share:.1%} of {old.mean_forecast:.1%})" if old.forecasts else ""
    scores = f"ECE {now.ece:.4f}, Brier {now.brier:.4f} of {now.trials.sum():.0f} trials"
    return f"{now.observed_share:.1%} came where {now.mean_forecast:.1%} was forecast{then}; {scores}"


def _share(part: np.ndarray, whole: np.ndarray) -> float:
    return float(np.sum(part) / max(np.sum(whole), 1))
