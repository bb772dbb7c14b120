"""Portions: runs of neighbouring rows of bounded weight, so that what is made of them at once stays bounded."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def portions(weights: np.ndarray, *, limit: int) -> Iterator[slice]:
    """Cut rows into slices that follow one another, each of at most ``limit`` in weight, or of a single row that weighs more.

    Args:
        weights: [rows] whole numbers, none below zero.
        limit: Most weight of a slice.

    Yields:
        Slices of at least one row, which cover all; none without rows.

    >>> [(part.start, part.stop) for part in portions(np.array([2, 3, 9, 1, 0, 4]), limit=5)]
    [(0, 2), (2, 3), (3, 6)]
    """
    totals = np.cumsum(weights)
    low = 0
    while low < len(weights):
        before = int(totals[low - 1]) if low else 0
        high = max(int(np.searchsorted(totals, before + limit, side="right")), low + 1)
        yield slice(low, high)
        low = high
