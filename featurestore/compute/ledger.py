"""Ledgers and balances: running totals inside a partition, and what is carried into it.

1. A partition is a business year. Its ledger has one row per tile row, sorted by (code, step):
       ledger    step int64, one column per measure: totals since the partition's start
       balances  ends int64, one column per measure: row c is entity c; its ledger rows are [ends[c - 1], ends[c]),
                 its totals before the partition
   Both are files of one Delta table (``kind``, ``start``), so one commit replaces a ledger and all balances behind it.
2. An entity whose code is beyond a file's balances had not been seen: zeros and NULLs.
3. Files are named after what they are made from: a ledger after its tiles, balances after all ledgers before them. So a
   changed tile makes its year's ledger anew and the balances behind it, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.compute.fold import balances_of, check_totals, close_partition, empty_balances, fold_partition, padded
from featurestore.compute.forms import view_measures
from featurestore.compute.hot import drop_hot, write_hot
from featurestore.compute.keys import load_keys
from featurestore.compute.measure import Measure
from featurestore.compute.state import BALANCES, KIND, LEDGER, MONTH, START, ViewState
from featurestore.errors import NotMaterializedError
from featurestore.lake.parquet import read_parquet, write_parquet
from featurestore.lake.table import StagedFile, Table, commit, describe, stage
from featurestore.spec.document import digest
from featurestore.timeline import Month

_METADATA = "featurestore"


@dataclass(frozen=True)
class LedgerPlan:
    """The files that a view's ledger must have for some months of tiles: year to name."""

    months: dict[str, dict[str, str]]
    ledgers: dict[str, str]
    balances: dict[str, str]

    @property
    def names(self) -> set[str]:
        """All of them."""
        return {*self.ledgers.values(), *self.balances.values()}


def plan_ledger(tile_digests: Mapping[Month, str]) -> LedgerPlan:
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


def fold_ledger(state: ViewState, *, before: Month | None = None, progress: Callable[[str], None] | None = None) -> int:
    """Bring a view's ledger up to date with its tiles, in one commit.

    Changed tiles of a year make its ledger anew, and of later years the balances alone.

    Args:
        state: The view.
        before: Only tiles of earlier months, and those that the ledger already holds.
        progress: Called with each finished year.

    Returns:
        The number of ledger rows written.

    Raises:
        NotMaterializedError: tiles are missing.
        OverflowingResultError: an entity's running total does not fit 64 bits.
        CommitConflictError: another writer changed the same partitions meanwhile.
    """
    committed, tiles = Table.open(state.ledger_path), Table.open(state.tiles_path)
    plan = plan_ledger(_wanted(state, committed, tiles, before))
    there = {file.path.stem: file for file in committed.files()}
    if plan.names == set(there):
        return 0
    measures, staged, rows = view_measures(state.view), list[StagedFile](), 0
    entities = len(load_keys(state.layout.keys(state.view.entity.name), state.view.key_types))
    opening: pa.Table | None = None
    for previous, year in zip([None, *plan.months], plan.months, strict=False):
        if plan.balances[year] in there:
            continue
        if opening is None:
            opening = _opening(committed, measures, previous, year)
        if plan.ledgers[year] in there:
            ledger, balances = _moved(committed, measures, opening, year, entities)
        else:
            made_from = pa.concat_tables([_tiles(state, tiles, *item) for item in plan.months[year].items()])
            ledger, balances = fold_partition(made_from, measures, opening, entities=entities, view=state.view.name)
            staged.append(_stage(state, LEDGER, year, plan.ledgers[year], ledger, months=plan.months[year]))
            rows += ledger.num_rows
        check_totals(ledger, balances, measures, view=state.view.name)
        staged.append(_stage(state, BALANCES, year, plan.balances[year], balances))
        opening = close_partition(ledger, balances, measures)
        if progress:
            progress(year)
    commit(
        state.ledger_path,
        add=staged,
        remove=[file for name, file in there.items() if name not in plan.names],
        partition_by=(KIND, START),
        read_version=committed.version,
        message=f"ledger of {state.view.name}",
    )
    drop_hot(state.layout.hot(state.view.name), keep=plan.names)
    return rows


def _wanted(state: ViewState, committed: Table, tiles: Table, before: Month | None) -> dict[Month, str]:
    """Return the tiles that the ledger must be made from: all up to ``before``, and those behind it that it has already."""
    wanted = {month: name for month, name in state.tile_digests.items() if before is None or month < before}
    if before is not None:
        there = {Month.parse(file.partition[MONTH]): file.path.stem for file in tiles.files()}
        folded = [Month.parse(month) for file in committed.files(**{KIND: LEDGER}) for month in months_of(file.path)]
        wanted |= {month: there[month] for month in folded if month >= before and month in there}
    return wanted


def _opening(committed: Table, measures: Sequence[Measure], previous: str | None, year: str) -> pa.Table:
    """Return the balances at the start of a year behind one that stays as it is."""
    if previous is None:
        return empty_balances(measures, 0)
    years = sorted(file.partition[START] for file in committed.files(**{KIND: LEDGER}))
    if (previous, year) in pairwise(years):
        return _read(committed, BALANCES, year).select([measure.name for measure in measures])
    return close_partition(_read(committed, LEDGER, previous), _read(committed, BALANCES, previous), measures)


def _moved(
    committed: Table, measures: Sequence[Measure], opening: pa.Table, year: str, entities: int
) -> tuple[pa.Table, pa.Table]:
    """Return the ledger of a year whose own tiles are unchanged, and its balances on another opening."""
    ends = _read(committed, BALANCES, year)["ends"].to_numpy()
    ends = np.concatenate([ends, np.full(entities - len(ends), ends[-1] if len(ends) else 0)]).astype(np.int64)
    return _read(committed, LEDGER, year), balances_of(ends, padded(opening, measures, entities))


def _read(committed: Table, kind: str, year: str) -> pa.Table:
    (file,) = committed.files(**{KIND: kind, START: year})
    return read_parquet(file.path)


def _tiles(state: ViewState, tiles: Table, month: str, name: str) -> pa.Table:
    for file in tiles.files(**{MONTH: month}):
        if file.path.stem == name:
            return read_parquet(file.path)
    raise NotMaterializedError(
        f"The tiles of view {state.view.name!r} for {month} are missing or out of date. Call materialize() to build them."
    )


def _stage(
    state: ViewState, kind: str, year: str, name: str, table: pa.Table, *, months: Mapping[str, str] | None = None
) -> StagedFile:
    partition = {KIND: kind, START: year}
    file = stage(state.ledger_path, partition, name)
    write_parquet(table, file, metadata={_METADATA: json.dumps({"months": months})} if months else None)
    write_hot(state.layout.hot(state.view.name) / f"{name}.arrow", table)
    return describe(file, partition)


@lru_cache(maxsize=4096)
def months_of(file: Path) -> dict[str, str]:
    """Read which tiles a ledger file was folded from: month to digest. Files never change, so the answer is kept."""
    metadata = pq.read_metadata(file).metadata or {}
    months: dict[str, str] = json.loads(metadata[_METADATA.encode()])["months"]
    return months
