"""Build: everything that Dagster runs, from some definitions."""

from collections.abc import Iterable

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from featurestore.spec.document import Definition
from featurestore_pipelines.assets import build_assets
from featurestore_pipelines.assets.shared import CALIBRATION, EVENTS, LEDGER, SERVICES, TILES, Blueprint, key_of
from featurestore_pipelines.checks import VERIFIED, build_checks
from featurestore_pipelines.maintenance import build_maintenance
from featurestore_pipelines.partitions import monthly_partitions
from featurestore_pipelines.resources import Progress, StoreResource, ignore_progress
from featurestore_pipelines.schedules import DAILY_REFRESH, MONTH_CLOSE, PEAK_REFRESH, build_schedules
from featurestore_pipelines.sensors import RECALIBRATION, build_sensors

ASSETS_ONLY, BACKFILL = "assets", "backfill"


def build_definitions(
    objects: Iterable[Definition],
    store: StoreResource,
    *,
    partitions: dg.MonthlyPartitionsDefinition | None = None,
    is_automatic: bool = False,
    progress: Progress = ignore_progress,
) -> dg.Definitions:
    """Make the assets, checks, jobs, schedules and sensors of some definitions.

    A pure function: neither the store nor its directory is looked at, so it also works where there is none yet. Every run
    applies the definitions before it does anything else.

    Args:
        objects: Definitions; each source, view, service and calibration has assets of its own.
        store: Which store they are applied to.
        partitions: The months; by default from 2016 on, in the store's time zone.
        is_automatic: Whether all schedules and sensors run as soon as a daemon loads them; else each is switched on in the UI.
        progress: Called by the assets for each unit of work that is done.

    Returns:
        Definitions whose runs stay in one process: a step costs 0.1 s there, 3.8 s in one of its own.
    """
    blueprint = Blueprint(tuple(objects), partitions or monthly_partitions(store.timezone))
    schedules, sensors = dg.DefaultScheduleStatus, dg.DefaultSensorStatus
    return dg.Definitions(
        assets=build_assets(blueprint),
        asset_checks=build_checks(blueprint),
        jobs=[*build_jobs(blueprint), build_maintenance(blueprint)],
        schedules=build_schedules(
            blueprint.partitions,
            schedules.RUNNING if is_automatic else schedules.STOPPED,
            has_hourly_views=bool(hourly_views(blueprint)),
        ),
        sensors=build_sensors(blueprint, store, sensors.RUNNING if is_automatic else sensors.STOPPED),
        resources={"store": store, "progress": progress},
        executor=dg.in_process_executor,
    )


def build_jobs(blueprint: Blueprint) -> list[UnresolvedAssetJobDefinition]:
    """Make the jobs: what closes a month, what refreshes it, what answers drifts, and all of it for ranges of months."""
    answers = dg.define_asset_job(
        RECALIBRATION,
        selection=dg.AssetSelection.key_prefixes([CALIBRATION]),
        description="Refit the calibrations that a drift has triggered; promote a challenger only if it is better.",
    )
    return [*_month_jobs(blueprint), *_refresh_jobs(blueprint), *([answers] if blueprint.registry.calibrations else [])]


def _month_jobs(blueprint: Blueprint) -> list[UnresolvedAssetJobDefinition]:
    everything = dg.AssetSelection.all()
    calibrations = dg.AssetSelection.key_prefixes([CALIBRATION])
    return [
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


def _refresh_jobs(blueprint: Blueprint) -> list[UnresolvedAssetJobDefinition]:
    current = dg.AssetSelection.key_prefixes([EVENTS], [TILES], [LEDGER], [SERVICES])
    jobs = [
        dg.define_asset_job(
            DAILY_REFRESH,
            selection=current - proofs(blueprint),
            description="Ingest a month, also one in progress, and bring tiles, ledgers and services up to date.",
        )
    ]
    if hourly := hourly_views(blueprint):
        jobs.append(
            dg.define_asset_job(
                PEAK_REFRESH,
                selection=_hourly(blueprint, hourly) - proofs(blueprint),
                description="Ingest a month in progress, refresh views that count by the hour, publish the services that read them.",
            )
        )
    return jobs


def proofs(blueprint: Blueprint) -> dg.AssetSelection:
    """Select the checks that compute a ledger anew: what runs often does without them."""
    return dg.AssetSelection.checks(*(dg.AssetCheckKey(key_of(LEDGER, view), VERIFIED) for view in blueprint.registry.views))


def hourly_views(blueprint: Blueprint) -> list[str]:
    """List the views whose windows end at a full hour or at an event: those that change within a day."""
    return [view.name for view in blueprint.registry.views.values() if view.grain != "1d"]


def _hourly(blueprint: Blueprint, views: list[str]) -> dg.AssetSelection:
    """Select some views and the services that read them; with these, all that they read: half of it cannot be published."""
    registry = blueprint.registry
    services = []
    needed = dict.fromkeys(views)
    for name, service in registry.services.items():
        read = [view.name for view in registry.views_of(registry.resolve(service))]
        if not set(views).isdisjoint(read):
            services.append(name)
            needed |= dict.fromkeys(read)
    sources = dict.fromkeys(registry.views[view].source.name for view in needed)
    keys = [key_of(stage, view) for stage in (TILES, LEDGER) for view in needed]
    keys += [key_of(EVENTS, source) for source in sources] + [key_of(SERVICES, name) for name in services]
    return dg.AssetSelection.assets(*keys)
