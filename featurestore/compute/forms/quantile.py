"""Quantile: running counts of logarithmic buckets (``compute/items/buckets.py``); differences of counts are exact."""

from __future__ import annotations

from typing import cast

import numpy as np
import pyarrow as pa

from featurestore.compute.forms.form import WindowTotals
from featurestore.compute.items.buckets import bucket_sql, bucket_values, ranked
from featurestore.compute.items.histograms import HistogramFold
from featurestore.compute.measure import Measure, Rows
from featurestore.lake.session import quote
from featurestore.spec.aggregations import Aggregation, Quantile
from featurestore.spec.document import digest


class QuantileForm:
    """The value at a rank, within a relative error."""

    def measures(self, aggregation: Aggregation, rows: Rows) -> tuple[Measure, ...]:
        """The bucket of each value of a step."""
        aggregation = cast(Quantile, aggregation)
        column = quote(aggregation.column)
        sql = f"CASE WHEN {rows.condition(aggregation, column)} THEN {bucket_sql(column, aggregation.error)} END"
        bucket = f"bucket {digest(sql)[:12]}"
        collected = f'list_sort(list("{bucket}") FILTER (WHERE "{bucket}" IS NOT NULL))'
        return (Measure(f"buckets_{digest(sql)[:12]}", collected, HistogramFold(), ((bucket, sql),)),)

    def finalize(self, aggregation: Aggregation, measures: tuple[Measure, ...], window: WindowTotals) -> pa.Array:
        """Return double, NULL without values."""
        aggregation = cast(Quantile, aggregation)
        found = []
        for ends, buckets, counts in window.counts(measures[0]):
            empty = np.diff(ends, prepend=0) == 0
            values = np.zeros(len(ends))
            rows = ranked(ends, counts, aggregation.q)[~empty]
            values[~empty] = bucket_values(buckets[rows], aggregation.error)
            found.append(pa.array(values, mask=empty))
        return pa.concat_arrays([pa.array([], pa.float64()), *found])
