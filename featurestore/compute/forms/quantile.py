"""Quantile: running counts of logarithmic buckets (``compute/items/buckets.py``); differences of counts are exact."""

from __future__ import annotations

from typing import cast

import pyarrow as pa

from featurestore.compute.forms.form import WindowTotals
from featurestore.compute.forms.measure import Measure, RowSql, buckets_measure
from featurestore.compute.items.buckets import bucket_sql, bucket_values
from featurestore.compute.items.ranks import RankFold
from featurestore.lake.session import quote
from featurestore.spec.aggregations import Aggregation, Quantile


class QuantileForm:
    """The value at a rank, within a relative error."""

    def measures(self, aggregation: Aggregation, rows: RowSql) -> tuple[Measure, ...]:
        """List one: the bucket of each value of a step."""
        aggregation = cast(Quantile, aggregation)
        column = quote(aggregation.column)
        sql = f"CASE WHEN {rows.condition(aggregation, column)} THEN {bucket_sql(column, aggregation.error)} END"
        return (buckets_measure("buckets", sql, RankFold()),)

    def finalize(self, aggregation: Aggregation, measures: tuple[Measure, ...], window: WindowTotals) -> pa.Array:
        """Return double, NULL without values."""
        aggregation = cast(Quantile, aggregation)
        buckets, has_value = window.ranked(measures[0], q=aggregation.q)
        return pa.array(bucket_values(buckets, aggregation.error), mask=~has_value)
