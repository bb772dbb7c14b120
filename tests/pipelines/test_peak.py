"""A peak day: refreshes every two hours, one of which does not end in time; what consumers read meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dagster._core.errors import DagsterExecutionInterruptedError

from featurestore.client import FeatureStore
from featurestore.errors import NotMaterializedError
from featurestore.spec import Count, Entity, EventSource, FeatureService, FeatureView, Sum
from featurestore_pipelines.build import build_definitions
from featurestore_pipelines.partitions import monthly_partitions
from featurestore_pipelines.resources import StoreResource
from featurestore_pipelines.schedules import PEAK_REFRESH
from tests.pipelines.operation import metadata_of
from tests.pipelines.peak_day import DAY, KILLED, REFRESHES, SERVICES, PeakDay, shop_of

TIMEZONE = "Asia/Shanghai"
SCHEMA = {"event_id": "int64", "event_time": "timestamp", "region_id": "int64", "units": "int64"}
orders = EventSource("orders", schema=SCHEMA, event_time="event_time", event_id="event_id")
region = Entity("region", key="region_id")
hours = FeatureView(
    "region_hours", entity=region, source=orders, grain="1h", aggregations=[Sum("units", "units", windows=("2h", "24h"))]
)
days = FeatureView("region_days", entity=region, source=orders, aggregations=[Count("orders", windows=("7d",))])
other = FeatureView("region_units", entity=region, source=orders, aggregations=[Sum("units", "units", windows=("7d",))])
routing = FeatureService("routing_v1", features=[hours, days])
OBJECTS = [orders, hours, days, other, routing]
PEAK = DAY
VIEWS = ["region_hours", "region_days"]


class Planners:
    """A store, and a clock that the schedule and the orders follow."""

    def __init__(self, root: Path, instance: dg.DagsterInstance) -> None:
        self.resource = StoreResource(root=str(root), definitions="tests.pipelines.test_peak")
        self.instance, self.is_stuck = instance, False
        partitions = monthly_partitions(TIMEZONE, first="2024-11")
        self.definitions = build_definitions(OBJECTS, self.resource, partitions=partitions, progress=self._progress)
        (root / "landing" / "orders").mkdir(parents=True)

    @property
    def store(self) -> FeatureStore:
        return self.resource.store()

    def _progress(self, stage: str, what: str) -> None:
        if self.is_stuck and stage == "tiles":
            raise DagsterExecutionInterruptedError  # what a run raises that is stopped at its time bound

    def land(self, first: datetime, until: datetime) -> None:
        """Let a file of orders arrive: one every five minutes, in ``[first, until)``."""
        moments = [first + timedelta(minutes=5 * i) for i in range(int((until - first) / timedelta(minutes=5)))]
        ids = [int(moment.timestamp()) for moment in moments]
        columns = [
            ids,
            pa.array(moments, pa.timestamp("us", "UTC")),
            [i // 300 % 3 for i in ids],
            [1 + i // 300 % 7 for i in ids],
        ]
        path = Path(self.store.layout.root) / "landing" / "orders" / f"2024-11-{first:%d-%H}.parquet"
        pq.write_table(pa.table(columns, names=list(SCHEMA)), path)

    def refresh(self, due: datetime) -> dg.ExecuteInProcessResult:
        """Do what the schedule requests at an instant."""
        context = dg.build_schedule_context(scheduled_execution_time=due, instance=self.instance)
        schedules = {each.name: each for each in self.definitions.schedules or ()}
        request = schedules["every_two_hours_of_a_peak_day"](context)  # type: ignore[operator]
        assert isinstance(request, dg.RunRequest)
        assert int(request.tags["dagster/max_runtime"]) < 2 * 3600
        job = self.definitions.resolve_job_def(PEAK_REFRESH)
        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        return job.execute_in_process(
            run_config=quiet,
            partition_key=request.partition_key,
            tags=request.tags,
            instance=self.instance,
            raise_on_error=False,
        )

    def read(self, now: datetime) -> pa.Table:
        """Read what a planner reads."""
        return self.store.get_batch_features(now, VIEWS, versions=self.store.published("routing_v1", max_age="6h", at=now))


@pytest.fixture
def peak(tmp_path: Path) -> Iterator[Planners]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Planners(tmp_path, instance)


def told(table: pa.Table) -> dict:
    return json.loads(table.schema.metadata[b"featurestore.publication"])


def test_a_late_refresh_leaves_planners_on_the_last_good_snapshot_and_the_next_one_brings_them_up_to_date(peak):
    noon, two, four = (PEAK.replace(hour=hour) for hour in (12, 14, 16))
    peak.land(PEAK - timedelta(days=3), noon)
    first = peak.refresh(noon)
    assert first.success
    assert metadata_of(first, "services/routing_v1")["2024-11"]["publication"] == 0
    at_noon = peak.read(noon + timedelta(minutes=30))
    assert not told(at_noon)["is_fallback"]
    assert at_noon.drop_columns("as_of").equals(peak.store.get_batch_features(noon, VIEWS).drop_columns("as_of"))

    peak.land(noon, two)
    peak.is_stuck = True
    assert not peak.refresh(two).success
    with pytest.raises(NotMaterializedError):
        peak.store.get_batch_features(two, VIEWS)
    late = peak.read(two)
    assert told(late)["is_fallback"]
    assert told(late)["age_s"] == 7200
    assert late.drop_columns("as_of").equals(at_noon.drop_columns("as_of"))

    peak.is_stuck = False
    peak.land(two, four)
    assert peak.refresh(four).success
    fresh = peak.read(four)
    assert not told(fresh)["is_fallback"]
    assert fresh.equals(peak.store.get_batch_features(four, VIEWS))
    assert fresh["region_hours__units_2h"].to_pylist() != late["region_hours__units_2h"].to_pylist()
    assert fresh["region_days__orders_7d"].equals(at_noon["region_days__orders_7d"])


def test_a_refresh_whose_check_fails_publishes_nothing(peak):
    noon = PEAK.replace(hour=12)
    peak.land(PEAK - timedelta(days=3), noon)
    assert peak.refresh(noon).success
    peak.land(noon, noon + timedelta(hours=2))
    peak.land(datetime(1970, 1, 2, tzinfo=PEAK.tzinfo), datetime(1970, 1, 3, tzinfo=PEAK.tzinfo))  # a clock that was never set
    result = peak.refresh(noon + timedelta(hours=2))
    assert not result.success
    assert [each.check_name for each in result.get_asset_check_evaluations() if not each.passed] == ["quarantine_share"]
    assert peak.store.published("routing_v1").as_of == noon


def test_a_peak_refresh_brings_all_that_its_services_read_and_nothing_else(peak):
    job = peak.definitions.resolve_job_def(PEAK_REFRESH)
    made = {key.to_user_string() for key in job.asset_layer.executable_asset_keys}
    stages = {f"{stage}/{view}_{stage}" for stage in ("tiles", "ledger") for view in VIEWS}
    assert made == {"events/orders", "services/routing_v1", *stages}


def recounted(events: pd.DataFrame, key: str, as_of: datetime) -> pd.DataFrame:
    """Count what a view by the hour holds, from the events that were known."""
    happened = events[events.event_time < as_of]

    def count(event_type: str, since: datetime | None = None, *, is_late: bool = False) -> pd.Series:
        chosen = happened[happened.event_type == event_type]
        chosen = chosen[chosen.event_time > chosen.promised_at] if is_late else chosen
        return (chosen if since is None else chosen[chosen.event_time >= since]).groupby(key).size()

    columns = {f"orders_{hours}h": count("buy", as_of - timedelta(hours=hours)) for hours in (2, 6, 24)}
    columns |= {f"shipped_{hours}h": count("ship", as_of - timedelta(hours=hours)) for hours in (2, 6, 24)}
    columns["delivered_24h"] = count("deliver", as_of - timedelta(hours=24))
    columns["late_24h"] = count("deliver", as_of - timedelta(hours=24), is_late=True)
    columns |= {"orders_lifetime": count("buy"), "shipped_lifetime": count("ship")}
    found = pd.DataFrame(columns).fillna(0).astype("int64")
    return found.assign(backlog=found.orders_lifetime - found.shipped_lifetime)


def test_on_a_peak_day_of_twelve_refreshes_planners_read_whole_publications_also_after_one_was_killed(tmp_path):
    day = PeakDay(tmp_path / "store", shop_of(60_000))
    day.prepare()
    history, eve = day.history().to_pandas(), DAY
    read = {service: day.read(service) for service in SERVICES}
    with dg.DagsterInstance.ephemeral() as instance:
        for due in REFRESHES:
            day.land(eve, due)
            if due == KILLED:
                day.refresh_and_die(due)
            else:
                assert day.refresh(due, instance)
            eve, before = due, read
            read = {service: day.read(service) for service in SERVICES}
            for service, place in (("routing_v1", "region"), ("warehousing_v1", "warehouse")):
                publication, table = read[service]
                if due == KILLED:
                    assert publication == before[service][0]
                    assert table.equals(before[service][1])
                    continue
                assert publication.as_of == due
                known = pd.concat([history, day.arrived(None, due).to_pandas()])
                check(table, f"{place}_hours", recounted(known, f"{place}_id", due), "")
                # 2024 has a 29 February: 11.11 lies 366 days after 11.11.
                year_before = recounted(known, f"{place}_id", due - timedelta(days=366))
                check(table, f"{place}_hours", year_before, "_year_before")
    untouched = PeakDay(tmp_path / "untouched", shop_of(60_000))
    store = untouched.prepare(until=REFRESHES[-1])
    assert day.resource.store().verify().is_equal
    for service in SERVICES:
        assert day.read(service)[1].equals(untouched.read(service)[1])
        assert store.published(service).as_of == REFRESHES[-1]


def check(table: pa.Table, view: str, expected: pd.DataFrame, suffix: str) -> None:
    """Compare what a planner has read with what was counted; who had nothing yet has zeros."""
    found = table.to_pandas().set_index(expected.index.name)
    for name in expected.columns.difference(["orders_lifetime", "shipped_lifetime"]):
        column = found[f"{view}__{name}{suffix}"].astype("int64")
        assert column.to_dict() == expected[name].reindex(column.index, fill_value=0).to_dict(), (name, suffix)
    share = (expected.late_24h / expected.delivered_24h).reindex(found.index)
    pd.testing.assert_series_equal(found[f"{view}__late_share_24h{suffix}"], share, check_names=False)


def test_the_shop_has_a_schedule_of_peak_days_that_publishes_what_is_read_by_the_hour(tmp_path):
    definitions = PeakDay(tmp_path, shop_of(60_000)).definitions
    assert "every_two_hours_of_a_peak_day" in {each.name for each in definitions.schedules or ()}
    job = definitions.resolve_job_def(PEAK_REFRESH)
    made = {key.to_user_string() for key in job.asset_layer.executable_asset_keys}
    read = {"region_hours", "warehouse_hours", "region_service", "region_cutoff", "sku_places", "sku_returns"}
    stages = {f"{stage}/{view}_{stage}" for stage in ("tiles", "ledger") for view in read}
    assert made == {"events/events", *(f"services/{name}" for name in SERVICES), *stages}
