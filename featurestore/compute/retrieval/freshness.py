"""Freshness: whether a view holds every committed event that an answer needs.

A month is stale when its event files are not those that the ledger was folded from. An answer at an as_of needs the months
that begin before its floor. The month that the floor lies in may be stale because of later events alone: then its events
before the floor are aggregated again and compared with what was folded.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow.compute as pc

from featurestore.compute.forms import view_measures
from featurestore.compute.keys import load_keys
from featurestore.compute.materialization.tiles import aggregate, with_codes
from featurestore.compute.state import ViewState
from featurestore.compute.windows.totals import LedgerReader
from featurestore.errors import NotMaterializedError
from featurestore.lake.arrow_parquet import read_parquet
from featurestore.lake.storage import STORAGE
from featurestore.timeline import Month, Window


def check_fresh(state: ViewState, reader: LedgerReader, *, as_of_us: int) -> None:
    """Refuse to answer where committed events before floor(as_of) are not yet in the view.

    Args:
        state: The view and the committed events.
        reader: Its ledger.
        as_of_us: The latest as_of, microseconds UTC.

    Raises:
        NotMaterializedError: names the months and the call that mends it.
    """
    (piece,) = state.clock.window(np.array([as_of_us], np.int64), Window.parse("lifetime"), delay=state.view.delay_steps)
    floor = int(piece.right.steps[0])
    floor_us = state.clock.start_us(floor)
    needed = [month for month in stale_months(state, reader) if month.interval(state.layout.timezone).start_us < floor_us]
    if not needed or (
        needed[0].interval(state.layout.timezone).end_us > floor_us and _is_equal(state, reader, needed[0], floor)
    ):
        return
    raise NotMaterializedError(
        f"Events of {_named(needed)} are committed but not yet in view {state.view.name!r}, and a row's as_of is later. "
        f"Call store.materialize(views=[{state.view.name!r}]) first."
    )


def stale_months(state: ViewState, reader: LedgerReader) -> list[Month]:
    """List the months whose committed events are not those that the ledger was folded from, in order."""
    folded = reader.folded
    wanted = state.tile_digests
    return sorted(month for month in {*folded, *wanted} if folded.get(month) != wanted.get(month))


def _is_equal(state: ViewState, reader: LedgerReader, month: Month, floor: int) -> bool:
    """Whether a stale month's events before a step give the very tiles that were folded."""
    name = reader.folded.get(month)
    # By name: an answer that is read again may need tiles that have been replaced since.
    files = [file.path for file in STORAGE.list_files(state.tiles_path, ending=f"{name}.parquet")]
    if name is not None and not files:
        return False
    before = [tiles.filter(pc.less(tiles["step"], floor)) for tiles in (read_parquet(file) for file in files)]
    now = []
    if month in state.inputs:
        table = aggregate(state, [month], end_us=state.clock.start_us(floor))
        dictionary = load_keys(state.layout.keys(state.view.entity.name), state.view.key_types)
        codes = dictionary.codes([table[f"key_{i}"].combine_chunks() for i in range(len(state.view.key_types))])
        measures = view_measures(state.view, state.layout.naive_timezone)
        now = [with_codes(table, codes, measures=measures)]
    rows = sum(tiles.num_rows for tiles in before), sum(tiles.num_rows for tiles in now)
    return rows == (0, 0) or (rows[0] == rows[1] and before[0].equals(now[0]))


def _named(months: Sequence[Month]) -> str:
    return str(months[0]) if len(months) == 1 else f"{months[0]} to {months[-1]} ({len(months)} months)"
