"""Fit each series' noise once a year, pooled over all series of a kind.

    1. groups       series with the same sampling variance and first month share their base covariances
    2. profiles     per effect: the season of each series, amplitude aside
    3. likelihoods  per candidate: base inverse once per group, what is a series' own as low-rank corrections
    4. pooling      weights of the candidates by EM over all series (empirical Bayes), then each series' best candidate

A series' own part is ``W C W'``: its season per year (amplitude), its one-off months, its unseen months, its forgotten
baselines. With ``M = W' B W`` and ``b = W' B y`` for a base inverse ``B`` (matrix inversion lemma and determinant lemma):
``y' K^-1 y = y' B y - b' C (I + M C)^-1 b`` and ``det K = det K0 det(I + M C)``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from featurestore.drift.noise import DIFFUSE, EFFECTS, GRIDS, NO_EFFECT, REFERENCE_NOISE, UNITS, UNSEEN, MonthRelations, Noise

FIT_MONTHS = 60
EM_ROUNDS = 30
VARIANCE_STEP = 1.3


@dataclass(frozen=True, eq=False)
class Forgotten:
    """What a fit must not explain by its noise.

    Attributes:
        pulses: [S, M] one-off months.
        onsets: Pairs of a series and [M] a step of unknown size: the baseline before a recalibration.
        seasons: Pairs of a series and [M] months of unknown common size: a season that began on the way.
    """

    pulses: np.ndarray
    onsets: tuple[tuple[int, np.ndarray], ...] = ()
    seasons: tuple[tuple[int, np.ndarray], ...] = ()


@dataclass(frozen=True, eq=False)
class NoiseFit:
    """The noise of ``S`` series.

    Attributes:
        noise: [S, 4] the fields of ``Noise``.
        effect: [S] index into ``EFFECTS``.
        amplitude: [S] variation of the season's size.
        season: [S, M] the season's course, zero in its median month.
    """

    noise: np.ndarray
    effect: np.ndarray
    amplitude: np.ndarray
    season: np.ndarray

    def of(self, rows: np.ndarray) -> NoiseFit:
        """Return the noise of some series."""
        return NoiseFit(self.noise[rows], self.effect[rows], self.amplitude[rows], self.season[rows])


class NoiseLikelihoods:
    """How well each candidate noise explains each series; kept so that a few series can be explained again.

    Args:
        values: [S, M], NaN where unseen.
        variances: [S, M] sampling variances.
        kind: Kind of statistic: chooses the grid and the unit.
        relations: Of the M months.
        until: First month that is not used.
    """

    def __init__(self, values: np.ndarray, variances: np.ndarray, kind: str, relations: MonthRelations, *, until: int) -> None:
        self._values, self._variances, self._kind, self._relations, self._until = values, variances, kind, relations, until
        self._candidates = [_candidates(kind, effect) for effect in EFFECTS]
        self._logs = np.zeros((len(values), sum(map(len, self._candidates))))
        self._is_explained = np.zeros(len(values), bool)
        self._profiles = np.zeros((len(EFFECTS), *values.shape))

    def explain(self, rows: np.ndarray, forgotten: Forgotten) -> None:
        """Compute the likelihoods of some series, given what their noise need not explain."""
        start = max(0, self._until - FIT_MONTHS)
        for own, window, variance in _groups(self._values, self._variances, rows, slice(start, self._until)):
            part = _Part.of(self._values, own, window, variance, forgotten, unit=UNITS[self._kind], relations=self._relations)
            found = []
            for e, effect in enumerate(EFFECTS):
                self._profiles[e, own] = part.profile(effect)
                found.append(part.likelihoods(self._candidates[e], effect, self._profiles[e, own]))
            self._logs[own], self._is_explained[own] = np.concatenate(found, axis=1), True

    def best(self) -> NoiseFit:
        """Choose each series' noise, the candidates weighed by how well they serve all series that have been seen."""
        chosen = (self._logs + np.log(_weights(self._logs[self._is_explained]))).argmax(axis=1)
        flat = [candidate for own in self._candidates for candidate in own]
        effect = np.repeat(np.arange(len(EFFECTS)), [len(own) for own in self._candidates])[chosen]
        return NoiseFit(
            noise=np.array([noise for noise, _ in flat])[chosen],
            effect=effect,
            amplitude=np.array([amplitude for _, amplitude in flat])[chosen],
            season=self._profiles[effect, np.arange(len(chosen))],
        )


def _candidates(kind: str, effect: tuple[float, float]) -> list[tuple[Noise, float]]:
    grid = GRIDS[kind]
    return [(noise, amplitude) for noise in grid.noises for amplitude in grid.amplitudes_of(effect)]


def _groups(
    values: np.ndarray, variances: np.ndarray, rows: np.ndarray, span: slice
) -> Iterator[tuple[np.ndarray, slice, np.ndarray]]:
    """Group series that can share base covariances -> rows, window, [n] sampling variance of the months.

    Series that begin later have a shorter window; a series without any month in the span is in no group.
    """
    is_seen = ~np.isnan(values[rows, span])
    known = rows[is_seen.any(axis=1)]
    first = is_seen[is_seen.any(axis=1)].argmax(axis=1)
    middle = np.nanmedian(np.where(np.isnan(values[known, span]), np.nan, variances[known, span]), axis=1)
    levels = np.round(np.log(middle) / np.log(VARIANCE_STEP)).astype(int)
    for key in sorted(set(zip(first.tolist(), levels.tolist(), strict=True))):
        mine = (first == key[0]) & (levels == key[1])
        window = slice(span.start + key[0], span.stop)
        yield known[mine], window, np.full(span.stop - window.start, np.median(middle[mine]))


@dataclass(frozen=True, eq=False)
class _Part:
    """One group of ``F`` series over a window of ``n`` months.

    Attributes:
        y: [F, n], zero where unseen.
        columns: [F, n, w] what each series has of its own: unseen months, one-offs, forgotten courses.
        weights: [F, w] their variances; zero where a series has fewer.
        seasons: Pairs of a row and [M] a season that began on the way.
    """

    y: np.ndarray
    columns: np.ndarray
    weights: np.ndarray
    variance: np.ndarray
    window: slice
    seasons: tuple[tuple[int, np.ndarray], ...]
    unit: float
    relations: MonthRelations

    @classmethod
    def of(
        cls,
        values: np.ndarray,
        rows: np.ndarray,
        window: slice,
        variance: np.ndarray,
        forgotten: Forgotten,
        *,
        unit: float,
        relations: MonthRelations,
    ) -> _Part:
        own = values[rows, window]
        place = {int(row): i for i, row in enumerate(rows)}
        listed: list[list[tuple[np.ndarray, float]]] = [[] for _ in rows]
        single = np.eye(own.shape[1])
        for i, t in np.argwhere(np.isnan(own)):
            listed[i].append((single[t], UNSEEN))
        for i, t in np.argwhere(forgotten.pulses[rows, window] & ~np.isnan(own)):
            listed[i].append((single[t], DIFFUSE))
        for series, course in (*forgotten.onsets, *forgotten.seasons):
            if series in place and course[window].any():
                listed[place[series]].append((course[window], DIFFUSE))
        width = max(map(len, listed))
        columns, weights = np.zeros((len(rows), own.shape[1], width)), np.zeros((len(rows), width))
        for i, pairs in enumerate(listed):
            for j, (course, weight) in enumerate(pairs):
                columns[i, :, j], weights[i, j] = course, weight * unit**2
        seasons = tuple((place[series], course) for series, course in forgotten.seasons if series in place)
        return cls(np.nan_to_num(own), columns, weights, variance, window, seasons, unit, relations)

    def profile(self, effect: tuple[float, float]) -> np.ndarray:
        """Return the posterior mean of the month and festival effects, amplitude aside -> [F, M].

        Estimated again with amplitude > 0 it would shrink at every turn.
        """
        month, festival = effect
        everything, size = slice(None), self.relations.lag.shape[0]
        if effect == NO_EFFECT and not self.seasons:
            return np.zeros((len(self.y), size))
        base = np.linalg.inv(self._base(REFERENCE_NOISE, effect))
        explained = self._precision_times_y(base)
        same = self.relations.same_month[self.window, everything], self.relations.same_festival[self.window, everything]
        season = explained @ (self.unit**2 * (month**2 * same[0] + festival**2 * same[1]))
        for i, course in self.seasons:
            season[i] += DIFFUSE * self.unit**2 * course * (explained[i] @ course[self.window])
        last_year = slice(max(self.window.start, self.window.stop - 12), self.window.stop)
        return np.asarray(season - np.median(season[:, last_year], axis=1)[:, None])

    def likelihoods(self, candidates: list[tuple[Noise, float]], effect: tuple[float, float], season: np.ndarray) -> np.ndarray:
        """Return the log-likelihood of each candidate of one effect, up to a constant -> [F, candidates]."""
        years = self.relations.years[self.window]
        in_year = (np.unique(years)[:, None] == years).astype(float)
        varying = season[:, None, self.window] * in_year
        whole = np.concatenate([self.y[:, None, :], varying, self.columns.transpose(0, 2, 1)], axis=1)
        together = np.eye(len(in_year)) - 1 / len(in_year)
        found = []
        for noise, same in groupby(candidates, key=lambda candidate: candidate[0]):
            covariance = self._base(noise, effect)
            through = (whole.reshape(-1, len(years)) @ np.linalg.inv(covariance)).reshape(whole.shape)
            gram = whole @ through.transpose(0, 2, 1)
            determinant = np.linalg.slogdet(covariance)[1]
            found += [-0.5 * (determinant + self._own_part(gram, amplitude**2 * together)) for _, amplitude in same]
        return np.stack(found, axis=1)

    def _own_part(self, gram: np.ndarray, varying: np.ndarray) -> np.ndarray:
        """Return ``y' K^-1 y + log det(I + M C)`` from the Gram matrix of ``[y, W]`` -> [F]."""
        years = len(varying)
        unvarying = gram[:, 1 + years :, 1 + years :] * self.weights[:, None, :]
        if varying.any():
            corrected = np.concatenate(
                [gram[:, 1:, 1 : 1 + years] @ varying, gram[:, 1:, 1 + years :] * self.weights[:, None, :]], axis=2
            )
            b, own = (
                gram[:, 1:, 0],
                np.concatenate([gram[:, 0, 1 : 1 + years] @ varying, gram[:, 0, 1 + years :] * self.weights], axis=1),
            )
        else:
            corrected, b, own = unvarying, gram[:, 1 + years :, 0], gram[:, 0, 1 + years :] * self.weights
        if not corrected.shape[1]:
            return np.asarray(gram[:, 0, 0])
        corrected = corrected + np.eye(corrected.shape[1])
        reduction = (own * np.linalg.solve(corrected, b[:, :, None])[:, :, 0]).sum(axis=1)
        return np.asarray(gram[:, 0, 0] - reduction + np.linalg.slogdet(corrected)[1])

    def _base(self, noise: Noise, effect: tuple[float, float]) -> np.ndarray:
        return np.asarray(
            self.relations.noise(self.window, noise, effect, unit=self.unit) + np.diag(noise.sampling * self.variance)
        )

    def _precision_times_y(self, base: np.ndarray) -> np.ndarray:
        """Return ``K^-1 y`` of each series -> [F, n]."""
        explained = np.asarray(self.y @ base)
        if not self.columns.shape[2]:
            return explained
        through = base @ self.columns
        weighted = self.weights[:, None, :]
        corrected = np.eye(self.columns.shape[2]) + (self.columns.transpose(0, 2, 1) @ through) * weighted
        b = self.columns.transpose(0, 2, 1) @ explained[:, :, None]
        return np.asarray(explained - (through * weighted @ np.linalg.solve(corrected, b))[:, :, 0])


def _weights(logs: np.ndarray) -> np.ndarray:
    """Weigh the candidates by how often they serve the series -> [candidates], summing to one."""
    likelihoods = np.exp(logs - logs.max(axis=1, keepdims=True)) if len(logs) else logs
    weights = np.full(logs.shape[1], 1 / logs.shape[1])
    for _ in range(EM_ROUNDS):
        shares = likelihoods * weights
        counts = (shares / shares.sum(axis=1, keepdims=True)).sum(axis=0) + 1 / len(weights)
        weights = counts / counts.sum()
    return weights
