"""The as-of search finds what a plain loop finds."""

from __future__ import annotations

import numpy as np
import pytest

from featurestore.compute.search.as_of_search import BLOCK, last_row_before


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.int64])
def test_the_search_equals_a_loop_over_segments_of_any_length(dtype) -> None:
    rng = np.random.default_rng(7)
    for _ in range(60):
        lengths = rng.choice([0, 0, 1, 2, 3, 17, 100], int(rng.integers(1, 12)))
        ends = np.cumsum(lengths).astype(np.int64)
        steps = np.concatenate([np.sort(rng.integers(-50, 50, n)) for n in lengths] or [np.array([])]).astype(dtype)
        codes = rng.integers(0, len(lengths), 40)
        bounds = rng.integers(-60, 60, 40)
        row, found = last_row_before(steps, ends, codes, bounds)
        for code, bound, at, is_found in zip(codes, bounds, row, found, strict=True):
            start = int(ends[code - 1]) if code else 0
            before = [i for i in range(start, int(ends[code])) if steps[i] < bound]
            assert bool(is_found) == bool(before)
            assert not before or at == before[-1]


def test_probes_beyond_one_block_are_all_answered() -> None:
    count = 2 * BLOCK + 3
    row, found = last_row_before(np.array([1, 2]), np.array([2]), np.zeros(count, np.int64), np.arange(count) % 4)
    assert found.sum() == (np.arange(count) % 4 > 1).sum()
    assert (row[found] == np.minimum(np.arange(count) % 4 - 2, 1)[found]).all()


def test_no_probes_and_no_rows_are_fine() -> None:
    nothing = np.array([], np.int64)
    assert [len(part) for part in last_row_before(nothing, np.array([0]), nothing, nothing)] == [0, 0]
    assert last_row_before(nothing, np.array([0, 0]), np.array([1]), np.array([5]))[1].tolist() == [False]
