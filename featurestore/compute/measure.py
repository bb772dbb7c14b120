"""Measures: the columns of tiles and ledgers.

A measure is one column. Its fold says how rows become running totals:

    "sum"   int64, or a fixed-size list of them, never NULL; total(t) is the sum over all steps < t; a window is the
            difference of two totals
    "last"  any type, NULL where the step has nothing; total(t) is the last value that is not NULL before t
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from featurestore.spec.aggregations import Aggregation
from featurestore.spec.document import digest
from featurestore.spec.expression import parse
from featurestore.spec.view import FeatureView

Fold = Literal["sum", "last"]

# Columns that a tile's inner query provides: the step, UTC microseconds since 1970, and microseconds of the business wall
# clock since ORIGIN_DAY. The blank keeps them apart from every column of a source.
STEP, TIME_US, LOCAL_US = '"tile step"', '"time us"', '"local us"'
# 1601-01-01, a Monday, in days since 1970: before every event, since SQL divides towards zero.
ORIGIN_DAY = -134_774
ARROW_TYPES = {
    "int64": pa.int64(),
    "int32": pa.int32(),
    "double": pa.float64(),
    "string": pa.string(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", "UTC"),
    "date": pa.date32(),
}


@dataclass(frozen=True)
class Measure:
    """One column of a view's tiles and ledger.

    Args:
        name: Column name; made from its SQL, so equal measures of two aggregations are one column.
        sql: Aggregate over the rows of one entity and step.
        fold: How rows become running totals.
        type: Arrow type of the column.
        prepared: Name and SQL of a column that ``sql`` needs computed first, once per row.
    """

    name: str
    sql: str
    fold: Fold
    type: pa.DataType
    prepared: tuple[str, str] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one value: ``()``, or ``(buckets,)`` of a list."""
        return (self.type.list_size,) if pa.types.is_fixed_size_list(self.type) else ()

    def numpy(self, column: pa.Array) -> np.ndarray:
        """Return a ``sum`` column as integers [rows, *shape], as wide as they are stored."""
        if not self.shape:
            return np.asarray(column.to_numpy())
        return np.asarray(column.flatten().to_numpy()).reshape(-1, *self.shape)

    def arrow(self, totals: np.ndarray) -> pa.Array:
        """Return integers [rows, *shape] as a column of this measure's type."""
        if not self.shape:
            return pa.array(totals, pa.int64())
        return pa.FixedSizeListArray.from_arrays(pa.array(totals.reshape(-1), pa.int64()), self.shape[0])


@dataclass(frozen=True)
class Rows:
    """What a form may say about the rows of a view when it writes SQL."""

    types: dict[str, str]
    event_id: str

    def condition(self, aggregation: Aggregation, *present: str) -> str:
        """Render the rows that count: those of its ``where`` in which the given columns are not NULL."""
        parts = [parse(aggregation.where, self.types).sql] if aggregation.where else []
        parts += [f"{column} IS NOT NULL" for column in present]
        return " AND ".join(parts) or "TRUE"


def rows_of(view: FeatureView) -> Rows:
    """Return what the forms need to know about a view's rows."""
    return Rows(view.source.types, view.source.event_id)


def sum_measure(what: str, sql: str) -> Measure:
    """Make an additive measure; ``what`` starts its name."""
    return Measure(f"{what}_{digest(sql)[:12]}", f"CAST(coalesce({sql}, 0) AS BIGINT)", "sum", pa.int64())


def counts_measure(what: str, bucket_sql: str, buckets: int) -> Measure:
    """Make a measure that counts rows by bucket; ``bucket_sql`` is a number per row, NULL where the row does not count."""
    prepared = (f"bucket {digest(bucket_sql)[:12]}", bucket_sql)
    counts = ", ".join(f'CAST(coalesce(count_if("{prepared[0]}" = {bucket}), 0) AS BIGINT)' for bucket in range(buckets))
    return Measure(f"{what}_{digest(bucket_sql)[:12]}", f"[{counts}]", "sum", pa.list_(pa.int64(), buckets), prepared)


def last_measure(what: str, sql: str, kind: pa.DataType) -> Measure:
    """Make a measure that carries its last value forward; ``what`` starts its name."""
    return Measure(f"{what}_{digest(sql)[:12]}", sql, "last", kind)
