"""How a column of an input becomes a column of its source: SQL for the value, and for what makes a row invalid.

Texts are parsed (CSV, JSON lines), numbers are widened, times that name no zone are placed in the source's; nothing is
guessed: an integer is no timestamp, a number is no string but where the string is an id, ``1.5`` is no integer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from featurestore.lake.ingestion.text_times import REASONS
from featurestore.lake.ingestion.time_functions import PLACE, READ_DAY, READ_TIME, is_read_sql, refused
from featurestore.lake.session import literal, quote
from featurestore.spec.csv_format import Csv
from featurestore.spec.types import SQL_TYPES
from featurestore.timeline import DAY_US

_WIDTHS = {"TINYINT": 8, "UTINYINT": 9, "SMALLINT": 16, "USMALLINT": 17, "INTEGER": 32, "UINTEGER": 33, "BIGINT": 64}
_WIDER_INTEGERS = ("UBIGINT", "HUGEINT", "UHUGEINT")
_NAIVE = ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS")
_AWARE = ("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS")
_PLAIN_DAY = "[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}"
# What DuckDB reads as we do, and fast; all other texts take the long way.
_PLAIN_DATE = "[1-9][0-9]{3}[-/][0-9]{1,2}[-/][0-9]{1,2}"
_PLAIN_CLOCK = "[T ]([01]?[0-9]|2[0-3]):[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?"
_PLAIN_OFFSET = "(Z|[+-](0[0-9]|1[0-5])(:?[0-5][0-9])?)"
_TEXT = "{text}"
READ = "{read}"
"""Stands for ``Conversion.read`` in the SQL of a conversion."""
_INTEGER_TEXT = "[+-]?[0-9]+"
# Of these a double is whole only where the text is: no digit but zeros behind the point, or few digits.
_WHOLE_TEXT = "[+-]?([0-9]+[.]0*|[0-9.]{1,15}([eE][+-]?[0-9]+)?)"
_FRACTION_TEXT = "[+-]?[0-9]*[.][0-9]*[1-9][0-9]*"
_EXACT_IN_DOUBLE = 2**53
MISSING = '"NULL"'
"""DuckDB's name of the type of a column that has no values, and ours of one that is not there."""
# What DuckDB reads as numbers, and is none: 1_000, nan(7), +-1.
_NO_NUMBERS = ("_", "(", "+-")


@dataclass(frozen=True)
class Conversion:
    """SQL over the columns of an input.

    Args:
        value: The converted value; NULL where the input's is invalid.
        is_present: Condition that there is a value to convert; ``None`` when every value can be converted.
        problems: Where a value is present but ``value`` is NULL: ``(reason, condition)``, the first that holds counts.
        non_finite: Condition that is true where a NaN or an infinity became NULL; ``None`` when there can be none.
        read: SQL of what ``value``, ``is_present`` and ``problems`` call ``{read}``, so that it is computed once.
    """

    value: str
    is_present: str | None = None
    problems: tuple[tuple[str, str], ...] = ()
    non_finite: str | None = None
    read: str | None = None


def convert(column: str, kind: str, *, sql_type: str, is_id: bool = False, csv: Csv | None = None) -> Conversion:
    """Choose the conversion of one column; its SQL may call the functions of ``time_functions``.

    Args:
        column: Name in the input and in the source.
        kind: Declared type, one of ``SCHEMA_TYPES``.
        sql_type: DuckDB's name of the type in the input.
        is_id: Whether it names an event or an entity: then an integer is written as a string where strings are declared.
        csv: How texts write numbers: their point and what groups their digits.

    >>> convert("user_id", "int64", sql_type="INTEGER").value
    '"user_id"::BIGINT'
    """
    name = quote(column)
    if sql_type == MISSING:
        return Conversion(f"NULL::{SQL_TYPES[kind]}")
    if sql_type.startswith("ENUM"):
        name = f"{name}::VARCHAR"
        sql_type = "VARCHAR"
    if kind == "string" and is_id and (sql_type in _WIDTHS or sql_type in _WIDER_INTEGERS):
        return Conversion(f"{name}::VARCHAR")
    if csv is not None and sql_type == "VARCHAR" and kind in ("int64", "int32", "double"):
        name = plain_number(name, csv)
    conversion = {
        "int64": _integer,
        "int32": _integer,
        "double": _double,
        "string": _string,
        "bool": _bool,
        "date": _date,
        "timestamp": _timestamp,
    }
    return conversion[kind](column, name, sql_type, kind)


def plain_number(name: str, csv: Csv) -> str:
    """Write a number with a point and without groups; leave what is written otherwise no number, so that none is misread."""
    if csv.decimal == "." and csv.thousands is None:
        return name
    groups = "" if csv.thousands is None else rf"|[0-9]{{1,3}}({re.escape(csv.thousands)}[0-9]{{3}})+"
    point = re.escape(csv.decimal)
    number = rf"[+-]?([0-9]+{groups})?({point}[0-9]*)?([eE][+-]?[0-9]+)?"
    ungrouped = name if csv.thousands is None else f"replace({name}, {literal(csv.thousands)}, '')"
    return (
        f"CASE WHEN regexp_full_match(trim({name}), {literal(number)}) THEN replace({ungrouped}, {literal(csv.decimal)}, '.') "
        f"WHEN regexp_full_match(trim({name}), '[+-]?(nan|inf|infinity)', 'i') THEN {name} ELSE '?' || {name} END"
    )


def _wrong_type(column: str, name: str, kind: str) -> Conversion:
    return _checked(f"NULL::{SQL_TYPES[kind]}", f"{name} IS NOT NULL", f"wrong type {column}")


def _checked(value: str, is_present: str, reason: str, *others: tuple[str, str]) -> Conversion:
    """Say why a value may not be convertible: ``reason``, unless one of the other problems holds."""
    return Conversion(value, is_present, (*others, (reason, "true")))


def _parsed(column: str, name: str, value: str, *others: tuple[str, str]) -> Conversion:
    """Parse a text; one of spaces only is NULL. ``value`` and the problems call the trimmed text ``{text}``."""
    text = f"nullif(trim({name}), '')"
    problems = [(reason, condition.replace(_TEXT, text)) for reason, condition in others]
    return _checked(value.replace(_TEXT, text), f"{text} IS NOT NULL", f"unparsable {column}", *problems)


def _integer(column: str, name: str, sql_type: str, kind: str) -> Conversion:
    target = SQL_TYPES[kind]
    is_present = f"{name} IS NOT NULL"
    out_of_range = f"out of range {column}"
    if sql_type in _WIDTHS and _WIDTHS[sql_type] <= _WIDTHS[target]:
        return Conversion(f"{name}::{target}")
    if sql_type in _WIDTHS or sql_type in _WIDER_INTEGERS:
        return _checked(f"try_cast({name} AS {target})", is_present, out_of_range)
    if sql_type.startswith("DECIMAL") or sql_type in ("FLOAT", "DOUBLE"):
        whole = f"CASE WHEN {name} = trunc({name}) THEN try_cast({name} AS {target}) END"
        nan = [(f"NaN in {column}", f"isnan({name})")] if sql_type in ("FLOAT", "DOUBLE") else []
        return _checked(whole, is_present, out_of_range, *nan, (f"fraction in {column}", f"{name} <> trunc({name})"))
    if sql_type != "VARCHAR":
        return _wrong_type(column, name, kind)
    number = _number(_TEXT)
    value = (
        f"CASE WHEN regexp_full_match({_TEXT}, {literal(_INTEGER_TEXT)}) THEN try_cast({_TEXT} AS {target}) "
        f"WHEN regexp_full_match({_TEXT}, {literal(_WHOLE_TEXT)}) AND abs({number}) < {_EXACT_IN_DOUBLE} "
        f"AND {number} = trunc({number}) THEN try_cast({number} AS {target}) END"
    )
    has_fraction = (
        f"isfinite({number}) AND ({number} <> trunc({number}) OR regexp_full_match({_TEXT}, {literal(_FRACTION_TEXT)}))"
    )
    fraction = (f"fraction in {column}", has_fraction)
    out_of_range_text = (out_of_range, f"regexp_full_match({_TEXT}, {literal(_INTEGER_TEXT)})")
    return _parsed(column, name, value, (f"NaN in {column}", f"isnan({number})"), fraction, out_of_range_text)


def _double(column: str, name: str, sql_type: str, kind: str) -> Conversion:
    if sql_type in _WIDTHS or sql_type in _WIDER_INTEGERS or sql_type.startswith("DECIMAL"):
        return Conversion(f"{name}::DOUBLE")
    if sql_type not in ("FLOAT", "DOUBLE", "VARCHAR"):
        return _wrong_type(column, name, kind)
    is_text = sql_type == "VARCHAR"
    number = _number(f"nullif(trim({name}), '')") if is_text else f"{name}::DOUBLE"
    # The sum turns -0.0 into 0.0: equal values must have equal content hashes.
    value = f"CASE WHEN isfinite({number}) THEN {number} + 0.0 END"
    non_finite = f"NOT isfinite({number})"
    if not is_text:
        return Conversion(value, non_finite=non_finite)
    # Digits are a number: one beyond all doubles is no infinity that somebody wrote.
    is_beyond = f"isinf({number}) AND regexp_matches({name}, '[0-9]')"
    is_no_number = f"trim({name}) <> '' AND ({number} IS NULL OR ({is_beyond}))"
    problems = ((f"out of range {column}", is_beyond), (f"unparsable {column}", "true"))
    return Conversion(value, is_no_number, problems, f"{non_finite} AND NOT ({is_beyond})")


def _number(text: str) -> str:
    """Read a text as a double; NULL where it is no number."""
    is_none = " OR ".join(f"contains({text}, {literal(part)})" for part in _NO_NUMBERS)
    return f"try_cast(CASE WHEN NOT ({is_none}) THEN {text} END AS DOUBLE)"


def _string(column: str, name: str, sql_type: str, kind: str) -> Conversion:
    return Conversion(f"{name}::VARCHAR") if sql_type in ("VARCHAR", "UUID", "JSON") else _wrong_type(column, name, kind)


def _bool(column: str, name: str, sql_type: str, kind: str) -> Conversion:
    if sql_type == "BOOLEAN":
        return Conversion(name)
    if sql_type in _WIDTHS or sql_type in _WIDER_INTEGERS:
        value = f"CASE {name} WHEN 0 THEN false WHEN 1 THEN true END"
        return _checked(value, f"{name} IS NOT NULL", f"out of range {column}")
    if sql_type != "VARCHAR":
        return _wrong_type(column, name, kind)
    return _parsed(column, name, f"try_cast({_TEXT} AS BOOLEAN)")


def _date(column: str, name: str, sql_type: str, kind: str) -> Conversion:
    if sql_type == "DATE":
        return Conversion(name)
    if sql_type in _NAIVE:
        day = f"CASE WHEN {name} = {name}::DATE THEN {name}::DATE END"
        return _checked(day, f"{name} IS NOT NULL", f"unparsable {column}")
    if sql_type != "VARCHAR":
        return _wrong_type(column, name, kind)
    plain = (
        f"CASE WHEN regexp_full_match({name}, {literal(_PLAIN_DAY)}) THEN epoch_us(try_cast({name} AS DATE)) // {DAY_US} END"
    )
    return _read_text(column, f"coalesce({plain}, {READ_DAY}({name}))", f"DATE '1970-01-01' + {READ}::INTEGER")


def _timestamp(column: str, name: str, sql_type: str, kind: str) -> Conversion:
    if sql_type == "TIMESTAMPTZ_NS":
        return Conversion(f"make_timestamptz({_floored_us(name)})")
    if sql_type in _AWARE:
        return Conversion(f"{name}::TIMESTAMPTZ")
    if sql_type in (*_NAIVE, "DATE"):
        clock = _floored_us(name) if sql_type == "TIMESTAMP_NS" else f"epoch_us({name}::TIMESTAMP)"
        return _checked(f"make_timestamptz({PLACE}({clock}))", f"{name} IS NOT NULL", f"infinite {column}")
    if sql_type != "VARCHAR":
        return _wrong_type(column, name, kind)
    naive = f"regexp_full_match({name}, {literal(f'{_PLAIN_DATE}({_PLAIN_CLOCK})?')})"
    aware = f"regexp_full_match({name}, {literal(_PLAIN_DATE + _PLAIN_CLOCK + _PLAIN_OFFSET)})"
    plain = (
        f"CASE WHEN {naive} THEN {PLACE}(epoch_us(try_cast({name} AS TIMESTAMP))) "
        f"WHEN {aware} THEN epoch_us(try_cast({name} AS TIMESTAMPTZ)) END"
    )
    return _read_text(column, f"coalesce({plain}, {READ_TIME}({name}))", f"make_timestamptz({READ})")


def _read_text(column: str, read: str, value: str) -> Conversion:
    """Read a text as a number, which says why where it is none; one of blanks is NULL."""
    problems = [(reason.format(column=column), f"{READ} = {refused(fault)}") for fault, reason in REASONS.items()]
    return Conversion(f"CASE WHEN {is_read_sql(READ)} THEN {value} END", f"{READ} IS NOT NULL", tuple(problems), read=read)


def _floored_us(name: str) -> str:
    """Cut nanoseconds down to the microsecond that they lie in: DuckDB's cast rounds, into another day at worst."""
    return f"(epoch_ns({name}) // 1000 - CASE WHEN epoch_ns({name}) % 1000 < 0 THEN 1 ELSE 0 END)"
