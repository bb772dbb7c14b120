"""The decayed sum: total(t) = sum of x * 2^(-(t - d) / half_life) over all steps d < t.

1. A ledger row holds the total since the partition's start as of the row's own step, its own value included; a balance the
   total before the partition as of its start. Both are brought forward to a bound by one multiplication, so no exponent
   grows with history.
2. Inside a partition the rows of an entity are added up in log-steps: after the pass of stride s, a row holds the decayed
   sum of itself and the 2s - 1 rows before it (Hillis and Steele 1986). No sum runs over two entities, so no small value is
   lost beside another entity's large one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from featurestore.compute.folds.fold import InvertibleFold, Segments, Span
from featurestore.compute.search.decayed_ranges import left_of
from featurestore.compute.search.probes import Probes


@dataclass(frozen=True)
class DecayedFold(InvertibleFold):
    """Doubles that lose half of their value in ``half_life_steps``; never NULL."""

    half_life_steps: int

    @property
    def type(self) -> pa.DataType:
        """``double``."""
        return pa.float64()

    def neutral(self, entities: int) -> pa.Array:
        """Return zeros."""
        return pa.array(np.zeros(entities))

    def inside(self, tiles: pa.Array, segments: Segments, *, what: str) -> pa.Array:
        """Add each entity's rows up, decayed to each row's step."""
        totals = tiles.to_numpy().copy()
        stride = 1
        rows = np.flatnonzero(np.arange(len(totals)) > segments.first)
        while len(rows):
            before = rows - stride
            totals[rows] += totals[before] * self._left_of(segments.steps[rows] - segments.steps[before])
            stride *= 2
            rows = rows[rows - stride >= segments.first[rows]]
        return pa.array(totals)

    def close(self, before: pa.Array, inside: pa.Array, segments: Segments, span: Span) -> pa.Array:
        """Bring the balance and each entity's last row forward to the next partition's start."""
        totals = before.to_numpy() * self._left_of(np.array(span.end - span.start))
        totals[segments.active] += inside.to_numpy()[segments.last] * self._left_of(span.end - segments.steps[segments.last])
        return pa.array(totals)

    def total(self, name: str, probes: Probes) -> np.ndarray:
        """Return the decayed total at each bound (double), 0.0 without history."""
        out = np.zeros(len(probes))
        for landing in probes.landings:
            partition = landing.partition
            bounds = probes.bounds[landing.positions]
            carried = partition.balances.numbers(name, landing.codes).take(landing.codes)
            total = carried * self._left_of(bounds - partition.start_step)
            values = partition.ledger.numbers(name, landing.row)
            if len(values):
                steps = partition.ledger.numbers("step", landing.row).take(landing.row).astype(np.int64)
                total += np.where(landing.found, values.take(landing.row) * self._left_of(bounds - steps), 0.0)
            out[landing.positions] = total
        return out

    def difference(self, right: np.ndarray, left: np.ndarray, steps: np.ndarray, *, what: str) -> np.ndarray:
        """Return what was added between two bounds, as of the right one."""
        gap: np.ndarray = right - left * self._left_of(steps)
        return gap

    def add(self, one: np.ndarray, other: np.ndarray, *, what: str) -> np.ndarray:
        """Add; both as of the same step."""
        total: np.ndarray = one + other
        return total

    def _left_of(self, steps: np.ndarray) -> np.ndarray:
        """Return what is left of one after so many steps, 0.0 where it is too small for a double."""
        return left_of(steps, self.half_life_steps)
