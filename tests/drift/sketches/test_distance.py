from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy

from featurestore.drift.sketches.distance import (
    jensen_shannon,
    kolmogorov_smirnov,
    population_stability_index,
    shares,
)


def some_counts(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    bins = int(rng.integers(2, 70))
    return rng.integers(1, 500, bins).astype(float), rng.integers(1, 900, bins).astype(float)


@pytest.mark.parametrize("seed", range(20))
def test_distances_of_counts_equal_scipy_on_the_same_bins(seed: int) -> None:
    current, reference = some_counts(seed)
    p, q = current / current.sum(), reference / reference.sum()
    assert population_stability_index(current, reference) == pytest.approx(entropy(p, q) + entropy(q, p), rel=1e-12)
    assert jensen_shannon(current, reference) == pytest.approx(jensenshannon(p, q, base=2), rel=1e-9)
    assert kolmogorov_smirnov(current, reference) == pytest.approx(np.abs(np.cumsum(p) - np.cumsum(q)).max(), rel=1e-12)


def test_distances_work_on_many_months_at_once() -> None:
    pairs = [some_counts(3) for _ in range(4)]
    current, reference = (np.stack(side) for side in zip(*pairs, strict=True))
    for distance in (population_stability_index, jensen_shannon, kolmogorov_smirnov):
        assert distance(current, reference).tolist() == [float(distance(*pair)) for pair in pairs]


def test_equal_histograms_have_no_distance_and_disjoint_ones_are_far() -> None:
    left, right = np.array([10.0, 0.0]), np.array([0.0, 10.0])
    assert (jensen_shannon(left, left), kolmogorov_smirnov(left, left), population_stability_index(left, left)) == (0, 0, 0)
    assert jensen_shannon(left, right) == 1
    assert kolmogorov_smirnov(left, right) == 1
    assert 2 < population_stability_index(left, right) < np.inf


def test_a_side_without_rows_has_no_distance_and_raises_no_warning() -> None:
    some, none = np.array([3.0, 4.0]), np.zeros(2)
    for distance in (population_stability_index, jensen_shannon, kolmogorov_smirnov):
        assert np.isnan(distance(some, none))
        assert np.isnan(distance(none, some))
    assert np.isnan(shares(none)).all()
