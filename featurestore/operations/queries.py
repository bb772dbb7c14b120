"""Questions: what a training set or a batch is read from, now, in an earlier answer or in a publication."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import Any

from featurestore.compute.retrieval.historical import HistoricalQuery, historical_query
from featurestore.compute.retrieval.publication import Publication
from featurestore.compute.windows.derive import ParameterVersion
from featurestore.compute.windows.versions import ReadVersions
from featurestore.errors import DefinitionError
from featurestore.lake.layout import Layout
from featurestore.operations.earlier_definitions import registry_of_versions
from featurestore.operations.parameters import accepted_parameters, champion_parameters
from featurestore.spec.registry import Registry
from featurestore.spec.resolution import Features
from featurestore.timeline.arguments import length_us


def training_query(
    layout: Layout,
    registry: Registry,
    features: Features,
    *,
    as_of: str,
    join_keys: Mapping[str, str] | None,
    versions: Any,
    as_known: bool,
    max_lag: str | timedelta | None = None,
) -> HistoricalQuery:
    """Open what training rows are read from: of a calibration, the version that was accepted at each row's as_of."""
    return _open(
        layout,
        registry,
        features,
        versions,
        parameters=accepted_parameters,
        as_known=as_known,
        max_lag=max_lag,
        as_of=as_of,
        join_keys=join_keys,
    )


def batch_query(
    layout: Layout,
    registry: Registry,
    features: Features,
    *,
    versions: Any,
    as_known: bool,
    max_lag: str | timedelta | None = None,
) -> HistoricalQuery:
    """Open what a batch is read from: of a calibration, the champion."""
    return _open(layout, registry, features, versions, parameters=champion_parameters, as_known=as_known, max_lag=max_lag)


def _open(
    layout: Layout,
    registry: Registry,
    features: Features,
    versions: Any,
    *,
    parameters: Callable[..., Sequence[ParameterVersion]],
    as_known: bool,
    max_lag: str | timedelta | None,
    **columns: Any,
) -> HistoricalQuery:
    """Open what is read; a publication is read with its own definitions and calibrations.

    Raises:
        DefinitionError: ``max_lag`` is given with versions, or with as_known.
    """
    if max_lag is not None and (versions is not None or as_known):
        other = "versions=" if versions is not None else "as_known=True"
        raise DefinitionError(
            f"max_lag={max_lag!r} asks for the last complete state, and {other} for another. Give one of both."
        )
    publication = versions if isinstance(versions, Publication) else None
    read = None if versions is None else ReadVersions.parse(publication.versions if publication else versions)
    calibrations = read.calibrations if read else {}
    if publication and parameters is champion_parameters:
        calibrations = {name: (champion,) if champion else () for name, champion in publication.champions.items()}
    if publication:
        registry = publication.registry
    elif read is not None:
        registry = registry_of_versions(layout, registry, features, read)
    return historical_query(
        layout,
        registry,
        features,
        parameters=cache(lambda name: parameters(layout, name, only=calibrations.get(name, ()) if read else None)),
        as_known=as_known,
        max_lag_us=None if max_lag is None else length_us(max_lag),
        versions=read,
        publication=publication,
        **columns,
    )
