"""Ingest: the files that landed for a month become committed events."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import dagster as dg

from featurestore.client import FeatureStore
from featurestore.lake.ingestion.ingest_report import IngestReport
from featurestore.lake.ingestion.landing import landed_files
from featurestore.lake.table import Table
from featurestore.spec.registry import Registry
from featurestore.spec.source import EventSource
from featurestore.timeline import Month
from featurestore_pipelines.assets.lineage import source_columns
from featurestore_pipelines.assets.shared import (
    EVENTS,
    Blueprint,
    chosen,
    key_of,
    owners_of,
    source_version,
    stage_asset,
    tags_of,
)
from featurestore_pipelines.failures import readable_failures
from featurestore_pipelines.metadata import Metadata, plot, size_of, table_of
from featurestore_pipelines.partitions import months_of
from featurestore_pipelines.resources import Progress, StoreResource

DESCRIPTION = """{description}

**Grain**: one row per event; a partition is a business month of the time at which it happened.
Reads the Parquet, Arrow, CSV and JSON-lines files of `{landing}` with a date of the month in their path (`2024-08.parquet`,
`orders_2024-08-31.csv`, `20240831.csv.gz`, `dt=2024-08-31/part-0.jsonl`). Late rows in them go to their own months. Invalid rows
go to the quarantine with a reason. Reading a month again changes nothing.

**Read by**: {views}"""


def build_events(blueprint: Blueprint) -> dg.AssetsDefinition:
    """Make the asset of each event source."""
    sources = blueprint.registry.sources

    @stage_asset(EVENTS, [_spec(source, blueprint.registry) for source in sources.values()], blueprint)
    def events(
        context: dg.AssetExecutionContext, store: dg.ResourceParam[StoreResource], progress: dg.ResourceParam[Progress]
    ) -> Iterator[dg.MaterializeResult[Any]]:
        with readable_failures():
            opened = blueprint.open(store)
            names = chosen(context, EVENTS)
            months = months_of(context)
            reports: dict[str, dict[Month, list[IngestReport]]] = {name: {} for name in names}
            for month in months:
                for name in names:
                    reports[name][month] = ingest_month(opened, month, [sources[name]])
                    if not reports[name][month]:
                        context.log.warning(f"No file of {name} has landed for {month}.")
                progress(EVENTS, str(month))
            for name in names:
                key = key_of(EVENTS, name)
                for month, metadata in _describe(opened, name, reports[name]).items():
                    context.add_asset_metadata(metadata, asset_key=key, partition_key=str(month))
                yield dg.MaterializeResult(asset_key=key)

    return events


def _spec(source: EventSource, registry: Registry) -> dg.AssetSpec:
    readers = [f"`{view.name}`" for view in registry.views.values() if view.source.name == source.name]
    return dg.AssetSpec(
        key_of(EVENTS, source.name),
        group_name="ingest",
        kinds={"parquet", "deltalake", "duckdb"},
        tags=tags_of("event"),
        description=DESCRIPTION.format(
            description=source.description or "Events as they happened, validated, de-duplicated and committed.",
            landing=source.landing or f"landing/{source.name}",
            views=", ".join(readers) or "no view",
        ),
        code_version=source_version(source),
        metadata=source_columns(source),
        owners=owners_of(),
        skippable=True,
    )


def ingest_month(store: FeatureStore, month: Month, sources: Iterable[EventSource]) -> list[IngestReport]:
    """Ingest the files that landed for a month; a report for each source that has some."""
    landed = ((source.name, landed_files(store.layout, source, month=month)) for source in sources)
    return [store.ingest(name, [file.path for file in files]) for name, files in landed if files]


def _describe(store: FeatureStore, name: str, reports: dict[Month, list[IngestReport]]) -> dict[Month, Metadata]:
    """Describe each month of a source: what was read, and what is committed of it now."""
    table = Table.open(store.layout.events(name))
    described = {}
    for month, of_month in reports.items():
        counted = Counter[str]()
        for report in of_month:
            counted.update(report.quarantined)
        quarantined = [{"reason": reason, "rows": rows} for reason, rows in sorted(counted.items())]
        described[month] = {**size_of(table.files(month=str(month))), **_counts(of_month), "quarantine": table_of(quarantined)}
    return described


def _counts(reports: Sequence[IngestReport]) -> Metadata:
    return plot(
        rows_read=sum(report.rows_read for report in reports),
        rows_added=sum(report.rows_added for report in reports),
        duplicates=sum(report.duplicates for report in reports),
        corrections=sum(report.corrections for report in reports),
        quarantined=sum(sum(report.quarantined.values()) for report in reports),
        months_changed=len({month for report in reports for month in report.months}),
        elapsed_s=sum(report.elapsed_s for report in reports),
    )
