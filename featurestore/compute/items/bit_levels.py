"""Levels of bits: how many of a range of numbers lie below a value, in one step a bit of the numbers, whatever the range.

This is a wavelet matrix (Claude, Navarro and Ordonez, "The wavelet matrix: an efficient wavelet tree for large alphabets",
Information Systems 47, 2015). A level holds one bit of each number, the highest first. Between two levels the numbers with a 0 go
before those with a 1, in the order that they had. So a range of numbers stays a range: of those with a 0, and of those with a 1.

    numbers  5 1 4 7   in binary 101 001 100 111
    level 4  1 0 1 1   then those with a 0 first: 1 | 5 4 7
    level 2  0|0 0 1                              1 5 4 | 7
    level 1  1 1 0|1

Columns of a file of levels, a row a level:

    items    the bits, 64 a number, the first lowest; empty where all numbers have the same
    totals   ones before each of these numbers
    rows     how many numbers have a 0
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from featurestore.compute.items.lists import ITEMS, ROWS, TOTALS, EntityLists, joined, list_table
from featurestore.errors import StoreError

LEVELS = 25
# Bucket numbers lie between -BIAS and BIAS, whatever the error.
BIAS = 2 ** (LEVELS - 1)
_WORD = 64


def levels_of(numbers: np.ndarray) -> pa.Table:
    """Lay out numbers (int64, from ``-BIAS`` on and below ``BIAS``) as a file of levels."""
    left = (numbers + BIAS).astype(np.uint32)
    words, ones, zeros = [], [], []
    for shift in range(LEVELS - 1, -1, -1):
        is_one = (left >> np.uint32(shift) & np.uint32(1)).astype(bool)
        zeros.append(len(left) - int(np.count_nonzero(is_one)))
        if not 0 < zeros[-1] < len(left):
            words.append(np.zeros(0, np.int64))
            ones.append(words[-1])
            continue
        # One more than is full, so that the end of the numbers has a place, too.
        padded = np.zeros((len(left) // _WORD + 1) * _WORD, bool)
        padded[: len(left)] = is_one
        words.append(np.packbits(padded, bitorder="little").view("<i8").astype(np.int64))
        counts = np.bitwise_count(words[-1].view(np.uint64)).astype(np.int64)
        ones.append(np.cumsum(counts) - counts)
        left = np.concatenate([left[~is_one], left[is_one]])
    lengths = np.array([len(each) for each in words])
    return list_table(
        {
            ITEMS: (lengths, joined(words)),
            TOTALS: (lengths, joined(ones)),
            ROWS: (np.ones(LEVELS, np.int64), np.array(zeros, np.int64)),
        }
    )


@dataclass(frozen=True, eq=False)
class BitLevel:
    """One level of a file's numbers.

    Args:
        shift: Which bit.
        zeros: How many numbers have a 0.
        words: The bits, 64 a number; empty where all are the same.
        ones: Ones before each of ``words``.
    """

    shift: int
    zeros: int
    words: np.ndarray
    ones: np.ndarray

    @property
    def is_constant(self) -> bool:
        """Whether all numbers have the same bit."""
        return not len(self.words)

    def ones_before(self, places: np.ndarray) -> np.ndarray:
        """Return how many numbers before each place have a 1 (int64)."""
        if self.is_constant:
            return np.zeros_like(places) if self.zeros else places
        of = places >> 6
        below = (np.uint64(1) << (places & 63).astype(np.uint64)) - np.uint64(1)
        bits = np.bitwise_count(self.words.take(of).view(np.uint64) & below)
        return self.ones.take(of) + bits.astype(np.int64)


def bit_levels(file: EntityLists) -> Iterator[BitLevel]:
    """List the levels of a file, the highest first."""
    ends = file.ends(ITEMS).tolist()
    words, ones, zeros = file.values(ITEMS), file.values(TOTALS), file.values(ROWS).tolist()
    for i, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
        yield BitLevel(LEVELS - 1 - i, zeros[i], words[start:end].astype(np.int64, copy=False), ones[start:end])


def check_levels(file: EntityLists, numbers: int) -> None:
    """Check that levels are of so many numbers, and that their counts are those of their bits.

    Raises:
        StoreError: they are not.
    """
    for level in bit_levels(file):
        counts = np.bitwise_count(level.words.view(np.uint64)).astype(np.int64)
        is_whole = len(level.words) == numbers // _WORD + 1 and numbers - level.zeros == counts.sum()
        if not (
            level.zeros in (0, numbers) if level.is_constant else is_whole and (level.ones == np.cumsum(counts) - counts).all()
        ):
            raise StoreError(
                f"The bits {level.shift} of {numbers:,} values do not add up. Delete the ledger and materialize()."
            )


def numbers_at(file: EntityLists, places: np.ndarray) -> np.ndarray:
    """Return the numbers at some places (int64)."""
    numbers = np.full(len(places), -BIAS)
    for level in bit_levels(file):
        before = level.ones_before(places)
        is_one = level.ones_before(places + 1) > before
        numbers += is_one * (1 << level.shift)
        places = np.where(is_one, level.zeros + before, places - before)
    return numbers
