"""Checks of events: are they all there, once each, in time, as declared, and is little of them set aside?"""

from collections.abc import Callable, Collection, Iterator

import dagster as dg

from featurestore.client import FeatureStore
from featurestore.errors import StoreError
from featurestore.lake.evolution import check_columns
from featurestore.lake.ingestion.landing import files_without_partition, printable
from featurestore.lake.session import connect, quote
from featurestore.lake.table import Table, parquet_scan_sql
from featurestore.spec.source import EventSource
from featurestore.timeline import Month
from featurestore_pipelines.assets.ingest import ingest_month
from featurestore_pipelines.assets.shared import EVENTS, Blueprint, definition_of, key_of
from featurestore_pipelines.inventory import newest_month
from featurestore_pipelines.metadata import Metadata, plot, table_of
from featurestore_pipelines.partitions import last_month_of
from featurestore_pipelines.resources import StoreResource

MAX_QUARANTINED_SHARE, ALARMING_QUARANTINED_SHARE = 0.005, 0.05
Verdict = tuple[bool, Metadata]
DESCRIPTIONS = {
    "schema": "The committed columns and their types are the declared ones.",
    "freshness": "The last month of the run has events.",
    "row_count": "Every row that landed for the newest month is committed, known or in quarantine: reading it again adds nothing.",
    "uniqueness": "No event_id is committed twice in the newest month.",
    "landing": "Nothing lies in the landing folder that no partition reads: of another name or ending, or without a date. It warns.",
    "quarantine_share": "Few rows are in quarantine: above 0.5 % of all it warns, above 5 % it fails.",
}


def build_event_checks(blueprint: Blueprint) -> dg.AssetChecksDefinition:
    """Make the blocking checks of each source."""
    sources = blueprint.registry.sources
    specs = [
        dg.AssetCheckSpec(name, asset=key_of(EVENTS, source), description=text, blocking=True)
        for source in sources
        for name, text in DESCRIPTIONS.items()
    ]

    @dg.multi_asset_check(name="check_events", specs=specs, can_subset=True)
    def check_events(
        context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[StoreResource]
    ) -> Iterator[dg.AssetCheckResult]:
        opened = blueprint.open(store)
        last = last_month_of(context)
        months = set(blueprint.partitions.get_partition_keys())
        for key in sorted(context.selected_asset_check_keys):
            source = opened.registry.sources[definition_of(key.asset_key)]
            if key.name == "quarantine_share":
                yield quarantine_share(opened, source)
                continue
            if key.name == "landing":
                yield landing(opened, source, months)
                continue
            passed, numbers = freshness(opened, source, last) if key.name == "freshness" else CHECKS[key.name](opened, source)
            yield dg.AssetCheckResult(asset_key=key.asset_key, check_name=key.name, passed=passed, metadata=numbers)

    return check_events


def schema(store: FeatureStore, source: EventSource) -> Verdict:
    """Compare the table's columns with the declared ones, and those that these evolved from."""
    table = Table.open(store.layout.events(source.name))
    numbers: Metadata = plot(columns=len(source.schema))
    try:
        check_columns(table, source)
    except StoreError as error:
        return False, {**numbers, "difference": dg.MetadataValue.text(str(error))}
    return True, numbers


def freshness(store: FeatureStore, source: EventSource, last: Month | None) -> Verdict:
    """Look for events of the run's last month, or of any when the run has none."""
    files = Table.open(store.layout.events(source.name)).files()
    newest = newest_month(store, source.name)
    of_last = sum(file.rows for file in files if last is None or file.partition["month"] == str(last))
    told = dg.MetadataValue.text(str(newest) if newest else "no events")
    return of_last > 0, {**plot(rows_of_last_month=of_last), "newest_month": told}


def row_count(store: FeatureStore, source: EventSource) -> Verdict:
    """Ingest the files of the newest committed month again: every row of them must be known."""
    newest = newest_month(store, source.name)
    reports = [] if newest is None else ingest_month(store, newest, [source])
    added = sum(report.rows_added for report in reports)
    corrected = sum(report.corrections for report in reports)
    rows = sum(report.rows_read for report in reports)
    return not added and not corrected, plot(rows_read=rows, rows_added=added, corrections=corrected)


def uniqueness(store: FeatureStore, source: EventSource) -> Verdict:
    """Count the event_ids of the newest month that are committed more than once."""
    path = store.layout.events(source.name)
    newest = newest_month(store, source.name)
    files = [] if newest is None else Table.open(path).files(month=str(newest))
    if not files:
        return True, plot(rows=0, repeated=0)
    with connect(path) as session:
        column = quote(source.id_column)
        counted = session.sql(f"SELECT count(*), count(*) - count(DISTINCT {column}) FROM {parquet_scan_sql(files)}").fetchall()
    ((rows, repeated),) = counted
    return repeated == 0, plot(rows=rows, repeated=repeated)


def quarantine_share(store: FeatureStore, source: EventSource) -> dg.AssetCheckResult:
    """Compare quarantined with committed rows, over the whole history."""
    committed = sum(file.rows for file in Table.open(store.layout.events(source.name)).files())
    quarantined = sum(file.rows for file in Table.open(store.layout.quarantine(source.name)).files())
    share = quarantined / max(committed + quarantined, 1)
    return dg.AssetCheckResult(
        asset_key=key_of(EVENTS, source.name),
        check_name="quarantine_share",
        passed=share <= MAX_QUARANTINED_SHARE,
        severity=dg.AssetCheckSeverity.ERROR if share > ALARMING_QUARANTINED_SHARE else dg.AssetCheckSeverity.WARN,
        metadata=plot(committed=committed, quarantined=quarantined, share=share),
    )


def landing(store: FeatureStore, source: EventSource, months: Collection[str]) -> dg.AssetCheckResult:
    """Look for what has landed and no partition reads."""
    unread = [
        {"file": printable(file.name), "reason": file.reason}
        for file in files_without_partition(store.layout, source, months=months)
    ]
    return dg.AssetCheckResult(
        asset_key=key_of(EVENTS, source.name),
        check_name="landing",
        passed=not unread,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={**plot(files=len(unread)), "unread": table_of(unread)},
    )


CHECKS: dict[str, Callable[[FeatureStore, EventSource], Verdict]] = {
    "schema": schema,
    "row_count": row_count,
    "uniqueness": uniqueness,
}
