"""The last value: total(t) is the last value that is not NULL before t, filled forward from row to row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.compute.folds.fold import RunningFold, Segments, Span
from featurestore.compute.search.probes import Probes


@dataclass(frozen=True)
class LastFold(RunningFold):
    """Values of any type, NULL where a step has none.

    Args:
        values: Their Arrow type.
    """

    values: pa.DataType

    @property
    def type(self) -> pa.DataType:
        """Arrow type of the values."""
        return self.values

    def neutral(self, entities: int) -> pa.Array:
        """Return NULLs."""
        return pa.nulls(entities, self.values)

    def inside(self, tiles: pa.Array, segments: Segments, *, what: str) -> pa.Array:
        """Fill each entity's rows forward."""
        rows = np.where(np.asarray(tiles.is_valid()), np.arange(len(tiles)), -1)
        latest = np.maximum.accumulate(rows) if len(rows) else rows
        return tiles.take(pa.array(np.maximum(latest, 0), mask=latest < segments.first))

    def close(self, before: pa.Array, inside: pa.Array, segments: Segments, span: Span) -> pa.Array:
        """Take each entity's last row where it has a value."""
        last = np.full(len(before), -1, np.int64)
        last[segments.active] = segments.last
        return pc.coalesce(inside.take(pa.array(last, mask=last < 0)), before)

    def total(self, name: str, probes: Probes) -> pa.Array:
        """Return the last value before each bound; NULL where there is none."""
        source = np.full(len(probes), -1, np.int64)
        pieces = []
        offset = 0
        for landing in probes.landings:
            inside = landing.partition.ledger.array(name, landing.row).take(pa.array(landing.row, mask=~landing.found))
            before = landing.partition.balances.array(name, landing.codes).take(pa.array(landing.codes))
            pieces.append(pc.coalesce(inside, before).cast(self.values))
            source[landing.positions] = offset + np.arange(len(landing.positions))
            offset += len(landing.positions)
        if not pieces:
            return pa.nulls(len(probes), self.values)
        return pa.concat_arrays(pieces).take(pa.array(source, mask=source < 0))
