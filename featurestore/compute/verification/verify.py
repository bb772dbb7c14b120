"""Verify: proof that what is committed is what the events give.

1. A view's tiles and ledger are built once more from its committed events, in a folder aside, by the very functions that
   build them (``compute/verification/rebuild.py``): month by month, partition by partition, with the memory that materializing takes.
   The keys' codes and the months of each partition are those committed, so that a file can be put beside its counterpart.
2. File by file, the values are compared with their keys decoded, by the sum of the hashes of their rows. A balances file
   that equals its counterpart holds the closing balances of the partition before: these are what it is rebuilt from.
3. Only what was made from the events that are committed now can be compared. The rest is not wrong, but not materialized.
4. Hot copies are compared with the Parquet file that they were made from.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from featurestore.compute.forms import ledger_measures
from featurestore.compute.forms.measure import Measure
from featurestore.compute.items.ranks import LEVELS, SEQUENCE, by_entity
from featurestore.compute.keys import load_keys
from featurestore.compute.materialization.folding import balances_of, empty_balances
from featurestore.compute.materialization.ledger import fold_ledger, months_of
from featurestore.compute.materialization.materialize import Progress, silent
from featurestore.compute.materialization.partitions import LedgerPlan
from featurestore.compute.materialization.tiles import build_tiles
from featurestore.compute.search.hot_copy import read_hot
from featurestore.compute.state import ACTIVE, BALANCES, KIND, LEDGER, MONTH, START, ViewState
from featurestore.compute.verification.compare import ENDS, STEP, CodedRows, differing_columns
from featurestore.compute.verification.proof import Proof
from featurestore.compute.verification.rebuild import Sample, SampledState, rebuilding, sampled_codes
from featurestore.compute.verification.verdict import (
    DAMAGED,
    DIFFERENT,
    EQUAL,
    EVENTS,
    HOT,
    KEYS,
    NOT_MATERIALIZED,
    TILES,
    Comparison,
    VerifyReport,
)
from featurestore.errors import DefinitionError, FeatureStoreError, StoreError
from featurestore.lake.arrow_parquet import read_parquet
from featurestore.lake.layout import Layout
from featurestore.lake.storage import STORAGE
from featurestore.lake.table import CommittedFile, Table
from featurestore.spec.view import FeatureView
from featurestore.timeline import Month

_KINDS = (LEDGER, BALANCES, ACTIVE)
_UNREADABLE = (StoreError, OSError, pa.ArrowException)


def verify(
    layout: Layout, views: Sequence[FeatureView], *, sample: float = 1.0, progress: Progress | None = None
) -> VerifyReport:
    """Prove views' tiles, ledgers and balances equal to what their committed events give.

    Args:
        layout: The store.
        views: Which views.
        sample: Share of the entities to look at, above 0 up to 1, chosen by a hash of their keys; others after each ingest.
            All events are scanned, but only those of the sample are aggregated and folded.
        progress: Called with view, what is done (``tiles``, ``ledger``) and the month or partition.

    Raises:
        DefinitionError: ``sample`` is no such share.
    """
    if not 0 < sample <= 1:
        raise DefinitionError(f"sample is {sample!r}; give a share of the entities above 0, at most 1.")
    started = time.perf_counter()
    tell = progress or silent
    comparisons = tuple(each for view in views for each in _verify_view(layout, view, sample, tell))
    return VerifyReport(comparisons, sample, time.perf_counter() - started)


def _verify_view(layout: Layout, view: FeatureView, share: float, progress: Progress) -> Iterator[Comparison]:
    state = ViewState(layout, view, Table.open(layout.events(view.source.name)))
    path = layout.keys(view.entity.name)
    try:
        dictionary = load_keys(path, view.key_types)
    except _UNREADABLE as error:
        yield Comparison(view.name, KEYS, "", 0, "-", "-", DAMAGED, f"{error}")
        return
    sample = Sample(share, salt=max(state.events.version, 0))
    proof = Proof(state, dictionary, sampled_codes(dictionary, sample))
    if proof.tiles.files():
        with rebuilding(state, sample) as aside:
            yield from _compare_events(proof, aside, progress)
            yield _compare_keys(proof, aside)
            yield from _compare_tiles(proof, aside)
            yield from _compare_ledger(proof, aside, progress)
        yield from _compare_hot(proof)
    else:
        yield from (proof.comparison(TILES, str(month), NOT_MATERIALIZED) for month in state.inputs)


def _compare_events(proof: Proof, aside: SampledState, progress: Progress) -> Iterator[Comparison]:
    """Rebuild the tiles; events that cannot be read are named, and the months from them on stay unbuilt."""
    import duckdb

    try:
        for month, _ in build_tiles(aside):
            progress(proof.state.view.name, "tiles", str(month))
    except (duckdb.Error, FeatureStoreError, *_UNREADABLE):
        broken = {file.path: (month, file) for month, files in aside.inputs.items() for file in files}
        errors = {path: error for path, (_, file) in broken.items() if (error := _error(file))}
        if not errors:
            raise
        yield from (proof.damaged(EVENTS, str(broken[path][0]), path, error) for path, error in errors.items())


def _error(file: CommittedFile) -> Exception | None:
    """Return why a file cannot be read; ``None`` when it can."""
    try:
        read_parquet(file)
    except _UNREADABLE as error:
        return error
    return None


def _compare_keys(proof: Proof, aside: SampledState) -> Comparison:
    """Look for keys that have two codes, and for keys of events that have none."""
    view = proof.state.view
    known = len(proof.dictionary)
    names = [f"key_{i}" for i in range(len(proof.dictionary.columns))]
    distinct = pa.table(list(proof.dictionary.columns), names=names).group_by(names).aggregate([]).num_rows
    rebuilt = len(load_keys(aside.layout.keys(view.entity.name), view.key_types))
    if distinct < known:
        return proof.comparison(KEYS, "", DIFFERENT, rows=known, note=f"{known - distinct} keys have more than one code.")
    stale = [month for month, name in proof.state.tile_digests.items() if not _named(proof.tiles, month, name)]
    if rebuilt > known and not stale:
        note = f"{rebuilt - known} keys of committed events have no code."
        return proof.comparison(KEYS, "", DIFFERENT, rows=known, note=note)
    return proof.comparison(KEYS, "", EQUAL, rows=known)


def _named(table: Table, month: Month, name: str) -> CommittedFile | None:
    return next((file for file in table.files(**{MONTH: str(month)}) if file.path.stem == name), None)


def _compare_tiles(proof: Proof, aside: SampledState) -> Iterator[Comparison]:
    rebuilt = Table.open(aside.tiles_path)
    for month, name in proof.state.tile_digests.items():
        file = _named(proof.tiles, month, name)
        counterpart = _named(rebuilt, month, name)
        if file is None:
            yield proof.comparison(TILES, str(month), NOT_MATERIALIZED)
        elif counterpart is not None:
            try:
                committed = CodedRows.of_tiles(read_parquet(file.path))
            except _UNREADABLE as error:
                yield proof.damaged(TILES, str(month), file.path, error)
                continue
            yield proof.compared(TILES, str(month), file.path, committed, CodedRows.of_tiles(read_parquet(counterpart.path)))


def _compare_ledger(proof: Proof, aside: SampledState, progress: Progress) -> Iterator[Comparison]:
    built = {Month.parse(file.partition[MONTH]) for file in Table.open(aside.tiles_path).files()}
    plan, waiting = _committed_plan(proof, built)
    if plan.months:
        fold_ledger(aside, plan=plan, progress=partial(progress, aside.view.name, LEDGER))
    rebuilt = {file.path.stem: file.path for file in Table.open(aside.ledger_path).files()}
    for start in plan.months:
        files = {LEDGER: _file_of(proof.ledger, start, LEDGER), BALANCES: _file_of(proof.ledger, start, BALANCES, ACTIVE)}
        counterparts = {kind: read_parquet(rebuilt[file.stem]) for kind, file in files.items()}
        neutral = _nothing(counterparts[LEDGER], ledger_measures(aside.view, aside.layout.naive_timezone))
        expected = _rows(counterparts, neutral)
        tables = {}
        for kind, file in files.items():
            try:
                tables[kind] = read_parquet(file)
            except _UNREADABLE as error:
                yield proof.damaged(kind, start, file, error)
        try:
            committed = _rows(tables, neutral)
        except StoreError as error:
            yield proof.damaged(LEDGER, start, files[LEDGER], error)
            continue
        yield from (proof.compared(kind, start, files[kind], rows, expected[kind]) for kind, rows in committed.items())
        yield from _compare_sub_ledgers(proof, start, rebuilt)
    yield from (proof.comparison(LEDGER, start, NOT_MATERIALIZED) for start in waiting)


def _compare_sub_ledgers(proof: Proof, start: str, rebuilt: Mapping[str, Path]) -> Iterator[Comparison]:
    files = {file.partition[KIND]: file.path for file in proof.ledger.files(**{START: start})}
    counterparts = {kind: rebuilt[file.stem] for kind, file in files.items() if file.stem in rebuilt}
    for kind, file in files.items():
        if kind in (LEDGER, BALANCES, ACTIVE):
            continue
        try:
            committed = _sub_ledger(files, kind)
        except _UNREADABLE as error:
            yield proof.damaged(kind, start, file, error)
            continue
        yield proof.compared(kind, start, file, committed, _sub_ledger(counterparts, kind))


def _sub_ledger(files: Mapping[str, Path], kind: str) -> CodedRows:
    """Read one of a partition's sub-ledgers by entity."""
    table = read_parquet(files[kind])
    if kind.endswith(f".{LEVELS}"):
        table = by_entity(table, read_parquet(files[kind.removesuffix(LEVELS) + SEQUENCE]))
    return CodedRows.of_sub_ledger(table)


def _file_of(ledger: Table, start: str, *kinds: str) -> Path:
    """Return where the file of a partition lies that is of one of some kinds."""
    return next(file.path for kind in kinds for file in ledger.files(**{KIND: kind, START: start}))


def _nothing(ledger: pa.Table, measures: Sequence[Measure]) -> pa.Table:
    """Return the balances of one entity that has no history and no rows: they say what a missing row says."""
    balances = balances_of(ledger.slice(0, 0), np.zeros(1, np.int64), empty_balances(measures, 0), measures)
    return balances.drop_columns([ENDS, STEP])


def _rows(tables: Mapping[str, pa.Table], neutral: pa.Table) -> dict[str, CodedRows]:
    """Read those of a partition's tables that are there: the codes of a ledger's rows follow from its balances."""
    coded = {}
    if len(tables) == len((LEDGER, BALANCES)):
        coded[LEDGER] = CodedRows.of_ledger(tables[LEDGER], tables[BALANCES])
    if BALANCES in tables:
        coded[BALANCES] = CodedRows.of_balances(tables[BALANCES], neutral)
    return coded


def _committed_plan(proof: Proof, built: set[Month]) -> tuple[LedgerPlan, list[str]]:
    """Return the partitions that were folded from the events committed now, up to the first that was not; and what waits."""
    wanted = proof.state.tile_digests
    names = {kind: {file.partition[START]: file for file in proof.ledger.files(**{KIND: kind})} for kind in _KINDS}
    active = next(iter(names[ACTIVE]), None)
    names[BALANCES] |= names[ACTIVE]
    starts = sorted(names[LEDGER])
    plan = LedgerPlan({}, {}, {}, active)
    folded = set[Month]()
    next_start = dict(pairwise(starts))
    for start in starts:
        file = names[LEDGER][start]
        following = next_start.get(start)
        try:
            months = months_of(file.path)
        except (KeyError, *_UNREADABLE):  # the ledger's comparison says what is wrong with it
            months = {str(m): name for m, name in wanted.items() if start <= str(m) and (not following or str(m) < following)}
        mine = {Month.parse(month) for month in months}
        due = {month for month in wanted if month <= max(mine)}
        is_fresh = all(wanted.get(Month.parse(month)) == name for month, name in months.items())
        if not is_fresh or due != folded | mine or not mine <= built or start not in names[BALANCES]:
            return plan, starts[starts.index(start) :]
        folded |= mine
        plan.months[start] = months
        plan.ledgers[start] = file.path.stem
        plan.balances[start] = names[BALANCES][start].path.stem
    return plan, [str(month) for month in wanted if month not in folded][:1]


def _compare_hot(proof: Proof) -> Iterator[Comparison]:
    """Compare each hot copy with its Parquet file; where that cannot be read, its own comparison says so."""
    folder = proof.state.layout.hot(proof.state.view.name)
    rows = 0
    for file in proof.ledger.files():
        hot = folder / f"{file.path.stem}.arrow"
        if not STORAGE.exists(hot):
            continue
        copy = read_hot(hot)
        partition = f"{file.partition[KIND]} {file.partition[START]}"
        try:
            table = read_parquet(file.path)
        except _UNREADABLE:
            continue
        held = table.column_names if copy is None else copy.column_names
        own = [name for name in table.column_names if name in held or table[name].null_count < table.num_rows]
        wrong = ["all columns"] if copy is None else differing_columns(table, copy, own)
        rows += table.num_rows
        if wrong:
            note = f"{hot.name} differs from its Parquet file in {', '.join(wrong)}. Delete it: it is a derived copy."
            yield proof.comparison(HOT, partition, DIFFERENT, rows=table.num_rows, note=note)
    yield proof.comparison(HOT, "", EQUAL, rows=rows)
