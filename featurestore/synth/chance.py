"""Chance: counter-based random numbers and inverse-CDF tables.

Each (seed, month, stream) has a Philox generator of its own, so any month can be drawn alone and a change in one
stream leaves the others as they were. A draw from a discrete distribution is one look-up in a table in which each
outcome fills as many entries as its probability asks for.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from featurestore.timeline import Month


class Stream(IntEnum):
    """What is drawn independently of everything else; a stream's number is part of its generator's key."""

    USERS = 1
    SKUS = 2
    LANES = 3
    ORDERS = 4
    FULFILMENT = 5
    VISITS = 6
    COUPONS = 7
    LEADS = 8
    DELAYS = 9
    FAULTS = 10
    TRUTH = 11


def month_number(month: Month) -> int:
    """Count the months since year 0."""
    return month.year * 12 + month.month - 1


def generator(seed: int, stream: Stream, *, month: Month | None = None) -> np.random.Generator:
    """Return a generator at the start of a stream, the same at every call; without a month, the stream of the whole shop."""
    number = 0 if month is None else month_number(month)
    return np.random.Generator(np.random.Philox(key=np.array([seed, number << 8 | stream], np.uint64)))


def inverse_cdf(weights: np.ndarray, *, size: int) -> np.ndarray:
    """Tabulate a distribution: outcome ``i`` fills ``size * weights[i] / sum(weights)`` entries.

    Args:
        weights: Not negative, ``(outcomes,)`` or ``(rows, outcomes)``.
        size: Entries of the table.

    Returns:
        int32 outcomes, ascending, ``(size,)`` or ``(rows, size)``.

    >>> inverse_cdf(np.array([1.0, 0.0, 3.0]), size=8).tolist()
    [0, 0, 2, 2, 2, 2, 2, 2]
    """
    shares = np.cumsum(weights, axis=-1)
    edges = np.rint(shares / shares[..., -1:] * size).astype(np.int64)
    entries = np.diff(edges, axis=-1, prepend=0)
    outcomes = np.broadcast_to(np.arange(weights.shape[-1], dtype=np.int32), weights.shape)
    return np.repeat(outcomes.ravel(), entries.ravel()).reshape(*weights.shape[:-1], size)


def table_size(outcomes: int) -> int:
    """Return the power of two that gives each outcome at least eight entries on average, at least 1024."""
    return max(1024, 1 << (8 * outcomes - 1).bit_length())


def hashed(seed: int, *keys: np.ndarray | int) -> np.ndarray:
    """Hash rows of integers to uniformly spread 64 bits, without any state (splitmix64's finaliser).

    Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
    """
    value = np.asarray(seed, np.uint64)
    with np.errstate(over="ignore"):
        for key in keys:
            value = value + np.asarray(key).astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
            value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            value = value ^ (value >> np.uint64(31))
    return value
