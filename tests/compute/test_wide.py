"""Wide integers equal Python's, whatever their signs and sizes."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.compute.wide import Wide

LIMIT = 2**63
limbs = st.lists(st.integers(-LIMIT, LIMIT - 1), min_size=3, max_size=3)
rows = st.lists(st.tuples(limbs, limbs, limbs), min_size=1, max_size=5)


def number(limbs: list[int]) -> int:
    return sum(limb << 32 * i for i, limb in enumerate(limbs))


def wide(rows: list[list[int]]) -> Wide:
    return Wide.of([np.array(column, np.int64) for column in zip(*rows, strict=True)])


@settings(max_examples=60, derandomize=True, deadline=None, database=None)
@given(rows)
def test_differences_of_products_equal_those_of_python(chosen: list[tuple]) -> None:
    a, b, c = ([row[i] for row in chosen] for i in range(3))
    found = (wide(a) * wide(b) - wide(c) * wide(c)).to_float()
    exact = [number(x) * number(y) - number(z) ** 2 for x, y, z in chosen]
    np.testing.assert_allclose(found, [float(value) for value in exact], rtol=4e-16, atol=0)


def test_a_small_difference_of_large_products_is_exact() -> None:
    large = [[-5, LIMIT - 1, -LIMIT], [2**62, 1, 7]]
    found = wide(large) * wide(large) - wide([[x[0] + 1, *x[1:]] for x in large]) * wide([[x[0] - 1, *x[1:]] for x in large])
    assert found.to_float().tolist() == [1.0, 1.0]


def test_zero_and_nothing_are_numbers() -> None:
    zero = wide([[0, 0, 0]])
    assert (zero * zero - zero).to_float().tolist() == [0.0]
    assert len(Wide.of([np.zeros(0, np.int64)]).to_float()) == 0


@settings(max_examples=200, derandomize=True, deadline=None, database=None)
@given(st.lists(st.integers(-(2**200), 2**200) | st.integers(-(2**70), 2**70), min_size=1, max_size=6))
def test_the_nearest_double_is_that_of_python(chosen: list[int]) -> None:
    columns = [np.array([value >> 32 * i & 0xFFFF_FFFF for value in chosen], np.int64) for i in range(7)]
    columns.append(np.array([value >> 32 * 7 for value in chosen], np.int64))
    assert Wide.of(columns).nearest().tolist() == [float(value) for value in chosen]


def test_a_tie_goes_to_the_even_double_and_the_least_bit_below_decides_it() -> None:
    halves = [
        2**53 + 1,
        2**53 + 3,
        (2**53 + 1) << 60,
        ((2**53 + 1) << 60) + 1,
        ((2**53 + 3) << 60) - 1,
        -((2**53 + 1) << 90) - 1,
        0,
    ]
    columns = [np.array([value >> 32 * i & 0xFFFF_FFFF for value in halves], np.int64) for i in range(5)]
    columns.append(np.array([value >> 160 for value in halves], np.int64))
    assert Wide.of(columns).nearest().tolist() == [float(value) for value in halves]
