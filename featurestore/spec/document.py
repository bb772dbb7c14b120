"""Definitions as JSON values and back, and their fingerprints. No pickle: a registry can be read by people and by other tools."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from featurestore.spec.aggregations import Aggregation, aggregation_document, aggregation_from
from featurestore.spec.calibration import Calibration
from featurestore.spec.csv_format import Csv
from featurestore.spec.entity import Entity
from featurestore.spec.evolution import with_earlier
from featurestore.spec.expression import parse
from featurestore.spec.joined import JoinedView
from featurestore.spec.mapping import Mapping as FilesMapping
from featurestore.spec.outcome import Outcome
from featurestore.spec.service import FeatureService
from featurestore.spec.source import QUARANTINE, EventSource
from featurestore.spec.view import Derived, FeatureView

Definition = Entity | EventSource | FeatureView | JoinedView | FeatureService | Calibration
Document = dict[str, Any]
# What no value of a feature depends on.
_NO_MEANING = (
    "owner",
    "description",
    "tags",
    "segments",
    "csv",
    "optional",
    "earlier",
    "order_by",
    "unstamped",
    "wide",
    "mapping",
)
KIND_OF = {
    Entity: "entity",
    EventSource: "source",
    FeatureView: "view",
    JoinedView: "joined_view",
    FeatureService: "service",
    Calibration: "calibration",
}


def document(definition: Definition) -> Document:
    """Write a definition as a JSON value; a view names its entity and source, a joined view its views."""
    if isinstance(definition, Entity):
        return {"name": definition.name, "key": list(definition.keys), "description": definition.description}
    if isinstance(definition, EventSource):
        return _source_document(definition)
    if isinstance(definition, FeatureView):
        return _view_document(definition)
    if isinstance(definition, JoinedView):
        return _joined_document(definition)
    if isinstance(definition, FeatureService):
        return {
            "name": definition.name,
            "features": list(definition.features),
            "owner": definition.owner,
            "description": definition.description,
        }
    return {
        "name": definition.name,
        "fit": definition.fit,
        "inputs": list(definition.inputs),
        "by": definition.by,
        "loss": definition.loss,
        "consumers": {name: dict(definition.weights).get(name) for name in definition.consumers},
        "description": definition.description,
    }


def _source_document(source: EventSource) -> Document:
    value: Document = {
        "name": source.name,
        "schema": dict(source.schema),
        "event_time": source.event_time,
        "event_id": source.event_id,
        "ingested_at": source.ingested_at,
        "initial_load_until": source.initial_load_until,
        "timezone": source.timezone,
        "landing": source.landing,
        "id_scope": source.id_scope,
        "values": {column: list(allowed) for column, allowed in source.values},
        "description": source.description,
    }
    value |= {} if source.csv is None else {"csv": source.csv.document()}
    value |= {"optional": list(source.optional)} if source.optional else {}
    value |= {"order_by": list(source.order_by)} if source.order_by else {}
    value |= {"unstamped": source.unstamped} if source.unstamped != QUARANTINE else {}
    value |= {"wide": list(source.wide)} if source.wide else {}
    value |= {} if source.mapping is None else {"mapping": source.mapping.document()}
    return value | ({"earlier": dict(source.earlier)} if source.earlier else {})


def _view_document(view: FeatureView) -> Document:
    return {
        "name": view.name,
        "entity": view.entity.name,
        "source": view.source.name,
        "grain": view.grain,
        "aggregations": [aggregation_document(aggregation) for aggregation in view.aggregations],
        "derived": [_derived_document(item) for item in view.derived],
        "join_keys": dict(view.join_keys),
        "event_time": view.event_time,
        "segments": list(view.segments),
        "delay": view.delay,
        "owner": view.owner,
        "description": view.description,
        "tags": dict(view.tags),
    }


def _derived_document(item: Derived) -> Document:
    value: Document = {"name": item.name, "expression": item.expression}
    return value if item.outcome is None else value | {"outcome": asdict(item.outcome)}


def _derived_from(value: Mapping[str, Any]) -> Derived:
    outcome = Outcome(**value["outcome"]) if "outcome" in value else None
    return Derived(value["name"], value["expression"], outcome)


def _joined_document(joined: JoinedView) -> Document:
    return {
        "name": joined.name,
        "views": [view.name for view in joined.views],
        "keys": dict(joined.keys),
        "derived": [_derived_document(item) for item in joined.derived],
        "owner": joined.owner,
        "description": joined.description,
    }


def entity_from(value: Mapping[str, Any]) -> Entity:
    """Read an entity from its document."""
    return Entity(value["name"], key=tuple(value["key"]), description=value["description"])


def source_from(value: Mapping[str, Any]) -> EventSource:
    """Read an event source from its document.

    Its landing is not checked anew: an older store may have recorded one that is refused today, and is read as it is.
    """
    arguments = {name: item for name, item in value.items() if name not in ("name", "csv", "landing", "earlier", "mapping")}
    mapping = FilesMapping.from_document(value["mapping"]) if "mapping" in value else None
    source = EventSource(value["name"], **arguments, csv=Csv(**value["csv"]) if "csv" in value else None, mapping=mapping)
    object.__setattr__(source, "landing", value.get("landing"))
    return with_earlier(source, value.get("earlier", {}))


def view_from(value: Mapping[str, Any], entity: Entity, source: EventSource) -> FeatureView:
    """Read a view from its document and the parents that it names."""
    arguments = {
        name: item for name, item in value.items() if name not in ("name", "entity", "source", "aggregations", "derived")
    }
    return FeatureView(
        value["name"],
        entity=entity,
        source=source,
        aggregations=[aggregation_from(item) for item in value["aggregations"]],
        derived=[_derived_from(item) for item in value["derived"]],
        **arguments,
    )


def joined_from(value: Mapping[str, Any], views: Mapping[str, FeatureView]) -> JoinedView:
    """Read a joined view from its document; ``views`` are those that it names, perhaps with others."""
    arguments = {name: item for name, item in value.items() if name not in ("name", "views", "derived")}
    return JoinedView(
        value["name"],
        views=[views[name] for name in value["views"]],
        derived=[_derived_from(item) for item in value["derived"]],
        **arguments,
    )


def service_from(value: Mapping[str, Any]) -> FeatureService:
    """Read a service from its document."""
    arguments = {name: item for name, item in value.items() if name != "name"}
    return FeatureService(value["name"], **arguments)


def calibration_from(value: Mapping[str, Any]) -> Calibration:
    """Read a calibration from its document."""
    arguments = {name: item for name, item in value.items() if name != "name"}
    return Calibration(value["name"], **arguments)


def digest(value: object) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of a JSON value; keys are sorted, so their order does not matter."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def fingerprint(definition: Definition) -> str:
    """Hash a definition with its parents: it changes when, and only when, what its features mean changes.

    How files are spelled is not in it: the events that were read from them are the same. Nor is, for a view, what its source has
    gained that the view does not read.
    """
    value: Document = {**document(definition)}
    if isinstance(definition, FeatureView):
        source = document(definition.source) | {"schema": _types_read(definition)}
        value["parents"] = [fingerprint(definition.entity), _meaning(source)]
    if isinstance(definition, JoinedView):
        value["parents"] = [fingerprint(view) for view in definition.views]
    return _meaning(value)


def _meaning(value: Document) -> str:
    return digest({name: item for name, item in value.items() if name not in _NO_MEANING})


def _types_read(view: FeatureView) -> dict[str, str]:
    """Return the types of a source's columns as they were first declared, but for the columns that a view reads."""
    source = view.source
    if not source.earlier:
        return source.types
    read = {source.id_column, source.event_time, view.event_time, *(column for _, column in view.key_columns)}
    for aggregation in view.aggregations:
        read |= {aggregation.input_column} if aggregation.input_column else set()
        read |= parse(aggregation.where, source.types).columns if aggregation.where else set()
    types = source.types | {column: kind for column, kind in source.earlier if column not in read}
    return {column: kind for column, kind in types.items() if kind is not None}


def ledger_fingerprint(view: FeatureView, timezone: str = "UTC") -> str:
    """Hash what the running totals of a view depend on, where its conditions read clocks and days in a zone.

    Names, windows, delay and derived features are not in it: they are read from the same totals, so adding, renaming or
    reordering them rebuilds nothing. A condition counts as what it is rendered to, not as it is written.
    """
    source = view.source
    return digest(
        {
            "entity": view.entity.name,
            "keys": [[column, source.types[column]] for _, column in view.key_columns],
            "source": [source.name, source.event_id, _types_read(view)],
            "event_time": view.event_time,
            "grain": view.grain,
            "aggregations": sorted(
                {digest(_totals_document(aggregation, source, timezone)) for aggregation in view.aggregations}
            ),
        }
    )


def _totals_document(aggregation: Aggregation, source: EventSource, timezone: str) -> Document:
    value = {
        name: item for name, item in aggregation_document(aggregation).items() if name not in aggregation.FIELDS_READ_LATER
    }
    if "windows" in value:
        value["windows"] = sorted({window.length_hours or 0 for _, window in aggregation.outputs()})
    if aggregation.where is not None:
        value["where"] = parse(aggregation.where, source.types).read_in(timezone).sql
    return value
