"""Ledgers and balances: running totals inside a partition, and what is carried into it.

1. A partition is a business year. Its ledger has one row per tile row, sorted by (code, step):
       ledger    step int64, one column per measure: totals since the partition's start
       balances  ends int64, one column per measure: row c is entity c; its ledger rows are [ends[c - 1], ends[c]),
                 its totals before the partition
   Both are files of one Delta table (``kind``, ``start``), so one commit replaces a ledger and all balances behind it.
2. A "sum" column is a cumulative sum minus what stood before the entity's first row; a "last" column is filled forward.
3. The balance of the next partition is the balance of this one plus the entity's last row. An entity whose code is beyond
   a file's balances had not been seen: zeros and NULLs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from featurestore.compute.forms import view_measures
from featurestore.compute.hot import drop_hot, write_hot
from featurestore.compute.keys import load_keys
from featurestore.compute.measure import Measure
from featurestore.compute.state import BALANCES, KIND, LEDGER, MONTH, START, ViewState
from featurestore.errors import NotMaterializedError, OverflowingResultError
from featurestore.lake.parquet import read_parquet, write_parquet
from featurestore.lake.table import CommittedFile, StagedFile, Table, commit, describe, stage
from featurestore.spec.document import digest
from featurestore.timeline import Month

_METADATA = "featurestore"
_LIMIT = 2.0**63


@dataclass(frozen=True)
class LedgerPlan:
    """The files that a view's ledger must have for some months of tiles: year to name."""

    months: dict[str, dict[str, str]]
    ledgers: dict[str, str]
    balances: dict[str, str]


def plan_ledger(tile_digests: dict[Month, str]) -> LedgerPlan:
    """Derive the names of ledger and balances files from the tiles they are made of."""
    months: dict[str, dict[str, str]] = {}
    for year, group in groupby(sorted(tile_digests), key=lambda month: month.year):
        months[str(year)] = {str(month): tile_digests[month] for month in group}
    ledgers = {year: digest([LEDGER, tiles]) for year, tiles in months.items()}
    balances, before = {}, ""
    for year, name in ledgers.items():
        balances[year] = digest([BALANCES, before, name])
        before = balances[year]
    return LedgerPlan(months, ledgers, balances)


def fold_ledger(state: ViewState, *, before: Month | None = None, progress: Callable[[str, str], None] | None = None) -> int:
    """Bring a view's ledger up to date with its tiles, in one commit.

    Args:
        state: The view.
        before: Only tiles of earlier months, and those that the ledger already holds.
        progress: Called with the view's name and each finished year.

    Returns:
        The number of ledger rows written.

    Raises:
        NotMaterializedError: tiles are missing.
        OverflowingResultError: an entity's running total does not fit 64 bits.
    """
    committed, tiles = Table.open(state.ledger_path), Table.open(state.tiles_path)
    folded = [Month.parse(month) for file in committed.files(**{KIND: LEDGER}) for month in months_of(file.path)]
    last = max(folded, default=None)
    wanted = {
        month: name
        for month, name in state.tile_digests.items()
        if before is None or month < before or (last and month <= last)
    }
    if not wanted:
        return 0
    plan = plan_ledger(wanted)
    there = {file.path.stem: file for file in committed.files()}
    if all(name in there for name in (*plan.ledgers.values(), *plan.balances.values())):
        return 0
    measures, staged, rows = view_measures(state.view), list[StagedFile](), 0
    entities = len(load_keys(state.layout.keys(state.view.entity.name), state.view.key_types))
    opening = _empty_balances(measures, 0)
    for year, months in plan.months.items():
        is_last = year == list(plan.months)[-1]
        have = there.get(plan.ledgers[year]), there.get(plan.balances[year])
        if have[0] and have[1] and is_last:
            continue
        if have[0] and have[1]:
            ledger, balances = read_parquet(have[0].path), read_parquet(have[1].path)
        else:
            tile_files = [_tile_file(state, tiles, Month.parse(month), name) for month, name in months.items()]
            ledger, balances = fold_partition(tile_files, measures, opening, entities=entities, view=state.view.name)
            staged += _stage(state, year, plan, ledger, balances)
            rows += ledger.num_rows
        opening = close_partition(ledger, balances, measures)
        if progress:
            progress(state.view.name, year)
    names = {file.path.stem for file in staged} | set(plan.ledgers.values()) | set(plan.balances.values())
    old = [file for file in committed.files() if file.path.stem not in names and file.partition[START] in plan.months]
    commit(
        state.ledger_path,
        add=staged,
        remove=old,
        partition_by=(KIND, START),
        read_version=committed.version,
        message=f"ledger of {state.view.name} up to {max(wanted)}",
    )
    drop_hot(state.layout.hot(state.view.name), keep=names)
    return rows


def _tile_file(state: ViewState, tiles: Table, month: Month, name: str) -> CommittedFile:
    for file in tiles.files(**{MONTH: str(month)}):
        if file.path.stem == name:
            return file
    raise NotMaterializedError(
        f"The tiles of view {state.view.name!r} for {month} are missing or out of date. Call materialize() to build them."
    )


def _stage(state: ViewState, year: str, plan: LedgerPlan, ledger: pa.Table, balances: pa.Table) -> list[StagedFile]:
    metadata = {_METADATA: json.dumps({"months": plan.months[year]})}
    staged = []
    for kind, name, table in ((LEDGER, plan.ledgers[year], ledger), (BALANCES, plan.balances[year], balances)):
        partition = {KIND: kind, START: year}
        file = stage(state.ledger_path, partition, name)
        write_parquet(table, file, metadata=metadata)
        write_hot(state.layout.hot(state.view.name) / f"{name}.arrow", table)
        staged.append(describe(file, partition))
    return staged


@lru_cache(maxsize=4096)
def months_of(file: Path) -> dict[str, str]:
    """Read which tiles a ledger file was folded from: month to digest. Files never change, so the answer is kept."""
    metadata = pq.read_metadata(file).metadata or {}
    months: dict[str, str] = json.loads(metadata[_METADATA.encode()])["months"]
    return months


def fold_partition(
    tile_files: Sequence[CommittedFile], measures: Sequence[Measure], opening: pa.Table, *, entities: int, view: str
) -> tuple[pa.Table, pa.Table]:
    """Fold one partition's tiles into its ledger and the balances at its start.

    Args:
        tile_files: Tile files in month order.
        measures: The view's measures.
        opening: Balances at the start, one row per entity seen before.
        entities: Number of known codes.
        view: Name, for the error.

    Returns:
        ``(ledger, balances)`` in the row shapes above; both carry all columns of the table they are committed to.
    """
    tiles = pa.concat_tables([read_parquet(file.path) for file in tile_files])
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
            _running_sum(measure.numpy(column.combine_chunks()), first, codes, measure, view)
            if measure.fold == "sum"
            else _filled_forward(column.combine_chunks(), first)
        )
    opening = _padded(opening, measures, entities)
    steps = ordered["step"].combine_chunks()
    nothing = pa.nulls(len(codes), pa.int64()), pa.nulls(entities, pa.int64())
    ledger = pa.table({"ends": nothing[0], "step": steps, **totals})
    balances = pa.table({"ends": pa.array(ends), "step": nothing[1], **{m.name: opening[m.name] for m in measures}})
    return ledger, balances


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


def _running_sum(values: np.ndarray, first: np.ndarray, codes: np.ndarray, measure: Measure, view: str) -> pa.Array:
    if np.abs(values.astype(float)).sum() >= _LIMIT:
        _check_range(values, codes, measure, view)
    running = np.cumsum(values, axis=0)
    # A sum that wraps around 2^64 in passing is still exact after the subtraction.
    before = np.zeros_like(running)
    before[first > 0] = running[first[first > 0] - 1]
    return measure.arrow(running - before)


def _check_range(values: np.ndarray, codes: np.ndarray, measure: Measure, view: str) -> None:
    largest = np.bincount(codes, weights=np.abs(values.astype(float))).max(initial=0.0)
    if largest >= _LIMIT:
        raise OverflowingResultError(
            f"The running total of {measure.name!r} in view {view!r} reaches {largest:.3g} for one entity and does not fit "
            "64 bits. Declare the column in a larger unit, or as double."
        )


def _filled_forward(column: pa.Array, first: np.ndarray) -> pa.Array:
    rows = np.where(np.asarray(column.is_valid()), np.arange(len(column)), -1)
    latest = np.maximum.accumulate(rows) if len(rows) else rows
    return column.take(pa.array(np.maximum(latest, 0), mask=latest < first))


def _empty_balances(measures: Sequence[Measure], entities: int) -> pa.Table:
    return pa.table({m.name: _neutral(m, entities) for m in measures})


def _neutral(measure: Measure, entities: int) -> pa.Array:
    if measure.fold == "sum":
        return measure.arrow(np.zeros((entities, *measure.shape), np.int64))
    return pa.nulls(entities, measure.type)


def _padded(opening: pa.Table, measures: Sequence[Measure], entities: int) -> pa.Table:
    """Add entities that were not seen before the partition."""
    more = entities - opening.num_rows
    return pa.concat_tables([opening, _empty_balances(measures, more)]).combine_chunks() if more > 0 else opening
