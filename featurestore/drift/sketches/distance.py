"""Distances between two histograms over the same bins, exact on the counts.

Every function takes counts ``[..., bins]`` (integers or the fractional counts of a profile) and broadcasts over the
leading axes. Where one side has no rows the result is NaN.
"""

from __future__ import annotations

import numpy as np


def shares(counts: np.ndarray, *, empty: float = 0.0) -> np.ndarray:
    """Turn counts ``[..., bins]`` into shares that sum to one; NaN where there are no rows.

    Args:
        counts: Rows per bin.
        empty: Rows that an empty bin is taken to have.
    """
    filled = np.where(counts > 0, counts, empty)
    total = np.sum(counts, axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, filled / np.sum(filled, axis=-1, keepdims=True), np.nan)


def population_stability_index(current: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the PSI, ``sum((p - q) ln(p / q))``: the symmetric Kullback-Leibler divergence.

    Bins that are empty on both sides do not count; a bin that is empty on one side is taken to hold half a row there.
    """
    either = (current + reference) > 0
    p = shares(np.where(either, np.maximum(current, 0.5), 0.0))
    q = shares(np.where(either, np.maximum(reference, 0.5), 0.0))
    with np.errstate(invalid="ignore", divide="ignore"):
        terms = np.where(either, (p - q) * np.log(p / q), 0.0)
    has_rows = (np.sum(current, axis=-1) > 0) & (np.sum(reference, axis=-1) > 0)
    return np.where(has_rows, terms.sum(axis=-1), np.nan)


def jensen_shannon(current: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the Jensen-Shannon distance to base 2, between 0 (equal) and 1 (disjoint).

    It is the root of the divergence, as ``scipy.spatial.distance.jensenshannon(p, q, base=2)``.
    """
    p = shares(current)
    q = shares(reference)
    middle = (p + q) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        left = np.where(p > 0, p * np.log2(p / middle), 0.0).sum(axis=-1)
        right = np.where(q > 0, q * np.log2(q / middle), 0.0).sum(axis=-1)
    return np.where(np.isnan(middle).any(axis=-1), np.nan, np.sqrt(np.maximum(left + right, 0.0) / 2))


def kolmogorov_smirnov(current: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the largest difference of the two distribution functions at the bin limits, between 0 and 1."""
    return np.asarray(np.abs(np.cumsum(shares(current) - shares(reference), axis=-1)).max(axis=-1, initial=0.0))
