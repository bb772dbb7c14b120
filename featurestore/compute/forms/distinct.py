"""Distinct: a running number of items for each declared window (``compute/items/marks.py``)."""

from __future__ import annotations

from typing import cast

import pyarrow as pa

from featurestore.compute.forms.form import WindowTotals
from featurestore.compute.forms.measure import Measure, RowSql
from featurestore.compute.items.runs import RunsFold
from featurestore.lake.session import quote
from featurestore.spec.aggregations import Aggregation, Distinct
from featurestore.spec.document import digest
from featurestore.spec.types import arrow_type


class DistinctForm:
    """Number of distinct values."""

    def measures(self, aggregation: Aggregation, rows: RowSql) -> tuple[Measure, ...]:
        """List one: the distinct values of a step."""
        aggregation = cast(Distinct, aggregation)
        column = quote(aggregation.column)
        sql = f"list_sort(list_distinct(list({column}) FILTER (WHERE {rows.condition(aggregation, column)})))"
        return (Measure(f"items_{digest(sql)[:12]}", sql, RunsFold(arrow_type(rows.types[aggregation.column]))),)

    def finalize(self, aggregation: Aggregation, measures: tuple[Measure, ...], window: WindowTotals) -> pa.Array:
        """Return int64, 0 without values."""
        return pa.array(window.distinct(measures[0]), pa.int64())
