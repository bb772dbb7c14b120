"""Joined views: features computed from those of several views, each row beside the rows of the parents that it belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from featurestore.errors import DefinitionError, did_you_mean
from featurestore.spec.entity import Entity
from featurestore.spec.names import checked_name
from featurestore.spec.view import Derived, Feature, FeatureView, all_of, derived_features


@dataclass(frozen=True, init=False)
class JoinedView:
    """Features computed from the features of several views when they are read: a SKU's share in its category's sales.

    The first view says whom the features are about. The others are about the same entity, or about parents of it, whose keys
    come from the spine or, where ``keys`` names one, from a feature of a view before them. All are read at the row's as_of,
    each floored to its own grain. An unknown parent is one without events; a NULL key makes the parent's features NULL.

    A joined view has no events, ledger or snapshots of its own: nothing is materialized for it, and the drift audit scores the
    views that it reads, not the joined features.

    Args:
        name: Lower-case identifier, shared with no feature view.
        views: The views, at least two; the first one's entity is the joined view's.
        derived: Features over ``view__feature`` columns of the views and earlier features of this list; ``calibrated(...)`` too.
        keys: Key column of a parent to the ``"view:feature"`` that holds it.
        owner: Who answers for it.
        description: One sentence.

    Raises:
        DefinitionError: anything that contradicts the views or itself.
    """

    name: str
    views: tuple[FeatureView, ...]
    keys: tuple[tuple[str, str], ...]
    derived: tuple[Derived, ...]
    owner: str | None
    description: str

    def __init__(
        self,
        name: str,
        *,
        views: Sequence[FeatureView],
        derived: Sequence[Derived],
        keys: Mapping[str, str] | None = None,
        owner: str | None = None,
        description: str = "",
    ) -> None:
        for field, value in {
            "name": checked_name(name, "a joined view"),
            "views": all_of(FeatureView, views, f"views of joined view {name!r}"),
            "keys": tuple(sorted((keys or {}).items())),
            "derived": all_of(Derived, derived, f"derived of joined view {name!r}"),
            "owner": owner,
            "description": description,
        }.items():
            object.__setattr__(self, field, value)
        self._check()
        _ = self.features

    def _check(self) -> None:
        what = f"joined view {self.name!r}"
        names = [view.name for view in self.views]
        if len(names) < 2:
            raise DefinitionError(f"{what} joins {names or 'nothing'}; give at least two views, or use Derived of one.")
        if len(set(names)) != len(names):
            raise DefinitionError(f"{what} lists a view twice: {', '.join(names)}.")
        if self.name in names:
            raise DefinitionError(f"{what} is named like one of its views; rename it.")
        if not self.derived:
            raise DefinitionError(f"{what} has no features; give derived=.")
        for item in self.derived:
            if item.outcome is not None:
                raise DefinitionError(f"{what}: derived {item.name!r} has an outcome; declare it in the view that counts it.")
        parents = [key for view in self.views[1:] for key in view.entity.keys if key not in self.entity.keys]
        for key, reference in self.keys:
            if key not in parents:
                raise DefinitionError(
                    f"{what}: keys names {key!r}, which is no key of a parent of {self.entity.name!r}.{did_you_mean(key, parents)}"
                )
            self._check_key(key, reference, what)

    def _check_key(self, key: str, reference: str, what: str) -> None:
        """Check that a key's feature is read before the views that need it, and has the type of their keys."""
        name, separator, feature = str(reference).partition(":")
        names = [view.name for view in self.views]
        if not separator or name not in names:
            raise DefinitionError(f"{what}: the key {key!r} comes from {reference!r}; give a 'view:feature' of its views.")
        source = names.index(name)
        kind = self.views[source].feature(feature).type
        for place, view in enumerate(self.views):
            if key not in view.entity.keys:
                continue
            if place <= source:
                raise DefinitionError(
                    f"{what}: the key {key!r} of {view.name!r} comes from {reference!r}, which is not known before it. "
                    f"List {name!r} before {view.name!r}."
                )
            expected = dict(zip(view.entity.keys, view.key_types, strict=True))[key]
            if kind != expected and (kind, expected) != ("int32", "int64"):
                raise DefinitionError(f"{what}: {reference!r} is {kind}, but the key {key!r} of {view.name!r} is {expected}.")

    @property
    def entity(self) -> Entity:
        """Whom the features are about."""
        return self.views[0].entity

    @property
    def key_features(self) -> tuple[tuple[str, str], ...]:
        """Pairs of a parent's key and the column ``view__feature`` that holds it."""
        return tuple((key, reference.replace(":", "__")) for key, reference in self.keys)

    @property
    def spine_keys(self) -> tuple[str, ...]:
        """Key columns that a spine must have: all keys of the views but those that features give."""
        return tuple(dict.fromkeys(key for view in self.views for key in view.entity.keys if key not in dict(self.keys)))

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """All features in declared order."""
        types = {feature.column: feature.type for view in self.views for feature in view.features}
        return derived_features(self.name, self.derived, types, what=f"joined view {self.name!r}")

    def feature(self, name: str) -> Feature:
        """Return the feature of that name (without the view).

        Raises:
            DefinitionError: there is none.
        """
        for feature in self.features:
            if feature.name == name:
                return feature
        raise DefinitionError(
            f"joined view {self.name!r} has no feature {name!r}.{did_you_mean(name, [f.name for f in self.features])}"
        )

    def operand(self, name: str) -> tuple[FeatureView | JoinedView, Feature]:
        """Return the feature that an expression means by a name, and its view."""
        for view in self.views:
            for feature in view.features:
                if feature.column == name:
                    return view, feature
        return self, self.feature(name)

    def needed(self, features: Sequence[Feature]) -> tuple[tuple[Feature, ...], dict[str, tuple[Feature, ...]]]:
        """List the features that some features of this view are computed from.

        Returns:
            ``(own, read)``: features of this view, those asked for included, in declared order; per view, in the order of
            ``views``, the features that these and the parents' keys read. The first view is always among them.
        """
        wanted = {feature.name for feature in features}
        for feature in reversed(self.features):
            if feature.name in wanted and feature.expression:
                wanted |= feature.expression.columns
        bound = dict(self.keys)
        read: dict[str, tuple[Feature, ...]] = {}
        for view in reversed(self.views):
            mine = tuple(f for f in view.features if f.column in wanted or f"{view.name}:{f.name}" in wanted)
            if mine or view is self.views[0]:
                read[view.name] = mine
                wanted |= {bound[key] for key in view.entity.keys if key in bound}
        own = tuple(feature for feature in self.features if feature.name in wanted)
        return own, dict(reversed(read.items()))
