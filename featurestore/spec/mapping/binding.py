"""Binding: a mapping checked against the source whose events it makes, and what its expressions may read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from featurestore.errors import DefinitionError, ExpressionError, did_you_mean
from featurestore.spec.expression import FAMILY_OF_TYPE, Expression, columns_in, parse
from featurestore.spec.mapping.mapping import EVENT_TYPE, Branch, MappedEvent
from featurestore.spec.mapping.mapping import Mapping as FilesMapping
from featurestore.spec.mapping.place import Scalar
from featurestore.spec.mapping.values import Cumulated, Value

_READ_AS = ("int64", "int32", "double", "bool")


@dataclass(frozen=True)
class Roles:
    """The source, as far as a mapping must know it: its name, its columns with their types, and which of them play a part."""

    name: str
    types: Mapping[str, str]
    event_time: str
    event_id: str | None
    optional: Collection[str] = ()


def check_binding(mapping: FilesMapping, roles: Roles) -> None:
    """Check that a mapping makes the columns of a source, of values that these can have.

    Raises:
        DefinitionError: it makes a column that the source does not have, or one of another type; it makes one of the source's not; or
            its events could not be identified.
    """
    for branch in mapping.branches:
        types = column_types(mapping, branch, roles.types)
        for event in branch.events:
            made = event_values(mapping, event, roles.event_time)
            for column, value in made.items():
                _check_value(mapping, roles, types, column, value)
            if event.when is not None:
                checked(mapping, event.when, types, at=f"{event.at}.when", expected="bool")
    made_somewhere = {column for event in mapping.events for column in event_values(mapping, event, roles.event_time)}
    for column in roles.types:
        is_id = column == roles.event_id
        if column not in made_somewhere and not is_id and column not in roles.optional:
            raise mapping.place.fail(
                f"nothing makes the column {column!r}, which source {roles.name!r} declares. Add it to columns, or say "
                f"optional=({column!r},) on the source."
            )
    _check_id(mapping, roles, made_somewhere)


def agreed_timezone(source: str, timezone: str | None, mapping: FilesMapping | None) -> str | None:
    """Return the zone of times that name none, which a source and its mapping say alike, or one of them not.

    Raises:
        DefinitionError: they say different ones; or the mapping is none.
    """
    if not isinstance(mapping, FilesMapping | None):
        raise DefinitionError(
            f"Source {source!r} has mapping={mapping!r}; write fs.Mapping(...) or fs.Mapping.read('file.yaml')."
        )
    said = None if mapping is None else mapping.timezone
    if mapping is not None and None not in (said, timezone) and said != timezone:
        raise mapping.place.fail(f"{said!r} is not what source {source!r} says: {timezone!r}. Say one of them.", at="timezone")
    return timezone or said


def event_values(mapping: FilesMapping, event: MappedEvent, event_time: str) -> dict[str, Value | Cumulated]:
    """Return what each column of an event is made of, but for an id that is computed."""
    made: dict[str, Value | Cumulated] = {**dict(mapping.columns), **dict(event.set), event_time: event.time}
    return made if event.type is None else {**made, EVENT_TYPE: event.type}


def column_types(mapping: FilesMapping, branch: Branch, schema: Mapping[str, str]) -> dict[str, str]:
    """Return as what the columns of files are read in expressions: as declared, as the column that they become, or as texts."""
    types = {
        value.columns[0]: schema[column]
        for event in branch.events
        for column, value in (*mapping.columns, *event.set)
        if value.is_copy and schema.get(column) in _READ_AS
    }
    for name in branch.sources:
        for column, kind in mapping.source(name).types:
            types |= {column: kind, f"{name}.{column}": kind}
    return types


def checked(mapping: FilesMapping, text: str, types: Mapping[str, str], *, at: str, expected: str | None = None) -> Expression:
    """Check an expression over columns of files; columns of which nothing is known are texts.

    Raises:
        DefinitionError: it is no expression, with the line.
    """
    try:
        known = {column: types.get(column, "string") for column in sorted(columns_in(text))}
        return parse(text, known, expected=expected)
    except ExpressionError as error:
        hint = ""
        if "is a string, expected a number" in str(error) or "cannot be compared" in str(error):
            hint = " Columns of files are texts unless the source says types: {column: double}."
        raise mapping.place.fail(f"{error}{hint}", at=at) from error


def _check_value(mapping: FilesMapping, roles: Roles, types: Mapping[str, str], column: str, value: Value | Cumulated) -> None:
    kind = roles.types.get(column)
    if kind is None:
        raise mapping.place.fail(
            f"source {roles.name!r} has no column {column!r}.{did_you_mean(column, roles.types)}", at=value.at
        )
    if isinstance(value, Cumulated):
        return
    if (value.unit or value.formats) and kind not in ("timestamp", "date"):
        raise mapping.place.fail(f"{column!r} is {kind}, and no time: it has no unit and no format.", at=value.at)
    if value.unit and kind != "timestamp":
        raise mapping.place.fail(f"{column!r} is a date; a number since 1970 is a timestamp.", at=value.at)
    for constant in (value.constant, value.default, *(item for _, item in value.map or ())):
        if not _fits(constant, kind):
            raise mapping.place.fail(f"{constant!r} is no value of {column!r}, which is {kind}.", at=value.at)
    if value.expression is not None:
        family = "string" if value.map is not None else FAMILY_OF_TYPE[kind]
        if family in ("timestamp", "date"):
            raise mapping.place.fail(f"{column!r} is a {kind}; expressions make none. Name a column.", at=value.at)
        checked(mapping, value.expression, types, at=value.at, expected=family)


def _fits(value: Scalar, kind: str) -> bool:
    if value is None or kind == "string":
        return True
    if kind in ("int64", "int32"):
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "double":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, bool) if kind == "bool" else isinstance(value, str)


def _check_id(mapping: FilesMapping, roles: Roles, made: Collection[str]) -> None:
    """Refuse ids that the source has not, cannot hold, or that two events of one row would share."""
    if roles.event_id is None or roles.event_id in made:
        if mapping.id:
            raise mapping.place.fail(
                "it makes an event_id, which the source has not, or columns make already. Leave it out.", at="id"
            )
        return
    if roles.types[roles.event_id] != "string":
        raise mapping.place.fail(
            f"the event_id {roles.event_id!r} of source {roles.name!r} is {roles.types[roles.event_id]}; ids that are computed are "
            "texts. Declare it as string, or name in columns what holds it.",
            at="id",
        )
    for branch in mapping.branches:
        kinds = [None if event.type is None else (event.type.constant, event.type.columns) for event in branch.events]
        twice = next((event for i, event in enumerate(branch.events) if kinds[i] in kinds[:i]), None)
        if twice is not None:
            raise mapping.place.fail("another event of the same rows has its type, so their ids would be one.", at=twice.at)
