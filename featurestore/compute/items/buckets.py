"""Logarithmic buckets: how values become numbers whose counts give every quantile. Pure: arrays in, arrays out.

A positive value x lies in bucket i = ceil(log x / log gamma), that is in (gamma^(i-1), gamma^i], with
gamma = (1 + a) / (1 - a); the value 2 gamma^i / (gamma + 1) is within relative error a of all values in it (DDSketch: Masson, Rim
and Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees", PVLDB 12(12), 2019). Negative
values are mirrored, zero has a bucket of its own:

    number = i + offset for x > 0, 0 for 0, -(i + offset) for x < 0;        larger values never have smaller numbers
"""

from __future__ import annotations

import math

import numpy as np

from featurestore.compute.items.occurrences import changes

# A little less than declared, so that the rounding of logarithms stays inside the error.
_MARGIN = 1 - 2**-20
# |log| of the smallest double above zero, rounded up.
_LARGEST_LOG = 745.2


def log_gamma(error: float) -> float:
    """Return the natural logarithm of the ratio of neighbouring buckets' edges."""
    return 2 * math.atanh(error * _MARGIN)


def offset_of(error: float) -> int:
    """Return the number of buckets between zero's and that of 1."""
    return math.ceil(_LARGEST_LOG / log_gamma(error)) + 2


def bucket_sql(column: str, error: float) -> str:
    """Render the bucket number of a number column.

    Args:
        column: SQL of the column.
        error: Relative error, above 0 and below 1.
    """
    number = f"CAST({column} AS DOUBLE)"
    index = f"CAST(ceil(ln(abs({number})) / {log_gamma(error)!r}) AS BIGINT) + {offset_of(error)}"
    return f"CASE WHEN {column} = 0 THEN 0 WHEN isfinite({number}) THEN CAST(sign({number}) AS BIGINT) * ({index}) END"


def bucket_values(numbers: np.ndarray, error: float) -> np.ndarray:
    """Return the value that stands for each bucket (int64 in, double out).

    >>> [round(float(value)) for value in bucket_values(np.array([-offset_of(0.01) - 231, 0]), 0.01)]
    [-100, 0]
    """
    gamma = log_gamma(error)
    log = (np.abs(numbers) - offset_of(error)) * gamma + math.log(2) - math.log1p(math.exp(gamma))
    with np.errstate(over="ignore"):
        size = np.minimum(np.exp(log), np.finfo(float).max)
    values: np.ndarray = np.where(numbers == 0, 0.0, np.sign(numbers) * size)
    return values


def added_up(groups: np.ndarray, buckets: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Add up counts by group and bucket.

    Returns:
        ``(groups, buckets, counts)``, sorted by group and bucket, each pair once; those that add up to 0 are left out.

    >>> added_up(np.array([1, 0, 1]), np.array([7, 8, 7]), np.array([2, 3, -1]))
    (array([0, 1]), array([8, 7]), array([3, 1]))
    """
    if not len(groups):
        return groups, buckets, counts
    # One number a pair: as the runs are sorted, few and long, only a merge is left to do.
    lowest = buckets.min()
    packed = groups * (buckets.max() - lowest + 1) + (buckets - lowest)
    order = np.argsort(packed, kind="stable")
    first = np.flatnonzero(changes(packed[order]))
    totals = np.add.reduceat(counts[order], first)
    kept = order[first[totals != 0]]
    return groups[kept], buckets[kept], totals[totals != 0]


def ranked(ends: np.ndarray, counts: np.ndarray, q: float) -> np.ndarray:
    """Find the bucket that holds the value at rank ``floor(q * (n - 1))`` of each probe's n values.

    Args:
        ends: Per probe, the row after its last bucket.
        counts: Count per bucket, above 0; a probe's buckets ascend.
        q: From 0 to 1.

    Returns:
        The row per probe, meaningless for probes without buckets.

    >>> ranked(np.array([2, 3]), np.array([1, 3, 5]), 0.5)
    array([1, 2])
    """
    total = np.concatenate([[0], np.cumsum(counts)])
    before = total[np.concatenate([[0], ends[:-1]])]
    values = total[ends] - before
    rank = np.floor(q * (values - 1)).astype(np.int64)
    rows: np.ndarray = np.searchsorted(total[1:], before + rank, side="right")
    return rows
