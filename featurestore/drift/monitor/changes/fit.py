"""Fit each series' noise once a year, pooled over all series of a kind.

    1. groups       series with the same first month share their months
    2. profiles     per effect: the season of each series, amplitude aside
    3. likelihoods  per candidate: one eigenbasis per level and effect, what is a series' own as low-rank corrections
    4. pooling      weights of the candidates by EM over a pool's series (empirical Bayes), then each series' best;
                    segments are a pool of their own: few rows hide the wander

Without what is its own, a series' covariance is ``C + d I``: level and effects, shared by all series of a group, and a variance
of the single month (jitter and sampling) of its own. With ``C = Q diag(l) Q'`` the rows ``[y, W] Q`` are computed once per
``C``, and every ``d`` is a division by ``l + d``.

A series' own part is ``W G W'``: its season per year (amplitude), its one-off months, its unseen months, its forgotten
baselines. With ``M = W' B W`` and ``b = W' B y`` for ``B = (C + d I)^-1`` (matrix inversion lemma and determinant lemma):
``y' K^-1 y = y' B y - b' G (I + M G)^-1 b`` and ``det K = det B^-1 det(I + M G)``. The amplitude's part of ``G`` is a multiple of a
projection, so after the other parts are eliminated its eigenvalues answer for all amplitudes at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from featurestore.drift.monitor.changes.forgotten import Forgotten
from featurestore.drift.monitor.changes.noise import (
    DIFFUSE,
    EFFECTS,
    GRIDS,
    NO_EFFECT,
    REFERENCE_NOISE,
    UNITS,
    UNSEEN,
    MonthRelations,
    Noise,
)
from featurestore.drift.monitor.changes.own_part import own_part

FIT_MONTHS = 60
EM_ROUNDS = 30
MAX_CHUNK = 256


@dataclass(frozen=True, eq=False)
class NoiseFit:
    """The noise of ``S`` series.

    Attributes:
        noise: [S, 4] the fields of ``Noise``.
        effect: [S] index into ``EFFECTS``.
        amplitude: [S] variation of the season's size.
        season: [S, M] the season month by month, zero in its median month.
    """

    noise: np.ndarray
    effect: np.ndarray
    amplitude: np.ndarray
    season: np.ndarray

    def of(self, rows: np.ndarray) -> NoiseFit:
        """Return the noise of some series."""
        return NoiseFit(self.noise[rows], self.effect[rows], self.amplitude[rows], self.season[rows])


class Eigenbases:
    """The covariances that series share, decomposed once for all kinds of statistic and all rounds of a year's fits.

    Args:
        relations: Of the months.
    """

    def __init__(self, relations: MonthRelations) -> None:
        self.relations = relations
        self._known: dict[tuple[object, ...], tuple[np.ndarray, np.ndarray]] = {}

    def of(self, window: slice, noise: Noise, effect: tuple[float, float], *, unit: float) -> tuple[np.ndarray, np.ndarray]:
        """Decompose what is not independent from month to month -> values [n], basis [n, n]."""
        key = window.start, window.stop, noise.level, noise.memory, effect
        if key not in self._known:
            covariance = self.relations.noise(window, noise._replace(jitter=0.0), effect, unit=1.0)
            values, basis = np.linalg.eigh(covariance)
            self._known[key] = np.maximum(values, 0.0), basis
        values, basis = self._known[key]
        return unit**2 * values, basis


class NoiseLikelihoods:
    """How well each candidate noise explains each series; kept so that a few series can be explained again.

    Args:
        values: [S, M], NaN where unseen.
        variances: [S, M] sampling variances.
        kind: Kind of statistic: chooses the grid and the unit.
        bases: Of the M months.
        until: First month that is not used.
        pools: [S] number of the pool that a series belongs to: what is known of the noise is shared inside it; one by default.
    """

    def __init__(
        self,
        values: np.ndarray,
        variances: np.ndarray,
        kind: str,
        bases: Eigenbases,
        *,
        until: int,
        pools: np.ndarray | None = None,
    ) -> None:
        self._values, self._variances, self._kind, self._bases, self._until = values, variances, kind, bases, until
        self._pools = np.zeros(len(values), int) if pools is None else pools
        self._candidates = [_candidates(kind, effect) for effect in EFFECTS]
        self._logs = np.zeros((len(values), sum(map(len, self._candidates))))
        self._is_explained = np.zeros(len(values), bool)
        self._profiles = np.zeros((len(EFFECTS), *values.shape))

    def explain(self, rows: np.ndarray, forgotten: Forgotten) -> None:
        """Compute the likelihoods of some series, given what their noise need not explain."""
        start = max(0, self._until - FIT_MONTHS)
        for own, window in _groups(self._values, rows, slice(start, self._until)):
            variance = np.nanmedian(np.where(np.isnan(self._values[own, window]), np.nan, self._variances[own, window]), axis=1)
            part = _Part.of(self._values, own, window, variance, forgotten, unit=UNITS[self._kind], bases=self._bases)
            logs = []
            for e, effect in enumerate(EFFECTS):
                self._profiles[e, own] = part.profile(effect)
                logs.append(part.likelihoods(self._candidates[e], effect, self._profiles[e, own]))
            self._logs[own], self._is_explained[own] = np.concatenate(logs, axis=1), True

    def best(self) -> NoiseFit:
        """Choose each series' noise, the candidates weighed by how well they serve all series of its pool that have been seen."""
        chosen = np.zeros(len(self._logs), int)
        for mine in (self._pools == pool for pool in np.unique(self._pools)):
            chosen[mine] = (self._logs[mine] + np.log(_weights(self._logs[mine & self._is_explained]))).argmax(axis=1)
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


def _groups(values: np.ndarray, rows: np.ndarray, span: slice) -> Iterator[tuple[np.ndarray, slice]]:
    """Group series that can share covariances, a few hundred at most -> rows, window.

    Series that begin later have a shorter window; a series without any month in the span is in no group.
    """
    is_seen = ~np.isnan(values[rows, span])
    known = rows[is_seen.any(axis=1)]
    first = is_seen[is_seen.any(axis=1)].argmax(axis=1)
    for begin in np.unique(first):
        mine = known[first == begin]
        for low in range(0, len(mine), MAX_CHUNK):
            yield mine[low : low + MAX_CHUNK], slice(span.start + int(begin), span.stop)


@dataclass(frozen=True, eq=False)
class _Part:
    """One group of ``F`` series over a window of ``n`` months.

    Attributes:
        y: [F, n], zero where unseen.
        columns: [F, n, w] what each series has of its own: unseen months, one-offs, forgotten courses.
        weights: [F, w] their variances; zero where a series has fewer.
        variance: [F] sampling variance of a month.
        window: The months.
        seasons: Pairs of a row and [M] a season that began on the way.
    """

    y: np.ndarray
    columns: np.ndarray
    weights: np.ndarray
    variance: np.ndarray
    window: slice
    seasons: tuple[tuple[int, np.ndarray], ...]
    unit: float
    bases: Eigenbases

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
        bases: Eigenbases,
    ) -> _Part:
        own = values[rows, window]
        place = {int(row): i for i, row in enumerate(rows)}
        listed: list[list[tuple[np.ndarray, float]]] = [[] for _ in rows]
        single = np.eye(own.shape[1])
        for i, t in np.argwhere(np.isnan(own)):
            listed[i].append((single[t], UNSEEN))
        for i, t in np.argwhere(forgotten.pulses[rows, window] & ~np.isnan(own)):
            listed[i].append((single[t], DIFFUSE))
        for series, course in (*forgotten.courses, *forgotten.seasons):
            if series in place and course[window].any():
                listed[place[series]].append((course[window], DIFFUSE))
        width = max(map(len, listed))
        columns = np.zeros((len(rows), own.shape[1], width))
        weights = np.zeros((len(rows), width))
        for i, pairs in enumerate(listed):
            for j, (course, weight) in enumerate(pairs):
                columns[i, :, j], weights[i, j] = course, weight * unit**2
        seasons = tuple((place[series], course) for series, course in forgotten.seasons if series in place)
        return cls(np.nan_to_num(own), columns, weights, variance, window, seasons, unit, bases)

    def profile(self, effect: tuple[float, float]) -> np.ndarray:
        """Return the posterior mean of the month and festival effects, amplitude aside -> [F, M].

        Estimated again with amplitude > 0 it would shrink at every turn.
        """
        month, festival = effect
        everything = slice(None)
        relations = self.bases.relations
        if effect == NO_EFFECT and not self.seasons:
            return np.zeros((len(self.y), len(relations.lag)))
        explained = self._explained(effect)
        same = relations.same_month[self.window, everything], relations.same_festival[self.window, everything]
        season = explained @ (self.unit**2 * (month**2 * same[0] + festival**2 * same[1]))
        for i, course in self.seasons:
            season[i] += DIFFUSE * self.unit**2 * course * (explained[i] @ course[self.window])
        last_year = slice(max(self.window.start, self.window.stop - 12), self.window.stop)
        return np.asarray(season - np.median(season[:, last_year], axis=1)[:, None])

    def likelihoods(self, candidates: list[tuple[Noise, float]], effect: tuple[float, float], season: np.ndarray) -> np.ndarray:
        """Return the log-likelihood of each candidate of one effect, up to a constant -> [F, candidates]."""
        years = self.bases.relations.years[self.window]
        in_year = (np.unique(years)[:, None] == years).astype(float)
        # The amplitude's part per year, less its mean: the projection is applied to the columns.
        varying = season[:, None, self.window] * (in_year[None] - in_year.mean(axis=0)[None])
        whole = np.concatenate([self.y[:, None, :], varying, self.columns.transpose(0, 2, 1)], axis=1)
        logs = []
        for _, same_level in groupby(candidates, key=lambda candidate: candidate[0][:2]):
            listed = list(same_level)
            values, basis = self.bases.of(self.window, listed[0][0], effect, unit=self.unit)
            rotated = whole @ basis
            for noise, same in groupby(listed, key=lambda candidate: candidate[0]):
                spread = values + self._own_variance(noise)[:, None]
                gram = (rotated / spread[:, None, :]) @ rotated.transpose(0, 2, 1)
                amplitudes = np.array([amplitude for _, amplitude in same])
                own = own_part(gram, self.weights, amplitudes, years=len(in_year))
                logs.append(-0.5 * (np.log(spread).sum(axis=1)[:, None] + own))
        return np.concatenate(logs, axis=1)

    def _own_variance(self, noise: Noise) -> np.ndarray:
        return np.asarray(self.unit**2 * noise.jitter**2 + noise.sampling * self.variance)

    def _explained(self, effect: tuple[float, float]) -> np.ndarray:
        """Return ``K^-1 y`` of each series under the reference noise -> [F, n]."""
        values, basis = self.bases.of(self.window, REFERENCE_NOISE, effect, unit=self.unit)
        spread = (values + self._own_variance(REFERENCE_NOISE)[:, None])[:, None, :]
        columns = self.columns.transpose(0, 2, 1) * np.sqrt(self.weights)[:, :, None]
        rotated = np.concatenate([self.y[:, None, :], columns], axis=1) @ basis
        through = rotated / spread
        if columns.shape[1]:
            own = rotated[:, 1:]
            inner = np.eye(columns.shape[1]) + through[:, 1:] @ own.transpose(0, 2, 1)
            weighed = np.linalg.solve(inner, own @ through[:, :1].transpose(0, 2, 1))
            through = through[:, :1] - weighed.transpose(0, 2, 1) @ through[:, 1:]
        return np.asarray(through[:, 0] @ basis.T)


def _weights(logs: np.ndarray) -> np.ndarray:
    """Weigh the candidates by how often they serve the series -> [candidates], summing to one."""
    likelihoods = np.exp(logs - logs.max(axis=1, keepdims=True)) if len(logs) else logs
    weights = np.full(logs.shape[1], 1 / logs.shape[1])
    for _ in range(EM_ROUNDS):
        shares = likelihoods * weights
        counts = (shares / shares.sum(axis=1, keepdims=True)).sum(axis=0) + 1 / len(weights)
        weights = counts / counts.sum()
    return weights
