"""How a source's CSV files are written: what no look at the bytes can tell for certain."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from featurestore.errors import DefinitionError

_LARGEST_RECORD_BYTES = 1 << 20


@dataclass(frozen=True, init=False)
class Csv:
    r"""The spelling of CSV files. ``Csv()`` is the usual one: quotes double themselves, UTF-8, a header.

    An unquoted empty field and an unquoted ``\N`` are NULL; ``""`` is an empty text. Numbers keep their point unless told
    otherwise: nothing here is guessed but the delimiter.

    Args:
        delimiter: One ASCII character between fields; ``None``: the one of comma, tab, semicolon and bar that finds most of the
            declared columns in the header.
        quote: One ASCII character around fields; ``None``: no field is quoted.
        escape: What stands before a quote inside a quoted field: the quote itself, or a backslash.
        decimal: The point of numbers, ``"."`` or ``","``.
        thousands: What groups the digits of numbers by three, such as ``","``, ``"."`` or a space.
        null: Further spellings of NULL, quoted or not, such as ``("NA", "NULL")``; letters count as they are written.
        comment: What begins lines that are no records.
        header: Whether the first line names the columns.
        names: Names of the columns, in place of the header's or for lack of one.
        encoding: Encoding of the bytes, by Python's names.
        empty_as_null: Whether ``""`` is NULL too.
        max_record_lines: Lines of the longest record. What is longer has a quote that never closes.
        max_record_bytes: Its size.

    Raises:
        DefinitionError: a value that is none of these, or two that contradict each other.

    >>> Csv(delimiter=";", decimal=",").delimiter
    ';'
    """

    delimiter: str | None
    quote: str | None
    escape: str | None
    decimal: str
    thousands: str | None
    null: tuple[str, ...]
    comment: str | None
    header: bool
    names: tuple[str, ...]
    encoding: str
    empty_as_null: bool
    max_record_lines: int
    max_record_bytes: int

    def __init__(
        self,
        *,
        delimiter: str | None = None,
        quote: str | None = '"',
        escape: str | None = None,
        decimal: str = ".",
        thousands: str | None = None,
        null: Sequence[str] = (),
        comment: str | None = None,
        header: bool = True,
        names: Sequence[str] = (),
        encoding: str = "utf-8",
        empty_as_null: bool = False,
        max_record_lines: int = 1_000,
        max_record_bytes: int = _LARGEST_RECORD_BYTES,
    ) -> None:
        for field, value in {
            "delimiter": delimiter,
            "quote": quote,
            "escape": quote if escape is None else escape,
            "decimal": decimal,
            "thousands": thousands,
            "null": _texts("null", null),
            "comment": comment,
            "header": header,
            "names": _texts("names", names),
            "encoding": encoding,
            "empty_as_null": empty_as_null,
            "max_record_lines": max_record_lines,
            "max_record_bytes": max_record_bytes,
        }.items():
            object.__setattr__(self, field, value)
        self._check()

    def document(self) -> dict[str, Any]:
        """Write it as a JSON value, from which ``Csv(**document)`` makes it again."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def _check(self) -> None:
        for name in ("delimiter", "quote", "escape"):
            _check_character(name, getattr(self, name))
        if self.quote is None and self.escape is not None:
            raise DefinitionError(f"Csv has quote=None but escape={self.escape!r}; without quotes there is nothing to escape.")
        if self.delimiter is not None and self.delimiter in (self.quote, self.escape):
            raise DefinitionError(f"Csv has the delimiter {self.delimiter!r} for a quote or escape too; they must differ.")
        if self.decimal not in (".", ","):
            raise DefinitionError(f"Csv has decimal={self.decimal!r}; use '.' or ','.")
        if self.thousands is not None:
            _check_thousands(self.thousands, self.decimal)
        if self.comment is not None and (not self.comment or self.comment.isspace()):
            raise DefinitionError(f"Csv has comment={self.comment!r}; give what begins comment lines, such as '#', or None.")
        if not self.header and not self.names:
            raise DefinitionError(
                "Csv has header=False but no names; say names=[...], one for each column in the file's order."
            )
        twice = sorted({name for name in self.names if name and self.names.count(name) > 1})
        if twice:
            raise DefinitionError(f"Csv names the column {twice[0]!r} twice. Use '' for columns to ignore.")
        for name, least in (("max_record_lines", 1), ("max_record_bytes", 1024)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise DefinitionError(f"Csv has {name}={value!r}; use a whole number from {least:,} on.")
        _check_encoding(self.encoding)


def _texts(field: str, given: Sequence[str]) -> tuple[str, ...]:
    if isinstance(given, str):
        raise DefinitionError(f"Csv has {field}={given!r}; write [{given!r}].")
    wrong = [value for value in given if not isinstance(value, str)]
    if wrong:
        raise DefinitionError(f"Csv has {wrong[0]!r} in {field}; use texts.")
    return tuple(given)


def _check_character(field: str, value: str | None) -> None:
    if value is not None and (not isinstance(value, str) or len(value) != 1 or not value.isascii() or value in "\r\n\0"):
        raise DefinitionError(f"Csv has {field}={value!r}; use one ASCII character that is no line break.")


def _check_thousands(thousands: str, decimal: str) -> None:
    if len(thousands) != 1 or thousands == decimal or thousands.isalnum() or thousands in "+-":
        raise DefinitionError(f"Csv has thousands={thousands!r} and decimal={decimal!r}; use another character than the point.")


def _check_encoding(encoding: str) -> None:
    try:
        is_text = codecs.lookup(encoding)._is_text_encoding
    except LookupError:
        is_text = False
    if not is_text:
        raise DefinitionError(
            f"Csv has encoding={encoding!r}, which Python does not know. Use a name such as 'utf-8', "
            "'gb18030', 'latin-1' or 'utf-16'."
        )
