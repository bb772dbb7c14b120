"""A year of one kind of statistic: the noise fitted before it, and its months' tests.

A fit and the one-off months depend on each other: fit, find one-offs with the fit, fit the series that have new ones again.
Everything starts afresh each January from the months before it, so that a month can be judged without replaying history.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from featurestore.drift.monitor.changes.change import WINDOW_MONTHS, ChangeTest
from featurestore.drift.monitor.changes.fit import Eigenbases, NoiseFit, NoiseLikelihoods
from featurestore.drift.monitor.changes.forgotten import Forgotten
from featurestore.drift.monitor.changes.noise import MonthRelations
from featurestore.drift.monitor.changes.statistic import SeriesSet

FIT_ROUNDS = 3
AGAIN_MONTHS = range(10, 15)
ALIKE = (0.5, 2.0)
RESTLESS_YEARS = 2


@dataclass(frozen=True, eq=False)
class FittedYear:
    """One kind's series, their noise and what it need not explain, for the months ``[first, end)``."""

    series: SeriesSet
    relations: MonthRelations
    fit: NoiseFit
    forgotten: Forgotten
    first: int
    end: int

    def test(self, rows: np.ndarray) -> ChangeTest:
        """Begin the year's tests of some series."""
        return ChangeTest(
            self.series.values[rows],
            self.series.variances[rows],
            self.series.kind,
            self.relations,
            self.fit.of(rows),
            _of_rows(self.forgotten, rows),
            start=max(0, self.first - (WINDOW_MONTHS - 12)),
            first=self.first,
            end=self.end,
        )


def fit_year(
    series: SeriesSet, bases: Eigenbases, *, first: int, end: int, courses: tuple[tuple[int, np.ndarray], ...]
) -> FittedYear:
    """Fit the noise of all series of a kind from the months before ``first``.

    Args:
        series: The series.
        bases: Of their months; shared by the fits of all kinds.
        first: First month of the year; at least one month lies before it.
        end: First month after the year.
        courses: Pairs of a series and [M] what it may have any multiple of, as ``Forgotten.courses``.
    """
    relations = bases.relations
    everything = np.arange(len(series.values))
    likelihoods = NoiseLikelihoods(
        series.values, series.variances, series.kind, bases, until=first, pools=series.is_segment.astype(int)
    )
    forgotten = Forgotten(np.zeros(series.values.shape, bool), courses)
    rows = everything
    for _ in range(FIT_ROUNDS):
        likelihoods.explain(rows, forgotten)
        fit = likelihoods.best()
        before = forgotten
        forgotten = _forget_one_offs(series, relations, fit, forgotten, until=first)
        rows = _changed(before, forgotten)
        if not len(rows):
            break
    forgotten = replace(forgotten, pulses=_with_restless(series, relations, forgotten.pulses, first=first, end=end))
    return FittedYear(series, relations, fit, forgotten, first, end)


def _forget_one_offs(
    series: SeriesSet, relations: MonthRelations, fit: NoiseFit, forgotten: Forgotten, *, until: int
) -> Forgotten:
    """Flag months before ``until`` that stand out, and turn those that come back a year later into seasons."""
    start = max(0, until - WINDOW_MONTHS)
    test = ChangeTest(
        series.values, series.variances, series.kind, relations, fit, forgotten, start=start, first=until - 1, end=until
    )
    test.step()
    pulses = forgotten.pulses.copy()
    pulses[:, start:until] = test.pulses
    excess = np.zeros(series.values.shape)
    excess[:, start:until] = test.excess
    seasons = _begun_seasons(pulses, excess, relations)
    for i, course in seasons:
        pulses[i, course > 0] = False
    return replace(forgotten, pulses=pulses, seasons=(*forgotten.seasons, *seasons))


def _with_restless(series: SeriesSet, relations: MonthRelations, pulses: np.ndarray, *, first: int, end: int) -> np.ndarray:
    """Flag those months of the year in whose season something of the feature stood out in years before, but never alike.

    A festival of a fixed date falls on another day of the week every year: one year says nothing about the next, but
    that its month will stand out is known. So it cannot be evidence on its day; what it begins is seen in the month after it.
    """
    flagged = pulses.copy()
    for feature in np.unique(series.features[pulses[:, :first].any(axis=1)]):
        rows = np.flatnonzero(series.features == feature)
        stood_out = np.asarray(pulses[rows, :first].any(axis=0))
        for t in range(first, end):
            own = relations.same_festival if relations.same_festival[t, t] else relations.same_month
            if stood_out[own[t, :first] > 0].sum() >= RESTLESS_YEARS:
                flagged[rows, t] = True
    return flagged


def _begun_seasons(pulses: np.ndarray, excess: np.ndarray, relations: MonthRelations) -> list[tuple[int, np.ndarray]]:
    """Find one-offs that came back about a year later, alike, in the same festival or calendar month."""
    seasons: dict[tuple[int, int], np.ndarray] = {}
    months = np.arange(pulses.shape[1])
    for same in (relations.same_festival, relations.same_month):  # festival first: it moves between months
        for gap in AGAIN_MONTHS:
            early = months[:-gap]
            late = months[gap:]
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = excess[:, late] / excess[:, early]
            is_again = pulses[:, early] & pulses[:, late] & (same[early, late] > 0) & (ratio > ALIKE[0]) & (ratio < ALIKE[1])
            for i, t in np.argwhere(is_again):
                seasons.setdefault((int(i), int(t)), ((same[t] > 0) & (months >= t)).astype(float))
    return [(i, course) for (i, _), course in seasons.items()]


def _changed(before: Forgotten, now: Forgotten) -> np.ndarray:
    is_changed = (before.pulses != now.pulses).any(axis=1)
    is_changed[[i for i, _ in now.seasons[len(before.seasons) :]]] = True
    return np.flatnonzero(is_changed)


def _of_rows(forgotten: Forgotten, rows: np.ndarray) -> Forgotten:
    place = {int(row): i for i, row in enumerate(rows)}
    courses, seasons = (
        tuple((place[i], course) for i, course in pairs if i in place) for pairs in (forgotten.courses, forgotten.seasons)
    )
    return Forgotten(forgotten.pulses[rows], courses, seasons)
