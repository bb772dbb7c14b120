"""Checks of ledgers: do they hold what the tiles and the events say?"""

from collections.abc import Iterator

import dagster as dg
from pydantic import Field

from featurestore.compute.verification.continuity import check_continuity
from featurestore.timeline import Month
from featurestore_pipelines.assets.shared import LEDGER, Blueprint, definition_of, key_of
from featurestore_pipelines.inventory import Inventory
from featurestore_pipelines.metadata import Metadata, plot, table_of
from featurestore_pipelines.partitions import last_month_of
from featurestore_pipelines.resources import StoreResource

ROWS_MATCH, CONTINUITY, VERIFIED = "rows_match_tiles", "continuity", "verified"
DESCRIPTIONS = {
    ROWS_MATCH: "The ledger has one row of running totals per tile row, and no month up to the run's last is out of date.",
    CONTINUITY: "The newest partition opens with the balances with which the one before it closes.",
    VERIFIED: "Tiles, ledger and balances of a sample of entities are what the committed events give, computed once more.",
}


class VerifyConfig(dg.Config):
    """How much of a ledger is proven anew."""

    sample: float = Field(default=0.01, gt=0, le=1, description="Share of the entities, chosen by a hash of their keys.")


def build_ledger_checks(blueprint: Blueprint) -> dg.AssetChecksDefinition:
    """Make the blocking checks of each view's ledger."""
    specs = [
        dg.AssetCheckSpec(name, asset=key_of(LEDGER, view), description=text, blocking=True)
        for view in blueprint.registry.views
        for name, text in DESCRIPTIONS.items()
    ]

    @dg.multi_asset_check(name="check_ledger", specs=specs, can_subset=True)
    def check_ledger(
        context: dg.AssetCheckExecutionContext, config: VerifyConfig, store: dg.ResourceParam[StoreResource]
    ) -> Iterator[dg.AssetCheckResult]:
        opened = blueprint.open(store)
        last = last_month_of(context)
        inventory = Inventory(opened)
        for key in sorted(context.selected_asset_check_keys):
            view = definition_of(key.asset_key)
            if key.name == VERIFIED:
                report = opened.verify([view], sample=config.sample)
                passed = report.is_equal
                numbers = plot(comparisons=len(report.comparisons), failed=len(report.failures))
                numbers["first_difference"] = dg.MetadataValue.text(str(report.first_difference or "none"))
            else:
                matched = key.name == ROWS_MATCH
                passed, numbers = rows_match_tiles(inventory, view, last) if matched else continuity(inventory, view)
            yield dg.AssetCheckResult(asset_key=key.asset_key, check_name=key.name, passed=passed, metadata=numbers)

    return check_ledger


def rows_match_tiles(inventory: Inventory, view: str, last: Month | None) -> tuple[bool, Metadata]:
    """Compare the committed ledger with the committed tiles, and the tiles with the committed events up to a month.

    What later months lack is made by the runs that are for them: a changed view is computed anew a chunk of months at a time.
    """
    tiles = sum(file.rows for file in inventory.tiles(view=view))
    totals = inventory.ledger_rows(view=view)
    stale = len(inventory.state(view).stale_tiles(last.next() if last else None))
    return tiles == totals and not stale, plot(tiles=tiles, ledger=totals, months_stale=stale)


def continuity(inventory: Inventory, view: str) -> tuple[bool, Metadata]:
    """Compare closing with opening balances."""
    joints = check_continuity(inventory.state(view))
    rows = [
        {"closes": joint.before, "opens": joint.start, "entities": joint.entities, "broken": ", ".join(joint.broken) or None}
        for joint in joints
    ]
    broken = sum(len(joint.broken) for joint in joints)
    return not broken, {**plot(joints=len(joints), broken_measures=broken), "balances": table_of(rows)}
