"""A look at files: what a first module of definitions needs to know of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from featurestore.errors import DefinitionError, IngestError
from featurestore.scaffold.columns import Column, look_at
from featurestore.scaffold.module import Found, identifier
from featurestore.scaffold.roles import roles_of
from featurestore.scaffold.sample import Sample, read_sample
from featurestore.scaffold.words import ROW_NUMBERS, words_of
from featurestore.spec.csv_format import Csv
from featurestore.spec.source import RESERVED_COLUMNS, EventSource

_LOOKED_AT = 5
_RESERVED = "the lake has a column of that name itself"


@dataclass(frozen=True)
class Look:
    """What some files hold, before anything has a role.

    Args:
        files: All files that were given, in order of name.
        rows: Rows that were looked at.
        columns: Column to what its values are; named as a source can name them.
        left_out: Columns that a source cannot have, with the reason.
        csv: How the files are written, if they are CSV.
        renamed: Column to its name in the files, where these are no CSV and a source could not have that name.
        differing: Files whose columns are others than those of most: no events of this source.
    """

    files: tuple[Path, ...]
    rows: int
    columns: Mapping[str, Column]
    left_out: Mapping[str, str]
    csv: Csv | None
    renamed: Mapping[str, str]
    differing: tuple[Path, ...]

    def found(
        self,
        name: str,
        *,
        timezone: str,
        time: str | None = None,
        time_format: str | None = None,
        event_id: str | None = None,
        keys: Sequence[str] = (),
    ) -> Found:
        """Give the columns their roles; see ``roles_of``.

        Raises:
            DefinitionError: as ``roles_of``; or nothing says which of day and month comes first.
        """
        roles = roles_of(self.columns, time=time, event_id=event_id, keys=keys)
        formats = self.columns[roles.time.column].time_formats
        if len(formats) > 1 and time_format not in formats:
            column = self.columns[roles.time.column]
            raise DefinitionError(
                f"{column.name!r} holds dates such as {column.values[0]!r}, whose day and month could be either. Say "
                f"--time-format {formats[0]!r} or {formats[1]!r}."
            )
        files = self.files[0].name if len(self.files) == 1 else f"{len(self.files):,} files"
        form = time_format or (formats[0] if formats else None)
        what = self.columns, roles, self.csv, timezone, self.left_out, self.renamed, form
        return Found(identifier(name), files, self.rows, *what)


def look(files: Sequence[Path]) -> Look:
    """Look at files of events: the first, the last and some between; those with other columns are told, not mixed.

    Raises:
        IngestError: there are none, one cannot be read, or they are of several formats.
    """
    if not files:
        raise IngestError("There are no files to look at.")
    samples = [read_sample(path) for path in _some(files)]
    formats = sorted({sample.format for sample in samples})
    if len(formats) > 1:
        raise IngestError(f"The files are of several formats: {', '.join(formats)}. Look at those of one at a time.")
    shapes = [tuple(sample.columns) for sample in samples]
    chosen = max(
        dict.fromkeys(shapes), key=lambda shape: sum(_size(sample) for sample in samples if tuple(sample.columns) == shape)
    )
    same = [sample for sample in samples if tuple(sample.columns) == chosen]
    differing = tuple(sample.path for sample in samples if tuple(sample.columns) != chosen)
    first = same[0]
    names = _names(first)
    columns, csv = dict[str, Column](), first.csv
    left_out = {given: _RESERVED for given in first.columns if given.lower() in RESERVED_COLUMNS}
    for given, name in names.items():
        values = [value for sample in same for value in sample.columns[given]]
        column = replace(look_at(given, values, first.types.get(given)), name=name)
        if column.type is None:
            left_out[given] = "its values are of no type that a source has"
        elif _numbers_rows(column):
            left_out[given] = "it numbers the rows of a file"
        else:
            columns[name] = column
    renamed = {} if csv is not None else {name: given for given, name in names.items() if name != given}
    if csv is not None:
        csv = _told(csv, first.columns, names, columns.values())
    return Look(tuple(files), sum(_size(sample) for sample in same), columns, left_out, csv, renamed, differing)


def _some(files: Sequence[Path]) -> list[Path]:
    """Take the first, the last and some between."""
    if len(files) <= _LOOKED_AT:
        return list(files)
    step = (len(files) - 1) / (_LOOKED_AT - 1)
    return [files[round(i * step)] for i in range(_LOOKED_AT)]


def _numbers_rows(column: Column) -> bool:
    """Tell whether a column was added by whoever wrote the file: whole numbers that rise, under such a name."""
    is_named = not column.name or set(ROW_NUMBERS).intersection(words_of(column.name))
    return bool(is_named) and column.type == "int64" and list(column.values) == sorted(set(column.values))


def _size(sample: Sample) -> int:
    return len(next(iter(sample.columns.values()), ()))


def _names(sample: Sample) -> dict[str, str]:
    """Map a file's columns to names that a source can have."""
    names = dict[str, str]()
    for given in sample.columns:
        if given.lower() in RESERVED_COLUMNS:
            continue
        try:
            EventSource("events", schema={given: "timestamp"}, event_time=given, event_id=None)
            names[given] = given
        except DefinitionError:
            names[given] = identifier(given, taken=[*names.values(), *sample.columns])
    return names


def _told(csv: Csv, given_columns: Iterable[str], names: Mapping[str, str], columns: Iterable[Column]) -> Csv:
    """Add what the look at the values has shown of a CSV."""
    changed: dict[str, Any] = {}
    looked = list(columns)
    if list(names) != list(names.values()):
        changed["names"] = [names.get(given, "") for given in given_columns]
    words = sorted({word for column in looked for word in column.null_words if column.type != "string"})
    changed |= {"null": words} if words else {}
    changed |= {"decimal": ","} if any(column.has_comma for column in looked) else {}
    return Csv(**{**csv.document(), **changed})
