"""A small operated store: events land, runs go through an ephemeral Dagster instance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg

from featurestore.client import FeatureStore
from featurestore.synth import Shop
from featurestore_pipelines.build import build_definitions
from featurestore_pipelines.partitions import monthly_partitions
from featurestore_pipelines.resources import StoreResource

FIRST, LAST = "2016-01", "2018-06"
NO_PICTURES = {"most_reports": 0, "draws_last_month": False, "draws_timeline": False}


@dataclass
class Operation:
    """A store, its definitions and a Dagster instance."""

    root: Path
    shop: Shop
    instance: dg.DagsterInstance
    units: list[tuple[str, str]] = field(default_factory=list)

    @property
    def resource(self) -> StoreResource:
        return StoreResource(root=str(self.root), definitions="tests.pipelines.tiny_shop")

    @property
    def store(self) -> FeatureStore:
        return self.resource.store()

    @property
    def definitions(self) -> dg.Definitions:
        partitions = monthly_partitions("Asia/Shanghai", first=FIRST, last=LAST)
        return build_definitions(
            self.resource.objects,
            self.resource,
            partitions=partitions,
            progress=lambda stage, what: self.units.append((stage, what)),
        )

    def land(self, first: str, last: str) -> list[Path]:
        months = [month for month in self.shop.months if first <= str(month) <= last]
        return self.shop.write_landing(self.root / "landing" / "events", months=months)

    def run(
        self,
        first: str,
        last: str,
        *,
        assets: Sequence[str] | None = None,
        keys: Sequence[dg.AssetKey] | None = None,
        config: Mapping[str, Any] = NO_PICTURES,
        raise_on_error: bool = True,
    ) -> dg.ExecuteInProcessResult:
        job = self.definitions.resolve_implicit_global_asset_job_def()
        if assets is not None:
            made = job.asset_layer.asset_graph.executable_asset_keys
            keys = [key for key in made if key.path[0] in assets or (key.path == ["audit"] and "drift_report" in assets)]
        drift = (
            {"ops": {"drift_report": {"config": dict(config)}}}
            if keys is None or any(key.path[0] == "drift_report" for key in keys)
            else {}
        )
        return job.execute_in_process(
            instance=self.instance,
            asset_selection=keys,
            tags={"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last},
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}, **drift},
            raise_on_error=raise_on_error,
        )


def metadata_of(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, dict[str, Any]]:
    """Map each partition that a run materialized of an asset to its metadata."""
    found = {}
    for event in result.get_asset_materialization_events():
        materialization = event.step_materialization_data.materialization
        if materialization.asset_key == dg.AssetKey(asset.split("/")):
            assert materialization.partition is not None
            found[materialization.partition] = {name: value.value for name, value in materialization.metadata.items()}
    return found
