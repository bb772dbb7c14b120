"""The sum: total(t) is the sum over all steps < t, a window the difference of two totals. Exact, or refused.

1. A column is a cumulative sum minus what stood before the entity's first row.
2. The balance of the next partition is the balance of this one plus the entity's last row.
3. No total may leave 64 bits, not even in passing: the difference of two such totals could not be told from a right one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from featurestore.compute.folds.fold import AdditiveFold, Segments, Span
from featurestore.compute.search.probes import Probes
from featurestore.errors import OverflowingResultError

_LIMIT = 2**63


@dataclass(frozen=True)
class SumFold(AdditiveFold):
    """Running sums of int64; never NULL."""

    @property
    def type(self) -> pa.DataType:
        """``int64``."""
        return pa.int64()

    def neutral(self, entities: int) -> pa.Array:
        """Return zeros."""
        return self.arrow(np.zeros(entities, np.int64))

    def inside(self, tiles: pa.Array, segments: Segments, *, what: str) -> pa.Array:
        """Sum each entity's rows from its first one up to each row.

        Raises:
            OverflowingResultError: a total does not fit 64 bits.
        """
        values = self.numpy(tiles)
        first = segments.first
        if _largest(values) * len(values) >= _LIMIT:
            # Exact in two halves of 32 bits.
            high = _minus_before(np.cumsum(values >> 32), first)
            low = _minus_before(np.cumsum(values & 0xFFFF_FFFF), first)
            high += low >> 32
            if ((high < -(2**31)) | (high >= 2**31)).any():
                raise _overflow(what)
        # A sum that wraps around 2^64 in passing, over other entities' rows, is exact again after the subtraction.
        return self.arrow(_minus_before(np.cumsum(values), first))

    def close(self, before: pa.Array, inside: pa.Array, segments: Segments, span: Span) -> pa.Array:
        """Add the total of each entity's last row to its balance."""
        totals = self.numpy(before).copy()
        totals[segments.active] += self.numpy(inside)[segments.last]
        return self.arrow(totals)

    def check(self, before: pa.Array, inside: pa.Array, segments: Segments, *, what: str) -> None:
        """Raise where an opening balance and a row's total inside the partition do not fit 64 bits together."""
        opening = self.numpy(before)
        totals = self.numpy(inside)
        if _largest(opening) + _largest(totals) < _LIMIT:
            return
        if _adds_up_too_far(np.repeat(opening, segments.ends - segments.starts), totals).any():
            raise _overflow(what)

    def total(self, name: str, probes: Probes) -> np.ndarray:
        """Return the sum before each bound (int64), 0 without history."""
        out = np.zeros(len(probes), np.int64)
        for landing in probes.landings:
            total = self.numpy(landing.partition.balances.array(name, landing.codes)).take(landing.codes).astype(np.int64)
            values = self.numpy(landing.partition.ledger.array(name, landing.row))
            if len(values):
                total += values.take(landing.row) * landing.found
            out[landing.positions] = total
        return out

    def difference(self, right: np.ndarray, left: np.ndarray, steps: np.ndarray, *, what: str) -> np.ndarray:
        """Return the sum between two bounds.

        Raises:
            OverflowingResultError: the difference does not fit 64 bits.
        """
        gap: np.ndarray = right - left
        # Totals are exact; only those of different signs can lie further apart than 64 bits.
        is_signed = left.min(initial=0) < 0 or right.min(initial=0) < 0
        if is_signed and (((right ^ left) & (right ^ gap)) < 0).any():
            raise _result_overflow(what)
        return gap

    def add(self, one: np.ndarray, other: np.ndarray, *, what: str) -> np.ndarray:
        """Return the sum over two windows.

        Raises:
            OverflowingResultError: the sum does not fit 64 bits.
        """
        if _adds_up_too_far(one, other).any():
            raise _result_overflow(what)
        total: np.ndarray = one + other
        return total

    def numpy(self, column: pa.Array) -> np.ndarray:
        """Return a column as integers, as wide as they are stored."""
        return np.asarray(column.to_numpy())

    def arrow(self, totals: np.ndarray) -> pa.Array:
        """Return integers as a column."""
        return pa.array(totals, pa.int64())


def _minus_before(running: np.ndarray, first: np.ndarray) -> np.ndarray:
    before = np.zeros_like(running)
    before[first > 0] = running[first[first > 0] - 1]
    totals: np.ndarray = running - before
    return totals


def _adds_up_too_far(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Say where ``a + b`` leaves 64 bits (int64 in, bool out)."""
    total = a + b
    is_too_far: np.ndarray = ((a ^ total) & (b ^ total)) < 0
    return is_too_far


def _largest(values: np.ndarray) -> int:
    return max(-int(values.min(initial=0)), int(values.max(initial=0)))


def _result_overflow(what: str) -> OverflowingResultError:
    return OverflowingResultError(
        f"{what!r} does not fit 64 bits for some row. Declare the column in a larger unit, or as double."
    )


def _overflow(what: str) -> OverflowingResultError:
    return OverflowingResultError(
        f"The running total of {what} does not fit 64 bits for some entity. Declare the column in a "
        "larger unit, or lower the resolution_bits of a double."
    )
