"""Wide integers: columns of exact integers of any size, for sums and products that leave 64 bits.

1. A number is a sign and digits base 2^32, the lowest first: arrays uint64 [rows], each below 2^32.
2. Limbs (signed int64 [rows], the weight of each 2^32 times that of the one before) become digits by carrying.
3. A column has as many digits as its largest number needs, so numbers cost what they hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DIGIT_BITS = 32
_MASK = np.uint64(2**DIGIT_BITS - 1)
_SHIFT = np.uint64(DIGIT_BITS)
_SIGNED_MASK = np.int64(2**DIGIT_BITS - 1)


@dataclass(frozen=True, eq=False)
class Wide:
    """One integer per row.

    Args:
        is_negative: Its sign (bool [rows]).
        digits: Its magnitude, in digits base 2^32, the lowest first (uint64 [rows]).

    >>> number = Wide.of([np.array([-1, 5]), np.array([0, 7])])  # -1 and 7 * 2**32 + 5
    >>> (number * number - number).to_float().tolist() == [2.0, float((7 * 2**32 + 5) ** 2 - (7 * 2**32 + 5))]
    True
    """

    is_negative: np.ndarray
    digits: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, limbs: Sequence[np.ndarray]) -> Wide:
        """Return the numbers that limbs make up, the lowest first: the sum of ``limbs[k] * 2 ** (32 * k)``."""
        digits = []
        carry = np.zeros(len(limbs[0]), np.int64)
        for limb in limbs:
            # The low 32 bits and the rest are carried apart: limb + carry could leave 64 bits.
            low = (limb & _SIGNED_MASK) + (carry & _SIGNED_MASK)
            digits.append((low & _SIGNED_MASK).astype(np.uint64))
            carry = (limb >> DIGIT_BITS) + (carry >> DIGIT_BITS) + (low >> DIGIT_BITS)
        rest = carry.astype(np.uint64)
        return _signed([*digits, rest & _MASK, rest >> _SHIFT], carry < 0)

    def __mul__(self, other: Wide) -> Wide:
        """Return the products, row by row; exact."""
        columns = [np.zeros(len(self.is_negative), np.uint64) for _ in range(len(self.digits) + len(other.digits))]
        for i, a in enumerate(self.digits):
            for j, b in enumerate(other.digits):
                product = a * b
                columns[i + j] += product & _MASK
                columns[i + j + 1] += product >> _SHIFT
        return Wide(self.is_negative ^ other.is_negative, _stripped(_carried(columns)))

    def __sub__(self, other: Wide) -> Wide:
        """Return the differences, row by row; exact."""
        size = max(len(self.digits), len(other.digits)) + 1
        columns = [a + (b ^ _MASK) for a, b in zip(self._complement(size), other._complement(size), strict=True)]
        columns[0] += np.uint64(1)
        digits = _carried(columns)
        return _signed(digits, digits[-1] >> np.uint64(DIGIT_BITS - 1) == 1)

    def to_float(self) -> np.ndarray:
        """Return the nearest doubles, or their neighbours."""
        total = np.zeros(len(self.is_negative))
        # From the highest digit down, each addition rounds a number that is close to the whole.
        for i, digit in reversed(list(enumerate(self.digits))):
            total += np.ldexp(digit.astype(float), DIGIT_BITS * i)
        return np.where(self.is_negative, -total, total)

    def nearest(self) -> np.ndarray:
        """Return the nearest doubles, of two equally near ones the even: rounded once.

        1. The 64 bits of each row from its highest one on make one integer: they lie in its highest three digits.
        2. It rounds as the whole number does, if its lowest bit, far below a double's last, says whether anything lies below.
        """
        zero = np.zeros(len(self.is_negative), np.uint64)
        digits = [zero, zero, *self.digits]
        first, second, third, place = zero, zero, zero, np.zeros(len(zero), np.int64)
        is_more = lower = np.zeros(len(zero), bool)
        for i, digit in enumerate(self.digits):
            is_first = digit != 0
            first, second, third = (
                np.where(is_first, *each) for each in ((digit, first), (digits[i + 1], second), (digits[i], third))
            )
            place[is_first] = i
            is_more = np.where(is_first, lower, is_more)
            lower = lower | (digits[i] != 0)
        size = np.frexp(first.astype(float))[1]
        shift = (DIGIT_BITS - size).astype(np.uint64)
        bits = ((first << _SHIFT | second) << shift) | (third >> (_SHIFT - shift))
        is_more = is_more | (((third << shift) & _MASK) != 0)
        magnitude = np.ldexp((bits | is_more).astype(float), DIGIT_BITS * (place - 2) + size)
        nearest: np.ndarray = np.where(self.is_negative, -magnitude, magnitude)
        return nearest

    def _complement(self, size: int) -> Sequence[np.ndarray]:
        """Return the numbers in two's complement of ``size`` digits."""
        zero = np.zeros(len(self.is_negative), np.uint64)
        return _negated([*self.digits, *[zero] * (size - len(self.digits))], self.is_negative)


def _signed(digits: Sequence[np.ndarray], is_negative: np.ndarray) -> Wide:
    """Read digits in two's complement; ``is_negative`` says which rows are below zero."""
    return Wide(is_negative, _stripped(_negated(digits, is_negative)))


def _negated(digits: Sequence[np.ndarray], where: np.ndarray) -> Sequence[np.ndarray]:
    """Change the sign of some rows, in two's complement."""
    if not where.any():
        return digits
    columns = [np.where(where, digit ^ _MASK, digit) for digit in digits]
    columns[0] += where
    return _carried(columns)


def _carried(columns: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Carry what is beyond 32 bits on to the next column; what leaves the last one is dropped."""
    digits = []
    carry = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        total = column + carry
        digits.append(total & _MASK)
        carry = total >> _SHIFT
    return digits


def _stripped(digits: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Leave out the highest digits that are zero in all rows; the lowest always stays."""
    size = len(digits)
    while size > 1 and not digits[size - 1].any():
        size -= 1
    return tuple(digits[:size])
