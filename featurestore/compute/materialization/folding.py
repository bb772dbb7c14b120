"""Folding: one partition's tiles become its ledger, and its totals the balances of the next. Pure: tables in, tables out.

What happens to a column is its fold's business (``compute/folds/``). The row shapes of ledger and balances: see
``compute/materialization/ledger.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from featurestore.compute.folds import RunningFold, ScopedFold, Segments, Span
from featurestore.compute.forms.measure import Measure
from featurestore.compute.search.probes import Partition


def fold_partition(
    tiles: pa.Table, measures: Sequence[Measure], opening: pa.Table, *, entities: int, view: str
) -> tuple[pa.Table, pa.Table]:
    """Fold one partition's tiles into its ledger and its balances.

    Args:
        tiles: Sorted by step.
        measures: The view's measures.
        opening: Running totals at the start, one row per entity seen before.
        entities: Number of known codes.
        view: Name, for the error.

    Returns:
        ``(ledger, balances)`` in the row shapes named above; both carry all columns of the table they are committed to.

    Raises:
        OverflowingResultError: a total inside the partition does not fit 64 bits.
    """
    codes = tiles["code"].to_numpy()
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=entities)).astype(np.int64)
    ordered = tiles.take(pa.array(order)).combine_chunks()
    steps = ordered["step"].combine_chunks()
    segments = Segments(ends, steps.to_numpy())
    columns = {}
    for measure in measures:
        column = ordered[measure.name].combine_chunks()
        if isinstance(measure.fold, RunningFold):
            column = measure.fold.inside(column, segments, what=_what(measure, view))
        columns[measure.name] = column
    ledger = pa.table({"ends": pa.nulls(len(codes), pa.int64()), "step": steps, **columns})
    return ledger, balances_of(ledger, ends, opening, measures)


def balances_of(ledger: pa.Table, ends: np.ndarray, opening: pa.Table, measures: Sequence[Measure]) -> pa.Table:
    """Make a balances table: where each entity's rows end, its totals before them, and the summaries of them.

    Args:
        ledger: The partition's.
        ends: The row after each entity's last one; entities that the partition does not know are added.
        opening: Running totals at the start, one row per entity seen before.
        measures: The view's measures.
    """
    more = opening.num_rows - len(ends)
    if more > 0:
        ends = np.concatenate([ends, np.full(more, ends[-1] if len(ends) else 0)]).astype(np.int64)
    segments = _segments(ledger, ends)
    columns = {}
    for measure in measures:
        if isinstance(measure.fold, RunningFold):
            columns[measure.name] = _padded(opening, measure.name, measure.fold, len(ends))
        elif isinstance(measure.fold, ScopedFold):
            columns[measure.name] = measure.fold.summary(ledger[measure.name].combine_chunks(), segments)
    return pa.table({"ends": pa.array(ends), "step": pa.nulls(len(ends), pa.int64()), **columns})


def close_partition(ledger: pa.Table, balances: pa.Table, measures: Sequence[Measure], *, span: Span) -> pa.Table:
    """Return the running totals at the start of the next partition: those at this one's, and each entity's last row.

    Args:
        ledger: The partition's.
        balances: The partition's.
        measures: The view's measures.
        span: From its start to that of the next partition.
    """
    segments = _segments(ledger, balances["ends"].to_numpy())
    totals = balances.select([])  # keeps its number of rows
    for measure, fold, before, inside in _running(ledger, balances, measures):
        totals = totals.append_column(measure.name, fold.close(before, inside, segments, span))
    return totals


def closing_of(partition: Partition, codes: np.ndarray, measures: Sequence[Measure], *, span: Span) -> pa.Table:
    """Return the running totals of some entities at the start of the next partition, as ``close_partition`` of all.

    Args:
        partition: Balances of all entities, and their rows.
        codes: Entities, ascending; those that it does not know come last.
        measures: The view's measures.
        span: From its start to that of the next partition.
    """
    known = codes[: np.searchsorted(codes, partition.entities)]
    low, high = partition.starts_of(known), partition.ends_of(known)
    last = (high - 1)[low < high]
    steps = partition.ledger.numbers("step", last).take(last).astype(np.int64)
    segments = Segments(np.cumsum(low < high).astype(np.int64), steps)
    totals = pa.table({"code": codes}).select([])
    for measure in measures:
        if isinstance(fold := measure.fold, RunningFold):
            before = partition.balances.array(measure.name, known).take(pa.array(known)).cast(measure.type)
            inside = partition.ledger.array(measure.name, last).take(pa.array(last)).cast(measure.type)
            unseen = fold.neutral(len(codes) - len(known))
            closed = fold.close(before, inside, segments, span).cast(unseen.type)
            totals = totals.append_column(measure.name, pa.concat_arrays([closed, unseen]))
    return totals


def check_totals(ledger: pa.Table, balances: pa.Table, measures: Sequence[Measure], *, view: str) -> None:
    """Raise where an opening balance and a row's total inside the partition do not fit 64 bits together."""
    segments = _segments(ledger, balances["ends"].to_numpy())
    for measure, fold, before, inside in _running(ledger, balances, measures):
        fold.check(before, inside, segments, what=_what(measure, view))


def running_totals(balances: pa.Table, measures: Sequence[Measure]) -> pa.Table:
    """Return the columns of a balances table that are totals before its partition."""
    return balances.select([measure.name for measure in measures if isinstance(measure.fold, RunningFold)])


def empty_balances(measures: Sequence[Measure], entities: int) -> pa.Table:
    """Return the running totals of entities without history."""
    totals = pa.table({"ends": pa.nulls(entities)}).select([])
    for measure in measures:
        if isinstance(measure.fold, RunningFold):
            totals = totals.append_column(measure.name, measure.fold.neutral(entities))
    return totals


def _running(
    ledger: pa.Table, balances: pa.Table, measures: Sequence[Measure]
) -> Iterator[tuple[Measure, RunningFold, pa.Array, pa.Array]]:
    for measure in measures:
        if isinstance(measure.fold, RunningFold):
            before = balances[measure.name].combine_chunks()
            inside = ledger[measure.name].combine_chunks()
            yield measure, measure.fold, before, inside


def _segments(ledger: pa.Table, ends: np.ndarray) -> Segments:
    return Segments(ends.astype(np.int64), ledger["step"].to_numpy())


def _padded(opening: pa.Table, name: str, fold: RunningFold, entities: int) -> pa.Array:
    """Add entities that were not seen before the partition."""
    known = opening[name].combine_chunks()
    more = entities - opening.num_rows
    return pa.concat_arrays([known, fold.neutral(more)]) if more > 0 else known


def _what(measure: Measure, view: str) -> str:
    return f"{measure.name!r} in view {view!r}"
