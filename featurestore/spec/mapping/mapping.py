"""A mapping: one declarative value that says how files of a foreign shape become events of a source."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from featurestore.errors import DefinitionError, did_you_mean
from featurestore.spec.mapping.files import ForeignFiles, Join, files_of, join_of
from featurestore.spec.mapping.place import Place
from featurestore.spec.mapping.values import QUARANTINE, Cumulated, Value, time_of, value_of
from featurestore.spec.mapping.yaml_lines import read_yaml
from featurestore.timeline import UTC, to_us, zone_of

EVENT_TYPE = "event_type"
IGNORE = "ignore"
_KEYS = ("name", "sources", "joins", "timezone", "id", "columns", "time", "event_type", "events", "accept", "on_no_event")
_EVENT_KEYS = ("source", "type", "time", "when", "set")


@dataclass(frozen=True)
class MappedEvent:
    """One event that a row may become.

    Args:
        at: Its way in the document.
        source: The files whose rows become it, with what is joined to them.
        type: What its event_type is; ``None``: it has none.
        time: When it happened.
        when: Condition over columns that must be true; ``None``: always.
        set: Column of the event to what it is made of, besides the mapping's ``columns``.
        is_single: Whether no other event comes of the same rows: then one without time is invalid, not yet to happen.
    """

    at: str
    source: str
    type: Value | None
    time: Value | Cumulated
    when: str | None
    set: tuple[tuple[str, Value], ...]
    is_single: bool = False


@dataclass(frozen=True)
class Branch:
    """Files whose rows become events, what is joined to them, and the events; a delivery of it needs all of its files."""

    root: str
    joins: tuple[Join, ...]
    events: tuple[MappedEvent, ...]

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of its files, the root first."""
        return (self.root, *(join.right for join in self.joins))


@dataclass(frozen=True, init=False)
class Mapping:
    """How files of a foreign shape become events of a source: ``EventSource(mapping=)``, or ``ingest(mapping=)``.

    The arguments are the keys of a YAML document (``Mapping.read``), as texts, lists and dictionaries; docs/mappings.md has all.

    Args:
        name: What it is called; a part of the ids that it makes.
        sources: Name to files: ``glob``, how CSV is written (the arguments of ``fs.Csv``), ``types``, ``optional``, ``required``,
            ``parts``.
        joins: ``left``, ``right`` and ``on``: rows of ``right`` that belong to each row of ``left``, or NULLs where there are none.
        timezone: Zone of times that name none.
        id: Columns that identify a row of the files; with event type and name of the mapping they make the event_id.
        columns: Column of the event to what it is made of: a column of the files, or a table with one of ``column``, ``expression``
            and ``constant``.
        time: When events happened, where they say nothing else.
        event_type: What the column ``event_type`` is made of, where events name no type.
        events: ``type``, ``time``, ``when``, ``set`` and ``source`` of each event that a row may become; by default it is one.
        accept: ``time_from`` and ``time_to``: other times go to quarantine.
        on_no_event: ``"quarantine"`` or ``"ignore"``: what becomes of rows of which no event comes.

    Raises:
        DefinitionError: an unknown key, a value that is none, or two that contradict each other; it names file, line and key.

    >>> Mapping("clicks", sources={"log": {"glob": "*.csv"}}, time={"column": "ts", "unit": "ms"}).branches[0].root
    'log'
    """

    name: str
    text: str
    sources: tuple[ForeignFiles, ...] = field(compare=False)
    joins: tuple[Join, ...] = field(compare=False)
    timezone: str | None = field(compare=False)
    id: tuple[str, ...] = field(compare=False)
    columns: tuple[tuple[str, Value], ...] = field(compare=False)
    events: tuple[MappedEvent, ...] = field(compare=False)
    accept_us: tuple[int | None, int | None] = field(compare=False)
    on_no_event: str = field(compare=False)
    place: Place = field(compare=False, repr=False)

    def __init__(
        self,
        name: str,
        *,
        sources: AnyMapping[str, Any],
        joins: Sequence[AnyMapping[str, Any]] = (),
        timezone: str | None = None,
        id: str | Sequence[str] = (),  # noqa: A002
        columns: AnyMapping[str, Any] | None = None,
        time: Any = None,
        event_type: Any = None,
        events: Sequence[AnyMapping[str, Any]] = (),
        accept: AnyMapping[str, Any] | None = None,
        on_no_event: str = QUARANTINE,
    ) -> None:
        given = {
            "name": name,
            "sources": sources,
            "joins": joins,
            "timezone": timezone,
            "id": id,
            "columns": columns,
            "time": time,
            "event_type": event_type,
            "events": events,
            "accept": accept,
            "on_no_event": None if on_no_event == QUARANTINE else on_no_event,
        }
        origin = f"Mapping {name!r}"
        try:
            document = json.loads(json.dumps({key: value for key, value in given.items() if value not in (None, (), [], "")}))
        except (TypeError, ValueError) as error:
            raise DefinitionError(f"{origin} is made of texts, numbers, lists and dictionaries: {error}.") from error
        self._read(Place(document, "", origin))

    @classmethod
    def read(cls, path: str | Path) -> Mapping:
        """Read a mapping from a YAML file.

        Raises:
            DefinitionError: the file cannot be read, or is no mapping; with the line.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DefinitionError(
                f"The mapping {path} cannot be read: {error}. Give the path of a YAML file in UTF-8."
            ) from error
        value, lines = read_yaml(text, str(path))
        return cls._of(Place(value, "", str(path), lines))

    @classmethod
    def from_document(cls, document: AnyMapping[str, Any]) -> Mapping:
        """Read a mapping from ``document()``'s form."""
        return cls._of(Place(dict(document), "", f"Mapping {document.get('name')!r}"))

    @classmethod
    def _of(cls, place: Place) -> Mapping:
        mapping = object.__new__(cls)
        mapping._read(place)
        return mapping

    def document(self) -> dict[str, Any]:
        """Write it as a JSON value: the keys and values that were given."""
        value: dict[str, Any] = json.loads(self.text)
        return value

    @property
    def branches(self) -> tuple[Branch, ...]:
        """The kinds of rows that become events, in the order of their first events."""
        roots = dict.fromkeys(event.source for event in self.events)
        return tuple(
            Branch(root, self._joined_to(root), tuple(event for event in self.events if event.source == root)) for root in roots
        )

    def source(self, name: str) -> ForeignFiles:
        """Return the files of a name."""
        return next(files for files in self.sources if files.name == name)

    def _joined_to(self, root: str) -> tuple[Join, ...]:
        """List the joins that follow from a root, each after the one that brings its left side."""
        reached, found = {root}, list[Join]()
        waiting = list(self.joins)
        while follows := next((join for join in waiting if join.left in reached and join.right not in reached), None):
            found.append(follows)
            reached.add(follows.right)
            waiting.remove(follows)
        return tuple(found)

    def _read(self, place: Place) -> None:
        found = place.keys(_KEYS, required=("name", "sources"))
        sources = tuple(files_of(item, name) for name, item in found["sources"].entries().items())
        if not sources:
            raise found["sources"].fail("there are no files; name at least one: {log: {glob: '*.csv'}}.")
        names = [files.name for files in sources]
        joins = tuple(join_of(item, names) for item in found["joins"].items()) if "joins" in found else ()
        columns = found["columns"].entries() if "columns" in found else {}
        timezone = found["timezone"].text() if "timezone" in found else None
        try:
            zone = None if timezone is None else zone_of(timezone)
        except DefinitionError as error:
            raise found["timezone"].fail(str(error)) from error
        accept = found["accept"].keys(("time_from", "time_to")) if "accept" in found else {}
        for attribute, value in {
            "name": found["name"].text(),
            "text": json.dumps({key: found[key].value for key in _KEYS if key in found}, ensure_ascii=False),
            "place": place,
            "sources": sources,
            "joins": joins,
            "timezone": timezone,
            "id": found["id"].texts() if "id" in found else (),
            "columns": tuple((column, value_of(item)) for column, item in columns.items()),
            "events": tuple(_events(found, place, names, joins)),
            "accept_us": tuple(_instant_us(accept[key], zone) if key in accept else None for key in ("time_from", "time_to")),
            "on_no_event": found["on_no_event"].word((QUARANTINE, IGNORE)) if "on_no_event" in found else QUARANTINE,
        }.items():
            object.__setattr__(self, attribute, value)
        reached = {name for branch in self.branches for name in branch.sources}
        lost = next((files for files in sources if files.name not in reached), None)
        if lost is not None:
            raise place.fail(
                "no event reads it, and nothing joins it. Join it, or name it as the source of an event.", at=lost.at
            )


def _events(found: dict[str, Place], whole: Place, names: Sequence[str], joins: Sequence[Join]) -> Iterable[MappedEvent]:
    roots = [name for name in names if name not in {join.right for join in joins}] or list(names)
    given = found["events"].items() if "events" in found else [Place({}, "", whole.origin, whole.lines)]
    kept = list[tuple[Place, dict[str, Place], str]]()
    for place in given:
        keys = place.keys(_EVENT_KEYS)
        if "source" not in keys and len(roots) > 1:
            raise place.fail(f"of which files does it come? Say source: one of {', '.join(names)}.")
        source = keys["source"].text() if "source" in keys else roots[0]
        if source not in names:
            raise keys["source"].fail(f"there is no source {source!r}.{did_you_mean(source, names)}")
        kept.append((place, keys, source))
    for place, keys, source in kept:
        time = keys.get("time", found.get("time"))
        if time is None:
            raise place.fail("when did it happen? Say time: the name of a column, or a table with column and unit or format.")
        yield MappedEvent(
            place.path,
            source,
            _type(keys, found),
            time_of(time),
            keys["when"].text() if "when" in keys else None,
            tuple((column, value_of(item)) for column, item in keys["set"].entries().items()) if "set" in keys else (),
            is_single=sum(other == source for _, _, other in kept) == 1,
        )


def _type(keys: dict[str, Place], found: dict[str, Place]) -> Value | None:
    if "type" in keys:
        return Value(keys["type"].path, constant=keys["type"].text())
    return value_of(found["event_type"]) if "event_type" in found else None


def _instant_us(place: Place, zone: Any) -> int:
    text = place.text()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise place.fail(f"{text!r} is no time such as 2017-11-24T16:00Z.") from None
    if moment.tzinfo is None and zone is None:
        raise place.fail(f"{text!r} names no zone, nor does the mapping. Write an offset such as {text}Z, or say timezone.")
    return to_us((moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).astimezone(UTC))
