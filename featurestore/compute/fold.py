"""Folding: one partition's tiles become running totals, and its totals the balances of the next. Pure: tables in, tables out.

1. A "sum" column is a cumulative sum minus what stood before the entity's first row; a "last" column is filled forward.
2. The balance of the next partition is the balance of this one plus the entity's last row.
3. No total may leave 64 bits, not even in passing: the difference of two such totals could not be told from a right one.

The row shapes of ledger and balances: see ``compute/ledger.py``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.compute.measure import Measure
from featurestore.errors import OverflowingResultError

_LIMIT = 2**63


def fold_partition(
    tiles: pa.Table, measures: Sequence[Measure], opening: pa.Table, *, entities: int, view: str
) -> tuple[pa.Table, pa.Table]:
    """Fold one partition's tiles into its ledger and the balances at its start.

    Args:
        tiles: Sorted by step.
        measures: The view's measures.
        opening: Balances at the start, one row per entity seen before.
        entities: Number of known codes.
        view: Name, for the error.

    Returns:
        ``(ledger, balances)`` in the row shapes above; both carry all columns of the table they are committed to.

    Raises:
        OverflowingResultError: a total inside the partition does not fit 64 bits.
    """
    codes = tiles["code"].to_numpy()
    order = np.argsort(codes, kind="stable")
    codes = codes[order]
    ends = np.cumsum(np.bincount(codes, minlength=entities)).astype(np.int64)
    first = np.where(codes > 0, ends.take(codes - 1, mode="clip"), 0) if len(codes) else codes
    ordered = tiles.take(pa.array(order)).combine_chunks()
    totals = {}
    for measure in measures:
        column = ordered[measure.name]
        totals[measure.name] = (
            _running_sum(measure.numpy(column.combine_chunks()), first, measure, view)
            if measure.fold == "sum"
            else _filled_forward(column.combine_chunks(), first)
        )
    steps = ordered["step"].combine_chunks()
    ledger = pa.table({"ends": pa.nulls(len(codes), pa.int64()), "step": steps, **totals})
    return ledger, balances_of(ends, padded(opening, measures, entities))


def balances_of(ends: np.ndarray, opening: pa.Table) -> pa.Table:
    """Make a balances table: where each entity's rows end, and its totals before them."""
    nothing = pa.nulls(len(ends), pa.int64())
    return pa.table({"ends": pa.array(ends), "step": nothing, **{name: opening[name] for name in opening.column_names}})


def close_partition(ledger: pa.Table, balances: pa.Table, measures: Sequence[Measure]) -> pa.Table:
    """Return the balances at a partition's end: those at its start plus each entity's last row."""
    ends = balances["ends"].to_numpy()
    starts = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
    active = ends > starts
    last = np.where(active, ends - 1, 0)
    columns = {}
    for measure in measures:
        before, inside = balances[measure.name].combine_chunks(), ledger[measure.name].combine_chunks()
        if measure.fold == "sum":
            totals = measure.numpy(before).copy()
            totals[active] += measure.numpy(inside)[last[active]]
            columns[measure.name] = measure.arrow(totals)
        else:
            columns[measure.name] = pc.coalesce(inside.take(pa.array(last, mask=~active)), before)
    return pa.table(columns)


def _running_sum(values: np.ndarray, first: np.ndarray, measure: Measure, view: str) -> pa.Array:
    """Sum each entity's rows up to each row; ``first`` is the entity's first row."""
    if _largest(values) * len(values) >= _LIMIT:
        # Exact in two halves of 32 bits.
        high = _minus_before(np.cumsum(values >> 32, axis=0), first)
        low = _minus_before(np.cumsum(values & 0xFFFF_FFFF, axis=0), first)
        high += low >> 32
        if ((high < -(2**31)) | (high >= 2**31)).any():
            raise _overflow(measure, view)
    # A sum that wraps around 2^64 in passing, over other entities' rows, is exact again after the subtraction.
    return measure.arrow(_minus_before(np.cumsum(values, axis=0), first))


def _minus_before(running: np.ndarray, first: np.ndarray) -> np.ndarray:
    before = np.zeros_like(running)
    before[first > 0] = running[first[first > 0] - 1]
    totals: np.ndarray = running - before
    return totals


def check_totals(ledger: pa.Table, balances: pa.Table, measures: Sequence[Measure], *, view: str) -> None:
    """Raise where an opening balance and a row's total inside the partition do not fit 64 bits together."""
    for measure in measures:
        if measure.fold != "sum" or not ledger.num_rows:
            continue
        opening, inside = (measure.numpy(table[measure.name].combine_chunks()) for table in (balances, ledger))
        if _largest(opening) + _largest(inside) < _LIMIT:
            continue
        ends = balances["ends"].to_numpy()
        before = np.repeat(opening, np.diff(ends, prepend=0), axis=0)
        if adds_up_too_far(before, inside).any():
            raise _overflow(measure, view)


def adds_up_too_far(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Say where ``a + b`` leaves 64 bits (int64 in, bool out)."""
    total = a + b
    is_too_far: np.ndarray = ((a ^ total) & (b ^ total)) < 0
    return is_too_far


def _largest(values: np.ndarray) -> int:
    return max(-int(values.min(initial=0)), int(values.max(initial=0)))


def _overflow(measure: Measure, view: str) -> OverflowingResultError:
    return OverflowingResultError(
        f"The running total of {measure.name!r} in view {view!r} does not fit 64 bits for some entity. Declare the column in a "
        "larger unit, or lower the resolution_bits of a double."
    )


def _filled_forward(column: pa.Array, first: np.ndarray) -> pa.Array:
    rows = np.where(np.asarray(column.is_valid()), np.arange(len(column)), -1)
    latest = np.maximum.accumulate(rows) if len(rows) else rows
    return column.take(pa.array(np.maximum(latest, 0), mask=latest < first))


def empty_balances(measures: Sequence[Measure], entities: int) -> pa.Table:
    """Return the totals of entities without history: zeros and NULLs."""
    return pa.table({m.name: _neutral(m, entities) for m in measures})


def _neutral(measure: Measure, entities: int) -> pa.Array:
    if measure.fold == "sum":
        return measure.arrow(np.zeros((entities, *measure.shape), np.int64))
    return pa.nulls(entities, measure.type)


def padded(opening: pa.Table, measures: Sequence[Measure], entities: int) -> pa.Table:
    """Add entities that were not seen before the partition."""
    more = entities - opening.num_rows
    return pa.concat_tables([opening, empty_balances(measures, more)]).combine_chunks() if more > 0 else opening
