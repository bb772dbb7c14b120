from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from featurestore import shop
from featurestore.errors import DefinitionError
from featurestore.spec import Count, FeatureView
from featurestore.synth import Shop
from featurestore_pipelines.assets.shared import Blueprint
from featurestore_pipelines.build import build_definitions
from featurestore_pipelines.partitions import monthly_partitions
from featurestore_pipelines.resources import StoreResource
from featurestore_pipelines.schedules import (
    CRONS,
    build_daily_schedule,
    build_month_schedule,
    build_peak_schedule,
    is_automatic,
)
from featurestore_pipelines.sensors import build_landing_sensor
from tests.pipelines import tiny_shop
from tests.pipelines.operation import FIRST, LAST, Operation

ZONE = ZoneInfo("Asia/Shanghai")
HOURLY = FeatureView(
    "sku_hours",
    entity=shop.skus.sku_demand.entity,
    source=shop.events,
    grain="1h",
    aggregations=[Count("seen", windows=("2h",))],
)
OBJECTS = [*tiny_shop.OBJECTS, HOURLY]
PARTITIONS = monthly_partitions("Asia/Shanghai", last="2024-11")


def due(schedule: dg.ScheduleDefinition, *moment: int) -> dg.RunRequest | dg.SkipReason:
    outcome = schedule(dg.build_schedule_context(scheduled_execution_time=datetime(*moment, tzinfo=ZONE)))  # type: ignore[misc]
    assert isinstance(outcome, dg.RunRequest | dg.SkipReason)
    return outcome


def test_one_switch_runs_every_schedule_and_sensor():
    assert (is_automatic({}), is_automatic({"FEATURESTORE_AUTOMATION": "on"})) == (False, True)
    with pytest.raises(DefinitionError, match="write on or off"):
        is_automatic({"FEATURESTORE_AUTOMATION": "yes"})
    for switch, status in ((True, "RUNNING"), (False, "STOPPED")):
        built = build_definitions(OBJECTS, StoreResource(), partitions=PARTITIONS, is_automatic=switch)
        assert {each.default_status.value for each in [*(built.schedules or ()), *(built.sensors or ())]} == {status}
        assert len(list(built.schedules or ())) == len(CRONS)


def test_schedules_are_named_by_when_they_are_due_and_follow_the_business_time_zone():
    built = build_definitions(shop.OBJECTS, StoreResource(), partitions=PARTITIONS)
    names = ["second_day_of_the_month", "every_morning", "every_two_hours_of_a_peak_day", "every_sunday"]
    assert [each.name for each in built.schedules or ()] == names
    assert {each.execution_timezone for each in built.schedules or ()} == {"Asia/Shanghai"}


def test_the_month_is_closed_on_the_second_day_of_the_next():
    schedule = build_month_schedule(PARTITIONS)
    assert schedule.cron_schedule == "0 4 2 * *"
    closed = due(schedule, 2024, 12, 2, 4)
    assert isinstance(closed, dg.RunRequest)
    assert closed.partition_key == "2024-11"
    assert isinstance(due(schedule, 2025, 1, 2, 4), dg.SkipReason)


def test_the_morning_of_a_first_day_still_belongs_to_the_month_before():
    request = due(build_daily_schedule(PARTITIONS), 2024, 11, 1, 3, 30)
    assert isinstance(request, dg.RunRequest)
    assert (request.partition_key, request.run_key) == ("2024-10", "daily:2024-10-31")


def test_peak_days_have_a_refresh_every_two_hours_each_within_a_time_bound():
    schedule = build_peak_schedule(monthly_partitions("Asia/Shanghai"))  # the month in progress is one of them
    requests = [due(schedule, 2024, 11, 11, hour) for hour in (0, 2)]
    assert len({request.run_key for request in requests if isinstance(request, dg.RunRequest)}) == 2
    assert all(int(request.tags["dagster/max_runtime"]) < 7200 for request in requests if isinstance(request, dg.RunRequest))
    assert isinstance(due(schedule, 2024, 8, 11, 2), dg.SkipReason)


def test_without_hourly_views_there_is_nothing_to_refresh_on_peak_days():
    built = build_definitions(tiny_shop.OBJECTS, StoreResource(), partitions=PARTITIONS)
    dg.Definitions.validate_loadable(built)
    assert "every_two_hours_of_a_peak_day" not in {each.name for each in built.schedules or ()}


def test_a_peak_refresh_leaves_daily_views_alone():
    built = build_definitions(OBJECTS, StoreResource(), partitions=PARTITIONS)
    made = {key.to_user_string() for key in built.resolve_job_def("peak_refresh").asset_layer.executable_asset_keys}
    assert {"events/events", "tiles/sku_hours_tiles", "ledger/sku_hours_ledger"} == made


def test_landed_files_start_their_months_once_and_again_when_they_change(tmp_path: Path):
    with dg.DagsterInstance.ephemeral() as instance:
        operation = Operation(tmp_path, Shop(events=20_000), instance)
        months = monthly_partitions("Asia/Shanghai", first=FIRST, last=LAST)
        sensor = build_landing_sensor(Blueprint(tuple(operation.resource.objects), months), operation.resource)

        def tick(cursor: str | None) -> dg.SensorResult:
            result = sensor(dg.build_sensor_context(instance=instance, cursor=cursor))
            assert isinstance(result, dg.SensorResult)
            return result

        operation.land("2016-01", "2016-02")
        first = tick(None)
        assert [request.partition_key for request in first.run_requests or ()] == ["2016-01", "2016-02"]
        assert not tick(first.cursor).run_requests
        assert [each.run_key for each in tick(None).run_requests or ()] == [each.run_key for each in first.run_requests or ()]
        (tmp_path / "landing" / "events" / "2016-02-late.csv").write_text("event_id\n", encoding="utf-8")
        second = tick(first.cursor)
        assert [request.partition_key for request in second.run_requests or ()] == ["2016-02"]


def test_the_month_in_progress_is_a_partition_but_is_not_audited(tmp_path: Path):
    today = datetime.now(ZONE)
    this = f"{today.year}-{today.month:02}"
    assert monthly_partitions("Asia/Shanghai", first="2024-01").get_partition_keys()[-1] == this
