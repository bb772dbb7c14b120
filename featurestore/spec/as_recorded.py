"""What a store recorded stays: a view given again takes the defaults of its record where nobody asked for others."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TypeVar

from featurestore.spec.aggregations import Aggregation, aggregation_document
from featurestore.spec.defaults import is_undeclared
from featurestore.spec.document import Definition
from featurestore.spec.joined import JoinedView
from featurestore.spec.view import FeatureView

_View = TypeVar("_View", FeatureView, JoinedView)


def as_recorded(given: FeatureView | JoinedView, recorded: FeatureView | JoinedView) -> FeatureView | JoinedView:
    """Return a view in which an aggregation whose totals are recorded with an older default goes on with it.

    So a program with newer defaults rebuilds nothing of an older store. Who asks for the new default by name gets it.

    Args:
        given: A definition; its parents stay.
        recorded: What a store has recorded under its name.
    """
    if isinstance(given, FeatureView) and isinstance(recorded, FeatureView):
        return _view(given, recorded)
    if not isinstance(given, JoinedView) or not isinstance(recorded, JoinedView):
        return given
    before = {view.name: view for view in recorded.views}
    views = tuple(_view(view, before[view.name]) if view.name in before else view for view in given.views)
    return given if views == given.views else _with(given, "views", views)


def continued(definition: Definition, views: Mapping[str, FeatureView]) -> Definition:
    """Return a definition, a view with the defaults of the recorded view of its name."""
    before = views.get(definition.name)
    return _view(definition, before) if isinstance(definition, FeatureView) and before else definition


def _view(given: FeatureView, recorded: FeatureView) -> FeatureView:
    known = [_totals(aggregation) for aggregation in recorded.aggregations]
    aggregations = tuple(_older(aggregation, known) for aggregation in given.aggregations)
    return given if aggregations == given.aggregations else _with(given, "aggregations", aggregations)


def _older(aggregation: Aggregation, known: Collection[dict[str, object]]) -> Aggregation:
    changed = aggregation.CHANGED_DEFAULTS.items()
    older = {name: default.recorded for name, default in changed if is_undeclared(getattr(aggregation, name))}
    candidate = replace(aggregation, **older) if older else aggregation
    return candidate if _totals(candidate) in known else aggregation


def _totals(aggregation: Aggregation) -> dict[str, object]:
    document = aggregation_document(aggregation)
    return {name: value for name, value in document.items() if name not in aggregation.FIELDS_READ_LATER}


def _with(view: _View, field: str, value: object) -> _View:
    """Return a copy of a view in which one field differs; what it has derived from it is forgotten."""
    copy = object.__new__(type(view))
    for name in type(view).__dataclass_fields__:
        object.__setattr__(copy, name, value if name == field else getattr(view, name))
    return copy
