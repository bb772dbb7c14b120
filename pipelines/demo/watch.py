"""Stopwatch: how far each stage is, when it has ended, and how long it took."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import dagster as dg
from dagster._core.events.log import EventLogEntry

from featurestore_pipelines.demo.result import StageTime
from featurestore_pipelines.metadata import PARTITION_ROWS


@dataclass(frozen=True)
class StageEnd:
    """A stage that has ended, of a chunk of months.

    Attributes:
        stage: Its name, or that of a check's step.
        months: Which: ``2016``, ``2016 to 2025``.
        elapsed_s: Wall time.
        rows: Rows of these months that are committed now; ``None`` where the stage does not count them.
    """

    stage: str
    months: str
    elapsed_s: float
    rows: int | None = None


Listener = Callable[[str, int, int], None]
EndListener = Callable[[StageEnd], None]
CHECKS = "checks"


class Stopwatch:
    """Counts units and seconds of the stages of one demo; the assets call it for each unit that is done.

    Args:
        totals: Stage to its number of units.
        listener: Called with a stage, its units done and its number of units.
        on_end: Called with each stage that has ended.
    """

    def __init__(self, totals: Mapping[str, int], listener: Listener | None, on_end: EndListener | None = None) -> None:
        self._totals = totals
        self._listener, self._on_end = listener, on_end
        self._done, self._rows = Counter[str](), Counter[str]()
        self._elapsed_s = dict.fromkeys(totals, 0.0)

    def __call__(self, stage: str, what: str) -> None:
        """Count one unit; months that an asset has nothing to do for are counted when the stage is finished."""
        self._tell(stage, self._done[stage] + 1)

    def finish(self, *stages: str) -> None:
        """Count all units of some stages."""
        for stage in stages:
            self._tell(stage, self._totals[stage])

    @contextmanager
    def timing(self, stage: str, months: str) -> Iterator[None]:
        """Add the wall time of a block to a stage."""
        started = time.perf_counter()
        yield
        self._end(stage, StageEnd(stage, months, time.perf_counter() - started))

    def hearing(self, months: str) -> Callable[[EventLogEntry], None]:
        """Return what is to be told each event of a run, while it happens.

        The wall times of its steps are added to the stages of their assets, those of checks to a stage of their own.

        Args:
            months: Of the run.
        """

        def hear(entry: EventLogEntry) -> None:
            event = entry.dagster_event
            if event is None or event.node_handle is None:
                return
            node = event.node_name
            if event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION:
                rows = event.step_materialization_data.materialization.metadata.get(PARTITION_ROWS)
                self._rows[node] += rows.value or 0 if isinstance(rows, dg.IntMetadataValue) else 0
            elif event.event_type is dg.DagsterEventType.STEP_SUCCESS:
                elapsed_s = event.step_success_data.duration_ms / 1000
                stage = node if node in self._totals else CHECKS
                self._end(stage, StageEnd(node, months, elapsed_s, self._rows.pop(node, None) or None))

        return hear

    @property
    def times(self) -> tuple[StageTime, ...]:
        """Wall times in the order of the stages."""
        return tuple(StageTime(stage, elapsed_s) for stage, elapsed_s in self._elapsed_s.items())

    def _end(self, stage: str, ended: StageEnd) -> None:
        self._elapsed_s[stage] = self._elapsed_s.get(stage, 0.0) + ended.elapsed_s
        if self._on_end is not None:
            self._on_end(ended)

    def _tell(self, stage: str, done: int) -> None:
        self._done[stage] = min(done, self._totals[stage])
        if self._listener is not None:
            self._listener(stage, self._done[stage], self._totals[stage])
