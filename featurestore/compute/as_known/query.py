"""The query of one view in as-known mode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.compute.as_known.items import ItemReader
from featurestore.compute.as_known.knowledge import KNOWN_US, UNTIL_US
from featurestore.compute.as_known.late import late_rows
from featurestore.compute.as_known.tail import TailReader, Tails
from featurestore.compute.as_known.versions import superseded_versions
from featurestore.compute.folds import AdditiveFold
from featurestore.compute.forms import measures_of
from featurestore.compute.forms.measure import Measure
from featurestore.compute.items.files import ItemFold
from featurestore.compute.keys import KeyDictionary, load_keys
from featurestore.compute.search.portions import portions
from featurestore.compute.windows.in_flight import InFlight, LateRows
from featurestore.compute.windows.pieces import PieceReader
from featurestore.compute.windows.view_query import LedgerOpener, ViewQuery
from featurestore.errors import VersionError
from featurestore.lake.table import Table
from featurestore.spec.types import arrow_schema
from featurestore.spec.view import Feature, FeatureView

# Rows in flight that are looked at together; a spine with more of them is answered in halves.
_ROWS_AT_ONCE = 4_000_000
# Steps whose items are read together.
_STEPS_AT_ONCE = 1_000_000


@dataclass(frozen=True, eq=False)
class KnownQuery(ViewQuery):
    """A view's features from what was known before floor(as_of).

    Args:
        superseded: Snapshot of the source's versions that others replaced.
        late: The view's signed late rows.
    """

    superseded: Table
    late: LateRows

    @property
    def superseded_version(self) -> int | None:
        """Version of the table of superseded versions that is read."""
        return self.superseded.version

    @cached_property
    def _versions(self) -> pa.Table:
        if self.superseded.files():
            return superseded_versions(self.state, self.superseded)
        number = [pa.field(name.strip('"'), pa.int64()) for name in (KNOWN_US, UNTIL_US)]
        return pa.schema([*arrow_schema(self.view.source.stored.items()), *number]).empty_table()

    @cached_property
    def _dictionary(self) -> KeyDictionary:
        return load_keys(self.state.layout.keys(self.view.entity.name), self.view.key_types)

    def base_columns(self, codes: np.ndarray, as_of_us: np.ndarray) -> dict[str, pa.Array]:
        """Compute the features that are aggregations, for rows sorted by (code, as_of)."""
        floor = self.state.clock.floor(as_of_us)
        ranges = self.late.ranges(codes, floor - self.view.delay_steps, floor)
        if ranges.rows > _ROWS_AT_ONCE and len(codes) > 1:
            middle = len(codes) // 2
            halves = [self.base_columns(codes[part], as_of_us[part]) for part in (slice(middle), slice(middle, None))]
            return {name: pa.concat_arrays([half[name] for half in halves]) for name in halves[0]}
        return self._answered(codes, floor, ranges.in_flight())

    def _answered(self, codes: np.ndarray, floor: np.ndarray, unknown: InFlight) -> dict[str, pa.Array]:
        values = self.finalized(PieceReader(self.state, self.reader, codes, floor, unknown=unknown), self.features)
        for features, again in ((self._folded, self._again), (self._of_items, self._items_again)):
            rows, tails = self._tails(codes, floor, unknown, features)
            if len(rows):
                source = np.arange(len(codes))
                source[rows] = len(codes) + np.arange(len(rows))
                for name, column in again(tails, features).items():
                    values[name] = pa.concat_arrays([values[name], column.cast(values[name].type)]).take(pa.array(source))
        return values

    @cached_property
    def _folded(self) -> list[Feature]:
        """The features that are no sums, but columns of the ledger."""
        columns = [feature for feature in self.features if feature.aggregation and feature not in self._of_items]
        return [f for f in columns if not all(isinstance(measure.fold, AdditiveFold) for measure in self._measures([f]))]

    @cached_property
    def _of_items(self) -> list[Feature]:
        """The features that are read from sub-ledgers."""
        return [f for f in self.features if any(isinstance(measure.fold, ItemFold) for measure in self._measures([f]))]

    def _again(self, tails: Tails, features: Sequence[Feature]) -> dict[str, pa.Array]:
        partition = tails.partition(self.state, self.reader, self._dictionary, self._versions, self._measures(features))
        return self.finalized(TailReader(self.state, self.reader, tails, partition), features)

    def _items_again(self, tails: Tails, features: Sequence[Feature]) -> dict[str, pa.Array]:
        whole = replace(tails, starts=self._window_starts(tails, features))
        measures = self._measures(features)
        answers = []
        for part in portions(whole.steps_with_rows(self.reader), limit=_STEPS_AT_ONCE):
            mine = whole.slice(part)
            table = mine.events(self.state, self._dictionary, self._versions, measures)
            answers.append(self.finalized(ItemReader(self.state, mine, table), features))
        return {name: pa.concat_arrays([each[name] for each in answers]) for name in answers[0]}

    def _window_starts(self, tails: Tails, features: Sequence[Feature]) -> np.ndarray:
        """Return the first step of the longest window per row."""
        starts = tails.starts
        for window in {feature.window for feature in features if feature.window is not None}:
            for piece in window.pieces(self.state.clock, tails.knowledge, self.view.delay_steps):
                starts = np.minimum(starts, piece.left.steps if piece.left else self._first_step)
        return np.asarray(np.maximum(starts, self._first_step))

    @cached_property
    def _first_step(self) -> int:
        """The first step in which any version can lie."""
        zone = self.state.layout.timezone
        times = self._versions[self.view.event_time].drop_null()
        first_us = [month.interval(zone).start_us for month in list(self.state.inputs)[:1]]
        first_us += [pc.min(times.cast(pa.timestamp("us", "UTC")).cast(pa.int64())).as_py()] if len(times) else []
        return self.state.clock.step(min(first_us))

    def _tails(
        self, codes: np.ndarray, floor: np.ndarray, unknown: InFlight, features: Sequence[Feature]
    ) -> tuple[np.ndarray, Tails]:
        """Return the rows with a row in flight inside a window of some features, and their tails."""
        delay = self.view.delay_steps
        is_inside = np.zeros(len(unknown.probes), bool)
        for window in {feature.window for feature in features if feature.window is not None}:
            for piece in window.pieces(self.state.clock, floor, delay):
                is_inside |= unknown.within(piece.right.steps, piece.left.steps if piece.left else None)
        starts = np.full(len(codes), np.iinfo(np.int64).max)
        np.minimum.at(starts, unknown.probes[is_inside], unknown.steps[is_inside])
        rows = np.flatnonzero(starts < floor)
        return rows, Tails(codes[rows], starts[rows], floor[rows] - delay, floor[rows])

    def _measures(self, features: Sequence[Feature]) -> list[Measure]:
        """List the measures of some features, each once."""
        zone = self.state.layout.naive_timezone
        groups = [measures_of(self.view, feature.aggregation, zone) for feature in features if feature.aggregation]
        return list({measure.name: measure for measures in groups for measure in measures}.values())


@dataclass(frozen=True)
class KnownOpener(LedgerOpener):
    """Opens views for answers from what was known; see ``LedgerOpener``."""

    _late: dict[str, tuple[Table, LateRows]] = field(default_factory=dict)

    def query(self, view: FeatureView, features: Sequence[Feature]) -> KnownQuery:
        """Return the query for some features of a view and those that these need.

        Raises:
            VersionError: the view is not among the versions, had another definition then, or was not read as known.
        """
        plain = super().query(view, features)
        if view.name not in self._late:
            table = self._superseded(view)
            self._late[view.name] = table, late_rows(plain.state, table)
        return KnownQuery(plain.state, plain.reader, plain.features, *self._late[view.name])

    def _superseded(self, view: FeatureView) -> Table:
        path = self.layout.superseded(view.source.name)
        if self.versions is not None:
            version = self.versions.of(view.name).superseded
            if version is None:
                raise VersionError(
                    "versions= is of an answer without as_known=True, which did not record what was known when. Leave one of "
                    "both out."
                )
            return Table.open(path, version)
        # Without ingested_at there is no telling when a version was known: each event is known when it happens.
        return Table.open(path, -1 if view.source.ingested_at is None else None)
