"""A source of an operated store gains columns: the daily refresh goes on, and what was answered before is answered still."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.synth import Shop
from featurestore_pipelines.resources import StoreResource
from featurestore_pipelines.schedules import DAILY_REFRESH
from tests.pipelines.operation import FIRST, Operation

AS_OF = datetime(2016, 6, 1, tzinfo=timezone.utc)


class Evolved(Operation):
    """The same store with the definitions of two years later."""

    @property
    def resource(self) -> StoreResource:
        return replace(super().resource, definitions="tests.pipelines.evolved_shop")


def refresh(operation: Operation, month: str) -> dg.ExecuteInProcessResult:
    """Run the daily refresh of one month."""
    return operation.definitions.resolve_job_def(DAILY_REFRESH).execute_in_process(
        instance=operation.instance,
        tags={"dagster/partition": month},
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )


def test_the_daily_refresh_goes_on_when_a_source_gains_columns(tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        before = Operation(tmp_path, Shop(events=20_000), instance)
        before.land(FIRST, FIRST)
        assert refresh(before, FIRST).success
        (file,) = before.land("2016-02", "2016-02")
        events = pq.read_table(file)
        skus = events["sku_id"].drop_null().unique().to_pylist()[:3]
        spine = pa.table({"sku_id": skus, "as_of": pa.array([AS_OF] * 3)})
        first = before.store.get_historical_features(spine, "sku_returns")
        published = before.store.published("planning_v1")
        day = published.as_of
        batch = before.store.get_batch_features(day, ["category_demand"], versions=published)

        evolved = Evolved(tmp_path, before.shop, instance)
        pq.write_table(events.append_column("coupon", pa.array(["SPRING"] * events.num_rows)), file)
        result = refresh(evolved, "2016-02")
        assert result.success
        failed = [check.check_name for check in result.get_asset_check_evaluations() if not check.passed]
        assert not failed
        store = evolved.store
        assert "SPRING" in store.get_historical_features(spine, ["sku_returns:coupon"])["sku_returns__coupon"].to_pylist()
        assert store.get_historical_features(spine, "sku_returns", versions=first).equals(first, check_metadata=True)
        assert store.get_batch_features(day, ["category_demand"], versions=published).equals(batch)
        assert store.verify().is_equal
        # The month of before once more, its files without the column: nothing is new in it.
        assert refresh(evolved, FIRST).success
        assert store.status().sources[0].rows == events.num_rows + sum(
            pq.read_metadata(old).num_rows for old in evolved.land(FIRST, FIRST)
        )
