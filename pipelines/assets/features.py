"""Features: tiles, running totals, and the month-end snapshots that drift compares."""

import time
from collections.abc import Callable

import dagster as dg

from featurestore.spec.document import ledger_fingerprint
from featurestore.spec.registry import Registry
from pipelines.assets.shared import EVENTS, FEATURES, LEDGER, OWNERS, TILES, after_the_month_before, one_run, version_of
from pipelines.failures import readable_failures
from pipelines.inventory import Inventory
from pipelines.metadata import plot, size_of, table_of
from pipelines.partitions import interval_of, months_of
from pipelines.resources import Progress, StoreResource

TILES_DESCRIPTION = """Partial aggregates of each feature view: what one entity did in one step.

**Grain**: one row per entity and step (a day or an hour) with activity; a partition is a business month.
Late events make tiles of earlier months stale: they are made anew too, up to the end of the run's months.

**Views**: {views}"""
LEDGER_DESCRIPTION = """Running totals: a window is the difference of two of them, whatever its length.

**Grain**: one row per entity and step with activity, totals since the start of the business year, and one row per entity with
the balance carried into the year. Each month adds to the one before it.

**Views**: {views}"""
FEATURES_DESCRIPTION = """Month-end snapshots of the features: what drift compares.

**Grain**: one row per view and entity of a stable panel (a hash sample of those active in the last 90 days), at the first
instant of the next month. Windows of more than a year are taken over the month alone, as inflow.

**Read by**: {services}"""


def build_tiles(registry: Registry, partitions: dg.MonthlyPartitionsDefinition) -> dg.AssetsDefinition:
    """Make the asset of all views' tiles."""

    @dg.asset(
        name=TILES,
        deps=[EVENTS],
        group_name="features",
        kinds={"parquet", "deltalake", "duckdb"},
        tags={"grain": "step"},
        description=TILES_DESCRIPTION.format(views=_views(registry)),
        code_version=version_of(map(ledger_fingerprint, registry.views.values())),
        owners=OWNERS,
        partitions_def=partitions,
        backfill_policy=one_run(),
    )
    def tiles(context: dg.AssetExecutionContext, store: StoreResource, progress: dg.ResourceParam[Progress]) -> None:
        with readable_failures():
            opened, months = store.store(), months_of(context)
            report = opened.materialize(interval=interval_of(months), stages=("tiles",), progress=_units(progress, TILES))
            inventory = Inventory(opened)
            for month in months:
                computed = sum(month in view.months for view in report.views)
                facts = {**size_of(inventory.tiles(month)), **plot(views_computed=computed)}
                context.add_asset_metadata(facts, partition_key=str(month))
            context.add_asset_metadata(
                plot(run_rows_written=report.tile_rows, run_elapsed_s=report.elapsed_s), partition_key=str(months[-1])
            )

    return tiles


def build_ledger(registry: Registry, partitions: dg.MonthlyPartitionsDefinition) -> dg.AssetsDefinition:
    """Make the asset of all views' running totals."""

    @dg.asset(
        name=LEDGER,
        deps=[TILES, after_the_month_before(LEDGER)],
        group_name="features",
        kinds={"parquet", "deltalake", "python"},
        tags={"grain": "step"},
        description=LEDGER_DESCRIPTION.format(views=_views(registry)),
        code_version=version_of(map(ledger_fingerprint, registry.views.values())),
        owners=OWNERS,
        partitions_def=partitions,
        backfill_policy=one_run(),
    )
    def ledger(context: dg.AssetExecutionContext, store: StoreResource, progress: dg.ResourceParam[Progress]) -> None:
        with readable_failures():
            opened, months = store.store(), months_of(context)
            report = opened.materialize(interval=interval_of(months), stages=("ledger",), progress=_units(progress, LEDGER))
            inventory = Inventory(opened)
            for month in months:
                year = plot(year_rows=inventory.ledger_rows(month.year), year_bytes=inventory.ledger_bytes(month.year))
                context.add_asset_metadata(year, partition_key=str(month))
            context.add_asset_metadata(
                plot(run_rows_written=report.ledger_rows, run_elapsed_s=report.elapsed_s), partition_key=str(months[-1])
            )

    return ledger


def build_features(registry: Registry, partitions: dg.MonthlyPartitionsDefinition) -> dg.AssetsDefinition:
    """Make the asset of all views' month-end snapshots."""
    services = [f"`{name}` ({len(registry.resolve(service))} features)" for name, service in registry.services.items()]

    @dg.asset(
        name=FEATURES,
        deps=[LEDGER],
        group_name="features",
        kinds={"parquet", "deltalake", "python"},
        tags={"grain": "month"},
        description=FEATURES_DESCRIPTION.format(services="; ".join(services) or "no service"),
        code_version=version_of(registry.views),
        owners=OWNERS,
        partitions_def=partitions,
        backfill_policy=one_run(),
    )
    def features(context: dg.AssetExecutionContext, store: StoreResource, progress: dg.ResourceParam[Progress]) -> None:
        with readable_failures():
            opened, months, started = store.store(), months_of(context), time.perf_counter()
            rows = opened.take_snapshots(months, progress=lambda view, month: progress(FEATURES, f"{view} {month}"))
            facts = plot(run_rows_written=sum(rows.values()), run_elapsed_s=time.perf_counter() - started)
            by_view = table_of([{"view": view, "rows_written": count} for view, count in rows.items()])
            context.add_asset_metadata({**facts, "run_views": by_view}, partition_key=str(months[-1]))
            count = sum(len(view.features) for view in opened.registry.views.values())
            for month in months:
                context.add_asset_metadata(plot(views=len(rows), features=count), partition_key=str(month))

    return features


def _views(registry: Registry) -> str:
    return "; ".join(
        f"`{view.name}` (per {' and '.join(view.entity.keys)}, {view.grain}, {len(view.features)} features)"
        for view in registry.views.values()
    )


def _units(progress: Progress, stage: str) -> Callable[[str, str, str], None]:
    return lambda view, _, done: progress(stage, f"{view} {done}")
