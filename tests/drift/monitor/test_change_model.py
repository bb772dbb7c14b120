from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from featurestore.calendar import retail_season
from featurestore.drift.monitor.changes.change import AGES, IS_RAMP, PULSE_FOUND, ChangeTest
from featurestore.drift.monitor.changes.fit import Eigenbases, NoiseFit, NoiseLikelihoods, _Part
from featurestore.drift.monitor.changes.forgotten import Forgotten
from featurestore.drift.monitor.changes.noise import DIFFUSE, EFFECTS, GRIDS, UNITS, UNSEEN, MonthRelations
from featurestore.drift.monitor.changes.statistic import LOCATION, MISSING, SeriesSet, bin_scores
from featurestore.drift.monitor.changes.year import _begun_seasons, fit_year
from featurestore.timeline import Month, months_between

MONTHS = months_between(Month(2016, 1), Month(2023, 12))
RELATIONS = MonthRelations.of(MONTHS, retail_season)
LABELS = [retail_season(month).label for month in MONTHS]


def slow_covariance(
    window: slice, noise: tuple, effect: tuple, amplitude: float, season: np.ndarray, variance: np.ndarray, unit: float = 1.0
) -> np.ndarray:
    """The covariance of DESIGN's drift model, entry by entry."""
    months, labels = MONTHS[window], LABELS[window]
    level, memory, jitter, sampling = noise
    years = len({month.year for month in months})
    found = np.empty((len(months), len(months)))
    for i, one in enumerate(months):
        for j, other in enumerate(months):
            moves = labels[i] == labels[j] and "spring_festival" in labels[i]
            found[i, j] = unit**2 * (
                DIFFUSE
                + level**2 / (1 - memory**2) * memory ** abs(i - j)
                + effect[0] ** 2 * (one.month == other.month)
                + effect[1] ** 2 * moves
                + jitter**2 * (i == j)
            )
            found[i, j] += amplitude**2 * season[window][i] * season[window][j] * ((one.year == other.year) - 1 / years)
            found[i, j] += sampling * variance[window][i] * (i == j)
    return found


def test_festivals_that_stay_in_their_month_are_month_effects() -> None:
    for i, j in ((0, 1), (10, 22), (5, 17)):
        assert RELATIONS.same_festival[i, j] == (LABELS[i] == LABELS[j] and "spring" in LABELS[i])
    assert RELATIONS.same_festival[1, 13] == 0  # 2016-02 in the festival, 2017-02 after it
    assert RELATIONS.same_festival[1, 12] == 1  # 2017-01 in it


@pytest.mark.parametrize("effect", [0, 2])
def test_likelihoods_of_all_candidates_equal_scipys_normal_density(effect: int) -> None:
    rng = np.random.default_rng(effect)
    values, variances = rng.normal(size=(4, 60)) * 0.1, np.full((4, 60), 0.01)
    values[1, 5] = np.nan
    pulses = np.zeros((4, 60), bool)
    pulses[2, 7] = True
    step, recurring = (np.arange(60) >= 30).astype(float), (np.arange(60) % 12 == 3).astype(float)
    forgotten = Forgotten(pulses, ((0, step),), ((3, recurring),))
    relations = MonthRelations.of(MONTHS[:60], retail_season)
    window = slice(0, 60)
    part = _Part.of(values, np.arange(4), window, np.full(4, 0.01), forgotten, unit=1.0, bases=Eigenbases(relations))
    season = part.profile(EFFECTS[effect])
    grid = GRIDS[LOCATION]
    candidates = [(noise, amplitude) for noise in grid.noises for amplitude in grid.amplitudes_of(EFFECTS[effect])]
    found = part.likelihoods(candidates, EFFECTS[effect], season)
    for c in (0, len(candidates) // 2, len(candidates) - 1):
        noise, amplitude = candidates[c]
        for i in range(4):
            covariance = slow_covariance(window, noise, EFFECTS[effect], amplitude, season[i], variances[i])
            covariance += {0: DIFFUSE * np.outer(step, step), 3: DIFFUSE * np.outer(recurring, recurring)}.get(i, 0.0)
            covariance[5, 5] += UNSEEN * (i == 1)
            covariance[7, 7] += DIFFUSE * (i == 2)
            exact = multivariate_normal(np.zeros(60), covariance).logpdf(np.nan_to_num(values[i]))
            assert found[i, c] == pytest.approx(exact + 30 * np.log(2 * np.pi), abs=1e-6)


def some_fit(kind: str, series: int, season: np.ndarray) -> NoiseFit:
    rng = np.random.default_rng(1)
    noises = GRIDS[kind].noises
    return NoiseFit(
        np.array([noises[i] for i in rng.integers(0, len(noises), series)]),
        rng.integers(0, len(EFFECTS), series),
        rng.choice(GRIDS[kind].amplitudes, series),
        season,
    )


@pytest.mark.parametrize("kind", [LOCATION, MISSING])
def test_each_months_tests_equal_generalised_least_squares_solved_anew(kind: str) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5, len(MONTHS))) * 0.03 * UNITS[kind]
    values[1, 70:] += 0.2
    values[2, 40] = np.nan
    variances = rng.uniform(0.5, 2, values.shape) * 1e-4
    season = rng.normal(size=values.shape) * 0.1
    fit = some_fit(kind, 5, season)
    onset = (np.arange(len(MONTHS)) >= 50).astype(float)
    test = ChangeTest(
        values,
        variances,
        kind,
        RELATIONS,
        fit,
        Forgotten(np.zeros(values.shape, bool), ((3, onset),)),
        start=12,
        first=72,
        end=84,
    )
    late = (np.arange(len(MONTHS)) >= 74).astype(float)
    for t in range(72, 84):
        if t == 75:
            test.forget(4, late)
        found = test.step()
        n = t + 1 - 12
        for i in range(5) if t in (72, 76, 83) else ():
            unit = UNITS[kind]
            whole = slow_covariance(
                slice(12, 84), fit.noise[i], EFFECTS[fit.effect[i]], fit.amplitude[i], season[i], variances[i], unit
            )
            if i == 2:
                whole[28, 28] += UNSEEN * unit**2 - variances[2, 40]
            for series, course, since in ((3, onset, 0), (4, late, 75)):
                if i == series and t >= since:
                    whole += DIFFUSE * unit**2 * np.outer(course[12:84], course[12:84])
            pulses = test.pulses[i, :n]
            precision = np.linalg.inv(whole[:n, :n] + DIFFUSE * unit**2 * np.diag(pulses))
            for h, age in enumerate(AGES):
                x = (np.arange(n) >= n - 1 - age).astype(float)
                x = np.cumsum(x) if IS_RAMP[h] else x
                top, bottom = x @ precision @ np.nan_to_num(values[i, 12 : t + 1]), x @ precision @ x
                assert found.z[i, h] == pytest.approx(top / np.sqrt(bottom), rel=1e-5, abs=1e-5)
                assert found.size[i, h] == pytest.approx(top / bottom * x[-1], rel=1e-4, abs=1e-6)


def quiet(series: int, *, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    november = np.array([month.month == 11 for month in MONTHS])
    return 0.8 * november + rng.normal(size=(series, len(MONTHS))) * 0.03


def audited_year(values: np.ndarray, *, first: int, courses: tuple):
    owners, variances = np.arange(len(values)), np.full(values.shape, 0.0007)
    series = SeriesSet(LOCATION, owners, ("",) * len(values), values, variances, is_segment=np.zeros(len(values), bool))
    year = fit_year(series, Eigenbases(RELATIONS), first=first, end=first + 12, courses=courses)
    test = year.test(np.arange(len(values)))
    return year, test, [test.step() for _ in range(12)]


def test_a_season_is_learned_and_explains_its_month() -> None:
    year, _, months = audited_year(quiet(20, seed=0), first=48, courses=())
    november = np.array([month.month == 11 for month in MONTHS])
    assert year.fit.season[:, november].mean() == pytest.approx(0.8, abs=0.08)
    assert np.abs(months[10].z).max() < 4.7


def test_a_step_gives_its_size_and_onset_and_a_reset_forgets_it() -> None:
    values = quiet(20, seed=1)
    values[:5, 50:] += 0.4
    _, _, months = audited_year(values, first=48, courses=())
    z, size = months[5].z, months[5].size
    assert (AGES[np.abs(z[:5]).argmax(axis=1)] == 3).all()
    assert size[np.arange(5), np.abs(z[:5]).argmax(axis=1)] == pytest.approx(np.full(5, 0.4), abs=0.06)
    assert np.abs(z[5:]).max() < 4.7
    onset = (np.arange(len(MONTHS)) >= 50).astype(float)
    _, _, after = audited_year(values, first=60, courses=tuple((i, onset) for i in range(5)))
    assert max(np.abs(month.z[:5]).max() for month in after) < 4.7


def test_a_one_off_month_is_forgotten_and_not_taken_for_a_step() -> None:
    values = quiet(20, seed=2)
    values[:10, 51] += 0.6
    _, test, months = audited_year(values, first=48, courses=())
    assert (np.abs(months[3].z[:10, 0]) > PULSE_FOUND).all()
    assert np.abs(months[5].z[:10]).max() < 4.7
    assert test.pulses[:10, 51 - max(0, 48 - 72)].all()


def test_a_festival_that_began_in_year_four_does_not_alarm_in_its_third_year() -> None:
    values = quiet(20, seed=3)
    values[:5, [44, 56, 68]] += 0.6
    _, _, months = audited_year(values, first=60, courses=())
    assert np.abs(months[8].z[:5]).max() < 4.4
    _, _, unknown = audited_year(np.delete(values, [0], axis=0), first=36, courses=())
    assert np.abs(unknown[8].z[:4, 0]).min() > 4.4


def test_one_offs_that_come_back_alike_a_year_later_are_begun_seasons() -> None:
    pulses, excess = np.zeros((3, len(MONTHS)), bool), np.zeros((3, len(MONTHS)))
    for i, (size, again) in enumerate(((5.0, 56), (5.0, 57), (-5.0, 56))):
        pulses[i, [44, again]], excess[i, 44], excess[i, again] = True, 5.0, size
    found = _begun_seasons(pulses, excess, RELATIONS)
    assert [i for i, _ in found] == [0]  # the next one came in another month, the last one has another sign
    assert np.flatnonzero(found[0][1]).tolist() == [44, 56, 68, 80, 92]


def test_likelihoods_can_be_explained_again_for_a_few_series() -> None:
    values, variances = quiet(6, seed=4), np.full((6, len(MONTHS)), 0.0007)
    whole = NoiseLikelihoods(values, variances, LOCATION, Eigenbases(RELATIONS), until=60)
    forgotten = Forgotten(np.zeros(values.shape, bool))
    whole.explain(np.arange(6), forgotten)
    parts = NoiseLikelihoods(values, variances, LOCATION, Eigenbases(RELATIONS), until=60)
    for rows in ([0, 3], [1, 2, 4, 5]):
        parts.explain(np.array(rows), forgotten)
    one, other = whole.best(), parts.best()
    assert (one.noise == other.noise).all()
    assert one.season == pytest.approx(other.season, abs=1e-9)


def test_bin_scores_are_the_means_of_a_normal_between_the_bins_quantiles() -> None:
    counts = np.array([0, 0, 100, 300, 0, 400, 200, 0])
    cumulative = np.cumsum(counts) / counts.sum()
    limits = np.concatenate([[-np.inf], norm.ppf(cumulative[:-1]), [np.inf]])
    found = bin_scores(counts)
    for i in (2, 3, 5, 6):
        share = counts[i] / counts.sum()
        assert found[i] == pytest.approx((norm.pdf(limits[i]) - norm.pdf(limits[i + 1])) / share)
    assert found[4] == pytest.approx(norm.ppf(0.4))
    assert (np.diff(found) > 0).all()
    assert counts @ found == pytest.approx(0, abs=1e-9)
