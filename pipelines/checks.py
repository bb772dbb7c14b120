"""Checks: what must hold of the store after a run, each from numbers that the run itself did not report."""

from dataclasses import asdict

import dagster as dg

from featurestore.lake.table import Table
from featurestore.timeline import Month
from pipelines.assets.ingest import ingest_month
from pipelines.assets.shared import DRIFT_REPORT, EVENTS, LEDGER
from pipelines.inventory import Inventory
from pipelines.metadata import plot, table_of
from pipelines.resources import StoreResource

MOST_QUARANTINED_SHARE, ALARMING_QUARANTINED_SHARE = 0.005, 0.05


@dg.asset_check(asset=EVENTS, description="Few rows are in quarantine: above 0.5 % of all it warns, above 5 % it fails.")
def quarantine_share(store: StoreResource) -> dg.AssetCheckResult:
    """Compare quarantined with committed rows, over the whole history."""
    opened = store.store()
    names = list(opened.registry.sources)
    committed = sum(file.rows for name in names for file in Table.open(opened.layout.events(name)).files())
    quarantined = sum(file.rows for name in names for file in Table.open(opened.layout.quarantine(name)).files())
    share = quarantined / max(committed + quarantined, 1)
    return dg.AssetCheckResult(
        passed=share <= MOST_QUARANTINED_SHARE,
        severity=dg.AssetCheckSeverity.ERROR if share > ALARMING_QUARANTINED_SHARE else dg.AssetCheckSeverity.WARN,
        metadata=plot(committed=committed, quarantined=quarantined, share=share),
    )


@dg.asset_check(asset=EVENTS, description="Reading the newest month's files once more adds nothing and corrects nothing.")
def redelivery_changes_nothing(store: StoreResource) -> dg.AssetCheckResult:
    """Ingest the files of the newest committed month again: every row of them must be known."""
    opened = store.store()
    sources = opened.registry.sources
    tables = [Table.open(opened.layout.events(name)) for name in sources]
    newest = max((file.partition["month"] for table in tables for file in table.files()), default=None)
    reports = [] if newest is None else ingest_month(opened, Month.parse(newest), sources.values())
    added = sum(report.rows_added for report in reports)
    corrected = sum(report.corrections for report in reports)
    return dg.AssetCheckResult(
        passed=not added and not corrected,
        metadata=plot(rows_read=sum(report.rows_read for report in reports), rows_added=added, corrections=corrected),
    )


@dg.asset_check(asset=LEDGER, description="Each view has one row of running totals per tile row, and no month is out of date.")
def rows_match_tiles(store: StoreResource) -> dg.AssetCheckResult:
    """Compare the committed ledgers with the committed tiles, and the tiles with the committed events."""
    inventory = Inventory(store.store())
    rows = []
    for state in inventory.states:
        tiles = sum(file.rows for file in inventory.tiles(view=state.view.name))
        totals = inventory.ledger_rows(view=state.view.name)
        rows.append({"view": state.view.name, "tiles": tiles, "ledger": totals, "months_stale": len(state.stale_tiles())})
    is_equal = all(row["tiles"] == row["ledger"] for row in rows)
    return dg.AssetCheckResult(
        passed=is_equal and not any(row["months_stale"] for row in rows),
        severity=dg.AssetCheckSeverity.WARN if is_equal else dg.AssetCheckSeverity.ERROR,
        metadata={"views": table_of(rows)},
    )


@dg.asset_check(asset=DRIFT_REPORT, description="No feature drifts: an episode stays open until a recalibration answers it.")
def drift_states(store: StoreResource) -> dg.AssetCheckResult:
    """List the episodes that are open in the newest audited month."""
    open_drifts = store.store().status().open_drifts
    return dg.AssetCheckResult(
        passed=not open_drifts,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={**plot(open_drifts=len(open_drifts)), "drifts": table_of([asdict(drift) for drift in open_drifts])},
    )


CHECKS = (quarantine_share, redelivery_changes_nothing, rows_match_tiles, drift_states)
