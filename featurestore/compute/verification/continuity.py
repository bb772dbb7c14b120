"""Continuity: where one partition of a ledger ends, the next must begin with the same totals."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pyarrow as pa

from featurestore.compute.folds import Span
from featurestore.compute.forms import ledger_measures
from featurestore.compute.materialization.folding import close_partition, running_totals
from featurestore.compute.materialization.ledger import read_ledger_file
from featurestore.compute.state import ACTIVE, BALANCES, KIND, LEDGER, START, ViewState
from featurestore.lake.table import Table


@dataclass(frozen=True)
class Joint:
    """Two neighbouring partitions of a ledger.

    Attributes:
        before: First month of the earlier one.
        start: First month of the later one.
        entities: Entities with an opening balance in the later one.
        broken: Measures whose opening balances are not the closing ones of the earlier partition.
    """

    before: str
    start: str
    entities: int
    broken: tuple[str, ...]


def check_continuity(state: ViewState, *, newest: int = 1) -> tuple[Joint, ...]:
    """Compare closing with opening balances, from the committed files alone.

    Args:
        state: The view.
        newest: How many joints to look at, from the newest one back.

    Returns:
        Joints in order of time; none of a ledger of one partition.
    """
    committed = Table.open(state.ledger_path)
    measures = ledger_measures(state.view, state.layout.naive_timezone)
    starts = sorted(file.partition[START] for file in committed.files(**{KIND: LEDGER}))
    joints = []
    for before, start in list(pairwise(starts))[-newest:]:
        span = Span(state.start_step(before), state.start_step(start))
        ledger, balances = (read_ledger_file(committed, kind, before) for kind in (LEDGER, BALANCES))
        closing = close_partition(ledger, balances, measures, span=span)
        is_all = bool(committed.files(**{KIND: BALANCES, START: start}))
        balances = read_ledger_file(committed, BALANCES if is_all else ACTIVE, start)
        opening = running_totals(balances, measures)
        if not is_all:  # of those that are active in the later one
            codes = balances["step"].to_numpy()
            closing = closing.take(pa.array(codes[codes < closing.num_rows]))
        known = opening.slice(0, closing.num_rows)
        broken = tuple(name for name in closing.column_names if not _equal(closing[name], known[name]))
        joints.append(Joint(before, start, opening.num_rows, broken))
    return tuple(joints)


def _equal(closing: pa.ChunkedArray, opening: pa.ChunkedArray) -> bool:
    return bool(closing.combine_chunks().cast(opening.type).equals(opening.combine_chunks()))
