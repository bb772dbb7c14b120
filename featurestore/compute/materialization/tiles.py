"""Tiles: one row per entity and step with activity, a month a file, sorted by (step, code).

Row shape of a file: ``code`` int64, ``step`` int64, one column per measure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa

from featurestore.compute.forms import view_measures
from featurestore.compute.forms.measure import Measure
from featurestore.compute.keys import key_type
from featurestore.compute.materialization.donors import Donor, Earlier, find_donor, no_earlier
from featurestore.compute.materialization.largest import largest_event
from featurestore.compute.materialization.tile_query import tile_sql
from featurestore.compute.search.key_index import extended_codes
from featurestore.compute.state import MONTH, ViewState
from featurestore.errors import ExpressionError, FeatureStoreError, OverflowingResultError
from featurestore.lake.arrow_parquet import write_parquet
from featurestore.lake.digests import looks_damaged
from featurestore.lake.spill import Lent, spilling_session
from featurestore.lake.table import CommittedFile, StagedFile, Table, commit, describe, stage
from featurestore.spec.view import FeatureView
from featurestore.timeline import Interval, Month, from_us

MONTHS_AT_ONCE = 12


def build_tiles(
    state: ViewState,
    *,
    before: Month | None = None,
    earlier: Earlier = no_earlier,
    broken: Collection[Path] | None = None,
    lent: Lent | None = None,
) -> Iterator[tuple[Month, int]]:
    """Compute and commit the tiles that are missing or out of date, up to twelve consecutive months a commit.

    Args:
        state: The view.
        before: Leave this month and later ones; ``None`` takes all.
        earlier: The view's definitions of before, whose tiles are used where they hold what this one needs.
        broken: Files that are damaged or missing; by default each is looked at.
        lent: Lends the sessions to compute in; by default each query has its own.

    Yields:
        Month and number of tile rows, after their commit.

    Raises:
        OverflowingResultError: the exact sum of one entity and step does not fit 64 bits.
        ExpressionError: a ``where`` cannot be computed for some event.
        CommitConflictError: another writer committed tiles of the same months meanwhile.
    """
    committed = Table.open(state.tiles_path)
    broken = {file.path for file in committed.files() if looks_damaged(file)} if broken is None else broken
    stale = state.stale_tiles(before, committed=committed, broken=broken)
    donor = find_donor(state, stale, earlier)
    for run in _runs(stale):
        staged = list(_stage(state, run, donor, lent))
        commit(
            state.tiles_path,
            add=[file for _, file in staged],
            remove=[file for month in run for file in committed.files(**{MONTH: str(month)})],
            partition_by=(MONTH,),
            read_version=committed.version,
            message=f"tiles of {state.view.name}, {run[0]} to {run[-1]}",
            renewed={file.name for file in committed.files() if file.path in broken},
        )
        yield from ((month, file.rows) for month, file in staged)
    # A correction may have moved the last event out of a month.
    empty = [file for file in committed.files() if _is_empty(state, Month.parse(file.partition[MONTH]), before)]
    if empty:
        message = f"months of {state.view.name} without events"
        commit(state.tiles_path, remove=empty, partition_by=(MONTH,), read_version=committed.version, message=message)


def _is_empty(state: ViewState, month: Month, before: Month | None) -> bool:
    return month not in state.inputs and (before is None or month < before)


def _runs(months: Sequence[Month]) -> Iterator[list[Month]]:
    run: list[Month] = []
    for month in months:
        if run and (run[-1].next() != month or len(run) == MONTHS_AT_ONCE):
            yield run
            run = []
        run.append(month)
    if run:
        yield run


def _stage(
    state: ViewState, run: Sequence[Month], donor: Donor | None, lent: Lent | None
) -> Iterator[tuple[Month, StagedFile]]:
    """Write the tiles of consecutive months, one file a month."""
    computed = _without_shared_steps(state, run)
    if donor is not None:
        parts = [(is_given, list(months)) for part in computed for is_given, months in groupby(part, key=donor.has)]
        given, computed = ([months for is_given, months in parts if is_given is wanted] for wanted in (True, False))
        for part, tiles in _given(state, given, donor, lent):
            if tiles is None:
                computed.append(part)
            else:
                yield from ((month, _write(state, month, tiles)) for month in part)
    for part, tiles in _aggregated(state, computed, view_measures(state.view, state.layout.naive_timezone), lent):
        yield from ((month, _write(state, month, tiles)) for month in part)


def _given(
    state: ViewState, parts: Sequence[list[Month]], donor: Donor, lent: Lent | None
) -> Iterator[tuple[list[Month], pa.Table | None]]:
    """Take tiles from a donor and compute what it has not; ``None`` where it has other rows."""
    if donor.has_same_rows and not donor.missing:
        yield from ((part, donor.tiles(part)) for part in parts)
        return
    for part, new in _aggregated(state, parts, donor.missing, lent):
        yield part, donor.with_missing(part, new)


def _aggregated(
    state: ViewState, parts: Sequence[list[Month]], measures: Sequence[Measure], lent: Lent | None
) -> Iterator[tuple[list[Month], pa.Table]]:
    """Compute tiles of parts of a run, with codes for their keys."""
    tables = [aggregate(state, part, measures=measures, lent=lent) for part in parts]
    keys = [[table[f"key_{i}"].combine_chunks() for i in range(len(state.view.key_types))] for table in tables]
    if not tables:
        return
    every = [pa.concat_arrays(columns) for columns in zip(*keys, strict=True)]
    codes = extended_codes(state.layout, state.view.entity.name, state.view.key_types, every)
    ends = np.cumsum([table.num_rows for table in tables])
    for part, table, own in zip(parts, tables, np.split(codes, ends[:-1]), strict=True):
        yield part, with_codes(table, own, measures=measures)


def _without_shared_steps(state: ViewState, run: Sequence[Month]) -> list[list[Month]]:
    """Cut a run of months where two share an hour (a zone such as Asia/Kolkata): each has a row of its own for that step."""
    parts: list[list[Month]] = []
    for month in run:
        edge_us = month.interval(state.layout.timezone).start_us
        is_shared = state.clock.start_us(state.clock.step(edge_us)) != edge_us
        if parts and not is_shared:
            parts[-1].append(month)
        else:
            parts.append([month])
    return parts


def aggregate(
    state: ViewState,
    months: Sequence[Month],
    *,
    end_us: int | None = None,
    measures: Sequence[Measure] | None = None,
    lent: Lent | None = None,
) -> pa.Table:
    """Aggregate the events of consecutive months, up to ``end_us`` if given, to some of the view's measures or to all.

    The query has a session of its own, unless one is lent.

    Returns:
        ``key_0``, ``key_1`` and so on in the dictionary's types, ``step``, one column per measure; in no order.

    Raises:
        OverflowingResultError: the exact sum of one entity and step does not fit 64 bits.
        ExpressionError: a ``where`` cannot be computed for some event.
    """
    import duckdb

    timezone = state.layout.timezone
    start_us = months[0].interval(timezone).start_us
    months_end_us = months[-1].interval(timezone).end_us
    interval = Interval(start_us, months_end_us if end_us is None else min(months_end_us, end_us))
    files: dict[str, CommittedFile] = {file.name: file for month in months for file in state.inputs[month]}
    naive_timezone = state.layout.naive_timezone
    sql = tile_sql(
        state.view,
        state.scan_sql(files.values()),
        interval=interval,
        timezone=timezone,
        naive_timezone=naive_timezone,
        measures=measures,
    )
    with (lent or partial(spilling_session, state.layout))() as session:
        try:
            table = session.sql(sql).to_arrow_table()
        except (duckdb.ConversionException, duckdb.OutOfRangeException, duckdb.InvalidInputException) as error:
            culprit = largest_event(state, session, files.values(), interval)
            raise _failure(state.view, interval, error, culprit) from error
    for i, kind in enumerate(state.view.key_types):
        table = table.set_column(i, f"key_{i}", table[f"key_{i}"].cast(key_type(kind)))
    return table


def _failure(view: FeatureView, interval: Interval, error: Exception, culprit: str | None) -> FeatureStoreError:
    first = str(error).splitlines()[0]
    where = (
        f"view {view.name!r} between {from_us(interval.start_us):%Y-%m-%d} and {from_us(interval.end_us):%Y-%m-%d}: {first}."
    )
    if "out of range" in first.lower() and culprit:
        return OverflowingResultError(f"A double is too large to be summed in {where} {culprit}")
    if "out of range" in first.lower():
        return OverflowingResultError(
            f"A sum or product does not fit its type in {where} Declare the column in a larger unit, or lower the "
            "resolution_bits of a double."
        )
    return ExpressionError(f"A condition cannot be computed for some event in {where} Use TRY_CAST, which gives NULL.")


def with_codes(table: pa.Table, codes: np.ndarray, *, measures: Sequence[Measure]) -> pa.Table:
    """Turn an aggregated table into tiles: ``code``, ``step`` and the measures, sorted by (step, code)."""
    steps = table["step"].to_numpy()
    order = pa.array(np.lexsort((codes, steps)))
    body = table.select([measure.name for measure in measures]).take(order)
    columns = [pa.array(codes).take(order), pa.array(steps).take(order)]
    columns += [body[measure.name].cast(measure.type) for measure in measures]
    return pa.table(columns, names=["code", "step", *body.column_names])


def _write(state: ViewState, month: Month, tiles: pa.Table) -> StagedFile:
    bounds = month.interval(state.layout.timezone)
    edges = state.clock.step(bounds.start_us), state.clock.ceil(bounds.end_us)
    first, last = (int(edge) for edge in np.searchsorted(tiles["step"].to_numpy(), edges))
    partition = {MONTH: str(month)}
    file = stage(state.tiles_path, partition, state.tile_digests[month])
    write_parquet(tiles.slice(first, last - first), file)
    return describe(file, partition)
