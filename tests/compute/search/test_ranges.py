"""Extremes and first values over ranges of rows equal a loop, however long and many the ranges are."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pytest

from featurestore.compute.search.ranges import BLOCK, BlockExtremes, next_with_value, over_ranges


@pytest.mark.parametrize("reduce", [np.minimum, np.maximum])
@pytest.mark.parametrize(("rows", "ranges"), [(1, 3), (40, 3), (40, 500), (5_000, 5), (5_000, 3_000), (100_000, 2_000)])
def test_extremes_over_ranges_equal_a_loop(rows: int, ranges: int, reduce: np.ufunc) -> None:
    rng = np.random.default_rng(rows + ranges)
    values = rng.integers(-1000, 1000, rows) * rng.integers(1, 2**40, rows)
    low = rng.integers(0, rows, ranges)
    high = low + 1 + (rng.random(ranges) ** 3 * (rows - low)).astype(np.int64)
    found = over_ranges(
        values.take, rows, low, np.minimum(high, rows), reduce=reduce, blocks=lambda: BlockExtremes(values, reduce)
    )
    expected = [reduce.reduce(values[start:end]) for start, end in zip(low, np.minimum(high, rows), strict=True)]
    assert found.tolist() == expected


def test_the_next_row_with_a_value_is_found_or_none() -> None:
    column = pa.array([None, 1, None, None, 2, None])
    assert next_with_value(column, np.arange(6), np.full(6, 6)).tolist() == [1, 1, 4, 4, 4, 6]
    assert next_with_value(column, np.arange(6), np.array([1, 2, 4, 4, 5, 6])).tolist() == [1, 1, 4, 4, 4, 6]
    assert next_with_value(pa.array([1, 2]), np.arange(2), np.full(2, 2)).tolist() == [0, 1]


@pytest.mark.parametrize("rows", [1, 63, 64, 65, 127, 900])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5])
def test_the_next_row_with_a_value_equals_a_loop_wherever_a_column_begins(rows: int, share: float) -> None:
    rng = np.random.default_rng(rows)
    has_value = rng.random(rows + 9) < share
    low = rng.integers(0, rows, 50)
    high = low + rng.integers(0, rows - low + 1)
    for offset in (0, 9):
        column = pa.array(np.arange(rows + 9), mask=~has_value).slice(offset, rows)
        valid = has_value[offset : offset + rows].tolist()
        expected = [next((row for row in range(start, end) if valid[row]), end) for start, end in zip(low, high, strict=True)]
        assert next_with_value(column, low, high).tolist() == expected


class MaximumOfTwoAtOnce:
    """The maximum, computed by two threads in step with each other."""

    reduceat = np.maximum.reduceat

    def __init__(self) -> None:
        self._both = threading.Barrier(2)

    def __call__(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        with suppress(threading.BrokenBarrierError):
            self._both.wait(timeout=0.2)
        return np.maximum(one, other)


def test_two_threads_that_ask_for_the_same_blocks_at_once_get_the_right_extremes() -> None:
    values = np.random.default_rng(1).integers(0, 10**9, 64 * BLOCK)
    blocks = BlockExtremes(values, MaximumOfTwoAtOnce())
    first, end = np.array([0, 3, 11]), np.array([64, 20, 19])
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: blocks.over(first, end).tolist(), range(2)))
    expected = [values[low * BLOCK : high * BLOCK].max() for low, high in zip(first, end, strict=True)]
    assert found == [expected] * 2
