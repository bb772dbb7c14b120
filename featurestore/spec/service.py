"""Feature services: what consumers read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from featurestore.errors import DefinitionError
from featurestore.spec.joined import JoinedView
from featurestore.spec.names import checked_name
from featurestore.spec.view import FeatureView


def checked_references(features: Sequence[str | FeatureView | JoinedView], owner: str) -> tuple[str, ...]:
    """Return the names of views and ``"view:feature"`` references, each once.

    Raises:
        DefinitionError: there are none, one is no such name or stands twice, or it is one text instead of a list.
    """
    if isinstance(features, str | FeatureView | JoinedView):
        raise DefinitionError(f"{owner}: features must be a list, not {features!r}.")
    names = tuple(item.name if isinstance(item, FeatureView | JoinedView) else str(item) for item in features)
    if not names:
        raise DefinitionError(f"{owner} lists no features; give views or 'view:feature' references.")
    if len(set(names)) != len(names):
        raise DefinitionError(f"{owner} lists a feature twice: {', '.join(names)}.")
    for name in names:
        view, _, feature = name.partition(":")
        checked_name(view, f"a view in {owner}")
        if ":" in name:
            checked_name(feature, f"a feature in {owner}")
    return names


@dataclass(frozen=True, init=False)
class FeatureService:
    """A named, versioned list of features that one consumer reads.

    Args:
        name: Lower-case identifier, by custom with a version: ``demand_v1``.
        features: Views, joined ones too (all their features), and ``"view:feature"`` references.
        owner: Who reads it.
        description: One sentence.
    """

    name: str
    features: tuple[str, ...]
    owner: str | None
    description: str

    def __init__(
        self,
        name: str,
        *,
        features: Sequence[str | FeatureView | JoinedView],
        owner: str | None = None,
        description: str = "",
    ) -> None:
        object.__setattr__(self, "name", checked_name(name, "a feature service"))
        object.__setattr__(self, "features", checked_references(features, f"service {name!r}"))
        object.__setattr__(self, "owner", owner)
        object.__setattr__(self, "description", description)
