"""What a form is: how one aggregation becomes measures, and totals become its values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import pyarrow as pa

from featurestore.compute.forms.measure import Measure, RowSql
from featurestore.spec.aggregations import Aggregation


class PieceTotals(Protocol):
    """Totals at the edges of one piece of a window, for n probes."""

    @property
    def right_us(self) -> np.ndarray:
        """First instant after the piece, per probe (int64)."""
        ...

    @property
    def left_us(self) -> np.ndarray | None:
        """First instant of the piece; ``None`` for ``lifetime``."""
        ...

    def carried(self, measure: Measure) -> pa.Array:
        """Return the last value before the right edge of a measure that is carried forward; NULL where there is none."""
        ...


class WindowTotals(Protocol):
    """Totals of one window, for n probes: a window is one piece, or several that do not overlap."""

    @property
    def pieces(self) -> Sequence[PieceTotals]:
        """The pieces, the latest first; at least one."""
        ...

    def difference(self, measure: Measure) -> np.ndarray:
        """Return what lies in the window of a measure whose fold is invertible: of sums int64 [n]."""
        ...

    def between(self, measure: Measure) -> pa.Array:
        """Return the value over the steps of the window of a measure whose fold is scoped; NULL where there is none."""
        ...

    def distinct(self, measure: Measure) -> np.ndarray:
        """Return the number of distinct items in the window (int64), of a measure whose fold is ``RunsFold``."""
        ...

    def counts(self, measure: Measure, *, buckets: int) -> np.ndarray:
        """Return the counts per bucket in the window (int64 [n, buckets]), of a measure whose fold is ``ProfileFold``."""
        ...

    def ranked(self, measure: Measure, *, q: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the bucket at a rank, and whether there is one, of a measure whose fold is ``RankFold``."""
        ...


class Form(Protocol):
    """The running form of one kind of aggregation (the formulas: see each module)."""

    def measures(self, aggregation: Aggregation, rows: RowSql) -> tuple[Measure, ...]:
        """List the columns it needs, in the order ``finalize`` takes them."""
        ...

    def finalize(self, aggregation: Aggregation, measures: tuple[Measure, ...], window: WindowTotals) -> pa.Array:
        """Return the feature's values for n probes. The only place that knows what NULL means for the aggregation."""
        ...
