"""Lineage: what a view's features are computed from, through derived features too: features, aggregations, columns, calibrations."""

from __future__ import annotations

from collections.abc import Iterable

from featurestore.spec.expression import parse
from featurestore.spec.view import Feature, FeatureView


def needed_features(view: FeatureView, features: Iterable[Feature]) -> list[Feature]:
    """List features and those that their expressions read, directly or not, each once, in the view's order.

    >>> from featurestore.shop import OBJECTS
    >>> view = next(each for each in OBJECTS if each.name == "sku_returns")
    >>> [feature.name for feature in needed_features(view, [view.feature("return_rate_90d")])]
    ['orders_90d', 'returns_90d', 'return_rate_90d']
    """
    wanted = {feature.name for feature in features}
    for feature in reversed(view.features):  # a derived feature comes after those that it reads
        if feature.name in wanted and feature.expression:
            wanted |= feature.expression.columns
    return [feature for feature in view.features if feature.name in wanted]


def aggregations_read(view: FeatureView, features: Iterable[Feature]) -> set[str]:
    """Return the names of the aggregations that features are computed from."""
    return {feature.aggregation.name for feature in needed_features(view, features) if feature.aggregation}


def calibrations_read(view: FeatureView, features: Iterable[Feature]) -> set[str]:
    """Return the names of the calibrations that features read, themselves or through features that they need."""
    needed = needed_features(view, features)
    return {use.calibration for feature in needed if feature.expression for use in feature.expression.calibrated}


def columns_read(view: FeatureView, features: Iterable[Feature]) -> set[str]:
    """Return the source columns that features are computed from, conditions and the event time included; keys are not."""
    columns = set[str]()
    for feature in needed_features(view, features):
        if feature.aggregation is not None:
            column, where = feature.aggregation.input_column, feature.aggregation.where
            columns |= {view.event_time, *([column] if column else [])}
            columns |= parse(where, view.source.types).columns if where else set()
    return columns
