"""Who depends on a feature: the services that read it, the features computed from it, the calibrations it concerns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from featurestore.drift.data_faults.source_fault import EVENT
from featurestore.drift.reliability import feature_column
from featurestore.spec.lineage import aggregations_read, columns_read
from featurestore.spec.registry import Registry
from featurestore.spec.view import FeatureView


@dataclass(frozen=True)
class Dependants:
    """Who depends on a feature.

    Attributes:
        services: Services that read it, or a feature computed from it, or one that reads a calibration of it.
        owners: Who answers for its view and for these services.
        features: Columns of the features computed from it, or reading a calibration of it.
        calibrations: Calibrations fitted from it, or read by it.
    """

    services: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    calibrations: tuple[str, ...] = ()


def dependants_of(registry: Registry, column: str) -> Dependants:
    """Collect who depends on a feature column, ``view__feature``; nobody on one that is no longer defined.

    Whoever depends on a forecast depends on how reliable it is.
    """
    column = feature_column(column)
    view = registry.views.get(column.partition("__")[0])
    if view is None or column not in {feature.column for feature in view.features}:
        return Dependants()
    calibrations = calibrations_of(registry, column)
    touched = {column, *_computed_from(view, column)}
    touched |= {feature.column for name in calibrations for feature in registry.calibrated_features(name)}
    services = tuple(
        name for name, service in sorted(registry.services.items()) if touched & {f.column for f in registry.resolve(service)}
    )
    owners = dict.fromkeys(owner for owner in (view.owner, *(registry.services[name].owner for name in services)) if owner)
    return Dependants(services, tuple(owners), tuple(sorted(touched - {column})), calibrations)


def dependants_of_column(registry: Registry, source: str, column: str) -> Dependants:
    """Collect who depends on a column of a source; whoever depends on any of its views depends on its events as a whole.

    Args:
        registry: The definitions.
        source: Name of the source.
        column: One of its columns, or ``rows`` (``EVENT``).
    """
    views = [view for view in registry.views.values() if view.source.name == source]
    features = [
        feature
        for view in views
        for feature in view.features
        if column == EVENT or column in columns_read(view, [feature]) | {own for _, own in view.key_columns}
    ]
    dependants = [dependants_of(registry, feature.column) for feature in features]
    computed = {feature.column for feature in features}.union(*(each.features for each in dependants))
    return Dependants(
        _merged(each.services for each in dependants),
        _merged(each.owners for each in dependants),
        tuple(sorted(computed)),
        _merged(each.calibrations for each in dependants),
    )


def calibrations_of(registry: Registry, column: str) -> tuple[str, ...]:
    """List the calibrations that a feature column concerns: it reads them, or is computed from what they are fitted from."""
    column = feature_column(column)
    view, _, name = column.partition("__")
    concerned = []
    for calibration in registry.calibrations.values():
        inputs = [reference.partition(":")[2] for reference in calibration.inputs if reference.startswith(f"{view}:")]
        reads = any(feature.column == column for feature in registry.calibrated_features(calibration.name))
        if reads or (inputs and _is_fitted_from(registry.views[view], name, inputs)):
            concerned.append(calibration.name)
    return tuple(sorted(concerned))


def _is_fitted_from(view: FeatureView, name: str, inputs: Sequence[str]) -> bool:
    """Say whether a feature of a view is computed from nothing but what a calibration's inputs are."""
    if name not in {feature.name for feature in view.features}:
        return False
    return aggregations_read(view, [view.feature(name)]) <= aggregations_read(view, map(view.feature, inputs))


def _computed_from(view: FeatureView, column: str) -> set[str]:
    """List the columns of a view that are computed from one of its columns, directly or not."""
    names = {column.partition("__")[2]}
    for feature in view.features:  # a derived feature stands after those that it reads
        if feature.expression and feature.expression.columns & names:
            names.add(feature.name)
    return {f"{view.name}__{name}" for name in names}


def _merged(names: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(sorted({name for own in names for name in own}))
