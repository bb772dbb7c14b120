"""Event sources: append-only streams of facts, each with a schema."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from featurestore.errors import DefinitionError, did_you_mean
from featurestore.spec.csv_format import Csv
from featurestore.spec.initial_load import initial_load_end
from featurestore.spec.landing_place import LandingPlace, checked_landing
from featurestore.spec.mapping import Mapping as FilesMapping
from featurestore.spec.mapping.binding import Roles, agreed_timezone, check_binding
from featurestore.spec.names import checked_column, checked_name
from featurestore.spec.types import hint_of, schema_type
from featurestore.timeline import zone_of

ID_SCOPES = ("source", "month")
QUARANTINE, AT_INGEST = "quarantine", "at_ingest"
HIDDEN_ID = "$event_id"
"""Column of committed events that identifies those of a source without an event_id."""
LARGEST_DOUBLE = 2.0**62
"""A double beyond is no measurement, and sums of such would have no bound; it is quarantined unless its column is ``wide``."""
# Columns that the lake adds when it writes and reads events.
RESERVED_COLUMNS = ("month", "filename", "file_row_number")


@dataclass(frozen=True, init=False)
class EventSource:
    """One append-only stream of facts.

    Args:
        name: Lower-case identifier.
        schema: Column to type: ``int64``, ``int32``, ``double``, ``string``, ``bool``, ``timestamp`` (microseconds UTC) or ``date``;
            or the Python or Arrow type that is the same (``int``, ``float``, ``datetime``, ``pa.int64()``).
        event_time: Column that says when it happened; never NULL.
        event_id: Column that identifies an event in its source; int64 or string, never NULL. ``None``: there is none. Then an
            event is identified by the columns of the source's first declaration, but ingested_at, and its number among
            equal rows of one file, or of one load of rows that come from no file. What is delivered again is
            recognised, equal rows of one file stay; nothing can be corrected.
        ingested_at: Column that says when we learned of it. Without one, event_time serves, and a second content of an
            event_id is a conflict.
        order_by: Columns whose greatest values count, in this order, among versions of an event with one ingested_at; NULL is the
            smallest. Without any, or where these are equal too, it is the place in the load: file in name order, row in the file. A
            source without ingested_at can then be ingested with ``replace=True`` only.
        unstamped: What becomes of rows whose ingested_at is NULL: ``"quarantine"``, or ``"at_ingest"``: they are known from their
            ingest on.
        initial_load_until: A date or time, in ``timezone`` where it names no zone; rows with an earlier ingested_at are of a
            history that was loaded in bulk. In as-known mode they count as known when they happened, since their ingested_at says
            only when they were loaded.
        timezone: Zone of times that name none: timestamps without a zone, dates given for timestamps, texts. ``None``: the store's.
        landing: Folder below the store's root that ``ingest()`` without rows and the Dagster assets read, by default
            ``landing/<name>``; the month of a file is that of the first date in its path. Or a pattern with ``{date}`` or
            ``{month}``, such as ``"dt={date}/*.parquet"``, with ``* ? **`` besides, below the default folder or one that it begins
            with.
        id_scope: ``"source"``: an event_id is unique over the whole history. ``"month"``: only within its month.
        values: Allowed values of string columns; other values go to quarantine.
        csv: How its CSV files are written; ``None``: as usual.
        optional: Columns that files may lack: their rows have NULL there. Not event_id and event_time. A column that is declared
            after rows were committed is optional by itself, since older files cannot have it.
        wide: Double columns in which values beyond 2^62 are meant; in other columns such a value sends its row to quarantine, so
            that one row cannot stop a view. No aggregate that adds up takes them.
        mapping: How files of a foreign shape become its events: ``ingest``, the landing folder and the Dagster assets read them so.
            ``None``: files have its columns.

    Attributes:
        earlier: Columns that are not what the rows that were committed first had, with the type that they had then; ``None``:
            there was no such column. The store notes it when a changed source is applied.

    Raises:
        DefinitionError: an unknown type, a column that differs from another only in its case or is reserved, a role whose
            column is missing or of the wrong type, or a landing that is neither a folder below the store nor such a pattern.
    """

    name: str
    schema: tuple[tuple[str, str], ...]
    event_time: str
    event_id: str | None
    ingested_at: str | None
    initial_load_until: str | None
    timezone: str | None
    landing: str | None
    id_scope: str
    values: tuple[tuple[str, tuple[str, ...]], ...]
    description: str
    csv: Csv | None
    optional: tuple[str, ...]
    order_by: tuple[str, ...]
    unstamped: str
    wide: tuple[str, ...]
    mapping: FilesMapping | None
    earlier: tuple[tuple[str, str | None], ...] = field(default=(), compare=False)

    def __init__(
        self,
        name: str,
        *,
        schema: Mapping[str, object],
        event_time: str,
        event_id: str | None,
        ingested_at: str | None = None,
        initial_load_until: str | date | None = None,
        timezone: str | None = None,
        landing: str | Path | None = None,
        id_scope: str = "source",
        values: Mapping[str, Sequence[str]] | None = None,
        description: str = "",
        csv: Csv | None = None,
        optional: Sequence[str] = (),
        order_by: Sequence[str] = (),
        unstamped: str = QUARANTINE,
        wide: Sequence[str] = (),
        mapping: FilesMapping | None = None,
    ) -> None:
        checked_name(name, "an event source")
        if csv is not None and not isinstance(csv, Csv):
            raise DefinitionError(f"Source {name!r} has csv={csv!r}; write fs.Csv(...).")
        schema = _checked_schema(name, schema)
        _check_role(name, schema, "event_time", event_time, ("timestamp",))
        if event_id is not None:
            _check_role(name, schema, "event_id", event_id, ("int64", "string"))
        if ingested_at is not None:
            _check_role(name, schema, "ingested_at", ingested_at, ("timestamp",))
        if timezone is not None:
            zone_of(timezone)
        if id_scope not in ID_SCOPES:
            raise DefinitionError(f"Source {name!r} has id_scope={id_scope!r}; use 'source' or 'month'.")
        for attribute, value in {
            "name": name,
            "schema": tuple(schema.items()),
            "event_time": event_time,
            "event_id": event_id,
            "ingested_at": ingested_at,
            "initial_load_until": initial_load_end(name, initial_load_until, ingested_at, timezone),
            "timezone": agreed_timezone(name, timezone, mapping),
            "landing": checked_landing(landing, name),
            "id_scope": "month" if event_id is None else id_scope,  # its time is part of what identifies an event
            "values": _checked_values(name, schema, values),
            "description": description,
            "csv": csv,
            "optional": _checked_optional(name, schema, optional, never=(event_id, event_time)),
            "order_by": _checked_order(name, schema, order_by, event_id, ingested_at),
            "unstamped": _checked_unstamped(name, unstamped, ingested_at),
            "wide": _columns_of(name, schema, "wide", wide, "price", ("double",)),
            "mapping": mapping,
        }.items():
            object.__setattr__(self, attribute, value)
        if mapping is not None:
            check_binding(mapping, Roles(name, schema, event_time, event_id, self.optional))

    def mapped_by(self, mapping: FilesMapping) -> EventSource:
        """Return the source with another mapping, and the zone that it says.

        Raises:
            DefinitionError: it does not make the source's columns.
        """
        changed = copy.copy(self)
        optional = [column for column in self.types if self.may_lack(column)]
        check_binding(mapping, Roles(self.name, self.types, self.event_time, self.event_id, optional))
        object.__setattr__(changed, "mapping", mapping)
        object.__setattr__(changed, "timezone", mapping.timezone or self.timezone)
        return changed

    @property
    def landing_place(self) -> LandingPlace:
        """What ``landing`` says."""
        return LandingPlace.parse(self.landing)

    @property
    def types(self) -> dict[str, str]:
        """Column to declared type, in schema order."""
        return dict(self.schema)

    @property
    def id_column(self) -> str:
        """Column of committed events that identifies them."""
        return self.event_id or HIDDEN_ID

    @property
    def stored(self) -> dict[str, str]:
        """Column to type of what is kept of an event: those of the schema, and the hidden one that identifies it."""
        return self.types if self.event_id is not None else {**self.types, HIDDEN_ID: "string"}

    @property
    def first_columns(self) -> tuple[str, ...]:
        """Columns of the source's first declaration."""
        earlier = dict(self.earlier)
        return tuple(column for column in self.types if earlier.get(column, "") is not None)

    def may_lack(self, column: str) -> bool:
        """Tell whether a file without a column is accepted."""
        return column in self.optional or dict(self.earlier).get(column, "") is None


def _checked_values(
    name: str, schema: Mapping[str, str], values: Mapping[str, Sequence[str]] | None
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if not isinstance(values, Mapping | None):
        raise DefinitionError(f"Source {name!r} has values={values!r}; give columns and what they may hold: {{'kind': ['a']}}.")
    for column, allowed in (values or {}).items():
        _check_role(name, schema, "values", column, ("string",))
        if not isinstance(allowed, Iterable):
            raise DefinitionError(f"values of {column!r} in source {name!r} is {allowed!r}; give a list of texts.")
        if isinstance(allowed, str):
            raise DefinitionError(f"values of {column!r} in source {name!r} is the text {allowed!r}; write [{allowed!r}].")
    return tuple((column, tuple(allowed)) for column, allowed in (values or {}).items())


def _checked_schema(name: str, schema: Mapping[str, object]) -> dict[str, str]:
    """Return a schema in the words of ``SCHEMA_TYPES``."""
    if not isinstance(schema, Mapping):
        raise DefinitionError(f"Source {name!r} has schema={schema!r}; give columns and their types: {{'event_id': 'int64'}}.")
    _check_columns(name, schema)
    types = {column: schema_type(kind) for column, kind in schema.items()}
    for column, kind in types.items():
        if kind is None:
            given = schema[column]
            raise DefinitionError(f"Column {column!r} of source {name!r} has the type {given!r}.{hint_of(given)}")
    return {column: kind for column, kind in types.items() if kind is not None}


def _check_columns(name: str, schema: Mapping[str, object]) -> None:
    spelled: dict[str, str] = {}
    for column in schema:
        checked_column(column, f"source {name!r}")
        if column.lower() in RESERVED_COLUMNS:
            raise DefinitionError(f"Column {column!r} of source {name!r} has a name that the lake uses itself; rename it.")
        other = spelled.setdefault(column.lower(), column)
        if other != column:
            raise DefinitionError(f"Columns {other!r} and {column!r} of source {name!r} differ only in their case; rename one.")


def _columns_of(
    name: str, schema: Mapping[str, str], role: str, given: Sequence[str], example: str, kinds: tuple[str, ...] = ()
) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise DefinitionError(f"Source {name!r} has {role}={given!r}; give a list of columns: {role}=({example!r},).")
    columns = tuple(dict.fromkeys(given))
    for column in columns:
        _check_role(name, schema, role, column, kinds or tuple(schema.values()))
    return columns


def _checked_order(
    name: str, schema: Mapping[str, str], order_by: Sequence[str], event_id: str | None, ingested_at: str | None
) -> tuple[str, ...]:
    columns = _columns_of(name, schema, "order_by", order_by, "updated_at")
    if columns and event_id is None:
        raise DefinitionError(
            f"Source {name!r} has order_by={columns!r} but no event_id: without one no row is another version of an event. "
            "Leave it out, or name the event_id."
        )
    for column in columns:
        if column in (event_id, ingested_at):
            role = "event_id" if column == event_id else "ingested_at"
            raise DefinitionError(
                f"Source {name!r} has its {role} {column!r} in order_by, which tells apart versions of which it is the same. "
                "Name another column."
            )
    return columns


def _checked_unstamped(name: str, unstamped: str, ingested_at: str | None) -> str:
    if unstamped not in (QUARANTINE, AT_INGEST):
        raise DefinitionError(f"Source {name!r} has unstamped={unstamped!r}; use {QUARANTINE!r} or {AT_INGEST!r}.")
    if unstamped != QUARANTINE and ingested_at is None:
        raise DefinitionError(
            f"Source {name!r} has unstamped={unstamped!r} but no ingested_at, which alone can be unstamped. Leave it out."
        )
    return unstamped


def _checked_optional(
    name: str, schema: Mapping[str, str], optional: Sequence[str], never: Sequence[str | None]
) -> tuple[str, ...]:
    columns = _columns_of(name, schema, "optional", optional, "coupon")
    for column in columns:
        if column in never:
            raise DefinitionError(f"Column {column!r} of source {name!r} cannot be optional: no event is without it.")
    return columns


def _check_role(name: str, schema: Mapping[str, str], role: str, column: str, types: tuple[str, ...]) -> None:
    if not isinstance(column, str):
        raise DefinitionError(f"Source {name!r} has {role}={column!r}; give the name of a column: {', '.join(schema)}.")
    if column not in schema:
        raise DefinitionError(f"Source {name!r} has no column {column!r}, named as {role}.{did_you_mean(column, schema)}")
    if schema[column] not in types:
        raise DefinitionError(f"{role} of source {name!r} must be {' or '.join(types)}; column {column!r} is {schema[column]}.")
