"""What all assets share: months as partitions, ranges in one run, an owner, names and versions."""

from collections.abc import Iterable, Mapping

import dagster as dg

from featurestore.spec.document import Definition, digest, fingerprint

OWNERS = ("team:feature-platform",)
EVENTS, TILES, LEDGER, FEATURES = "events", "tiles", "ledger", "features"
DRIFT_REPORT, CALIBRATION = "drift_report", "calibration"


def one_run() -> dg.BackfillPolicy:
    """Let a range of months be one run: a month costs a fraction of a run's start, and a year's ledger is folded once."""
    return dg.BackfillPolicy.single_run()


def version_of(definitions: Mapping[str, Definition] | Iterable[str]) -> str:
    """Hash definitions by name, or fingerprints: an asset whose definitions changed shows as stale."""
    if isinstance(definitions, Mapping):
        return digest({name: fingerprint(definition) for name, definition in definitions.items()})
    return digest(sorted(definitions))


def after_the_month_before(name: str) -> dg.AssetDep:
    """Let an asset depend on its own partition of the month before."""
    return dg.AssetDep(name, partition_mapping=dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1))
