"""As-of search: the last row of an entity before a step.

Rows are sorted by (code, step); entity c owns rows [ends[c - 1], ends[c]). The search is a branch-free bisection of all
probes at once: log2(longest segment) rounds of one gather and one comparison each. Probes should come sorted by (code,
step) and in blocks that fit the cache; shifting all probes by one window keeps them sorted.
"""

from __future__ import annotations

import numpy as np

BLOCK = 32_768


def last_row_before(
    steps: np.ndarray, ends: np.ndarray, codes: np.ndarray, bounds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find, per probe, the last row of its entity whose step is < bound.

    Args:
        steps: Step of each row, ascending inside an entity's segment.
        ends: Per entity, the row after its last one (int64).
        codes: Entity per probe; must be < len(ends).
        bounds: Step per probe.

    Returns:
        ``(row, found)``: row index (int64), meaningless where ``found`` is false.

    >>> last_row_before(np.array([3, 5, 4]), np.array([2, 3]), np.array([0, 0, 1]), np.array([5, 3, 9]))
    (array([0, 0, 2]), array([ True, False,  True]))
    """
    high = ends.take(codes).astype(np.int64, copy=False)
    low = np.where(codes > 0, ends.take(codes - 1, mode="clip"), 0).astype(np.int64, copy=False)
    return last_row_within(steps, low, high, bounds)


def last_row_within(steps: np.ndarray, low: np.ndarray, high: np.ndarray, bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find, per probe, the last of the rows ``[low, high)`` (int64) whose step is < bound, as ``last_row_before``."""
    row = np.empty(len(bounds), np.int64)
    found = np.empty(len(bounds), bool)
    for start in range(0, len(bounds), BLOCK):
        block = slice(start, start + BLOCK)
        row[block], found[block] = _bisect(steps, low[block], high[block], bounds[block])
    return row, found


def _bisect(steps: np.ndarray, low: np.ndarray, high: np.ndarray, bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    row = low - 1
    longest = int((high - low).max(initial=0))
    stride = 1 << (longest.bit_length() - 1) if longest else 0
    while stride:
        candidate = row + stride
        before = (candidate < high) & (steps.take(candidate, mode="clip") < bounds)
        row += before * stride
        stride >>= 1
    found = row >= low
    return np.where(found, row, 0), found
