"""Services: what each consumer reads, published when all of it is complete; the views that it shares are its upstream."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from featurestore.client import FeatureStore
from featurestore.drift.recalibration.calibration_versions import champion
from featurestore.errors import NotMaterializedError
from featurestore.spec.document import fingerprint
from featurestore.spec.registry import Registry
from featurestore.spec.service import FeatureService
from featurestore.timeline import Month
from featurestore_pipelines.assets.lineage import service_columns
from featurestore_pipelines.assets.shared import (
    FEATURES,
    LEDGER,
    SERVICES,
    Blueprint,
    chosen,
    key_of,
    owners_of,
    stage_asset,
    tags_of,
)
from featurestore_pipelines.failures import readable_failures
from featurestore_pipelines.inventory import newest_month
from featurestore_pipelines.metadata import Metadata, plot, table_of
from featurestore_pipelines.partitions import months_of
from featurestore_pipelines.resources import Progress, StoreResource

DESCRIPTION = """What `{name}` reads: {count} features of {views}. {description}

**Grain**: nothing is written but the publication that consumers read, as of the instant up to which all these views are
complete, after the checks of their ledgers. A run that is late or fails leaves the last good one. The features that others
read too are one column, computed once: {shared}."""


def build_services(blueprint: Blueprint) -> dg.AssetsDefinition:
    """Make the asset of each feature service."""
    registry = blueprint.registry
    specs = [_spec(service, registry) for service in registry.services.values()]

    @stage_asset(SERVICES, specs, blueprint)
    def services(
        context: dg.AssetExecutionContext, store: dg.ResourceParam[StoreResource], progress: dg.ResourceParam[Progress]
    ) -> Iterator[dg.MaterializeResult[Any]]:
        with readable_failures():
            opened = blueprint.open(store)
            months = months_of(context)
            for name in chosen(context, SERVICES):
                key = key_of(SERVICES, name)
                features = registry.resolve(registry.services[name])
                for month in months:
                    context.add_asset_metadata(plot(features=len(features)), asset_key=key, partition_key=str(month))
                    progress(SERVICES, f"{name} {month}")
                in_force = [
                    {"calibration": each, "version": version.name if version else None}
                    for each in sorted({use.calibration for f in features if f.expression for use in f.expression.calibrated})
                    for version in [champion(opened.layout.calibrations(each))]
                ]
                published = publish(opened, name, months[-1])
                last = {**published, **service_columns(features), "calibrations in force": table_of(in_force)}
                context.add_asset_metadata(last, asset_key=key, partition_key=str(months[-1]))
                yield dg.MaterializeResult(asset_key=key)

    return services


def publish(store: FeatureStore, service: str, last: Month) -> Metadata:
    """Publish a service at the end of a run.

    Args:
        store: The store, as the run has left it.
        service: Its name.
        last: Last month of the run.

    Raises:
        NotMaterializedError: the run has left something out; what later months lack is not its own.
    """
    try:
        publication = store.publish(service)
    except NotMaterializedError as error:
        newest = (newest_month(store, source) for source in store.registry.sources)
        if all(month is None or month <= last for month in newest):
            raise
        return {"not_published": dg.MetadataValue.text(str(error))}
    as_of, published_at = (dg.MetadataValue.timestamp(moment) for moment in (publication.as_of, publication.published_at))
    return {**plot(publication=publication.number), "published_as_of": as_of, "published_at": published_at}


def shared_features(registry: Registry, service: FeatureService) -> dict[str, int]:
    """Count the features that a service shares with each of the others."""
    mine = {feature.column for feature in registry.resolve(service)}
    others = {
        name: len(mine & {feature.column for feature in registry.resolve(other)})
        for name, other in registry.services.items()
        if name != service.name
    }
    return {name: count for name, count in others.items() if count}


def _spec(service: FeatureService, registry: Registry) -> dg.AssetSpec:
    features = registry.resolve(service)
    views = list(dict.fromkeys(feature.view for feature in features))
    shared = shared_features(registry, service)
    return dg.AssetSpec(
        key_of(SERVICES, service.name),
        deps=[
            *(key_of(FEATURES, view) for view in views),
            *(key_of(LEDGER, view.name) for view in registry.views_of(features)),
        ],
        group_name="serving",
        kinds={"json"},
        tags=tags_of("spine"),
        description=DESCRIPTION.format(
            name=service.name,
            count=len(features),
            views=", ".join(f"`{view}`" for view in views),
            description=service.description,
            shared="; ".join(f"{count} with `{name}`" for name, count in shared.items()) or "none",
        ),
        code_version=fingerprint(service),
        metadata=service_columns(features),
        owners=owners_of(service.owner),
        skippable=True,
    )
