"""Test each month for a step or a ramp, with all that is known about a series' noise inside the test.

    1. precision     K^-1 of each series over the window, one month larger each month       bordering, O(n^2)
    2. residuals     a = K^-1 y, d = diag K^-1                                             leave-one-out residual a / d
    3. hypotheses    step in each of the last 12 months, ramp that began 3 to 24 ago       z = x'a / sqrt(x'K^-1 x)
    4. one-offs      a past month that stands out more than any hypothesis is forgotten    rank-one update, again from 2

z is the exact likelihood ratio of a change of unknown size, ``x'a / x'K^-1 x`` its estimated size. Steps and ramps are zero
before their onset, so only the last rows of K^-1 are needed, and sums over them are cumulative sums.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featurestore.drift.monitor.changes.fit import NoiseFit
from featurestore.drift.monitor.changes.forgotten import Forgotten
from featurestore.drift.monitor.changes.noise import DIFFUSE, EFFECTS, UNITS, UNSEEN, MonthRelations, Noise

STEPS = 12
RAMPS = np.arange(3, 24)
REACH = int(RAMPS[-1]) + 1
WINDOW_MONTHS = 84
PULSE_FOUND, PULSE_KEPT = 3.8, 2.5
PULSE_ROUNDS = 4
CHUNK_SERIES = 256
AGES = np.concatenate([np.arange(STEPS), RAMPS])
IS_RAMP = np.arange(len(AGES)) >= STEPS


@dataclass(frozen=True, eq=False)
class Evidence:
    """One month's tests of ``S`` series against ``H`` hypotheses, steps first (``AGES`` months ago), then ramps.

    Attributes:
        z: [S, H] likelihood ratios, signed.
        size: [S, H] estimated total change until now, in the statistic's own measure.
    """

    z: np.ndarray
    size: np.ndarray


class ChangeTest:
    """Tests the months of up to a year, in order, with the noise that was fitted before the year.

    Args:
        values: [S, M], NaN where unseen.
        variances: [S, M] sampling variances.
        kind: Kind of statistic.
        relations: Of the M months.
        fit: Noise of the series.
        forgotten: What the fit has forgotten; one-offs found later are added to a copy.
        start: First month of the window.
        first: First month to be tested; its past is ``[start, first)``.
        end: First month after the last one that may be tested.
    """

    def __init__(
        self,
        values: np.ndarray,
        variances: np.ndarray,
        kind: str,
        relations: MonthRelations,
        fit: NoiseFit,
        forgotten: Forgotten,
        *,
        start: int,
        first: int,
        end: int,
    ) -> None:
        window = slice(start, end)
        unit2 = UNITS[kind] ** 2
        self._start, self._months, self._diffuse = start, first - start, DIFFUSE * unit2
        is_seen = ~np.isnan(values[:, window])
        self._is_seen = is_seen
        self._y = np.nan_to_num(values[:, window])
        self._pulses = forgotten.pulses[:, window] & is_seen
        self.excess = np.zeros(self._y.shape)
        sampling = fit.noise[:, 3:4] * np.nan_to_num(variances[:, window])
        own = np.where(is_seen, sampling, UNSEEN * unit2) + self._diffuse * self._pulses
        courses = [(series, course[window]) for series, course in (*forgotten.courses, *forgotten.seasons)]
        self._past, size = self._months, end - start
        self._precision = np.zeros((len(values), size, size))
        self._ahead = np.empty((len(values), size, end - first))
        for low in range(0, len(values), CHUNK_SERIES):
            rows = np.arange(low, min(low + CHUNK_SERIES, len(values)))
            self._invert(rows, _covariances(fit.of(rows), kind, relations, window), own[rows], courses)

    def _invert(self, rows: np.ndarray, covariance: np.ndarray, own: np.ndarray, courses: list[tuple[int, np.ndarray]]) -> None:
        """Complete the covariances of some series, invert their past and keep the columns of the months to come."""
        index = np.arange(covariance.shape[1])
        covariance[:, index, index] += own
        for series, course in courses:
            if rows[0] <= series <= rows[-1]:
                covariance[series - rows[0]] += self._diffuse * np.outer(course, course)
        self._precision[rows, : self._past, : self._past] = np.linalg.inv(covariance[:, : self._past, : self._past])
        self._ahead[rows] = covariance[:, :, self._past :]

    def forget(self, series: int, course: np.ndarray) -> None:
        """Forget a course [M] of unknown size in one series, such as its level before a recalibration."""
        x = course[self._start : self._start + self._precision.shape[1]].astype(float)
        self._ahead[series] += self._diffuse * np.outer(x, x[self._past :])
        self._update(np.array([series]), x[None, : self._months], self._diffuse)

    def step(self) -> Evidence:
        """Take the next month in and test it."""
        self._border()
        z, size = (np.zeros((len(self._y), len(AGES))) for _ in range(2))
        rows = np.arange(len(self._y))
        for last in range(PULSE_ROUNDS)[::-1]:
            explained = self._explained(rows)
            recent = slice(max(0, self._months - REACH), self._months)
            z[rows], size[rows] = likelihood_ratios(self._precision[rows, recent, recent], explained[:, recent])
            changed = self._find_pulses(rows, explained, np.abs(z[rows]).max(axis=1)) if last else rows[:0]
            if not len(changed):
                break
            rows = changed
        return Evidence(z, size)

    @property
    def pulses(self) -> np.ndarray:
        """One-off months as now known -> [S, window]."""
        return np.asarray(self._pulses)

    def _explained(self, rows: np.ndarray) -> np.ndarray:
        n = self._months
        y = self._y[rows]
        whole = self._precision if len(rows) == len(self._precision) else self._precision[rows]
        return np.asarray((whole[:, :n, :n] @ y[:, :n, None])[:, :, 0])

    def _border(self) -> None:
        """Grow the precision by the next month: the inverse of a bordered matrix."""
        n = self._months
        old = self._precision[:, :n, :n]
        column = self._ahead[:, :n, n - self._past]
        through = (old @ column[:, :, None])[:, :, 0]
        rest = self._ahead[:, n, n - self._past] - np.einsum("fn,fn->f", column, through)
        old += through[:, :, None] * (through / rest[:, None])[:, None, :]
        self._precision[:, :n, n] = self._precision[:, n, :n] = -through / rest[:, None]
        self._precision[:, n, n] = 1 / rest
        self._months = n + 1

    def _find_pulses(self, rows: np.ndarray, explained: np.ndarray, rival: np.ndarray) -> np.ndarray:
        """Flag the past month that stands out most as a one-off, drop flags that do not any more -> rows that changed."""
        n = self._months
        own = self._pulses[rows, :n]
        d = np.einsum("fnn->fn", self._precision[:, :n, :n])[rows]
        # The residual without the month itself, against its spread without the flag's own variance.
        residual = explained / d / np.sqrt(np.maximum(1 / d - self._diffuse * own, 1e-12))
        residual = np.where(self._is_seen[rows, :n], residual, 0.0)
        self.excess[rows, :n] = residual
        distance = np.abs(residual)
        distance[:, -1] = 0.0  # today cannot be told from a step
        free = np.where(own, 0.0, distance)
        worst = free.max(axis=1)
        at = free.argmax(axis=1)
        is_new = (worst > PULSE_FOUND) & (worst > rival)
        is_gone = own & (distance < PULSE_KEPT)
        is_gone[:, -1] = False
        for series, t in zip(rows[is_new], at[is_new], strict=True):
            self._flag(series, t, is_pulse=True)
        for i, t in np.argwhere(is_gone):
            self._flag(rows[i], t, is_pulse=False)
        return np.asarray(rows[is_new | is_gone.any(axis=1)])

    def _flag(self, series: int, t: int, *, is_pulse: bool) -> None:
        weight = self._diffuse if is_pulse else -self._diffuse
        self._pulses[series, t] = is_pulse
        single = np.zeros((1, self._months))
        single[0, t] = 1.0
        self._update(np.array([series]), single, weight)

    def _update(self, rows: np.ndarray, x: np.ndarray, weight: float) -> None:
        """Add ``weight x x'`` to the covariance of the months so far (Sherman and Morrison)."""
        n = self._months
        through = np.einsum("fnm,fm->fn", self._precision[rows, :n, :n], x)
        scale = weight / (1 + weight * np.einsum("fn,fn->f", through, x))
        self._precision[rows, :n, :n] -= through[:, :, None] * (scale[:, None] * through)[:, None, :]


def likelihood_ratios(precision: np.ndarray, explained: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Test all hypotheses of series whose last ``n`` months are given -> z, size, both [S, H]; 0 for what began before them.

    A hypothesis x is zero before its onset. So ``x'a`` of all steps are the sums of the last months of ``a``, of all ramps the sums
    of these sums; ``x'K^-1 x`` likewise, summed in both directions.

    Args:
        precision: [S, n, n] the last months' block of ``K^-1``.
        explained: [S, n] the last months of ``a = K^-1 y``.

    Five months whose noise is independent and 1, so ``a`` is y, which is 2 in the last two:

        months          1  2  3  4  5
        y               0  0  0  2  2    z = x'a / sqrt(x'x)          size = x'a / x'x times the last x
        step, age 0     0  0  0  0  1    2 / sqrt(1)  = 2.00          2 / 1 = 2.0
        step, age 1     0  0  0  1  1    4 / sqrt(2)  = 2.83, most    4 / 2 = 2.0
        step, age 2     0  0  1  1  1    4 / sqrt(3)  = 2.31          4 / 3 = 1.3
        ramp, age 3     0  1  2  3  4    14 / sqrt(30) = 2.56         14 / 30 * 4 = 1.9

    >>> z, size = likelihood_ratios(np.eye(5)[None], np.array([[0.0, 0.0, 0.0, 2.0, 2.0]]))
    >>> chosen = [0, 1, 2, STEPS]
    >>> z[0, chosen].round(2), size[0, chosen].round(1)
    (array([2.  , 2.83, 2.31, 2.56]), array([2. , 2. , 1.3, 1.9]))
    """
    reach = precision.shape[1]
    steps = np.cumsum(np.cumsum(precision[:, ::-1, ::-1], axis=1), axis=2)
    tops = np.cumsum(explained[:, ::-1], axis=1)
    index = np.arange(reach)
    bottoms = steps[:, index, index]
    ramp_tops = np.cumsum(tops, axis=1)
    ramp_bottoms = np.cumsum(np.cumsum(steps, axis=1), axis=2)[:, index, index]
    ages = np.minimum(AGES, reach - 1)
    top = np.where(IS_RAMP, ramp_tops[:, ages], tops[:, ages])
    bottom = np.maximum(np.where(IS_RAMP, ramp_bottoms[:, ages], bottoms[:, ages]), 1e-12)
    is_within = reach > AGES
    total = np.where(IS_RAMP, AGES + 1, 1)
    return np.where(is_within, top / np.sqrt(bottom), 0.0), np.where(is_within, top / bottom * total, 0.0)


def _covariances(fit: NoiseFit, kind: str, relations: MonthRelations, window: slice) -> np.ndarray:
    """Return each series' covariance without its sampling variance -> [S, n, n]; equal parameters are computed once."""
    keys, inverse = np.unique(np.column_stack([fit.noise, fit.effect]), axis=0, return_inverse=True)
    shared = np.stack(
        [relations.noise(window, Noise(*key[:4]), EFFECTS[int(key[4])], unit=UNITS[kind]) for key in keys.tolist()]
    )
    season = fit.season[:, window]
    varying = season[:, :, None] * season[:, None, :] * relations.amplitude(window)
    return np.asarray(shared[inverse.ravel()] + np.square(fit.amplitude)[:, None, None] * varying)
