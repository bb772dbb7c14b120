"""Derived features: checked expressions over the features of a view, evaluated by DuckDB when they are read."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.errors import ExpressionError, FeatureStoreError, OverflowingResultError
from featurestore.lake.session import connect, quote
from featurestore.spec.calibration import ANY_GROUP
from featurestore.spec.expression import CalibratedUse
from featurestore.spec.types import arrow_type
from featurestore.spec.view import Feature

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True)
class ParameterVersion:
    """One version of a calibration's parameters, and when a row may read it.

    Args:
        version: Its name, for the record.
        start_us: First as_of that may read it.
        end_us: First as_of that reads a newer one.
        values: Parameter to group to value; the group ``"*"`` serves every other group.
    """

    version: str
    start_us: int
    end_us: int
    values: Mapping[str, Mapping[str, float]]


Parameters = Callable[[str], Sequence[ParameterVersion]]
_VECTOR_ROWS = 2_048


def derive(
    values: dict[str, pa.Array], features: Sequence[Feature], *, as_of_us: np.ndarray, parameters: Parameters, timezone: str
) -> dict[str, tuple[str, ...]]:
    """Add the derived features to ``values``, in order.

    Args:
        values: Feature name to column; the derived ones are added to it.
        features: Features of one view, a derived one after those that it reads.
        as_of_us: Floor of as_of per row: which version of a calibration a row may read.
        parameters: The versions of a calibration by name.
        timezone: The zone in which expressions read clocks and days.

    Returns:
        Calibration to the versions that were read, for the record.
    """
    versions: dict[str, tuple[str, ...]] = {}
    pending = list[Feature]()
    columns = dict[str, pa.Array]()
    for feature in features:
        if feature.expression is None:
            continue
        if not feature.expression.columns.isdisjoint(each.name for each in pending):
            values.update(_evaluate(pending, columns, len(as_of_us)))
            pending = []
            columns = {}
        expression = feature.expression.read_in(timezone)
        columns |= {name: values[name] for name in expression.columns}
        for use in expression.calibrated:
            readable = parameters(use.calibration)
            versions[use.calibration] = tuple(version.version for version in readable)
            if use.column not in columns:
                columns[use.column] = _calibrated(use, columns, readable, as_of_us)
        pending.append(replace(feature, expression=expression))
    values.update(_evaluate(pending, columns, len(as_of_us)))
    return versions


def _evaluate(features: Sequence[Feature], columns: Mapping[str, pa.Array], rows: int) -> dict[str, pa.Array]:
    """Evaluate expressions that do not read each other, in one query."""
    import duckdb

    if not features:
        return {}
    table = pa.table({**columns, "row number": np.arange(rows)})
    expressions = [feature.expression.sql for feature in features if feature.expression]
    try:
        results = _run(table, expressions)
    except (duckdb.ConversionException, duckdb.OutOfRangeException, duckdb.InvalidInputException) as error:
        if len(features) > 1:
            return {name: value for each in features for name, value in _evaluate([each], columns, rows).items()}
        raise _failure(features[0], error) from error
    return {feature.name: _finite(feature, result) for feature, result in zip(features, results, strict=True)}


def _finite(feature: Feature, result: pa.Array) -> pa.Array:
    value = result.cast(arrow_type(feature.type))
    if feature.type != "double":
        return value
    return pc.if_else(pc.is_finite(value), value, pa.scalar(None, value.type))


def _failure(feature: Feature, error: Exception) -> FeatureStoreError:
    first = str(error).splitlines()[0]
    text = feature.expression.text if feature.expression else ""
    what = f"The derived feature {feature.column!r} ({text}) cannot be computed for some row: {first}."
    if "out of range" in first.lower():
        return OverflowingResultError(f"{what} Guard it with CASE, or multiply by 1.0 to compute in doubles.")
    return ExpressionError(f"{what} Guard it with CASE, or use TRY_CAST, which gives NULL.")


def _run(table: pa.Table, expressions: Sequence[str]) -> list[pa.Array]:
    """Evaluate expressions over a table with a ``row number``, in its order."""
    outputs = ", ".join(f"{sql} AS value_{i}" for i, sql in enumerate(expressions))
    # One vector of rows goes through a projection in its order.
    order = 'ORDER BY "row number"' if table.num_rows > _VECTOR_ROWS else ""
    with _sandbox().cursor() as session:
        session.register("features", table)
        answer = session.sql(f"SELECT {outputs} FROM features {order}").to_arrow_table()
    return [answer[f"value_{i}"].combine_chunks() for i in range(len(expressions))]


@lru_cache(maxsize=1)
def _sandbox() -> DuckDBPyConnection:
    """Open the process's session for expressions, once: it sees no file, and opening one costs more than most expressions."""
    session = connect()
    atexit.register(_sandbox.cache_clear)
    atexit.register(session.close)
    return session


def _groups(by_sql: str, columns: Mapping[str, pa.Array], rows: int) -> pa.Array:
    """Return the text of what a parameter is looked up by, per row."""
    column = next((column for name, column in columns.items() if quote(name) == by_sql), None)
    if column is not None and (pa.types.is_string(column.type) or pa.types.is_integer(column.type)):
        return column.cast(pa.string())
    table = pa.table({**columns, "row number": np.arange(rows)})
    (groups,) = _run(table, [f"CAST({by_sql} AS VARCHAR)"])
    return groups


def _calibrated(
    use: CalibratedUse, columns: Mapping[str, pa.Array], versions: Sequence[ParameterVersion], as_of_us: np.ndarray
) -> pa.Array:
    """Look one parameter up per row: by the version that its as_of may read, then by its group."""
    rows = len(as_of_us)
    groups = pa.nulls(rows, pa.string()) if use.by_sql is None else _groups(use.by_sql, columns, rows)
    out = np.full(rows, np.nan)
    for version in versions:
        mine = (as_of_us >= version.start_us) & (as_of_us < version.end_us)
        values = version.values.get(use.parameter, {})
        known = pa.array(list(values), pa.string())
        numbers = np.array([*values.values(), values.get(ANY_GROUP, np.nan)], float)
        index = pc.fill_null(pc.index_in(groups.cast(pa.string()), value_set=known), len(values))
        out[mine] = numbers[np.asarray(index)][mine]
    return pa.array(out, mask=np.isnan(out))
