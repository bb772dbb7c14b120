"""The registry: all definitions of a store as one value, its changes as a plan, its JSON form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from featurestore.errors import DefinitionError, UnknownNameError, did_you_mean
from featurestore.spec.document import (
    KIND_OF,
    Definition,
    calibration_from,
    document,
    entity_from,
    fingerprint,
    ledger_fingerprint,
    service_from,
    source_from,
    view_from,
)
from featurestore.spec.entity import Entity
from featurestore.spec.service import Calibration, FeatureService
from featurestore.spec.source import EventSource
from featurestore.spec.view import Feature, FeatureView

KINDS = ("entity", "source", "view", "service", "calibration")
Features = str | FeatureService | FeatureView | Sequence[str | FeatureService | FeatureView]


@dataclass(frozen=True)
class Change:
    """One line of a plan: ``add``, ``change`` or ``remove`` an object; ``rebuilds`` when its ledger must be computed anew."""

    action: str
    kind: str
    name: str
    rebuilds: bool

    def __str__(self) -> str:
        return f"{self.action} {self.kind} {self.name}{' (its ledger is rebuilt)' if self.rebuilds else ''}"


@dataclass(frozen=True)
class Rebuild:
    """What computing one view's ledger anew reads, and about how long that takes on two cores."""

    view: str
    months: int
    events: int
    estimated_s: float

    def __str__(self) -> str:
        return f"materialize {self.view}: {self.months} months, {self.events:,} events, about {max(self.estimated_s, 1):.0f} s"


@dataclass(frozen=True)
class Plan:
    """What applying would change, and what that rebuilds; empty when nothing would change."""

    changes: tuple[Change, ...]
    rebuilds: tuple[Rebuild, ...] = ()

    def __str__(self) -> str:
        costs = [rebuild for rebuild in self.rebuilds if rebuild.months]
        return "\n".join(map(str, [*self.changes, *costs])) if self.changes else "nothing changes"

    @property
    def rebuilt_views(self) -> tuple[str, ...]:
        """Names of the views whose ledger must be computed anew."""
        return tuple(change.name for change in self.changes if change.rebuilds)


@dataclass(frozen=True)
class Registry:
    """All definitions of a store, by name. Immutable: ``merged`` and ``without`` return new ones."""

    entities: Mapping[str, Entity] = field(default_factory=dict)
    sources: Mapping[str, EventSource] = field(default_factory=dict)
    views: Mapping[str, FeatureView] = field(default_factory=dict)
    services: Mapping[str, FeatureService] = field(default_factory=dict)
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)

    def _of(self, kind: str) -> Mapping[str, Definition]:
        return {
            "entity": self.entities,
            "source": self.sources,
            "view": self.views,
            "service": self.services,
            "calibration": self.calibrations,
        }[kind]  # type: ignore[return-value]

    def merged(self, definitions: Iterable[Definition]) -> Registry:
        """Return a registry in which these definitions replace those of the same kind and name.

        A view brings its entity and its source along. Views of a replaced entity or source are checked against it again.

        Raises:
            DefinitionError: two given definitions share kind and name but differ, or a reference leads nowhere.
        """
        found: dict[str, dict[str, Definition]] = {kind: dict(self._of(kind)) for kind in KINDS}
        given: dict[tuple[str, str], Definition] = {}
        for definition in _with_parents(definitions):
            kind = KIND_OF[type(definition)]
            before = given.setdefault((kind, definition.name), definition)
            if before != definition:
                raise DefinitionError(f"Two different definitions of {kind} {definition.name!r} were given; keep one.")
            found[kind][definition.name] = definition
        for name, view in list(found["view"].items()):
            assert isinstance(view, FeatureView)
            entity, source = found["entity"][view.entity.name], found["source"][view.source.name]
            if (entity, source) != (view.entity, view.source):
                found["view"][name] = view_from(document(view), entity, source)  # type: ignore[arg-type]
        return _checked(Registry(*(found[kind] for kind in KINDS)))  # type: ignore[arg-type]

    def without(self, name: str) -> Registry:
        """Return a registry without the object of that name.

        Raises:
            UnknownNameError: there is none.
            DefinitionError: something else still refers to it.
        """
        kinds = [kind for kind in KINDS if name in self._of(kind)]
        if not kinds:
            raise UnknownNameError(f"There is nothing named {name!r} to remove.{did_you_mean(name, self.names)}")
        kind = kinds[-1]
        users = [view.name for view in self.views.values() if name in (view.entity.name, view.source.name) and kind != "view"]
        if users and kind in ("entity", "source"):
            raise DefinitionError(f"The {kind} {name!r} is used by {', '.join(users)}; remove those first.")
        kept = {each: dict(self._of(each)) for each in KINDS}
        del kept[kind][name]
        return _checked(Registry(*(kept[each] for each in KINDS)))  # type: ignore[arg-type]

    @property
    def names(self) -> list[str]:
        """All names, of every kind."""
        return [name for kind in KINDS for name in self._of(kind)]

    def plan(self, after: Registry) -> Plan:
        """List what changes from this registry to another."""
        changes = []
        for kind in KINDS:
            old, new = self._of(kind), after._of(kind)
            for name in sorted({*old, *new}):
                if name not in new:
                    changes.append(Change("remove", kind, name, rebuilds=False))
                elif name not in old:
                    changes.append(Change("add", kind, name, rebuilds=kind == "view"))
                elif document(old[name]) != document(new[name]) or fingerprint(old[name]) != fingerprint(new[name]):
                    rebuilds = kind == "view" and ledger_fingerprint(self.views[name]) != ledger_fingerprint(after.views[name])
                    changes.append(Change("change", kind, name, rebuilds))
        return Plan(tuple(changes))

    def resolve(self, features: Features) -> list[Feature]:
        """List the features that a service, a view or a list of references means, each once, in order.

        Args:
            features: A name alone is a service before it is a view; in a list it is a view before it is a service.

        Raises:
            UnknownNameError: a name is not known.
            DefinitionError: something else was given.
        """
        if isinstance(features, str) and features in self.services:
            features = self.services[features]
        items = [features] if isinstance(features, str | FeatureService | FeatureView) else features
        if not isinstance(items, Iterable):
            raise DefinitionError(
                f"{features!r} are no features; give a service, a view, or a list of views and 'view:feature'."
            )
        found: dict[str, Feature] = {}
        for item in items:
            for reference in self._references(item):
                for feature in self._lookup(reference):
                    found.setdefault(feature.column, feature)
        return list(found.values())

    def _references(self, item: str | FeatureService | FeatureView) -> Sequence[str]:
        if isinstance(item, FeatureService):
            return item.features
        if isinstance(item, FeatureView):
            return [item.name]
        if not isinstance(item, str):
            raise DefinitionError(f"{item!r} is no feature; give a service, a view or 'view:feature'.")
        return self.services[item].features if item in self.services and item not in self.views else [item]

    def _lookup(self, reference: str) -> tuple[Feature, ...]:
        name, separator, feature = reference.partition(":")
        if name not in self.views:
            raise UnknownNameError(
                f"There is no service, view or 'view:feature' named {reference!r}."
                f"{did_you_mean(name, [*self.services, *self.views])}"
            )
        view = self.views[name]
        if not separator:
            return view.features
        try:
            return (view.feature(feature),)
        except DefinitionError as error:
            raise UnknownNameError(str(error)) from error

    def calibrated_features(self, calibration: str) -> list[Feature]:
        """List the derived features that read a calibration."""
        return [
            feature
            for view in self.views.values()
            for feature in view.features
            if feature.expression and any(use.calibration == calibration for use in feature.expression.calibrated)
        ]

    def document(self) -> dict[str, Any]:
        """Write the registry as a JSON value."""
        return {kind: [document(item) for _, item in sorted(self._of(kind).items())] for kind in KINDS}

    @classmethod
    def from_document(cls, value: Mapping[str, Any]) -> Registry:
        """Read a registry from ``document``'s form."""
        entities = {item["name"]: entity_from(item) for item in value["entity"]}
        sources = {item["name"]: source_from(item) for item in value["source"]}
        views = {item["name"]: view_from(item, entities[item["entity"]], sources[item["source"]]) for item in value["view"]}
        services = {item["name"]: service_from(item) for item in value["service"]}
        calibrations = {item["name"]: calibration_from(item) for item in value["calibration"]}
        return cls(entities, sources, views, services, calibrations)


def _with_parents(definitions: Iterable[Definition]) -> Iterable[Definition]:
    if isinstance(definitions, Definition):
        raise DefinitionError(f"Give a list of definitions, such as [{definitions.name}], not one alone.")
    for definition in definitions:
        if type(definition) not in KIND_OF:
            raise DefinitionError(
                f"{definition!r} is not a definition; give Entity, EventSource, FeatureView, FeatureService or Calibration."
            )
        if isinstance(definition, FeatureView):
            yield definition.entity
            yield definition.source
        yield definition


def _checked(registry: Registry) -> Registry:
    """Return the registry when all its references lead somewhere and shared keys agree on their types."""
    for service in registry.services.values():
        _resolve_for(registry, service.features, f"service {service.name!r}")
    for calibration in registry.calibrations.values():
        references = [*calibration.inputs, *([calibration.by] if calibration.by else []), *dict(calibration.weights).values()]
        _resolve_for(registry, references, f"calibration {calibration.name!r}")
        for consumer in calibration.consumers:
            if consumer not in registry.services:
                raise DefinitionError(
                    f"calibration {calibration.name!r} names the consumer {consumer!r}, which is no service."
                    f"{did_you_mean(consumer, registry.services)}"
                )
    key_types: dict[str, tuple[str, tuple[str, ...]]] = {}
    for view in registry.views.values():
        first, types = key_types.setdefault(view.entity.name, (view.name, view.key_types))
        if types != view.key_types:
            raise DefinitionError(
                f"The keys of entity {view.entity.name!r} are {types} in view {first!r} and {view.key_types} in {view.name!r}; "
                "they must agree."
            )
        for feature in view.features:
            for use in feature.expression.calibrated if feature.expression else ():
                if use.calibration not in registry.calibrations:
                    raise DefinitionError(
                        f"{view.name}:{feature.name} reads the calibration {use.calibration!r}, which is not defined."
                        f"{did_you_mean(use.calibration, registry.calibrations)}"
                    )
    return registry


def _resolve_for(registry: Registry, references: Sequence[str], owner: str) -> None:
    try:
        registry.resolve(references)
    except UnknownNameError as error:
        raise DefinitionError(f"{owner}: {error}") from error
