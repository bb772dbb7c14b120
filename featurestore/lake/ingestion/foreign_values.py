"""SQL of a mapping's values: what a column of an event is made of, and what may be wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from featurestore.lake.session import literal, quote
from featurestore.spec.mapping.place import Scalar
from featurestore.spec.mapping.values import KEEP, QUARANTINE, UNITS_US, Cumulated, Value
from featurestore.timeline import to_us

Problems = list[tuple[str, str]]
"""Conditions, and the reason where one holds."""
_WITH_ZONE = "%z"
_LARGEST_US = 2**62
_NUMBER = "DECIMAL(28, 9)"


@dataclass(frozen=True)
class Cells:
    """What SQL of values may name.

    Args:
        names: Column, as the mapping writes it, to its name in the query.
        tried: Expression to the name of the structure that holds its value; NULL where it has failed.
        sums: Way of a cumulated time to the names of its sum, a wall clock in microseconds, and of whether it holds no number.
    """

    names: Mapping[str, str]
    tried: Mapping[str, str]
    sums: Mapping[str, tuple[str, str]]


def value_sql(column: str, kind: str, value: Value | Cumulated, cells: Cells) -> tuple[str, Problems]:
    """Render what a column of an event is made of.

    Args:
        column: The column.
        kind: Its type.
        value: What the mapping says.
        cells: What it may name.
    """
    if isinstance(value, Cumulated):
        clock, is_broken = map(quote, cells.sums[value.at])
        return f"make_timestamp({clock})", [(is_broken, f"unparsable {value.column}, in this row or before")]
    if value.is_constant:
        return _constant(value.constant, kind), []
    problems: Problems = []
    if value.expression is not None:
        tried = quote(cells.tried[value.expression])
        sql = f"{tried}.v"
        problems.append((f"{tried} IS NULL", f"{column}: the expression fails"))
    else:
        sql = _read(value, cells)
    said = value.columns[0] if value.columns else column
    if value.map is not None:
        sql, unknown = _mapped(f"trim({sql}::VARCHAR)", value, kind)
        problems += [(unknown, f"unknown value of {said}")] if value.on_unknown == QUARANTINE else []
    elif value.unit is not None or value.formats:
        text = f"nullif(trim({sql}::VARCHAR), '')"
        sql = _since_epoch(text, UNITS_US[value.unit]) if value.unit else _formatted(text, value)
        problems.append((f"{text} IS NOT NULL AND {sql} IS NULL", f"unparsable {said}"))
    if value.default is not None:
        sql = f"coalesce({sql}, {_constant(value.default, kind)})"
    return sql, problems


def is_present_sql(value: Value | Cumulated, cells: Cells) -> str:
    """Render whether a row says a time at all."""
    if isinstance(value, Cumulated) or not value.columns:
        return "true"
    return f"nullif(trim({quote(cells.names[value.columns[0]])}::VARCHAR), '') IS NOT NULL"


def text_sql(names: Sequence[str]) -> str:
    """Render columns as one text from which each can be told."""
    texts = [f"{quote(name)}::VARCHAR" for name in names]
    told = [f"coalesce(length({text}) || ':' || {text}, '-')" for text in texts]
    return f"concat({', '.join(told)})"


def sum_sql(value: Cumulated, names: Mapping[str, str], position: str) -> tuple[str, str]:
    """Render, over all rows, the wall clock of a cumulated time in microseconds, and whether something in it is no number."""
    order = f"PARTITION BY {', '.join(quote(names[column]) for column in value.by)} "
    order += f"ORDER BY try_cast(trim({quote(names[value.order])}::VARCHAR) AS DOUBLE), {position}"
    total, is_broken = _amount(value.column, value.unit, names)
    pluses = [_amount(column, unit, names) for column, unit in value.plus]
    clock = " + ".join([f"sum({total}) OVER ({order})", *(amount for amount, _ in pluses)])
    broken = " OR ".join([f"bool_or({is_broken}) OVER ({order})", *(condition for _, condition in pluses)])
    instant = f"try_cast({to_us(value.anchor)} + {clock} AS BIGINT)"
    near = f"CASE WHEN abs({instant}) < {_LARGEST_US} THEN {instant} END"
    return near, f"({broken} OR {near} IS NULL)"


def _amount(column: str, unit: str, names: Mapping[str, str]) -> tuple[str, str]:
    text = f"nullif(trim({quote(names[column])}::VARCHAR), '')"
    number = f"try_cast({text} AS DECIMAL(18, 6))"
    return f"coalesce({number} * {UNITS_US[unit]}, 0)", f"({text} IS NOT NULL AND {number} IS NULL)"


def _read(value: Value, cells: Cells) -> str:
    """Render the columns of a value: one as it is, of several the texts with a blank between."""
    names = [quote(cells.names[column]) for column in value.columns]
    sql = names[0] if len(names) == 1 else f"concat_ws(' ', {', '.join(f'{name}::VARCHAR' for name in names)})"
    if value.strip is None:
        return sql
    text = f"{sql}::VARCHAR"
    return f"CASE WHEN ends_with({text}, {literal(value.strip)}) THEN left({text}, -{len(value.strip)}) ELSE {text} END"


def _mapped(text: str, value: Value, kind: str) -> tuple[str, str]:
    known = value.map or ()
    arms = " ".join(f"WHEN {literal(key)} THEN {_constant(item, kind)}" for key, item in known)
    unknown = f"{text} <> '' AND {text} NOT IN ({', '.join(literal(key) for key, _ in known)})"
    return f"CASE {text} {arms} ELSE {text if value.on_unknown == KEEP else 'NULL'} END", unknown


def _since_epoch(text: str, unit_us: int) -> str:
    instant = f"try_cast(floor(try_cast({text} AS {_NUMBER}) * {unit_us}) AS BIGINT)"
    return f"CASE WHEN abs({instant}) < {_LARGEST_US} THEN make_timestamptz({instant}) END"


def _formatted(text: str, value: Value) -> str:
    if value.assume_year is None:
        return f"try_strptime({text}, [{', '.join(map(literal, value.formats))}])"
    formats = ", ".join(literal(f"%Y {each}") for each in value.formats)
    return f"try_strptime({literal(f'{value.assume_year} ')} || {text}, [{formats}])"


def _constant(value: Scalar, kind: str) -> str:
    if value is None:
        return "NULL"
    if kind in ("string", "timestamp", "date"):
        return literal(str(value).lower() if isinstance(value, bool) else str(value))
    return str(value).lower() if isinstance(value, bool) else f"{value!r}::DOUBLE" if isinstance(value, float) else str(value)
