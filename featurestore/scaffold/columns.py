"""What the values of a column are: the type that nearly all of them have, those that disagree, and how they are spelled.

A type is taken when at least 99 of 100 values have it; one bad row among two hundred must not make a text of a number. What disagrees
is named, since an ingest would send those rows to quarantine. Leading zeros mean text: "00037" is no number.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

import pyarrow as pa

from featurestore.lake.ingestion.text_times import Fault, read_time
from featurestore.scaffold.times import formats_of, unit_of

AGREEING = 0.99
_SHOWN = 3
_TRIED = 200
_INTEGER = re.compile(r"[+-]?(?:0|[1-9]\d{0,17})(?:\.0+)?")
_NUMBER = re.compile(r"[+-]?(?:0|[1-9]\d*)?(?:\.\d+)?(?:[eE][+-]?\d+)?")
_COMMA_NUMBER = re.compile(r"[+-]?(?:0|[1-9]\d*)(?:,\d+)?")
_TRUTHS = {"true", "false"}
_NULLS = ("NA", "N/A", "NULL", "null", "None", "none", "#N/A", "-", "?")
_COMPACT_DAY = re.compile(r"(?:19[89]|20\d)\d[01]\d[0-3]\d")


@dataclass(frozen=True)
class Column:
    """A column, by its values in a sample.

    Args:
        name: Its name in the file.
        type: Type of a source's schema; ``None`` where no type fits, such as for lists.
        values: Values that are there, NULL spellings and what disagrees left out.
        rows: Rows of the sample.
        nulls: Rows without a value.
        odd: How many values disagree with the type.
        odd_values: Some of them.
        null_words: Spellings of NULL that a source must be told.
        has_comma: Whether the point of its numbers is a comma.
        epoch: ``s``, ``ms`` or ``us`` since 1970, where whole numbers look like that.
        time_formats: Formats in which its texts are times of which a source could not tell day from month: one, or two where no day
            is beyond the twelfth.
    """

    name: str
    type: str | None
    values: Sequence[Any] = field(repr=False)
    rows: int
    nulls: int
    odd: int = 0
    odd_values: tuple[str, ...] = ()
    null_words: tuple[str, ...] = ()
    has_comma: bool = False
    epoch: str | None = None
    time_formats: tuple[str, ...] = ()

    @cached_property
    def counts(self) -> Counter[Any]:
        """How often each value is there."""
        return Counter(self.values)

    @property
    def is_foreign_time(self) -> bool:
        """Whether it may hold times that only a mapping can tell of."""
        return bool(self.epoch or self.time_formats)

    @property
    def is_whole(self) -> bool:
        """Whether every row has a value that agrees."""
        return not (self.nulls or self.odd)


def look_at(name: str, values: Sequence[Any], kind: pa.DataType | None) -> Column:
    """Tell what a column is.

    Args:
        name: Its name.
        values: Its values, ``None`` for NULL: texts of a CSV; what JSON or Arrow has.
        kind: Its Arrow type; ``None`` of CSV and JSON lines.
    """
    given = [value for value in values if value is not None]
    if kind is None and all(isinstance(value, str) for value in given):
        return _of_texts(name, given, len(values))
    plain = _plain_type(kind) if kind is not None else _type_of_json(given)
    if plain == "string" and kind is not None:
        looked = _of_texts(name, given, len(values))
        return looked if looked.type == "timestamp" else Column(name, "string", given, len(values), len(values) - len(given))
    found = Column(name, plain, given if plain else [], len(values), len(values) - len(given))
    return _with_epoch(found) if plain == "int64" else found


def _plain_type(kind: pa.DataType) -> str | None:
    """Return the type of a schema that takes an Arrow type; ``None`` where there is none."""
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    tests: list[tuple[Callable[[pa.DataType], bool], str]] = [
        (pa.types.is_boolean, "bool"),
        (pa.types.is_integer, "int64"),
        (pa.types.is_floating, "double"),
        (pa.types.is_decimal, "double"),
        (pa.types.is_timestamp, "timestamp"),
        (pa.types.is_date, "date"),
        (pa.types.is_string, "string"),
        (pa.types.is_large_string, "string"),
        (pa.types.is_string_view, "string"),
    ]
    return next((name for test, name in tests if test(kind)), None)


def _type_of_json(values: Sequence[Any]) -> str | None:
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return "bool"
    if kinds == {int}:
        return "int64"
    return "double" if kinds and kinds <= {int, float} else None


def _of_texts(name: str, values: Sequence[str], rows: int) -> Column:
    counted = Counter(values)
    words = tuple(word for word in _NULLS if word in counted)
    for word in words:
        del counted[word]
    there = sum(counted.values())
    nulls = rows - there
    for kind, reads in _READS:
        fits = _fitting(list(counted), reads)
        agreeing = sum(counted[value] for value in fits)
        if there and agreeing >= AGREEING * there:
            odd = tuple(sorted(counted.keys() - fits)[:_SHOWN])
            means = {value: _MEANS.get(kind, str)(value) for value in fits}
            taken = [means[value] for value in values if value in means]
            found = Column(name, kind, taken, rows, nulls, there - agreeing, odd, words)
            return _with_epoch(found) if kind == "int64" else found
    if there and all(map(_is_comma_number, counted)):
        numbers = [float(value.replace(",", ".")) for value in values if value in counted]
        return Column(name, "double", numbers, rows, nulls, null_words=words, has_comma=True)
    either = _fitting(list(counted), _is_in_either_order)
    formats = formats_of(sorted(either)) if len(either) == len(counted) > 0 else ()
    return Column(name, "string", values, rows, rows - len(values), time_formats=formats)


def _fitting(values: Sequence[str], reads: Callable[[str], bool]) -> set[str]:
    """Return the values that can be read; none at all where few of the first can, since reading all would cost more than it tells."""
    first = values[:_TRIED]
    if sum(map(reads, first)) < len(first) / 2:
        return set()
    return {value for value in values if reads(value)}


def _is_compact_day(text: str) -> bool:
    return _COMPACT_DAY.fullmatch(text) is not None and not isinstance(read_time(text), Fault | None)


def _is_in_either_order(text: str) -> bool:
    return read_time(text) is Fault.EITHER_ORDER


def _is_truth(text: str) -> bool:
    return text.lower() in _TRUTHS


def _is_integer(text: str) -> bool:
    return _INTEGER.fullmatch(text.strip()) is not None


def _is_number(text: str) -> bool:
    return any(letter.isdigit() for letter in text) and _NUMBER.fullmatch(text.strip()) is not None


def _is_comma_number(text: str) -> bool:
    return _COMMA_NUMBER.fullmatch(text.strip()) is not None


def _is_time(text: str) -> bool:
    return not isinstance(read_time(text), Fault | None)


_READS: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("bool", _is_truth),
    ("timestamp", _is_compact_day),
    ("int64", _is_integer),
    ("double", _is_number),
    ("timestamp", _is_time),
)


_MEANS: dict[str, Callable[[str], Any]] = {"int64": lambda text: int(text.partition(".")[0]), "double": float}


def _with_epoch(column: Column) -> Column:
    """Note that whole numbers look like instants: all of them seconds, or so, of our time."""
    return replace(column, epoch=unit_of(column.values))


def as_text(value: Any) -> str:
    """Write a value as a reader of a file would."""
    if isinstance(value, datetime | date):
        return value.isoformat(sep=" ") if isinstance(value, datetime) else value.isoformat()
    return str(value) if not isinstance(value, float | Decimal) else f"{value:g}"
