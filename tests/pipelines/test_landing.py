"""Landing folders: whoever asks, the command, the asset or the sensor, is refused the same things with the same words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from featurestore.cli import main
from featurestore.lake.ingestion.landing import landed_months
from featurestore.synth import Shop
from featurestore_pipelines.assets.shared import Blueprint
from featurestore_pipelines.checks.events import landing as landing_check
from featurestore_pipelines.partitions import monthly_partitions
from featurestore_pipelines.sensors import build_landing_sensor
from tests.pipelines.operation import FIRST, LAST, Operation


@pytest.fixture
def operation(tmp_path: Path) -> Iterator[Operation]:
    """One month has landed; beside the store lies a file that only its owner may read."""
    with dg.DagsterInstance.ephemeral() as instance:
        operation = Operation(tmp_path / "store", Shop(events=20_000), instance)
        operation.store.apply(operation.resource.objects)
        operation.land("2016-01", "2016-01")
        (tmp_path / "private").mkdir()
        (tmp_path / "private" / "2016-01.parquet").write_bytes(b"secret")
        yield operation


def _command(operation: Operation, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(["ingest", "events", "--root", str(operation.root)])
    assert stopped.value.code == 1
    return capsys.readouterr().err


def _asset(operation: Operation, capsys: pytest.CaptureFixture[str]) -> str:
    result = operation.run("2016-01", "2016-01", assets=["events"], raise_on_error=False)
    failure = result.failure_data_for_node("events")
    assert failure is not None
    assert failure.user_failure_data is not None
    return failure.user_failure_data.description or ""


def _sensor(operation: Operation, capsys: pytest.CaptureFixture[str]) -> str:
    months = monthly_partitions("Asia/Shanghai", first=FIRST, last=LAST)
    sensor = build_landing_sensor(Blueprint(tuple(operation.resource.objects), months), operation.resource)
    with pytest.raises(dg.Failure) as failed:
        sensor(dg.build_sensor_context(instance=operation.instance))
    return failed.value.description or ""


ASKERS: dict[str, Callable[[Operation, pytest.CaptureFixture[str]], str]] = {
    "command": _command,
    "asset": _asset,
    "sensor": _sensor,
}

# What it is: where the link lies in the landing folder, what it leads to beside the store or in it.
LINKS = {
    "a link to a file elsewhere": ("2016-01-more.parquet", "private/2016-01.parquet"),
    "a link to a folder elsewhere": ("2016-01", "private"),
    "a link to a file of the folder itself": ("2016-01-more.parquet", "store/landing/events/2016-01.parquet"),
    "a link that leads nowhere": ("2016-01-more.parquet", "private/gone.parquet"),
    "a link of another month": ("2017-05.parquet", "private/2016-01.parquet"),
    "a link under a hidden name": (".2016-01.parquet", "private/2016-01.parquet"),
    "a link deep below": ("a/b/2016-01.parquet", "private/2016-01.parquet"),
}


@pytest.mark.parametrize("what", LINKS)
def test_command_asset_and_sensor_refuse_alike(
    operation: Operation, tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    name, target = LINKS[what]
    link = operation.root / "landing" / "events" / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(tmp_path / target)
    for asker, ask in ASKERS.items():
        assert f"{link} is a link to {tmp_path / target}. Put the file itself into the landing folder." in ask(
            operation, capsys
        ), asker
    assert operation.store.status().sources[0].rows == 0


def test_a_landing_folder_may_itself_be_a_link(
    operation: Operation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    landing = operation.root / "landing" / "events"
    landing.rename(tmp_path / "delivered")
    landing.symlink_to(tmp_path / "delivered")
    store = operation.store
    assert list(landed_months(store.layout, store.registry.sources.values())) == ["2016-01"]
    assert store.ingest("events").rows_added > 0


def test_the_sensor_waits_for_a_folder_that_ingest_asks_for(operation: Operation, capsys: pytest.CaptureFixture[str]) -> None:
    landing = operation.root / "landing" / "events"
    landing.rename(operation.root / "landing" / "elsewhere")
    store = operation.store
    assert landed_months(store.layout, store.registry.sources.values()) == {}
    for asker in ("command", "asset"):
        assert f"Source 'events' has no landing folder {landing}. Create it" in ASKERS[asker](operation, capsys)


def test_the_sensor_and_the_check_name_what_no_run_reads(operation: Operation) -> None:
    landing = operation.root / "landing" / "events"
    for name in ("notes.txt", "part-0.parquet", "1999-01.parquet"):
        (landing / name).write_bytes((landing / "2016-01.parquet").read_bytes())
    (landing / "2016-01.parquet").rename(landing / "events_20160131.parquet")
    months = monthly_partitions("Asia/Shanghai", first=FIRST, last=LAST)
    sensor = build_landing_sensor(Blueprint(tuple(operation.resource.objects), months), operation.resource)
    with dg.build_sensor_context(instance=operation.instance) as context:
        first = sensor(context)
        assert isinstance(first, dg.SensorResult)
        assert [request.partition_key for request in first.run_requests or ()] == ["2016-01"]
        context.update_cursor(first.cursor or "")
        second = sensor(context)
    assert isinstance(second, dg.SensorResult)
    told = str(second.skip_reason)
    assert "notes.txt (its ending '.txt' is unknown)" in told
    assert "part-0.parquet (no date in its name: only `featurestore ingest events` reads it)" in told
    assert "1999-01.parquet (1999-01 is no partition: only" in told
    store = operation.store
    found = landing_check(store, store.registry.sources["events"], months.get_partition_keys())
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
