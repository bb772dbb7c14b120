"""Stopwatch: how far each stage is, and how long it took."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import dagster as dg

from featurestore_pipelines.demo.result import StageTime

Listener = Callable[[str, int, int], None]
CHECKS = "checks"


class Stopwatch:
    """Counts units and seconds of the stages of one demo; the assets call it for each unit that is done.

    Args:
        totals: Stage to its number of units.
        listener: Called with a stage, its units done and its number of units.
    """

    def __init__(self, totals: Mapping[str, int], listener: Listener | None) -> None:
        self._totals = totals
        self._listener = listener
        self._done = Counter[str]()
        self._elapsed_s = dict.fromkeys(totals, 0.0)

    def __call__(self, stage: str, what: str) -> None:
        """Count one unit; months that an asset has nothing to do for are counted when the stage is finished."""
        self._tell(stage, self._done[stage] + 1)

    def finish(self, *stages: str) -> None:
        """Count all units of some stages."""
        for stage in stages:
            self._tell(stage, self._totals[stage])

    @contextmanager
    def timing(self, stage: str) -> Iterator[None]:
        """Add the wall time of a block to a stage."""
        started = time.perf_counter()
        yield
        self._add(stage, time.perf_counter() - started)

    def add_run(self, run: dg.ExecuteInProcessResult) -> None:
        """Add the wall times of a run's steps to the stages of their assets, those of checks to a stage of their own."""
        for event in run.get_step_success_events():
            stage = event.node_name if event.node_name in self._totals else CHECKS
            self._add(stage, event.step_success_data.duration_ms / 1000)

    @property
    def times(self) -> tuple[StageTime, ...]:
        """Wall times in the order of the stages."""
        return tuple(StageTime(stage, elapsed_s) for stage, elapsed_s in self._elapsed_s.items())

    def _add(self, stage: str, elapsed_s: float) -> None:
        self._elapsed_s[stage] = self._elapsed_s.get(stage, 0.0) + elapsed_s

    def _tell(self, stage: str, done: int) -> None:
        self._done[stage] = min(done, self._totals[stage])
        if self._listener is not None:
            self._listener(stage, self._done[stage], self._totals[stage])
