"""Decayed: the window's own steps, added up; or one running value, brought forward from the row that the search finds."""

from __future__ import annotations

from typing import cast

import numpy as np
import pyarrow as pa

from featurestore.compute.folds import DecayedFold, FadingFold
from featurestore.compute.forms.form import WindowTotals
from featurestore.compute.forms.limbs import number_of
from featurestore.compute.forms.measure import Measure, RowSql, sum_measure
from featurestore.compute.wide import DIGIT_BITS
from featurestore.spec.aggregations import Aggregation, Decayed
from featurestore.spec.document import digest


class DecayedForm:
    """Sum in which events fade with time."""

    def measures(self, aggregation: Aggregation, rows: RowSql) -> tuple[Measure, ...]:
        """List the steps' own values; or the running sum, and the count of events that it is made of."""
        aggregation = cast(Decayed, aggregation)
        named, sql, count, prepared = _value(aggregation, rows)
        half_life = aggregation.half_life_steps(rows.grain)
        name = f"decayed_{digest([named, half_life])[:12]}"
        if aggregation.relative_to == "window":
            return (Measure(f"own_{name}", f"coalesce({sql}, 0)", FadingFold(half_life), prepared),)
        return Measure(name, f"coalesce({sql}, 0)", DecayedFold(half_life), prepared), sum_measure("count", count)

    def finalize(self, aggregation: Aggregation, measures: tuple[Measure, ...], window: WindowTotals) -> pa.Array:
        """Return double; exactly 0.0 without events."""
        if len(measures) == 1:
            return window.between(measures[0])
        decayed, count = measures
        return pa.array(np.where(window.difference(count) == 0, 0.0, window.difference(decayed)))


def _value(aggregation: Decayed, rows: RowSql) -> tuple[str, str, str, tuple[tuple[str, str], ...]]:
    """Render what names the value of a step, the value and the count, and list the columns they need prepared.

    The sum of a step is exact before it is rounded to a double, so that the order of its events does not matter.
    """
    if aggregation.column is None:
        count = f"count_if({rows.condition(aggregation)})"
        value = f"CAST({count} AS DOUBLE)"
        return value, value, count, ()
    number = number_of(aggregation.column, aggregation, rows, aggregation.resolution_bits)
    limbs = [
        f"CAST({number.sum(half)} AS DOUBLE) * {2.0 ** (number.exponent + DIGIT_BITS * limb)!r}"
        for limb, half in enumerate(number.halves)
    ]
    named = " + ".join(limbs)
    return named, number.unfiltered(named), f"count_if({number.condition})", number.prepared
