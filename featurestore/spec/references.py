"""References: which other definitions a definition reads. What another one reads cannot be removed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from featurestore.errors import DefinitionError
from featurestore.spec.calibration import Calibration
from featurestore.spec.document import KIND_OF, Definition
from featurestore.spec.joined import JoinedView
from featurestore.spec.service import FeatureService
from featurestore.spec.view import FeatureView

Reference = tuple[str, str]
"""Kind and name of what is read."""


def references(definition: Definition) -> set[Reference]:
    """Name the definitions that a definition reads, as ``(kind, name)``.

    A service's list says ``activity`` or ``activity:buys_30d``: each is named as a view, as a joined view and, without a
    colon, as a service; what stands in the registry decides.
    """
    if isinstance(definition, FeatureView):
        parents = {("entity", definition.entity.name), ("source", definition.source.name)}
        return parents | _calibrations(definition)
    if isinstance(definition, JoinedView):
        return {("view", view.name) for view in definition.views} | _calibrations(definition)
    if isinstance(definition, FeatureService):
        return {read for reference in definition.features for read in _features(reference)}
    if isinstance(definition, Calibration):
        weighed = [read for _, reference in definition.weights for read in _features(reference)]
        return {("view", name) for name in definition.views} | {*weighed} | {("service", name) for name in definition.consumers}
    return set()


def with_parents(definitions: Iterable[Definition]) -> Iterator[Definition]:
    """Yield definitions, each view with its entity and source before it, each joined view with its views.

    Raises:
        DefinitionError: one is no definition, or one alone was given instead of a list.
    """
    if isinstance(definitions, Definition):
        raise DefinitionError(f"Give a list of definitions, such as [{definitions.name}], not one alone.")
    for definition in definitions:
        if type(definition) not in KIND_OF:
            raise DefinitionError(
                f"{definition!r} is not a definition; give Entity, EventSource, FeatureView, JoinedView, FeatureService or "
                "Calibration."
            )
        for view in definition.views if isinstance(definition, JoinedView) else [definition]:
            if isinstance(view, FeatureView):
                yield view.entity
                yield view.source
                yield view
        if not isinstance(definition, FeatureView):
            yield definition


def _features(reference: str) -> list[Reference]:
    name, separator, _ = reference.partition(":")
    kinds = ("view", "joined_view") if separator else ("view", "joined_view", "service")
    return [(kind, name) for kind in kinds]


def _calibrations(view: FeatureView | JoinedView) -> set[Reference]:
    expressions = [feature.expression for feature in view.features if feature.expression is not None]
    return {("calibration", use.calibration) for expression in expressions for use in expression.calibrated}
