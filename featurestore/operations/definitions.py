"""Definitions: what a store has recorded, what a change of it would rebuild, and the change itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from featurestore.compute.materialization.estimate import rebuilds
from featurestore.drift.recalibration.fitters import check_definition
from featurestore.errors import StoreError, UnknownNameError, did_you_mean
from featurestore.lake.evolution import check_evolution, first_types_of
from featurestore.lake.json_files import parse_json, write_json
from featurestore.lake.layout import Layout, raise_versions
from featurestore.lake.lock import exclusive
from featurestore.lake.storage import STORAGE
from featurestore.lake.store_format import EVOLUTION
from featurestore.operations.earlier_definitions import earlier_views, keep_definitions, removed_source
from featurestore.spec.aggregations.aggregation import RESOLUTION
from featurestore.spec.document import Definition, document, source_from
from featurestore.spec.plan import Plan
from featurestore.spec.references import with_parents
from featurestore.spec.registry import Registry
from featurestore.spec.resolution import Features
from featurestore.spec.source import QUARANTINE, EventSource
from featurestore.spec.view import FeatureView
from featurestore.timeline import UTC, zone_of


def recorded(layout: Layout) -> Registry:
    """Read all recorded definitions; an empty registry before the first.

    Raises:
        StoreError: what is recorded is no registry.
    """
    if not STORAGE.exists(layout.registry):
        return Registry()
    return _registry(layout.registry, STORAGE.get(layout.registry).content)


@lru_cache(maxsize=16)
def _registry(path: Path, content: bytes) -> Registry:
    """Read definitions. The same bytes give the same objects, so that what is opened for a view can be kept with it."""
    document = parse_json(path, content)
    try:
        return Registry.from_document(document)
    except (ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise StoreError(
            f"{path} does not hold definitions ({type(error).__name__}: {error}). Restore it from a backup."
        ) from error


def plan_definitions(layout: Layout, objects: Iterable[Definition], *, prune: bool = False) -> Plan:
    """Say what recording definitions would change and rebuild; see ``FeatureStore.plan``."""
    before = recorded(layout)
    return _plan(layout, before, _placed(layout, _changed(layout, before, objects, prune=prune)))


def apply_definitions(layout: Layout, objects: Iterable[Definition], *, prune: bool = False) -> Plan:
    """Record definitions by name, under the lock that keeps two writers apart; see ``FeatureStore.apply``."""
    with exclusive(layout.registry_lock):
        before = recorded(layout)
        after = _placed(layout, _changed(layout, before, objects, prune=prune))
        plan = _plan(layout, before, after)
        if plan.changes:
            keep_definitions(layout, before, plan)
            if any(map(_is_new, after.sources.values())) or any(map(_is_finer, after.views.values())):
                raise_versions(layout, EVOLUTION)
            write_json(layout.registry, after.document())
        else:  # another process may have recorded it and been killed before it was flushed
            STORAGE.rests_on(layout.registry)
            STORAGE.settle()
    return plan


def _is_new(source: EventSource) -> bool:
    """Tell whether a source says what no program of before version 2 can read."""
    declared = source.earlier or source.optional or source.order_by or source.wide or source.event_id is None
    return bool(declared) or source.unstamped != QUARANTINE


def _is_finer(view: FeatureView) -> bool:
    """Tell whether a view adds up in finer steps, or fades otherwise, than any program of before version 2 can."""
    return any(
        getattr(each, "resolution_bits", 0) > RESOLUTION.recorded or getattr(each, "relative_to", "history") != "history"
        for each in view.aggregations
    )


def _placed(layout: Layout, after: Registry) -> Registry:
    """Place times that name no zone in the store's, so that a record means the same anywhere."""
    placed = []
    for source in after.sources.values():
        until = datetime.fromisoformat(source.initial_load_until) if source.initial_load_until else None
        if until is not None and until.tzinfo is None:
            moment = until.replace(tzinfo=zone_of(layout.naive_timezone)).astimezone(UTC)
            placed.append(source_from({**document(source), "initial_load_until": moment.isoformat()}))
    return after.merged(placed) if placed else after


def remove_definition(layout: Layout, name: str) -> Plan:
    """Forget a definition; see ``FeatureStore.remove``."""
    with exclusive(layout.registry_lock):
        before = recorded(layout)
        after = before.without(name)
        plan = before.plan(after)
        keep_definitions(layout, before, plan)
        write_json(layout.registry, after.document())
    return plan


def source_named(registry: Registry, name: str) -> EventSource:
    """Return a source by its name.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if name not in registry.sources:
        raise UnknownNameError(f"There is no event source {name!r}.{did_you_mean(name, registry.sources)}")
    return registry.sources[name]


def key_columns(registry: Registry, source: str) -> frozenset[str]:
    """Return the columns of a source that are keys of entities, in any view of it."""
    views = [view for view in registry.views.values() if view.source.name == source]
    return frozenset(column for view in views for _, column in view.key_columns)


def key_types(registry: Registry, features: Features) -> dict[str, str]:
    """Return the declared type of each key column that features are looked up by."""
    views = registry.views_of(registry.resolve(features))
    return {key: kind for view in views for key, kind in zip(view.entity.keys, view.key_types, strict=True)}


def chosen_views(registry: Registry, views: Sequence[str | FeatureView] | str | FeatureView | None) -> dict[str, FeatureView]:
    """Return recorded views by name: those asked for, by name or as objects, or all by default.

    Raises:
        UnknownNameError: there is none of a name, or it is a joined view, which has no ledger.
    """
    if views is None:
        return dict(registry.views)
    wanted = [views] if isinstance(views, str | FeatureView) else views
    names = [view.name if isinstance(view, FeatureView) else view for view in wanted]
    for name in names:
        if name in registry.joined_views:
            parts = ", ".join(view.name for view in registry.joined_views[name].views)
            raise UnknownNameError(f"{name!r} is a joined view, which has no ledger of its own. Name its views: {parts}.")
        if name not in registry.views:
            raise UnknownNameError(f"There is no view {name!r}.{did_you_mean(name, registry.views)}")
    return {name: registry.views[name] for name in names}


def _changed(layout: Layout, before: Registry, objects: Iterable[Definition], *, prune: bool) -> Registry:
    given = list(with_parents(objects))
    sources = {each.name: each for each in given if isinstance(each, EventSource)}
    first = {name: first_types_of(layout, source, before.sources.get(name)) for name, source in sources.items()}
    after = before.only(given, first=first) if prune else before.merged(given, first=first)
    for name, source in after.sources.items():
        if source != before.sources.get(name):
            check_evolution(layout, before.sources.get(name) or removed_source(layout, name), source)
    for name, calibration in after.calibrations.items():
        if calibration != before.calibrations.get(name):  # one that was recorded before it was checked must not lock the store
            check_definition(calibration)
    return after


def _plan(layout: Layout, before: Registry, after: Registry) -> Plan:
    plan = before.plan(after, timezone=layout.naive_timezone)

    def earlier(view: FeatureView) -> Iterator[FeatureView]:
        yield from ([before.views[view.name]] if view.name in before.views else [])
        yield from earlier_views(layout, view)

    return replace(plan, rebuilds=rebuilds(layout, [after.views[name] for name in plan.rebuilt_views], earlier))
