"""Tails: what is not a sum, answered again for the rows of a spine that have rows in flight.

1. Before its first row in flight every row of an entity is known: the ordinary totals there are right.
2. From there to T the entity's events are read once more, in the versions known at T, and folded on top of these totals as
   one partition in which each row of the spine is an entity of its own. Its steps count from that first row.
3. A window then is what lies in the ordinary partitions before the tail, and what lies in the tail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.compute.as_known.knowledge import KNOWN_US, UNTIL_US, known_us_sql
from featurestore.compute.folds import RunningFold
from featurestore.compute.forms.measure import Measure
from featurestore.compute.keys import KeyDictionary
from featurestore.compute.materialization.folding import fold_partition
from featurestore.compute.materialization.tile_query import tile_sql
from featurestore.compute.materialization.tiles import with_codes
from featurestore.compute.search.probes import Column, Landing, Partition, Probes, Stretch, TableColumns, stretches
from featurestore.compute.state import ViewState
from featurestore.compute.windows.pieces import EdgeTotals, PieceReader
from featurestore.compute.windows.totals import LedgerReader
from featurestore.lake.session import quote
from featurestore.lake.spill import spilling_session
from featurestore.lake.table import CommittedFile
from featurestore.timeline import DAY_US, Edge, Interval, Month

_PROBE = '"tail probe"'
# Times are cut into pieces of this length to join events with the tails that they may lie in.
_SHORTEST_CUT_US = DAY_US // 4


@dataclass(frozen=True, eq=False)
class Tails:
    """The tails of some rows of a spine.

    Args:
        codes: Entity per row.
        starts: First step of the tail per row.
        ends: Step after the tail per row.
        knowledge: Step per row: what was not known before it does not count.
    """

    codes: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    knowledge: np.ndarray

    def slice(self, part: slice) -> Tails:
        """Return the tails of some of the rows."""
        return Tails(self.codes[part], self.starts[part], self.ends[part], self.knowledge[part])

    def steps_with_rows(self, reader: LedgerReader) -> np.ndarray:
        """Count the steps of each tail that have rows in the ordinary ledger."""
        counts = np.zeros(len(self.codes), np.int64)
        for stretch in stretches(reader.probe(self.codes, self.starts), reader.probe(self.codes, self.ends)):
            counts[stretch.partial] += stretch.high - stretch.low
            partition, codes = stretch.partition, stretch.whole_codes
            counts[stretch.whole] += partition.ends_of(codes) - partition.starts_of(codes)
        return counts

    def partition(
        self, state: ViewState, reader: LedgerReader, dictionary: KeyDictionary, versions: pa.Table, measures: Sequence[Measure]
    ) -> Partition:
        """Fold the tails: entity i of the partition is row i, step 0 the first of its tail."""
        table = self.events(state, dictionary, versions, measures)
        rows = table["key_0"].to_numpy()
        steps = pa.array(table["step"].to_numpy() - self.starts[rows])
        tiles = with_codes(table.set_column(table.column_names.index("step"), "step", steps), rows, measures=measures)
        before = reader.probe(self.codes, self.starts)
        opening = pa.table({"row": pa.nulls(len(self.codes))}).select([])
        for measure in measures:
            if isinstance(measure.fold, RunningFold):
                opening = opening.append_column(measure.name, _column(measure.fold.total(measure.name, before), measure.type))
        folded = fold_partition(tiles, measures, opening, entities=len(self.codes), view=state.view.name)
        ledger, balances = (TableColumns(each) for each in folded)
        return Partition(0, ledger, balances)

    def events(self, state: ViewState, dictionary: KeyDictionary, versions: pa.Table, measures: Sequence[Measure]) -> pa.Table:
        """Aggregate the known events of the tails by row and step: ``key_0`` (row), ``step`` and the measures."""
        view, clock = state.view, state.clock
        start_us, end_us, knowledge_us = (clock.starts_us(each) for each in (self.starts, self.ends, self.knowledge))
        interval = Interval(int(start_us.min()), int(end_us.max()))
        keys = [column.take(pa.array(self.codes)) for column in dictionary.columns]
        probes, cut_us = _cut(keys, start_us, end_us, knowledge_us)
        zone = state.layout.timezone
        first, last = (Month.of(edge, zone) for edge in (interval.start_us, interval.end_us - 1))
        files: dict[str, CommittedFile] = {
            file.name: file for month, inputs in state.inputs.items() if first <= month <= last for file in inputs
        }
        columns = ", ".join(quote(column) for column in view.source.stored)
        arms = [f"SELECT {columns}, {KNOWN_US}, {UNTIL_US} FROM versions"]
        if files:
            known_us = known_us_sql(view.source)
            arms.append(f"SELECT {columns}, {known_us} AS {KNOWN_US}, NULL AS {UNTIL_US} FROM {state.scan_sql(files.values())}")
        time_us = f"epoch_us(v.{quote(view.event_time)})"
        same = " AND ".join(f"v.{quote(column)} = p.key_{i}" for i, (_, column) in enumerate(view.key_columns))
        scan = (
            f"(SELECT v.*, p.probe AS {_PROBE} FROM ({' UNION ALL '.join(arms)}) v JOIN probes p "
            f"ON {same} AND ({time_us} - {interval.start_us}) // {cut_us} = p.cut "
            f"AND {time_us} >= p.start_us AND {time_us} < p.end_us "
            f"AND {KNOWN_US} < p.knowledge_us AND coalesce({UNTIL_US} >= p.knowledge_us, TRUE))"
        )
        naive = state.layout.naive_timezone
        sql = tile_sql(view, scan, interval=interval, timezone=zone, naive_timezone=naive, measures=measures, by=[_PROBE])
        with spilling_session(state.layout) as session:
            session.register("probes", probes)
            session.register("versions", versions)
            steps: pa.Table = session.sql(sql).to_arrow_table()
        return steps


def _cut(keys: Sequence[pa.Array], start_us: np.ndarray, end_us: np.ndarray, knowledge_us: np.ndarray) -> tuple[pa.Table, int]:
    """Cut tails into pieces of one length, so that an event meets few tails of its entity that it does not lie in."""
    first_us = int(start_us.min())
    lengths = end_us - start_us
    cut_us = max(int(np.median(lengths)), _SHORTEST_CUT_US)
    low = (start_us - first_us) // cut_us
    high = (end_us - 1 - first_us) // cut_us
    count = high - low + 1
    probe = np.repeat(np.arange(len(low)), count)
    ends = np.cumsum(count)
    cut = np.arange(len(probe)) - np.repeat(ends - count - low, count)
    columns = {"probe": probe, "cut": cut, "start_us": start_us[probe], "end_us": end_us[probe]}
    columns["knowledge_us"] = knowledge_us[probe]
    index = pa.array(probe)
    return pa.table({**columns, **{f"key_{i}": key.take(index) for i, key in enumerate(keys)}}), cut_us


class TailReader(PieceReader):
    """Totals of the rows of a spine that have tails, at any window.

    Args:
        state: The view.
        reader: Its ledger.
        tails: The tails of the rows.
        partition: The tails, folded.
    """

    def __init__(self, state: ViewState, reader: LedgerReader, tails: Tails, partition: Partition) -> None:
        super().__init__(state, reader, tails.codes, tails.knowledge)
        self._tails = tails
        self._partition = partition

    def _at(self, edge: Edge) -> EdgeTotals:
        if edge.name not in self._edges:
            tails, partition = self._tails, self._partition
            before = self._reader.probe(tails.codes, np.minimum(edge.steps, tails.starts))
            rows = np.arange(len(edge.steps))
            bounds = edge.steps - tails.starts
            reached = np.flatnonzero(bounds > 0)
            row, found = partition.last_row_before(reached, bounds[reached])
            landing = Landing(partition, 0, reached, reached, row, found)
            inside = Probes(rows, bounds, (partition,), (landing,))
            at = Probes(tails.codes, edge.steps, (), ())
            self._edges[edge.name] = _TailTotals(at, self._state.clock, before=before, inside=inside)
        return self._edges[edge.name]


@dataclass(frozen=True, eq=False)
class _TailTotals(EdgeTotals):
    """Totals at one edge: those of the ordinary partitions up to the tail, or those of the tail."""

    before: Probes = field(kw_only=True)
    inside: Probes = field(kw_only=True)

    def column(self, measure: Measure) -> Column:
        if measure.name not in self._columns:
            assert isinstance(measure.fold, RunningFold)
            before, inside = (measure.fold.total(measure.name, probes) for probes in (self.before, self.inside))
            is_inside = self.inside.bounds > 0
            if isinstance(before, np.ndarray):
                chosen: Column = np.where(is_inside, inside, before)
            else:
                chosen = pc.if_else(pa.array(is_inside), inside, before)
            self._columns[measure.name] = chosen
        return self._columns[measure.name]

    def since(self, left: EdgeTotals | None) -> tuple[Stretch, ...]:
        assert left is None or isinstance(left, _TailTotals)
        return (
            *stretches(left.before if left else None, self.before, until=self.probes.bounds),
            *stretches(left.inside if left else None, self.inside),
        )


def _column(totals: Column, kind: pa.DataType) -> pa.Array:
    return pa.array(totals, kind) if isinstance(totals, np.ndarray) else totals
