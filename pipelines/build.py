"""Build: everything that Dagster runs, from some definitions."""

from collections.abc import Iterable

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from featurestore.spec.document import Definition
from pipelines.assets import build_assets
from pipelines.assets.shared import CALIBRATION, LEDGER, Blueprint, key_of
from pipelines.checks import VERIFIED, build_checks
from pipelines.partitions import monthly_partitions
from pipelines.resources import Progress, StoreResource, ignore_progress
from pipelines.schedules import MONTH_CLOSE, build_month_schedule
from pipelines.sensors import RECALIBRATION, build_recalibration_sensor

ASSETS_ONLY, BACKFILL = "assets", "backfill"


def build_definitions(
    objects: Iterable[Definition],
    store: StoreResource,
    *,
    partitions: dg.MonthlyPartitionsDefinition | None = None,
    progress: Progress = ignore_progress,
) -> dg.Definitions:
    """Make the assets, checks, jobs, schedules and sensors of some definitions.

    A pure function: neither the store nor its directory is looked at, so it also works where there is none yet. Every run
    applies the definitions before it does anything else.

    Args:
        objects: Definitions; each source, view, service and calibration has assets of its own.
        store: Which store they are applied to.
        partitions: The months; by default from 2016 on, in the store's time zone.
        progress: Called by the assets for each unit of work that is done.

    Returns:
        Definitions whose runs stay in one process: a step costs 0.1 s there, 3.8 s in one of its own.
    """
    blueprint = Blueprint(tuple(objects), partitions or monthly_partitions(store.timezone))
    has_calibrations = bool(blueprint.registry.calibrations)
    return dg.Definitions(
        assets=build_assets(blueprint),
        asset_checks=build_checks(blueprint),
        jobs=build_jobs(blueprint),
        schedules=[build_month_schedule(blueprint.partitions)],
        sensors=[build_recalibration_sensor(blueprint.registry)] if has_calibrations else [],
        resources={"store": store, "progress": progress},
        executor=dg.in_process_executor,
    )


def build_jobs(blueprint: Blueprint) -> list[UnresolvedAssetJobDefinition]:
    """Make the jobs: what closes a month, what answers drifts, and all assets without checks for a demo."""
    everything = dg.AssetSelection.all()
    calibrations = dg.AssetSelection.key_prefixes([CALIBRATION])
    jobs = [
        dg.define_asset_job(
            MONTH_CLOSE,
            selection=everything - calibrations if blueprint.registry.calibrations else everything,
            description="Ingest a month, bring its features up to date, audit them. The sensor follows with the recalibration.",
        ),
        dg.define_asset_job(
            ASSETS_ONLY,
            selection=everything - dg.AssetSelection.all_asset_checks(),
            description="All assets, without their checks.",
        ),
        dg.define_asset_job(
            BACKFILL,
            selection=everything - proofs(blueprint),
            description="All assets and checks of a range of months; the proof of the ledgers is left to the month's close.",
        ),
    ]
    if blueprint.registry.calibrations:
        jobs.append(
            dg.define_asset_job(
                RECALIBRATION,
                selection=calibrations,
                description="Refit the calibrations that a drift has triggered; promote a challenger only if it is better.",
            )
        )
    return jobs


def proofs(blueprint: Blueprint) -> dg.AssetSelection:
    """Select the checks that compute a ledger anew: what runs often does without them."""
    return dg.AssetSelection.checks(*(dg.AssetCheckKey(key_of(LEDGER, view), VERIFIED) for view in blueprint.registry.views))
