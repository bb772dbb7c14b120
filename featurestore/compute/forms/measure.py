"""Measures: the columns of tiles and ledgers. A measure is one column; its fold says how rows become totals."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from featurestore.compute.folds import Fold, LastFold, SumFold
from featurestore.compute.items.files import ItemFold
from featurestore.spec.aggregations import Aggregation
from featurestore.spec.document import digest
from featurestore.spec.expression import parse
from featurestore.spec.view import FeatureView

# Columns that a tile's inner query provides: the step, UTC microseconds since 1970, and microseconds of the business wall
# clock since ORIGIN_DAY. The blank keeps them apart from every column of a source.
STEP, TIME_US, LOCAL_US = '"tile step"', '"time us"', '"local us"'
# 1601-01-01, a Monday, in days since 1970: before every event, since SQL divides towards zero.
ORIGIN_DAY = -134_774


@dataclass(frozen=True)
class Measure:
    """One column of a view's tiles and ledger.

    Args:
        name: Column name; made from a text that says what it is, so equal measures of two aggregations are one column. Stores keep
            names, so that text never changes; ``sql`` may.
        sql: Aggregate over the rows of one entity and step.
        fold: How rows become totals, and of which type the column is.
        prepared: Names and SQL of columns that ``sql`` needs computed first, once per row; each may use those before it.
        exponent: Its numbers count units of ``2 ** exponent``.
    """

    name: str
    sql: str
    fold: Fold | ItemFold
    prepared: tuple[tuple[str, str], ...] = ()
    exponent: int = 0

    @property
    def type(self) -> pa.DataType:
        """Arrow type of the column."""
        return self.fold.type


@dataclass(frozen=True)
class RowSql:
    """What a form may say about the rows of a view when it writes SQL; conditions read clocks and days in ``timezone``."""

    types: dict[str, str]
    event_id: str
    grain: str
    timezone: str

    def condition(self, aggregation: Aggregation, *present: str) -> str:
        """Render the rows that count: those of its ``where`` in which the ``present`` columns are not NULL."""
        parts = [parse(aggregation.where, self.types).read_in(self.timezone).sql] if aggregation.where else []
        parts += [f"{column} IS NOT NULL" for column in present]
        return " AND ".join(parts) or "TRUE"


def counting(value: str, condition: str) -> str:
    """Render a value that is NULL in the rows that do not count, for aggregates that skip NULLs.

    DuckDB copies all columns of a query once for each aggregate with a FILTER: memory grows with the square of their number.
    """
    return value if condition in ("TRUE", f"{value} IS NOT NULL") else f"CASE WHEN {condition} THEN {value} END"


def rows_of(view: FeatureView, timezone: str) -> RowSql:
    """Return what the forms need to know about a view's rows."""
    return RowSql(view.source.types, view.source.id_column, view.grain, timezone)


def sum_measure(what: str, sql: str, *, prepared: tuple[tuple[str, str], ...] = (), exponent: int = 0) -> Measure:
    """Make an additive measure; ``what`` starts its name."""
    return Measure(f"{what}_{digest(sql)[:12]}", f"CAST(coalesce({sql}, 0) AS BIGINT)", SumFold(), prepared, exponent)


def buckets_measure(what: str, bucket_sql: str, fold: ItemFold) -> Measure:
    """Make a measure of the buckets of a step's rows; ``bucket_sql`` is a number per row, NULL where the row does not count."""
    bucket = f"bucket {digest(bucket_sql)[:12]}"
    collected = f'list_sort(list("{bucket}") FILTER (WHERE "{bucket}" IS NOT NULL))'
    return Measure(f"{what}_{digest(bucket_sql)[:12]}", collected, fold, ((bucket, bucket_sql),))


def last_measure(what: str, sql: str, kind: pa.DataType, *, named: str | None = None) -> Measure:
    """Make a measure that carries its last value forward; ``what`` starts its name, made from ``named`` or else its SQL."""
    return Measure(f"{what}_{digest(named or sql)[:12]}", sql, LastFold(kind))
