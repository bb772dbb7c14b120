"""Tiles: one row per entity and step with activity, a month a file, sorted by (step, code).

Row shape of a file: ``code`` int64, ``step`` int64, one column per measure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from featurestore.compute.forms import view_measures
from featurestore.compute.keys import extend_keys, key_type
from featurestore.compute.measure import LOCAL_US, STEP, TIME_US, rows_of
from featurestore.compute.state import MONTH, ViewState
from featurestore.errors import OverflowingResultError
from featurestore.lake.parquet import write_parquet
from featurestore.lake.session import connect, quote
from featurestore.lake.table import CommittedFile, StagedFile, Table, commit, describe, parquet_scan_sql, stage
from featurestore.spec.view import FeatureView
from featurestore.timeline import DAY_US, HOUR_US, Interval, Month, from_us, utc_offsets

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MONTHS_AT_ONCE = 12
Progress = Callable[[str, Month], None]


def tile_sql(view: FeatureView, scan: str, *, interval: Interval, timezone: str) -> str:
    """Render the query that aggregates a view's events into one row per key and step.

    Args:
        view: The view.
        scan: SQL of the events to read.
        interval: Only events whose time, by the view's clock column, lies in it.
        timezone: The store's business time zone.

    Returns:
        A query with the key columns, ``step`` and one column per measure, in no order.
    """
    rows, measures = rows_of(view), view_measures(view)
    time = quote(view.event_time)
    keys = [quote(column) for _, column in view.key_columns]
    prepared = dict.fromkeys(measure.prepared for measure in measures if measure.prepared)
    step = {"1d": f"{LOCAL_US} // {DAY_US}", "1h": f"{TIME_US} // {HOUR_US}", "event": TIME_US}[view.grain]
    conditions = [rows.condition(aggregation) for aggregation in view.aggregations]
    where = [f"{key} IS NOT NULL" for key in keys]
    if "TRUE" not in conditions:
        where.append("(" + " OR ".join(f"({condition})" for condition in dict.fromkeys(conditions)) + ")")
    timed = f"""SELECT *, epoch_us({time}) AS {TIME_US}, {TIME_US} + {_offset_sql(interval, timezone)} AS {LOCAL_US}
    FROM {scan}
    WHERE {time} >= make_timestamptz({interval.start_us}) AND {time} < make_timestamptz({interval.end_us})"""
    columns = ",\n       ".join([f"{step} AS {STEP}", *(f"{sql} AS {quote(name)}" for name, sql in prepared)])
    outputs = ",\n       ".join(
        [*keys, f"{STEP} AS step", *(f"{measure.sql} AS {quote(measure.name)}" for measure in measures)]
    )
    return (
        f"SELECT {outputs}\nFROM (\n  SELECT *, {columns}\n  FROM (\n    {timed}\n  )\n  WHERE {' AND '.join(where)}\n)\n"
        f"GROUP BY {', '.join([*keys, STEP])}"
    )


def _offset_sql(interval: Interval, timezone: str) -> str:
    """Render the zone's offset in microseconds; a CASE only where the clock changes inside the interval."""
    offsets = utc_offsets(timezone)
    before = [offset for start, offset in offsets if start <= interval.start_us][-1]
    inside = [(start, offset) for start, offset in offsets if interval.start_us < start < interval.end_us]
    if not inside:
        return str(before)
    whens = "".join(f" WHEN {TIME_US} >= {start} THEN {offset}" for start, offset in reversed(inside))
    return f"CASE{whens} ELSE {before} END"


def build_tiles(state: ViewState, months: Sequence[Month], *, progress: Progress | None = None) -> int:
    """Compute and commit the tiles of some months; a run of consecutive months is one query and one commit.

    Returns:
        The number of tile rows written.

    Raises:
        OverflowingResultError: the exact sum of one entity and step does not fit 64 bits.
    """
    rows = 0
    for run in _runs(state, months):
        table = _aggregate(state, run)
        keys = [table[i].combine_chunks() for i in range(len(state.view.key_columns))]
        dictionary = extend_keys(state.layout.keys(state.view.entity.name), state.view.key_types, keys)
        files = list(_write(state, run, table, dictionary.codes(keys)))
        committed = Table.open(state.tiles_path)
        old = [file for month in run for file in committed.files(**{MONTH: str(month)})]
        commit(
            state.tiles_path,
            add=files,
            remove=old,
            partition_by=(MONTH,),
            read_version=committed.version,
            message=f"tiles of {state.view.name}, {run[0]} to {run[-1]}",
        )
        rows += table.num_rows
        for month in run if progress else ():
            assert progress is not None
            progress(state.view.name, month)
    return rows


def _runs(state: ViewState, months: Sequence[Month]) -> Iterator[list[Month]]:
    """Group consecutive months, but never across an hour that two months share (a zone such as Asia/Kolkata)."""
    run: list[Month] = []
    for month in sorted(months):
        edge_us = month.interval(state.layout.timezone).start_us
        is_shared = state.clock.start_us(state.clock.step(edge_us)) != edge_us
        if run and (run[-1].next() != month or len(run) == MONTHS_AT_ONCE or is_shared):
            yield run
            run = []
        run.append(month)
    if run:
        yield run


def _aggregate(state: ViewState, run: Sequence[Month]) -> pa.Table:
    """Aggregate the events of consecutive months; key columns first, in the dictionary's types."""
    import duckdb

    timezone = state.layout.timezone
    interval = Interval(run[0].interval(timezone).start_us, run[-1].interval(timezone).end_us)
    files: dict[str, CommittedFile] = {file.name: file for month in run for file in state.inputs[month]}
    sql = tile_sql(state.view, parquet_scan_sql(files.values()), interval=interval, timezone=timezone)
    with connect(state.layout.root, memory_limit="2GB") as session:
        try:
            table = _query(session, sql)
        except (duckdb.ConversionException, duckdb.OutOfRangeException) as error:
            raise OverflowingResultError(
                f"A sum of view {state.view.name!r} does not fit 64 bits between {from_us(interval.start_us):%Y-%m-%d} and "
                f"{from_us(interval.end_us):%Y-%m-%d}: {error}. Declare the column in a larger unit, or as double."
            ) from error
    for i, kind in enumerate(state.view.key_types):
        table = table.set_column(i, table.field(i).name, table[i].cast(key_type(kind)))
    return table


def _query(session: DuckDBPyConnection, sql: str) -> pa.Table:
    return session.sql(sql).to_arrow_table()


def _write(state: ViewState, run: Sequence[Month], table: pa.Table, codes: np.ndarray) -> Iterator[StagedFile]:
    steps = table["step"].to_numpy()
    order = np.lexsort((codes, steps))
    codes, steps = codes[order], steps[order]
    measures = view_measures(state.view)
    body = table.select([measure.name for measure in measures]).take(pa.array(order))
    columns = [pa.array(codes), pa.array(steps), *(body[measure.name].cast(measure.type) for measure in measures)]
    ordered = pa.table(columns, names=["code", "step", *body.column_names])
    for month in run:
        bounds = month.interval(state.layout.timezone)
        edges = state.clock.step(bounds.start_us), state.clock.ceil(bounds.end_us)
        first, last = (int(edge) for edge in np.searchsorted(steps, edges))
        partition = {MONTH: str(month)}
        file = stage(state.tiles_path, partition, state.tile_digests[month])
        write_parquet(ordered.slice(first, last - first), file)
        yield describe(file, partition)
