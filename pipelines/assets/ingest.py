"""Ingest: the files that landed for a month become committed events."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import dagster as dg

from featurestore.client import FeatureStore
from featurestore.errors import IngestError
from featurestore.lake.inputs import files_below
from featurestore.lake.report import IngestReport
from featurestore.lake.table import Table
from featurestore.spec.registry import Registry
from featurestore.spec.source import EventSource
from featurestore.timeline import Month
from pipelines.assets.shared import EVENTS, OWNERS, one_run, version_of
from pipelines.failures import readable_failures
from pipelines.metadata import Metadata, plot, schema_of, size_of, table_of
from pipelines.partitions import months_of
from pipelines.resources import Progress, StoreResource

DESCRIPTION = """Events as they happened, validated, de-duplicated and committed.

**Grain**: one row per event; a partition is a business month of the time at which it happened.
Reads the Parquet, CSV and JSON-lines files of the landing folder whose path begins with the month (`2024-08.parquet`,
`2024-08-31.csv`, `2024-08/part-0.jsonl`). Late rows in them go to their own months. Invalid rows go to the quarantine with a
reason. Reading a month again changes nothing.

**Sources**: {sources}"""


def build_events(registry: Registry, partitions: dg.MonthlyPartitionsDefinition) -> dg.AssetsDefinition:
    """Make the asset of all event sources."""
    sources = list(registry.sources.values())

    @dg.asset(
        name=EVENTS,
        group_name="ingest",
        kinds={"parquet", "deltalake", "duckdb"},
        tags={"grain": "event"},
        description=DESCRIPTION.format(sources="; ".join(_told(source) for source in sources)),
        code_version=version_of(registry.sources),
        metadata={f"schema of {source.name}": dg.MetadataValue.table_schema(schema_of(source)) for source in sources},
        owners=OWNERS,
        partitions_def=partitions,
        backfill_policy=one_run(),
    )
    def events(context: dg.AssetExecutionContext, store: StoreResource, progress: dg.ResourceParam[Progress]) -> None:
        with readable_failures():
            opened, months, reports = store.store(), months_of(context), dict[Month, list[IngestReport]]()
            for month in months:
                reports[month] = ingest_month(opened, month, sources)
                if not reports[month]:
                    context.log.warning(f"No file has landed for {month}.")
                progress(EVENTS, str(month))
            for month, metadata in _describe(opened, reports).items():
                context.add_asset_metadata(metadata, partition_key=str(month))

    return events


def ingest_month(store: FeatureStore, month: Month, sources: Iterable[EventSource]) -> list[IngestReport]:
    """Ingest the files that landed for a month; a report for each source that has some."""
    return [store.ingest(source.name, files) for source in sources if (files := landed_files(store, source, month))]


def landed_files(store: FeatureStore, source: EventSource, month: Month) -> list[Path]:
    """List the files in a source's landing folder whose path, relative to it, begins with the month.

    Raises:
        IngestError: there is no such folder, or a file is a link or lies outside.
    """
    folder = store.layout.landing(source)
    if not folder.is_dir():
        raise IngestError(f"Source {source.name!r} has no landing folder {folder}. Create it and let files land there.")
    found = [path for path in files_below(folder) if path.relative_to(folder).as_posix().startswith(str(month))]
    for path in found:
        if path.is_symlink() or not path.resolve().is_relative_to(folder.resolve()):
            raise IngestError(f"{path} is a link to {path.resolve()}. Put the file itself into the landing folder.")
    return found


def _told(source: EventSource) -> str:
    return f"`{source.name}` ({source.description.rstrip('.')})" if source.description else f"`{source.name}`"


def _describe(store: FeatureStore, reports: dict[Month, list[IngestReport]]) -> dict[Month, Metadata]:
    """Describe each month: what was read, and what is committed of it now."""
    tables = [Table.open(store.layout.events(name)) for name in store.registry.sources]
    found = {}
    for month, given in reports.items():
        committed = [file for table in tables for file in table.files(month=str(month))]
        quarantined = [
            {"source": report.source, "reason": reason, "rows": count}
            for report in given
            for reason, count in sorted(report.quarantined.items())
        ]
        found[month] = {**size_of(committed), **_counts(given), "quarantine": table_of(quarantined)}
    return found


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
