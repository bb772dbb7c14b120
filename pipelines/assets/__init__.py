"""The assets, by topic: ingest, features, services, drift, calibration; one of each for every definition."""

import warnings

import dagster as dg

from featurestore_pipelines.assets.calibration import build_calibration
from featurestore_pipelines.assets.drift import build_drift_report
from featurestore_pipelines.assets.features import build_features, build_ledger, build_tiles, joined_specs
from featurestore_pipelines.assets.ingest import build_events
from featurestore_pipelines.assets.services import build_services
from featurestore_pipelines.assets.shared import Blueprint


def build_assets(blueprint: Blueprint) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """Make the assets of some definitions, from events to calibrations; no stage without definitions."""
    registry = blueprint.registry
    builders = [build_events, build_tiles, build_ledger, build_features, build_drift_report]
    builders += [build_services] if registry.services else []
    builders += [build_calibration] if registry.calibrations else []
    with warnings.catch_warnings():
        # Backfill policies are in beta; the warning is about nothing else that we use.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return [*(build(blueprint) for build in builders), *joined_specs(blueprint)]
