"""One 11.11 of the shop: its events arrive in twelve deliveries, and a refresh follows each.

In a process of its own, which kills itself: the store's directory, the instant at which the refresh is due, events of the shop.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from featurestore.client import FeatureStore
from featurestore.compute.retrieval.publication import Publication
from featurestore.shop import TIMEZONE
from featurestore.synth import Shop
from featurestore.timeline import Month
from featurestore_pipelines.build import build_definitions
from featurestore_pipelines.partitions import monthly_partitions
from featurestore_pipelines.resources import Progress, StoreResource, ignore_progress
from featurestore_pipelines.schedules import PEAK_REFRESH

DAY = datetime(2024, 11, 11, tzinfo=ZoneInfo(TIMEZONE))
REFRESHES = tuple(DAY + timedelta(hours=hours) for hours in range(2, 26, 2))
"""When each is due: the last one at the midnight that ends the day."""
KILLED = DAY + timedelta(hours=14)
LIMIT_S = 240.0
SERVICES = {
    "routing_v1": ("region_hours", "region_service", "region_cutoff"),
    "warehousing_v1": ("warehouse_hours",),
}
"""What planners read of a region and of a warehouse."""
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class PeakDay:
    """A store with the shop's history up to the eve, and what arrives on the day.

    Args:
        root: The store's directory.
        shop: Two Novembers lie in its months.
        progress: Called by the assets.
    """

    root: Path
    shop: Shop
    progress: Progress = ignore_progress

    @property
    def resource(self) -> StoreResource:
        """The store, as Dagster opens it."""
        return StoreResource(root=str(self.root), definitions="featurestore.shop")

    @cached_property
    def november(self) -> pa.Table:
        """The month's events that are known by the end of the day."""
        events = self.shop.month("2024-11")
        return events.filter(pc.less(events["ingested_at"], REFRESHES[-1]))

    def arrived(self, first: datetime | None, until: datetime) -> pa.Table:
        """Take the events that arrive in ``[first, until)``: some happened hours before."""
        is_in = pc.less(self.november["ingested_at"], until)
        if first is not None:
            is_in = pc.and_(is_in, pc.greater_equal(self.november["ingested_at"], first))
        return self.november.filter(is_in)

    def land(self, first: datetime | None, until: datetime) -> None:
        """Let a file of what arrives land."""
        folder = self.root / "landing" / "events"
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(self.arrived(first, until), folder / f"2024-11.{until:%d-%H}.parquet")

    def history(self) -> pa.Table:
        """Make the events of the months before."""
        return pa.concat_tables(self.shop.month(month) for month in self.months_before)

    @property
    def months_before(self) -> list[Month]:
        """The shop's months before that of the day."""
        return [month for month in self.shop.months if month < Month(2024, 11)]

    def prepare(self, *, until: datetime = DAY) -> FeatureStore:
        """Bring a new store up to the eve of the day, or to an instant within it."""
        store = self.resource.store()
        self.shop.write_landing(self.root / "landing" / "events", months=self.months_before)
        self.land(None, until)
        store.ingest("events")
        views = [view.name for name in SERVICES for view in store.registry.views_of(store.registry.resolve(name))]
        store.materialize(views)
        for service in SERVICES:
            store.publish(service)
        return store

    @cached_property
    def definitions(self) -> dg.Definitions:
        """What Dagster runs on the shop."""
        resource = self.resource
        partitions = monthly_partitions(TIMEZONE, first=self.shop.first_month)
        return build_definitions(resource.objects, resource, partitions=partitions, progress=self.progress)

    def refresh(self, due: datetime, instance: dg.DagsterInstance) -> bool:
        """Do what the schedule of peak days requests at an instant; tell whether it succeeded."""
        schedules = {each.name: each for each in self.definitions.schedules or ()}
        context = dg.build_schedule_context(scheduled_execution_time=due, instance=instance)
        request = schedules["every_two_hours_of_a_peak_day"](context)  # type: ignore[operator]
        assert isinstance(request, dg.RunRequest)
        job = self.definitions.resolve_job_def(PEAK_REFRESH)
        made = job.execute_in_process(
            run_config=QUIET, partition_key=request.partition_key, tags=request.tags, instance=instance, raise_on_error=False
        )
        return bool(made.success)

    def refresh_and_die(self, due: datetime) -> None:
        """Let a process of its own do the same, and be killed when one view is up to date and the others are not."""
        command = [sys.executable, "-m", "tests.pipelines.peak_day", str(self.root), due.isoformat(), str(self.shop.events)]
        ended = subprocess.run(command, cwd=Path(__file__).parents[2], check=False, capture_output=True, timeout=LIMIT_S)
        assert ended.returncode == -signal.SIGKILL, ended.stderr

    def read(self, service: str) -> tuple[Publication, pa.Table]:
        """Read what a consumer reads now, of regions or warehouses: the last good publication."""
        store = self.resource.store()
        found = store.published(service)
        return found, store.get_batch_features(found.as_of, SERVICES[service], versions=found)


def die_at_the_first_ledger(stage: str, what: str) -> None:
    """Kill this process, as kill -9 does, when one view is up to date and the others are not."""
    if stage == "ledger":
        os.kill(os.getpid(), signal.SIGKILL)


def shop_of(events: int) -> Shop:
    """Make the shop of the day, from a month before the 11.11 that it is compared with."""
    return Shop(events=events, first_month="2023-10", last_month="2024-11", faults=False)


def main() -> None:
    """Run the refresh that is killed."""
    root, due, events = Path(sys.argv[1]), datetime.fromisoformat(sys.argv[2]), int(sys.argv[3])
    with dg.DagsterInstance.ephemeral() as instance:
        PeakDay(root, shop_of(events), die_at_the_first_ledger).refresh(due, instance)


if __name__ == "__main__":
    main()
