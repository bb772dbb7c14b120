"""Resolution: which features a service, a view, or a list of names means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from featurestore.errors import DefinitionError, UnknownNameError, did_you_mean
from featurestore.spec.difference import check_recorded
from featurestore.spec.joined import JoinedView
from featurestore.spec.service import FeatureService
from featurestore.spec.view import Feature, FeatureView

FeatureItem = str | FeatureService | FeatureView | JoinedView
Features = FeatureItem | Sequence[FeatureItem]


@dataclass(frozen=True)
class Names:
    """What names of features are looked up in.

    Attributes:
        services: By name.
        views: Feature views and joined views by name.
    """

    services: Mapping[str, FeatureService]
    views: Mapping[str, FeatureView | JoinedView]

    def resolve(self, features: Features) -> list[Feature]:
        """List the features that a service, a view or a list of references means, each once, in order.

        Args:
            features: A name alone is a service before it is a view; in a list it is a view before it is a service.

        Raises:
            UnknownNameError: a name is not known.
            DefinitionError: something else was given, or a view object that differs from the recorded view.
        """
        if isinstance(features, str) and features in self.services:
            features = self.services[features]
        items = [features] if isinstance(features, FeatureItem) else features
        if not isinstance(items, Iterable):
            raise DefinitionError(
                f"{features!r} are no features; give a service, a view, or a list of views and 'view:feature'."
            )
        resolved: dict[str, Feature] = {}
        for item in items:
            for reference in self._references(item):
                for feature in self._lookup(reference):
                    resolved.setdefault(feature.column, feature)
        return list(resolved.values())

    def _references(self, item: FeatureItem) -> Sequence[str]:
        """Return the names of views and ``"view:feature"`` references that one item of a list stands for."""
        if isinstance(item, FeatureService):
            return item.features
        if isinstance(item, FeatureView | JoinedView):
            check_recorded(self.views.get(item.name), item)
            return [item.name]
        if not isinstance(item, str):
            raise DefinitionError(f"{item!r} is no feature; give a service, a view or 'view:feature'.")
        is_service = item in self.services and item not in self.views
        return self.services[item].features if is_service else [item]

    def _lookup(self, reference: str) -> tuple[Feature, ...]:
        """Return the features of a view, or the one that a ``"view:feature"`` reference names."""
        name, separator, feature = reference.partition(":")
        view = self.views.get(name)
        if view is None:
            raise UnknownNameError(
                f"There is no service, view or 'view:feature' named {reference!r}."
                f"{did_you_mean(name, [*self.services, *self.views])}"
            )
        if not separator:
            return view.features
        try:
            return (view.feature(feature),)
        except DefinitionError as error:
            raise UnknownNameError(str(error)) from error
