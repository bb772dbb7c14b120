"""The assets, by topic: ingest, features, drift, calibration."""

import warnings

import dagster as dg

from pipelines.assets.calibration import build_calibration
from pipelines.assets.drift import build_drift_report
from pipelines.assets.features import build_features, build_ledger, build_tiles
from pipelines.assets.ingest import build_events
from pipelines.resources import StoreResource

BUILDERS = (build_events, build_tiles, build_ledger, build_features, build_drift_report, build_calibration)


def build_assets(store: StoreResource, partitions: dg.MonthlyPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Make the assets of one store, from events to calibration.

    Args:
        store: Names the definitions that descriptions and code versions are made from; it is not opened.
        partitions: Months, the same for all.
    """
    with warnings.catch_warnings():
        # Backfill policies are in beta; the warning is about nothing else that we use.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return [build(store.registry, partitions) for build in BUILDERS]
