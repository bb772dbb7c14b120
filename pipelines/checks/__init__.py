"""Checks, made from the definitions: what must hold of a store after a run.

Each takes its numbers from the store, not from what the run itself reported, and shows them as metadata. Those that are
*blocking* stop a run before anything downstream is made of what they found wrong; the others warn.
"""

from collections.abc import Sequence

import dagster as dg

from featurestore_pipelines.assets.shared import Blueprint
from featurestore_pipelines.checks.drift import build_calibration_checks, build_drift_checks, build_forecast_checks
from featurestore_pipelines.checks.events import build_event_checks
from featurestore_pipelines.checks.ledgers import VERIFIED, build_ledger_checks

__all__ = ["VERIFIED", "build_checks"]


def build_checks(blueprint: Blueprint) -> Sequence[dg.AssetChecksDefinition]:
    """Make the checks of all sources, views and calibrations."""
    builders = [build_event_checks, build_ledger_checks, build_drift_checks]
    builders += [build_forecast_checks] if any(view.forecasts for view in blueprint.registry.views.values()) else []
    builders += [build_calibration_checks] if blueprint.registry.calibrations else []
    return [build(blueprint) for build in builders]
