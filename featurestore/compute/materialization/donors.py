"""Donors: the tiles of an earlier definition of a view, from which a new one takes the measures that it still has.

The name of a measure says what it counts, so equal measures of two definitions are one. What a month's tiles were made from is in the
name of their file. So an aggregation that is added reads its own columns of the events and no others, one that is removed reads no
event, and the tiles of before stay where older answers read them. Ledgers are folded from tiles, which are small.

Taken are measures of tiles with the very same rows: a definition whose conditions let other events in may have other rows, and then
all of a month is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from featurestore.compute.forms import view_measures
from featurestore.compute.forms.measure import Measure, rows_of
from featurestore.compute.state import MONTH, ViewState
from featurestore.lake.arrow_parquet import read_parquet
from featurestore.lake.digests import looks_damaged
from featurestore.lake.table import CommittedFile, Table
from featurestore.spec.view import FeatureView
from featurestore.timeline import Month

Earlier = Callable[[FeatureView], Iterable[FeatureView]]
"""Returns the definitions that a view had before, the newest first."""


@dataclass(frozen=True)
class Donor:
    """An earlier definition's tiles.

    Args:
        now: The view.
        then: The view as it was, over the same events.
    """

    now: ViewState
    then: ViewState

    @cached_property
    def missing(self) -> tuple[Measure, ...]:
        """The view's measures that the donor has not."""
        had = {measure.name: measure.type for measure in _measures(self.then)}
        return tuple(measure for measure in _measures(self.now) if had.get(measure.name) != measure.type)

    @cached_property
    def has_same_rows(self) -> bool:
        """Whether both definitions let the same events in, whatever these hold."""
        return _conditions(self.now) == _conditions(self.then)

    @cached_property
    def files(self) -> Mapping[str, CommittedFile]:
        """The donor's sound files by name, without the ending."""
        return {file.path.stem: file for file in Table.open(self.then.tiles_path).files() if not looks_damaged(file)}

    def has(self, month: Month) -> bool:
        """Whether it has tiles of a month, made from the events that are committed now."""
        return self.then.tile_digests.get(month) in self.files

    def tiles(self, months: Sequence[Month]) -> pa.Table:
        """Read the tiles of consecutive months, those columns that the view still has: sorted by (step, code)."""
        missing = {measure.name for measure in self.missing}
        columns = ["code", "step", *(measure.name for measure in _measures(self.now) if measure.name not in missing)]
        files = (self.files[self.then.tile_digests[month]] for month in months)
        return pa.concat_tables([read_parquet(file, columns=columns) for file in files])

    def with_missing(self, months: Sequence[Month], new: pa.Table) -> pa.Table | None:
        """Put tiles of the missing measures beside those that are there; ``None`` where their rows are others."""
        old = self.tiles(months)
        if not (old["step"].equals(new["step"]) and old["code"].equals(new["code"])):
            return None
        return pa.table({**_columns(old), **_columns(new)}).select(_names(self.now))


def no_earlier(view: FeatureView) -> Iterable[FeatureView]:
    """Return no definition of before."""
    return ()


def find_donor(state: ViewState, months: Sequence[Month], earlier: Earlier) -> Donor | None:
    """Return the earlier definition whose tiles leave the least of some months to be computed; ``None`` if none does.

    Args:
        state: The view.
        months: Months that must be computed.
        earlier: Its definitions of before; asked for where the view has no tiles of some month yet.
    """
    there = {Month.parse(file.partition[MONTH]) for file in Table.open(state.tiles_path).files()}
    if there.issuperset(months):
        return None
    found = list[Donor]()
    for view in earlier(state.view):
        then = ViewState(state.layout, view, state.events)
        if then.fingerprint != state.fingerprint and _is_comparable(state.view, view):
            donor = Donor(state, then)
            if len(donor.missing) < len(_measures(state)) and any(map(donor.has, months)):
                found.append(donor)
    return min(found, key=lambda donor: (len(donor.missing), not donor.has_same_rows), default=None)


def _is_comparable(now: FeatureView, then: FeatureView) -> bool:
    """Tell whether the rows of two definitions' tiles are about the same keys and steps, of columns of the same types."""
    types, before = now.source.types, then.source.types
    return _place(now) == _place(then) and all(before[column] == types[column] for column in types.keys() & before.keys())


def _place(view: FeatureView) -> object:
    return view.entity.name, view.key_columns, view.source.name, view.source.event_id, view.event_time, view.grain


def _measures(state: ViewState) -> tuple[Measure, ...]:
    return view_measures(state.view, state.layout.naive_timezone)


def _conditions(state: ViewState) -> set[str]:
    rows = rows_of(state.view, state.layout.naive_timezone)
    conditions = {rows.condition(aggregation) for aggregation in state.view.aggregations}
    return {"TRUE"} if "TRUE" in conditions else conditions


def _columns(tiles: pa.Table) -> dict[str, pa.ChunkedArray]:
    return dict(zip(tiles.column_names, tiles.columns, strict=True))


def _names(state: ViewState) -> list[str]:
    return ["code", "step", *(measure.name for measure in _measures(state))]
