"""Wide integers: columns of exact integers of any fixed number of bits, for products that leave 64.

1. A number is ``digits`` base 2^32, the lowest first, in two's complement: digit arrays uint64 [rows], each below 2^32.
2. Limbs (signed int64 [rows], the weight of each 2^32 times that of the one before) become digits by carrying.
3. A product multiplies magnitudes digit by digit, and skips digits that are zero in all rows: numbers cost what they hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DIGIT_BITS = 32
_MASK = np.uint64(2**DIGIT_BITS - 1)
_SHIFT = np.uint64(DIGIT_BITS)


@dataclass(frozen=True, eq=False)
class Wide:
    """Integers of ``32 * len(digits)`` bits, one per row; results that leave these bits wrap around.

    >>> limbs = [np.array([-1, 5]), np.array([0, 7])]  # -1 and 7 * 2**32 + 5
    >>> (Wide.of(limbs, digits=4) * Wide.of(limbs, digits=4)).to_float().tolist() == [1.0, float((7 * 2**32 + 5) ** 2)]
    True
    """

    digits: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, limbs: Sequence[np.ndarray], *, digits: int) -> Wide:
        """Add up limbs, the lowest first; the numbers must fit the digits."""
        found, carry = [], np.zeros(len(limbs[0]), np.int64)
        for i in range(digits):
            # The carry keeps the low 32 bits and the rest of a limb apart: their sum could leave 64 bits.
            limb = limbs[i] if i < len(limbs) else np.int64(0)
            low = (limb & np.int64(_MASK)) + (carry & np.int64(_MASK))
            found.append((low & np.int64(_MASK)).astype(np.uint64))
            carry = (limb >> DIGIT_BITS) + (carry >> DIGIT_BITS) + (low >> DIGIT_BITS)
        return cls(tuple(found))

    @property
    def is_negative(self) -> np.ndarray:
        """Whether each number is below zero."""
        return np.asarray(self.digits[-1] >> np.uint64(DIGIT_BITS - 1) == 1)

    def __mul__(self, other: Wide) -> Wide:
        """Multiply; both must have the same number of digits."""
        a, b = self._magnitude(), other._magnitude()
        size = len(self.digits)
        columns: list[np.ndarray | None] = [None] * size
        for i in _occupied(a):
            for j in _occupied(b):
                if i + j >= size:
                    break
                product = a.digits[i] * b.digits[j]
                _add(columns, i + j, product & _MASK)
                _add(columns, i + j + 1, product >> _SHIFT)
        total = _carried(columns, len(self.digits[0]))
        return total._negated(self.is_negative ^ other.is_negative)

    def __sub__(self, other: Wide) -> Wide:
        """Subtract; both must have the same number of digits."""
        borrowed: list[np.ndarray | None] = [a + (_MASK - b) for a, b in zip(self.digits, other.digits, strict=True)]
        _add(borrowed, 0, np.ones_like(self.digits[0]))
        return _carried(borrowed, len(self.digits[0]))

    def to_float(self) -> np.ndarray:
        """Return the nearest doubles, or their neighbours."""
        magnitude, total = self._magnitude(), np.zeros(len(self.digits[0]))
        # From the highest digit down, each addition rounds a number that is close to the whole.
        for i in reversed(_occupied(magnitude)):
            total += np.ldexp(magnitude.digits[i].astype(float), DIGIT_BITS * i)
        return np.where(self.is_negative, -total, total)

    def _magnitude(self) -> Wide:
        return self._negated(self.is_negative)

    def _negated(self, where: np.ndarray) -> Wide:
        if not where.any():
            return self
        flipped: list[np.ndarray | None] = [np.where(where, digit ^ _MASK, digit) for digit in self.digits]
        _add(flipped, 0, where.astype(np.uint64))
        return _carried(flipped, len(where))


def _occupied(number: Wide) -> list[int]:
    return [i for i, digit in enumerate(number.digits) if digit.any()]


def _add(columns: list[np.ndarray | None], i: int, values: np.ndarray) -> None:
    if i < len(columns):
        before = columns[i]
        columns[i] = values if before is None else before + values


def _carried(columns: Sequence[np.ndarray | None], rows: int) -> Wide:
    digits, carry = [], np.zeros(rows, np.uint64)
    for column in columns:
        total = carry if column is None else column + carry
        digits.append(total & _MASK)
        carry = total >> _SHIFT
    return Wide(tuple(digits))
