"""Definitions of before: what an older answer was read with, kept when they change, so that it can be read again.

    definitions/<digest>.json    all definitions as they were before a change of a source or a view

An answer names the fingerprints of its views and a digest of its features. Where the present definitions are others, those of then
are taken, if the features that are asked for still mean the same: a view that has gained an aggregation answers old training sets
from the totals of then. A publication carries its own definitions and needs none of this.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from featurestore.compute.state import view_fingerprint
from featurestore.compute.windows.versions import ReadVersions, features_digest
from featurestore.errors import DefinitionError, FeatureStoreError, UnknownNameError
from featurestore.lake.json_files import read_json
from featurestore.lake.layout import Layout
from featurestore.lake.storage import STORAGE, Listed
from featurestore.lake.table import Table
from featurestore.spec.document import digest
from featurestore.spec.plan import Plan
from featurestore.spec.registry import Registry
from featurestore.spec.resolution import Features
from featurestore.spec.source import EventSource
from featurestore.spec.view import Feature, FeatureView

_KINDS = ("source", "view", "joined_view")


def keep_definitions(layout: Layout, before: Registry, plan: Plan) -> None:
    """Keep definitions that a plan changes or removes, if answers may have been read with them; before it is recorded."""
    if any(change.kind in _KINDS and change.action != "add" for change in plan.changes):
        document = before.document()
        content = json.dumps(document, ensure_ascii=False, sort_keys=True).encode()
        STORAGE.overwrite(layout.definitions / f"{digest(document)}.json", content)


def registry_of_versions(layout: Layout, registry: Registry, features: Features, versions: ReadVersions) -> Registry:
    """Return the definitions that some versions were read with, if the features asked for still mean the same.

    Args:
        layout: The store.
        registry: The present definitions, which are returned where they fit, and where none do.
        features: What is asked for.
        versions: What the earlier answer read.
    """
    if _read_with(layout, registry, features, versions) is None:
        for then in _earlier(layout):
            fitting = replace(then, services=registry.services, calibrations=registry.calibrations)
            outputs = _read_with(layout, fitting, features, versions)
            if outputs is not None and _mean_the_same(registry, fitting, outputs, layout.naive_timezone):
                return fitting
    return registry


def earlier_views(layout: Layout, view: FeatureView) -> Iterator[FeatureView]:
    """Return the definitions that a view had before, the newest first."""
    return (then.views[view.name] for then in _earlier(layout) if view.name in then.views)


def removed_source(layout: Layout, name: str) -> EventSource | None:
    """Return a source as it was when it was removed last, or changed; ``None`` where no definitions of before have it."""
    return next((then.sources[name] for then in _earlier(layout) if name in then.sources), None)


def forget_definitions(layout: Layout, registry: Registry, pinned: Sequence[ReadVersions], *, retention_hours: int) -> int:
    """Delete definitions of before that no answer needs which is kept: after a vacuum of the tables, whose rule this is.

    Those stay that are younger, those with which a pinned answer may have been read, those of which there are totals still that the
    present definitions do not name, and the last that say how the events of a removed source are told apart. A publication carries
    its own. Damaged ones stay for the doctor to tell.

    Args:
        layout: The store.
        registry: The present definitions.
        pinned: What pinned answers were read from.
        retention_hours: Younger ones stay.

    Returns:
        How many were deleted.
    """
    deleted = 0
    told = set(registry.sources)
    for file in _files(layout):
        with suppress(FeatureStoreError):
            then = Registry.from_document(read_json(file.path))
            removed = {name for name in then.sources.keys() - told if Table.open(layout.events(name)).files()}
            told |= removed
            is_young = time.time() - file.modified_s < retention_hours * 3600
            if not (is_young or removed or _is_needed(layout, registry, then, pinned)):
                STORAGE.delete(file.path)
                deleted += 1
    return deleted


def _is_needed(layout: Layout, registry: Registry, then: Registry, pinned: Sequence[ReadVersions]) -> bool:
    """Tell whether a pinned answer may have been read with definitions, or totals of theirs alone are there."""
    own = {name: view_fingerprint(view, layout) for name, view in then.views.items()}
    if any(all(own.get(name) == of.fingerprint for name, of in read.views.items()) for read in pinned):
        return True
    now = {name: view_fingerprint(view, layout) for name, view in registry.views.items()}
    others = [(name, fingerprint) for name, fingerprint in own.items() if now.get(name) != fingerprint]
    places = [place / fingerprint for name, fingerprint in others for place in (layout.tiles(name), layout.ledger(name))]
    return any(STORAGE.list_files(place, ending=".parquet") for place in places)


def _earlier(layout: Layout) -> Iterator[Registry]:
    """Read the definitions that were kept, the newest first."""
    for file in _files(layout):
        yield Registry.from_document(read_json(file.path))


def _files(layout: Layout) -> list[Listed]:
    """List the files of definitions of before, the newest first."""
    return sorted(STORAGE.list_files(layout.definitions, ending=".json"), key=lambda file: -file.modified_s)


def _read_with(layout: Layout, registry: Registry, features: Features, versions: ReadVersions) -> list[Feature] | None:
    """Return the features asked for, if versions are of answers that were read with these definitions."""
    try:
        outputs = registry.resolve(features)
    except (DefinitionError, UnknownNameError):
        return None
    meant = [(registry.view(feature.view), feature) for feature in outputs]
    if features_digest(meant, layout.naive_timezone) != versions.features:
        return None
    views = {view.name: view_fingerprint(view, layout) for view in registry.views_of(outputs)}
    is_same = all(name in versions.views and versions.views[name].fingerprint == own for name, own in views.items())
    return outputs if is_same else None


def _mean_the_same(now: Registry, then: Registry, outputs: Sequence[Feature], timezone: str) -> bool:
    """Tell whether features are defined now as they were, but for types that became wider."""
    for feature in outputs:
        names = {own.name: own for own in now.view(feature.view).features} if _is_view(now, feature.view) else {}
        if feature.name not in names:
            return False
        pairs = (now.view(feature.view), names[feature.name]), (then.view(feature.view), feature)
        meanings = {features_digest([pair], timezone, with_types=False) for pair in pairs}
        if len(meanings) > 1:
            return False
    return all(view.name in now.views and _place(view) == _place(now.views[view.name]) for view in then.views_of(outputs))


def _is_view(registry: Registry, name: str) -> bool:
    return name in registry.views or name in registry.joined_views


def _place(view: FeatureView) -> list[Any]:
    """List what the totals of a view are about, whatever is totalled."""
    columns = [column for _, column in view.key_columns]
    return [view.entity.name, columns, view.source.name, view.source.event_id, view.event_time, view.grain]
