"""Ledgers and balances: running totals inside a partition, and what is carried into it.

1. A partition is a business year or several, and the newest month (``partitions.py``). Its ledger has one row per
   tile row, sorted by (code, step):
       ledger    step int64, one column per measure: totals since the partition's start, or the step's own value
       balances  ends int64, one column per measure: row c is entity c; its ledger rows are [ends[c - 1], ends[c]),
                 its totals before the partition, or a summary of the partition (``compute/folds/fold.py``)
   Both are files of one Delta table (``kind``, ``start``), so one commit replaces a ledger and all balances after it.
   The newest month may have, in place of balances of all entities, those of the entities that have rows in it:
       active    ends, step: the entity's code, ascending, one column per measure as in balances
2. An entity whose code is beyond a file's balances had not been seen: zeros and NULLs.
3. Files are named after what they are made from: a ledger after its tiles, balances after all ledgers before them. So a
   changed tile makes its partition's ledger anew and the balances after it, and nothing else.
4. What no column of totals can hold lies in sub-ledgers, further files of the same table and commit (``compute/items/``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.compute.folds import Span
from featurestore.compute.forms import ledger_measures
from featurestore.compute.forms.measure import Measure
from featurestore.compute.items.parts import parts_of
from featurestore.compute.materialization.folding import (
    balances_of,
    check_totals,
    close_partition,
    closing_of,
    empty_balances,
    fold_partition,
    running_totals,
)
from featurestore.compute.materialization.partitions import LedgerPlan, plan_ledger, tile_sizes
from featurestore.compute.materialization.staging import stage_file
from featurestore.compute.materialization.sub_ledgers import build_sub_ledgers, sub_ledger_names
from featurestore.compute.search.hot_copy import ColumnFile, drop_hot
from featurestore.compute.search.probes import Partition, TableColumns
from featurestore.compute.state import ACTIVE, BALANCES, KIND, LEDGER, MONTH, START, ViewState
from featurestore.errors import NotMaterializedError
from featurestore.lake.arrow_parquet import read_parquet
from featurestore.lake.digests import DamagedFileError, looks_damaged, note_damaged
from featurestore.lake.layout import read_record
from featurestore.lake.store_format import ACTIVE_BALANCES
from featurestore.lake.table import CommittedFile, StagedFile, Table, commit
from featurestore.timeline import Month

Progress = Callable[[str], None]
_METADATA = "featurestore"


def fold_ledger(
    state: ViewState,
    *,
    before: Month | None = None,
    plan: LedgerPlan | None = None,
    progress: Progress | None = None,
    broken: Collection[Path] | None = None,
) -> int:
    """Bring a view's ledger up to date with its tiles, in one commit.

    Changed tiles make their partition's ledger anew, and of later partitions the balances alone.

    Args:
        state: The view.
        before: Only tiles of earlier months, and those that the ledger already holds.
        plan: Which files to make; by default it is derived from the tiles.
        progress: Called with the first month of each finished partition.
        broken: Files that are damaged or missing; by default each is looked at.

    Returns:
        The number of ledger rows written.

    Raises:
        NotMaterializedError: tiles are missing.
        OverflowingResultError: an entity's running total does not fit 64 bits.
        CommitConflictError: another writer changed the same partitions meanwhile.
    """
    committed = Table.open(state.ledger_path)
    tiles = Table.open(state.tiles_path)
    renewed = _damaged(committed, broken)
    there = {file.path.stem: file for file in committed.files() if file.name not in renewed}
    plan = plan or _plan(state, committed, tiles, before)
    parts = parts_of(plan.ledgers, plan.months, clock=state.clock)
    names = plan.names | set(sub_ledger_names(state, parts).values())
    if names == set(there):
        return 0
    staged = list(_fold_partitions(state, committed, tiles, plan, there, progress))
    staged += build_sub_ledgers(state, parts, there, tiles=partial(_tiles, state, tiles, plan))
    _commit(state, committed, staged, names, renewed)
    return sum(file.rows for file in staged if file.partition[KIND] == LEDGER)


def _fold_partitions(
    state: ViewState,
    committed: Table,
    tiles: Table,
    plan: LedgerPlan,
    there: Mapping[str, CommittedFile],
    progress: Progress | None,
) -> Iterator[StagedFile]:
    """Write the ledgers and balances that are missing, partition after partition; ``there`` are the files that are sound, by name."""
    measures = ledger_measures(state.view, state.layout.naive_timezone)
    finished: tuple[pa.Table, pa.Table] | None = None
    for previous, start in zip([None, *plan.months], plan.months, strict=False):
        is_there = plan.ledgers[start] in there
        if is_there and plan.balances[start] in there:
            finished = None
            continue
        tiles_of = partial(_tiles, state, tiles, plan, start, _columns(measures))
        if start == plan.active and previous is not None:
            earlier = _partition(state, committed, previous, finished)
            finished = _folded_active(state, tiles_of(), measures, earlier, start)
        else:
            opening = _opening(state, committed, measures, previous, start, finished, there)
            is_moved = is_there and bool(committed.files(**{KIND: BALANCES, START: start}))
            moved = _moved(committed, measures, opening, start) if is_moved else None
            finished = moved or _folded(state, tiles_of(), measures, opening)
        ledger, balances = finished
        check_totals(ledger, balances, measures, view=state.view.name)
        if not is_there:
            metadata = {_METADATA: json.dumps({"months": plan.months[start]})}
            yield stage_file(state, LEDGER, start, plan.ledgers[start], ledger, metadata=metadata)
        yield stage_file(state, ACTIVE if start == plan.active else BALANCES, start, plan.balances[start], balances)
        if progress:
            progress(start)


def _plan(state: ViewState, committed: Table, tiles: Table, before: Month | None) -> LedgerPlan:
    """Derive which files the ledger must have; balances of active entities alone only where older programs do not read."""
    has_active = read_record(state.layout)[1].read_version >= ACTIVE_BALANCES
    wanted = _wanted(state, committed, tiles, before)
    return plan_ledger(wanted, sizes=tile_sizes(tiles), committed=_names(committed), has_active=has_active)


def _commit(
    state: ViewState, committed: Table, staged: Sequence[StagedFile], names: Collection[str], renewed: Collection[str]
) -> None:
    """Commit what was written in place of all that is needed no more; its hot copies go, too."""
    commit(
        state.ledger_path,
        add=staged,
        remove=[file for file in committed.files() if file.path.stem not in names],
        partition_by=(KIND, START),
        read_version=committed.version,
        message=f"ledger of {state.view.name}",
        renewed=renewed,
    )
    drop_hot(state.layout.hot(state.view.name), keep=names)


def _columns(measures: Sequence[Measure]) -> list[str]:
    return ["code", "step", *(measure.name for measure in measures)]


def _folded(state: ViewState, tiles: pa.Table, measures: Sequence[Measure], opening: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Fold a partition's tiles into its ledger and its balances."""
    entities = max(opening.num_rows, _entities(tiles))
    return fold_partition(tiles, measures, opening, entities=entities, view=state.view.name)


def _folded_active(
    state: ViewState, tiles: pa.Table, measures: Sequence[Measure], before: Partition, start: str
) -> tuple[pa.Table, pa.Table]:
    """Fold the newest month's tiles into its ledger and the balances of the entities that are active in it."""
    codes, places = np.unique(tiles["code"].to_numpy(), return_inverse=True)
    opening = closing_of(before, codes, measures, span=Span(before.start_step, state.start_step(start)))
    placed = tiles.set_column(tiles.column_names.index("code"), "code", pa.array(places.astype(np.int64)))
    ledger, balances = fold_partition(placed, measures, opening, entities=len(codes), view=state.view.name)
    return ledger, balances.set_column(balances.column_names.index("step"), "step", pa.array(codes))


def _partition(state: ViewState, committed: Table, start: str, finished: tuple[pa.Table, pa.Table] | None) -> Partition:
    """Return the ledger and the balances of a partition to be looked up: those that were just made, or the committed ones."""
    first = state.start_step(start)
    if finished is not None:
        ledger, balances = finished
        return Partition(first, TableColumns(ledger), TableColumns(balances))
    hot = state.layout.hot(state.view.name)

    def columns(kind: str) -> ColumnFile:
        (file,) = committed.files(**{KIND: kind, START: start})
        return ColumnFile(file, hot / f"{file.path.stem}.arrow")

    return Partition(first, columns(LEDGER), columns(BALANCES))


def _wanted(state: ViewState, committed: Table, tiles: Table, before: Month | None) -> dict[Month, str]:
    """Return the tiles that the ledger must be made from: all up to ``before``, and those after it that it already holds."""
    wanted = {month: name for month, name in state.tile_digests.items() if before is None or month < before}
    if before is not None:
        there = {Month.parse(file.partition[MONTH]): file.path.stem for file in tiles.files()}
        folded = [Month.parse(month) for file in committed.files(**{KIND: LEDGER}) for month in months_of(file.path)]
        wanted |= {month: there[month] for month in folded if month >= before and month in there}
    return wanted


def _damaged(committed: Table, broken: Collection[Path] | None) -> set[str]:
    """Name the files that must be made anew: the damaged ones; of a ledger and its balances both, since each is read by the other."""
    is_broken = looks_damaged if broken is None else lambda file: file.path in broken
    damaged = {file.name: file.partition for file in committed.files() if is_broken(file)}
    pairs = {partition[START] for partition in damaged.values() if partition[KIND] in (LEDGER, BALANCES, ACTIVE)}
    twins = (file for kind in (LEDGER, BALANCES, ACTIVE) for file in committed.files(**{KIND: kind}))
    return {*damaged, *(file.name for file in twins if file.partition[START] in pairs)}


def _names(committed: Table) -> dict[str, set[str]]:
    """Map the first month of each committed partition to the names of its files."""
    names: dict[str, set[str]] = {}
    for file in committed.files():
        names.setdefault(file.partition[START], set()).add(file.path.stem)
    return names


def _entities(tiles: pa.Table) -> int:
    return int(tiles["code"].to_numpy().max(initial=-1)) + 1


def _opening(
    state: ViewState,
    committed: Table,
    measures: Sequence[Measure],
    previous: str | None,
    start: str,
    finished: tuple[pa.Table, pa.Table] | None,
    there: Mapping[str, CommittedFile],
) -> pa.Table:
    """Return the running totals at the start of a partition.

    ``finished`` is the ledger and the balances of the partition before it, unless that one stays as it is; of damaged
    files nothing is read.
    """
    if previous is None:
        return empty_balances(measures, 0)
    if finished is None:
        starts = sorted(file.partition[START] for file in committed.files(**{KIND: LEDGER}))
        has_sound = any(file.path.stem in there for file in committed.files(**{KIND: BALANCES, START: start}))
        if has_sound and (previous, start) in pairwise(starts):
            return running_totals(read_ledger_file(committed, BALANCES, start), measures)
        finished = read_ledger_file(committed, LEDGER, previous), read_ledger_file(committed, BALANCES, previous)
    return close_partition(*finished, measures, span=Span(state.start_step(previous), state.start_step(start)))


def _moved(committed: Table, measures: Sequence[Measure], opening: pa.Table, start: str) -> tuple[pa.Table, pa.Table]:
    """Return the ledger of a partition whose own tiles are unchanged, and its balances on another opening."""
    ledger = read_ledger_file(committed, LEDGER, start)
    ends = read_ledger_file(committed, BALANCES, start)["ends"].to_numpy()
    return ledger, balances_of(ledger, ends, opening, measures)


def read_ledger_file(committed: Table, kind: str, start: str) -> pa.Table:
    """Read the committed file of one kind and partition."""
    (file,) = committed.files(**{KIND: kind, START: start})
    return read_parquet(file)


def _tiles(state: ViewState, tiles: Table, plan: LedgerPlan, start: str, columns: Sequence[str]) -> pa.Table:
    """Read some columns of a partition's tiles, sorted by step."""
    tables = []
    for month, name in plan.months[start].items():
        files = [file for file in tiles.files(**{MONTH: month}) if file.path.stem == name]
        if not files:
            raise NotMaterializedError(
                f"The tiles of view {state.view.name!r} for {month} are missing or out of date. Call materialize() to build them."
            )
        tables.append(read_parquet(files[0], columns=columns))
    return pa.concat_tables(tables)


@lru_cache(maxsize=4096)
def months_of(file: Path) -> dict[str, str]:
    """Read which tiles a ledger file was folded from: month to digest. Files never change, so the answer is kept.

    Raises:
        DamagedFileError: the file is missing or damaged.
    """
    try:
        metadata = pq.read_metadata(file).metadata or {}
        months: dict[str, str] = json.loads(metadata[_METADATA.encode()])["months"]
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        note_damaged(file, "is damaged")
        raise DamagedFileError(file, f"is damaged ({error})") from error
    return months
