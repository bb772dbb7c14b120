from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from featurestore.synth import Shop
from featurestore_pipelines.sensors import build_recalibration_sensor
from tests.pipelines.operation import Operation

UNTIL_THE_AUDIT = ["events", "tiles", "ledger", "features", "drift_report"]


@pytest.fixture
def operation(tmp_path: Path) -> Iterator[Operation]:
    """Three months have landed; without a champion, every audited month asks for one."""
    with dg.DagsterInstance.ephemeral() as instance:
        operation = Operation(tmp_path, Shop(events=20_000), instance)
        operation.land("2016-01", "2016-03")
        yield operation


def tick(operation: Operation, cursor: str | None) -> dg.SensorResult:
    context = dg.build_sensor_context(instance=operation.instance, cursor=cursor, definitions=operation.definitions)
    result = build_recalibration_sensor(operation.store.registry)(context)
    assert isinstance(result, dg.SensorResult)
    return result


def test_two_months_of_one_run_start_one_recalibration_each_and_never_again(operation):
    run = operation.run("2016-01", "2016-02", assets=UNTIL_THE_AUDIT)
    first = tick(operation, None)
    assert [request.partition_key for request in first.run_requests] == ["2016-01", "2016-02"]
    assert [request.run_key for request in first.run_requests] == [f"2016-01:{run.run_id}", f"2016-02:{run.run_id}"]
    assert not tick(operation, first.cursor).run_requests


def test_only_what_came_after_the_cursor_is_looked_at(operation):
    operation.run("2016-01", "2016-02", assets=UNTIL_THE_AUDIT)
    first = tick(operation, None)
    run = operation.run("2016-03", "2016-03", assets=UNTIL_THE_AUDIT)
    second = tick(operation, first.cursor)
    assert [request.run_key for request in second.run_requests] == [f"2016-03:{run.run_id}"]
    assert not tick(operation, second.cursor).run_requests


def test_a_cursor_set_back_gives_the_same_run_keys(operation):
    operation.run("2016-01", "2016-02", assets=UNTIL_THE_AUDIT)
    keys = [[request.run_key for request in tick(operation, None).run_requests] for _ in range(2)]
    assert keys[0] == keys[1]
    assert len(keys[0]) == 2


def test_a_report_whose_own_run_recalibrated_starts_nothing(operation):
    operation.run("2016-01", "2016-03")
    result = tick(operation, None)
    assert not result.run_requests
    assert result.cursor is not None


def test_the_run_that_the_sensor_asks_for_recalibrates_the_month(operation):
    operation.run("2016-01", "2016-01", assets=UNTIL_THE_AUDIT)
    (request,) = tick(operation, None).run_requests
    job = operation.definitions.resolve_job_def("recalibration")
    result = job.execute_in_process(
        instance=operation.instance,
        partition_key=request.partition_key,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    assert result.success
    assert not tick(operation, None).run_requests


def test_a_report_whose_own_run_has_yet_to_recalibrate_waits_for_it(operation):
    seen = list[dg.SensorResult]()

    class Looking(list[tuple[str, str]]):
        def append(self, unit: tuple[str, str]) -> None:
            if unit[0] == "calibration":
                seen.append(tick(operation, None))

    operation.units = Looking()
    operation.run("2016-01", "2016-03")
    assert seen
    assert not any(each.run_requests for each in seen)
    after = tick(operation, seen[-1].cursor)
    assert not after.run_requests
    assert after.cursor is not None
