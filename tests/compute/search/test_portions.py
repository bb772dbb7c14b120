"""Portions cover all rows in order, and none could have taken one more."""

from __future__ import annotations

import numpy as np
import pytest

from featurestore.compute.search.portions import portions


@pytest.mark.parametrize("seed", range(8))
def test_portions_cover_all_rows_and_are_as_long_as_the_limit_allows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights, limit = rng.integers(0, 9, int(rng.integers(1, 60))), int(rng.integers(1, 20))
    found = list(portions(weights, limit=limit))
    assert [row for part in found for row in range(part.start, part.stop)] == list(range(len(weights)))
    for part in found:
        assert part.stop - part.start == 1 or weights[part].sum() <= limit
        assert part.stop == len(weights) or weights[part.start : part.stop + 1].sum() > limit


def test_nothing_has_no_portion() -> None:
    assert list(portions(np.zeros(0, np.int64), limit=5)) == []
