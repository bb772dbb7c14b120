"""Features: tiles, running totals, and the month-end snapshots that drift compares; one asset of each for every view."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from featurestore.spec.document import fingerprint, ledger_fingerprint
from featurestore.spec.joined import JoinedView
from featurestore.spec.registry import Registry
from featurestore.spec.view import FeatureView
from featurestore_pipelines.assets.lineage import joined_columns, view_columns
from featurestore_pipelines.assets.shared import (
    EVENTS,
    FEATURES,
    LEDGER,
    TILES,
    Blueprint,
    TimedUnits,
    after_the_month_before,
    as_read,
    chosen,
    joined_as_read,
    key_of,
    owners_of,
    stage_asset,
    tags_of,
    units,
)
from featurestore_pipelines.failures import readable_failures
from featurestore_pipelines.inventory import Inventory, Snapshots
from featurestore_pipelines.metadata import plot, size_of
from featurestore_pipelines.partitions import finished_months_of, interval_of, months_of
from featurestore_pipelines.resources import Progress, StoreResource

TILES_DESCRIPTION = """Partial aggregates of `{view}`: what one entity did in one step. {description}

**Grain**: one row per {keys} and {step} with activity; a partition is a business month.
Late events make tiles of earlier months stale: they are made anew too, up to the end of the run's months."""
LEDGER_DESCRIPTION = """Running totals of `{view}`: a window is the difference of two of them, whatever its length. {description}

**Grain**: one row per {keys} and {step} with activity, totals since its partition of the ledger began, and one row per entity
with the balance carried into it. Each month adds to the one before it."""
FEATURES_DESCRIPTION = """Month-end snapshots of the {count} features of `{view}`: what drift compares. {description}

**Grain**: one row per entity of a stable panel (a hash sample of those active in the last 90 days), at the first instant of
the next month. Windows of more than a year are taken over the month alone, as inflow. `null_rate` is the share of its rows without a
value: of all features, and of each that can lack one.

**Read by**: {services}"""
JOINED_DESCRIPTION = """Features computed from those of {views} when they are read. {description}

**Grain**: nothing is materialized; a row is computed for each row of a spine."""
STEPS = {"1d": "day", "1h": "hour", "event": "event"}


def build_tiles(blueprint: Blueprint) -> dg.AssetsDefinition:
    """Make the asset of each view's tiles."""
    specs = [
        _spec(view, TILES, TILES_DESCRIPTION, deps=[key_of(EVENTS, view.source.name)])
        for view in blueprint.registry.views.values()
    ]

    @stage_asset(TILES, specs, blueprint)
    def tiles(
        context: dg.AssetExecutionContext, store: dg.ResourceParam[StoreResource], progress: dg.ResourceParam[Progress]
    ) -> Iterator[dg.MaterializeResult[Any]]:
        with readable_failures():
            opened = blueprint.open(store)
            months = months_of(context)
            views = chosen(context, TILES)
            told = TimedUnits(progress, TILES)
            report = opened.materialize(
                views, interval=interval_of(months), stages=("tiles",), progress=lambda view, _, done: told(view, done)
            )
            inventory = Inventory(opened)
            computed = {view.view: set(view.months) for view in report.views}
            for view in views:
                key = key_of(TILES, view)
                for month in months:
                    effort = plot(
                        is_computed=int(month in computed[view]), elapsed_s=told.elapsed_s.get((view, str(month)), 0.0)
                    )
                    facts = {**size_of(inventory.tiles(month, view=view)), **effort}
                    context.add_asset_metadata(facts, asset_key=key, partition_key=str(month))
                yield dg.MaterializeResult(asset_key=key)

    return tiles


def build_ledger(blueprint: Blueprint) -> dg.AssetsDefinition:
    """Make the asset of each view's running totals."""
    specs = [
        _spec(
            view, LEDGER, LEDGER_DESCRIPTION, deps=[key_of(TILES, view.name), after_the_month_before(key_of(LEDGER, view.name))]
        )
        for view in blueprint.registry.views.values()
    ]

    @stage_asset(LEDGER, specs, blueprint)
    def ledger(
        context: dg.AssetExecutionContext, store: dg.ResourceParam[StoreResource], progress: dg.ResourceParam[Progress]
    ) -> Iterator[dg.MaterializeResult[Any]]:
        with readable_failures():
            opened = blueprint.open(store)
            months = months_of(context)
            views = chosen(context, LEDGER)
            told = units(progress, LEDGER)
            started = time.perf_counter()
            report = opened.materialize(
                views, interval=interval_of(months), stages=("ledger",), progress=lambda view, _, done: told(view, done)
            )
            elapsed_s = time.perf_counter() - started
            inventory = Inventory(opened)
            written = {view.view: view.ledger_rows for view in report.views}
            for view in views:
                key = key_of(LEDGER, view)
                for month in months:
                    year = plot(
                        year_rows=inventory.ledger_rows(month.year, view=view),
                        year_bytes=inventory.ledger_bytes(month.year, view=view),
                    )
                    context.add_asset_metadata(year, asset_key=key, partition_key=str(month))
                run = plot(run_rows_written=written.get(view, 0), run_elapsed_s=elapsed_s)
                context.add_asset_metadata(run, asset_key=key, partition_key=str(months[-1]))
                yield dg.MaterializeResult(asset_key=key)

    return ledger


def build_features(blueprint: Blueprint) -> dg.AssetsDefinition:
    """Make the asset of each view's month-end snapshots."""
    registry = blueprint.registry
    specs = [_features_spec(view, registry) for view in registry.views.values()]

    @stage_asset(FEATURES, specs, blueprint)
    def features(
        context: dg.AssetExecutionContext, store: dg.ResourceParam[StoreResource], progress: dg.ResourceParam[Progress]
    ) -> Iterator[dg.MaterializeResult[Any]]:
        with readable_failures():
            opened = blueprint.open(store)
            views = chosen(context, FEATURES)
            told = TimedUnits(progress, FEATURES)
            months = finished_months_of(context, opened.layout.timezone)
            if not months:
                return
            rows = opened.take_snapshots(months, views=views, progress=told)
            for view in views:
                key = key_of(FEATURES, view)
                snapshots = Snapshots(opened, registry.views[view])
                for month in months:
                    effort = plot(elapsed_s=told.elapsed_s.get((view, str(month)), 0.0))
                    context.add_asset_metadata({**snapshots.describe(month), **effort}, asset_key=key, partition_key=str(month))
                last = {**plot(run_rows_written=rows[view]), **view_columns(registry.views[view])}
                context.add_asset_metadata(last, asset_key=key, partition_key=str(months[-1]))
                yield dg.MaterializeResult(asset_key=key)

    return features


def joined_specs(blueprint: Blueprint) -> list[dg.AssetSpec]:
    """Describe each joined view: it is computed when it is read, so nothing materializes it."""
    return [_joined_spec(joined, blueprint.registry) for joined in blueprint.registry.joined_views.values()]


def _spec(view: FeatureView, stage: str, description: str, *, deps: Sequence[dg.AssetKey | dg.AssetDep]) -> dg.AssetSpec:
    keys = " and ".join(view.entity.keys)
    text = description.format(view=view.name, keys=keys, step=STEPS[view.grain], description=view.description)
    return dg.AssetSpec(
        key_of(stage, view.name),
        deps=deps,
        group_name="features",
        kinds={"parquet", "deltalake", "duckdb" if stage == TILES else "python"},
        tags=tags_of("step", view.tags),
        description=text,
        code_version=ledger_fingerprint(as_read(view)),
        owners=owners_of(view.owner),
        skippable=True,
    )


def _features_spec(view: FeatureView, registry: Registry) -> dg.AssetSpec:
    services = [
        f"`{name}` ({count} features)"
        for name, service in registry.services.items()
        if (count := sum(feature.view == view.name for feature in registry.resolve(service)))
    ]
    return dg.AssetSpec(
        key_of(FEATURES, view.name),
        deps=[key_of(LEDGER, view.name)],
        group_name="features",
        kinds={"parquet", "deltalake", "python"},
        tags=tags_of("month", view.tags),
        description=FEATURES_DESCRIPTION.format(
            view=view.name, count=len(view.features), description=view.description, services="; ".join(services) or "no service"
        ),
        code_version=fingerprint(as_read(view)),
        metadata=view_columns(view),
        owners=owners_of(view.owner),
        skippable=True,
    )


def _joined_spec(joined: JoinedView, registry: Registry) -> dg.AssetSpec:
    views = ", ".join(f"`{view.name}`" for view in joined.views)
    return dg.AssetSpec(
        key_of(FEATURES, joined.name),
        deps=[key_of(FEATURES, view.name) for view in joined.views],
        group_name="features",
        kinds={"python"},
        tags=tags_of("spine"),
        description=JOINED_DESCRIPTION.format(views=views, description=joined.description),
        code_version=fingerprint(joined_as_read(joined)),
        metadata=joined_columns(registry, joined.name),
        owners=owners_of(joined.owner),
    )
