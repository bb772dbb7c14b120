"""The registry: all definitions of a store as one value, its changes as a plan, its JSON form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from featurestore.errors import DefinitionError, UnknownNameError, did_you_mean
from featurestore.spec.as_recorded import continued
from featurestore.spec.calibration import Calibration
from featurestore.spec.document import (
    KIND_OF,
    Definition,
    calibration_from,
    document,
    entity_from,
    fingerprint,
    joined_from,
    ledger_fingerprint,
    service_from,
    source_from,
    view_from,
)
from featurestore.spec.entity import Entity
from featurestore.spec.evolution import evolved, first_types, source_notes
from featurestore.spec.joined import JoinedView
from featurestore.spec.plan import Change, Plan
from featurestore.spec.references import references, with_parents
from featurestore.spec.resolution import Features, Names
from featurestore.spec.service import FeatureService
from featurestore.spec.source import EventSource
from featurestore.spec.view import Feature, FeatureView

FirstTypes = Mapping[str, Mapping[str, str | None]]
KINDS = ("entity", "source", "view", "joined_view", "service", "calibration")


@dataclass(frozen=True)
class Registry:
    """All definitions of a store, by name. Immutable: ``merged`` and ``without`` return new ones."""

    entities: Mapping[str, Entity] = field(default_factory=dict)
    sources: Mapping[str, EventSource] = field(default_factory=dict)
    views: Mapping[str, FeatureView] = field(default_factory=dict)
    joined_views: Mapping[str, JoinedView] = field(default_factory=dict)
    services: Mapping[str, FeatureService] = field(default_factory=dict)
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)

    def _of(self, kind: str) -> Mapping[str, Definition]:
        of = (self.entities, self.sources, self.views, self.joined_views, self.services, self.calibrations)
        return dict(zip(KINDS, of, strict=True))[kind]  # type: ignore[return-value]

    def merged(
        self, definitions: Iterable[Definition], *, first: FirstTypes | None = None, recorded: Registry | None = None
    ) -> Registry:
        """Return a registry in which these definitions replace those of the same kind and name.

        A view brings its entity and its source along, a joined view its views. What refers to a replaced definition is checked
        against it again. A source notes what it has gained since rows were committed (``EventSource.earlier``).

        Args:
            definitions: The definitions.
            first: Source to the types that its columns had first; by default those that the recorded sources say.
            recorded: Whose views' defaults stay where nobody has asked for others; by default this registry.

        Raises:
            DefinitionError: two of these share kind and name but differ, or a reference leads nowhere.
        """
        merged: dict[str, dict[str, Definition]] = {kind: dict(self._of(kind)) for kind in KINDS}
        seen: dict[tuple[str, str], Definition] = {}
        first = {name: first_types(source) for name, source in self.sources.items()} if first is None else first
        for definition in with_parents(definitions):
            kind = KIND_OF[type(definition)]
            before = seen.setdefault((kind, definition.name), definition)
            if before != definition:
                raise DefinitionError(f"Two different definitions of {kind} {definition.name!r} were given; keep one.")
            merged[kind][definition.name] = _evolved(continued(definition, (recorded or self).views), first)
        for name, view in list(merged["view"].items()):
            assert isinstance(view, FeatureView)
            entity, source = merged["entity"][view.entity.name], merged["source"][view.source.name]
            if (entity, source) != (view.entity, view.source) or source.earlier != view.source.earlier:  # type: ignore[union-attr]
                merged["view"][name] = view_from(document(view), entity, source)  # type: ignore[arg-type]
        for name, joined in merged["joined_view"].items():
            merged["joined_view"][name] = joined_from(document(joined), merged["view"])  # type: ignore[arg-type]
        return _checked(Registry(*(merged[kind] for kind in KINDS)))  # type: ignore[arg-type]

    def without(self, name: str) -> Registry:
        """Return a registry without the definition of that name.

        Raises:
            UnknownNameError: there is none.
            DefinitionError: other definitions still refer to it; all of them are named.
        """
        kinds = [kind for kind in KINDS if name in self._of(kind)]
        if not kinds:
            raise UnknownNameError(f"There is nothing named {name!r} to remove.{did_you_mean(name, self.names)}")
        kind = kinds[-1]
        readers = self._readers(kind, name)
        if readers:
            raise DefinitionError(f"The {_words(kind)} {name!r} is read by {', '.join(readers)}; remove those first.")
        kept = {of: dict(self._of(of)) for of in KINDS}
        del kept[kind][name]
        return _checked(Registry(*(kept[of] for of in KINDS)))  # type: ignore[arg-type]

    def only(self, definitions: Iterable[Definition], *, first: FirstTypes | None = None) -> Registry:
        """Return a registry of these definitions and of what their views bring along; all others are gone. See ``merged``.

        Raises:
            DefinitionError: as ``merged``; or one of them refers to what is recorded here and not among them.
        """
        kept = list(definitions)
        first = {name: first_types(source) for name, source in self.sources.items()} if first is None else first
        try:
            return Registry().merged(kept, first=first, recorded=self)
        except DefinitionError as error:
            whole = self.merged(kept)  # what is wrong in itself says so
            named = {(KIND_OF[type(definition)], definition.name) for definition in with_parents(kept)}
            own = {f"the {_words(kind)} {name}" for kind, name in named}
            recorded = [(kind, name) for kind in KINDS for name in whole._of(kind) if (kind, name) not in named]
            read = {f"the {_words(kind)} {name}": own.intersection(whole._readers(kind, name)) for kind, name in recorded}
            told = "; ".join(f"{what}, read by {', '.join(sorted(readers))}" for what, readers in read.items() if readers)
            raise DefinitionError(
                f"What is recorded but not given cannot go where something given reads it: {told}. Give it too, or take out what "
                "reads it."
            ) from error

    def _readers(self, kind: str, name: str) -> list[str]:
        """Name the definitions that refer to one; in the list of a service a view hides a service of its name."""
        is_hidden = kind == "service" and (name in self.views or name in self.joined_views)
        return [
            f"the {_words(of)} {reader.name}"
            for of in KINDS
            for reader in self._of(of).values()
            if (kind, name) in references(reader) and not (is_hidden and of == "service")
        ]

    @property
    def names(self) -> list[str]:
        """The names of all definitions, kind by kind."""
        return [name for kind in KINDS for name in self._of(kind)]

    def plan(self, after: Registry, *, timezone: str = "UTC") -> Plan:
        """List what changes from this registry to another, in a store where conditions read clocks and days in a zone."""
        changes = []
        for kind in KINDS:
            old, new = self._of(kind), after._of(kind)
            for name in sorted({*old, *new}):
                if name not in new:
                    changes.append(Change("remove", kind, name, rebuilds=False))
                elif name not in old:
                    changes.append(Change("add", kind, name, rebuilds=kind == "view"))
                elif document(old[name]) != document(new[name]) or fingerprint(old[name]) != fingerprint(new[name]):
                    rebuilds = kind == "view" and (
                        ledger_fingerprint(self.views[name], timezone) != ledger_fingerprint(after.views[name], timezone)
                    )
                    changes.append(Change("change", kind, name, rebuilds, self._notes(after, kind, name)))
        return Plan(tuple(changes))

    def _notes(self, after: Registry, kind: str, name: str) -> tuple[str, ...]:
        """Say of a changed source what becomes of its rows, and of a changed view which of its features become another type."""
        if kind == "source":
            return tuple(source_notes(self.sources[name], after.sources[name]))
        if kind != "view":
            return ()
        before = {feature.name: feature.type for feature in self.views[name].features}
        return tuple(
            f"{feature.name} {before[feature.name]} -> {feature.type}"
            for feature in after.views[name].features
            if before.get(feature.name, feature.type) != feature.type
        )

    def resolve(self, features: Features) -> list[Feature]:
        """List the features that a service, a view or a list of references means, each once, in order.

        Args:
            features: A name alone is a service before it is a view; in a list it is a view before it is a service.

        Raises:
            UnknownNameError: a name is not known.
            DefinitionError: something else was given.
        """
        views: dict[str, FeatureView | JoinedView] = {**self.joined_views, **self.views}
        return Names(self.services, views).resolve(features)

    def calibrated_features(self, calibration: str) -> list[Feature]:
        """List the derived features that read a calibration, themselves or through features that they read."""
        readers: dict[str, Feature] = {}
        for feature in self.all_features():  # a feature comes after those that it reads
            if feature.expression is None:
                continue
            is_reader = any(use.calibration == calibration for use in feature.expression.calibrated)
            operands = feature.expression.columns | {f"{feature.view}__{name}" for name in feature.expression.columns}
            if is_reader or not operands.isdisjoint(readers):
                readers[feature.column] = feature
        return list(readers.values())

    def all_features(self) -> list[Feature]:
        """List the features of all views, joined ones included."""
        views: list[FeatureView | JoinedView] = [*self.views.values(), *self.joined_views.values()]
        return [feature for view in views for feature in view.features]

    def view(self, name: str) -> FeatureView | JoinedView:
        """Return the view or joined view of a name that is known to be one, such as ``Feature.view``."""
        return self.views.get(name) or self.joined_views[name]

    def views_of(self, features: Iterable[Feature]) -> list[FeatureView]:
        """List the views that features are computed from, each once; for those of a joined view, the views that it reads."""
        views: dict[str, FeatureView] = {}
        for name in dict.fromkeys(feature.view for feature in features):
            joined = self.joined_views.get(name)
            for view in joined.views if joined else [self.views[name]]:
                views.setdefault(view.name, view)
        return list(views.values())

    def part(self, service: str) -> Registry:
        """Return the definitions of a service and of all that it reads, but for calibrations."""
        features = self.resolve(self.services[service])
        joined = {feature.view: self.joined_views[feature.view] for feature in features if feature.view in self.joined_views}
        views = {view.name: view for view in self.views_of(features)}
        views |= {view.name: view for joined_view in joined.values() for view in joined_view.views}
        entities = {view.entity.name: view.entity for view in views.values()}
        sources = {view.source.name: view.source for view in views.values()}
        return Registry(entities, sources, views, joined, {service: self.services[service]})

    def document(self) -> dict[str, Any]:
        """Write the registry as a JSON value."""
        return {kind: [document(item) for _, item in sorted(self._of(kind).items())] for kind in KINDS}

    @classmethod
    def from_document(cls, value: Mapping[str, Any]) -> Registry:
        """Read a registry from ``document``'s form."""
        entities = {item["name"]: entity_from(item) for item in value["entity"]}
        sources = {item["name"]: source_from(item) for item in value["source"]}
        views = {item["name"]: view_from(item, entities[item["entity"]], sources[item["source"]]) for item in value["view"]}
        joined = {item["name"]: joined_from(item, views) for item in value.get("joined_view", [])}
        services = {item["name"]: service_from(item) for item in value["service"]}
        calibrations = {item["name"]: calibration_from(item) for item in value["calibration"]}
        return cls(entities, sources, views, joined, services, calibrations)


def _evolved(definition: Definition, first: FirstTypes) -> Definition:
    if isinstance(definition, EventSource) and definition.name in first:
        return evolved(definition, first[definition.name])
    return definition


def _words(kind: str) -> str:
    return kind.replace("_", " ")


def _checked(registry: Registry) -> Registry:
    """Return the registry if all its references lead somewhere and the views of an entity agree on the types of its keys."""
    for service in registry.services.values():
        _resolve_for(registry, service.features, f"service {service.name!r}")
    for calibration in registry.calibrations.values():
        references = [*calibration.inputs, *([calibration.by] if calibration.by else []), *dict(calibration.weights).values()]
        _resolve_for(registry, references, f"calibration {calibration.name!r}")
        for name in calibration.views:
            if name in registry.joined_views:
                raise DefinitionError(
                    f"calibration {calibration.name!r} is fitted on features of the joined view {name!r}; inputs must be features "
                    "of one feature view."
                )
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
    for name in registry.joined_views:
        if name in registry.views:
            raise DefinitionError(f"{name!r} names both a feature view and a joined view; rename one.")
    for feature in registry.all_features():
        for use in feature.expression.calibrated if feature.expression else ():
            if use.calibration not in registry.calibrations:
                raise DefinitionError(
                    f"{feature.view}:{feature.name} reads the calibration {use.calibration!r}, which is not defined."
                    f"{did_you_mean(use.calibration, registry.calibrations)}"
                )
    return registry


def _resolve_for(registry: Registry, references: Sequence[str], owner: str) -> None:
    try:
        registry.resolve(references)
    except UnknownNameError as error:
        raise DefinitionError(f"{owner}: {error}") from error
