"""Folding tiles into running totals: exact up to the last bit of 64, refused beyond it, never wrapped in silence."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from featurestore.compute.folds import Span
from featurestore.compute.forms.measure import last_measure, sum_measure
from featurestore.compute.materialization.folding import check_totals, close_partition, empty_balances, fold_partition
from featurestore.errors import OverflowingResultError

TOTAL, SEEN = sum_measure("total", "1"), last_measure("seen", "2", pa.string())
LIMIT = 2**63


def fold(rows: list[tuple], opening: list[int] | None = None, *, entities: int = 3) -> tuple[pa.Table, pa.Table]:
    """Fold rows of (code, step, total, seen) on opening totals per entity."""
    rows = sorted(rows, key=lambda row: row[1])
    tiles = pa.table(
        {
            "code": pa.array([row[0] for row in rows], pa.int64()),
            "step": pa.array([row[1] for row in rows], pa.int64()),
            TOTAL.name: pa.array([row[2] for row in rows], pa.int64()),
            SEEN.name: pa.array([row[3] if len(row) > 3 else None for row in rows], pa.string()),
        }
    )
    before = empty_balances([TOTAL, SEEN], len(opening or []))
    if opening:
        before = before.set_column(0, TOTAL.name, pa.array(opening, pa.int64()))
    ledger, balances = fold_partition(tiles, [TOTAL, SEEN], before, entities=entities, view="activity")
    check_totals(ledger, balances, [TOTAL, SEEN], view="activity")
    return ledger, balances


def test_each_entity_has_its_own_running_totals_in_order_of_steps() -> None:
    ledger, balances = fold([(2, 5, 10, "a"), (0, 7, 1), (2, 6, 5), (0, 5, 2, "b"), (2, 9, -3, "c")])
    assert balances["ends"].to_pylist() == [2, 2, 5]
    assert ledger["step"].to_pylist() == [5, 7, 5, 6, 9]
    assert ledger[TOTAL.name].to_pylist() == [2, 3, 10, 15, 12]
    assert ledger[SEEN.name].to_pylist() == ["b", "b", "a", "a", "c"]


def test_balances_carry_totals_and_last_values_into_the_next_partition() -> None:
    ledger, balances = fold([(2, 5, 10, "a"), (0, 7, 1)], [7, 8])
    closing = close_partition(ledger, balances, [TOTAL, SEEN], span=Span(0, 100))
    assert closing.to_pydict() == {TOTAL.name: [8, 8, 10], SEEN.name: [None, None, "a"]}


def test_nothing_folds_to_nothing() -> None:
    ledger, balances = fold([], entities=0)
    assert (ledger.num_rows, balances.num_rows) == (0, 0)
    ledger, balances = fold([], [4], entities=2)
    assert close_partition(ledger, balances, [TOTAL, SEEN], span=Span(0, 100))[TOTAL.name].to_pylist() == [4, 0]


@pytest.mark.parametrize(
    ("opening", "values"),
    [
        ([0], [LIMIT - 1]),
        ([0], [-LIMIT]),
        ([LIMIT - 1], [-LIMIT]),
        ([-LIMIT], [LIMIT - 1]),
        ([LIMIT - 2], [1, -1, 1]),
        ([0], [2**62, -(2**62), 2**62, 2**62 - 1]),
        ([-1], [-LIMIT + 1, LIMIT - 1, LIMIT - 1]),
    ],
)
def test_totals_up_to_the_last_bit_are_exact(opening: list[int], values: list[int]) -> None:
    of_another = (1, 0, 2**62)
    ledger, balances = fold([*((0, step, value) for step, value in enumerate(values)), of_another], opening)
    inside = ledger[TOTAL.name].to_pylist()[: len(values)]
    assert [opening[0] + value for value in inside] == [opening[0] + sum(values[: i + 1]) for i in range(len(values))]
    assert close_partition(ledger, balances, [TOTAL, SEEN], span=Span(0, 100))[TOTAL.name][0].as_py() == opening[0] + sum(
        values
    )


@pytest.mark.parametrize(
    ("opening", "values"),
    [
        ([0], [LIMIT - 1, 1]),
        ([0], [-LIMIT, -1]),
        ([1], [LIMIT - 1]),
        ([-1], [-LIMIT]),
        ([2**62], [2**62]),
        ([2**62], [2**62, -(2**62)]),
        ([0], [2**62, 2**62, -LIMIT]),
        ([0], [LIMIT - 1, LIMIT - 1, 2]),
        ([0], [LIMIT - 1] * 4),
    ],
    ids=str,
)
def test_a_total_beyond_64_bits_is_refused_even_if_it_comes_back(opening: list[int], values: list[int]) -> None:
    with pytest.raises(OverflowingResultError, match="view 'activity' does not fit 64 bits"):
        fold([(0, step, value) for step, value in enumerate(values)], opening)


def test_the_refusal_is_exact_on_random_large_values() -> None:
    rng = np.random.default_rng(3)
    refused = 0
    for _ in range(300):
        values = [int(value) for value in rng.integers(-LIMIT, LIMIT - 1, 4, endpoint=True) // int(rng.choice([1, 2, 3, 4]))]
        opening = int(rng.integers(-LIMIT, LIMIT - 1, endpoint=True)) // int(rng.choice([1, 2, 10]))
        # Both the totals inside the partition and those from the beginning must fit.
        inside = [sum(values[: i + 1]) for i in range(len(values))]
        fits = all(-LIMIT <= total < LIMIT for total in (*inside, *(opening + total for total in inside)))
        try:
            fold([(0, step, value) for step, value in enumerate(values)], [opening])
        except OverflowingResultError:
            assert not fits
            refused += 1
        else:
            assert fits
    assert 50 < refused < 250
