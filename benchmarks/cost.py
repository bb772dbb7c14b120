"""What a call costs: wall seconds, CPU seconds of all threads and children, and the most memory that it held."""

from __future__ import annotations

import gc
import resource
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True)
class Cost:
    """Seconds and memory of a call, or medians of several."""

    wall_s: float
    cpu_s: float
    peak_bytes: int = 0

    def __add__(self, other: Cost) -> Cost:
        """Return the cost of one call after the other."""
        return Cost(self.wall_s + other.wall_s, self.cpu_s + other.cpu_s, max(self.peak_bytes, other.peak_bytes))


def timed(call: Callable[[], Result]) -> tuple[Cost, Result]:
    """Make a call -> its cost and its result. The peak is the process's own, what it held before included."""
    gc.collect()
    forget_peak()
    wall = time.perf_counter()
    cpu = cpu_seconds()
    result = call()
    return Cost(time.perf_counter() - wall, cpu_seconds() - cpu, peak_bytes()), result


def in_turn(calls: Mapping[str, Callable[[], object]], *, runs: int) -> dict[str, Cost]:
    """Make calls in turn, so that what else the machine does hits all alike -> medians; a first round does not count."""
    costs: dict[str, list[Cost]] = {name: [] for name in calls}
    for run in range(runs + 1):
        for name, call in calls.items():
            cost, _ = timed(call)
            if run:
                costs[name].append(cost)
    return {name: median(own) for name, own in costs.items()}


def median(costs: Iterable[Cost]) -> Cost:
    """Return the medians of seconds, and the greatest peak."""
    given = list(costs)
    wall_s, cpu_s = (statistics.median(getattr(cost, what) for cost in given) for what in ("wall_s", "cpu_s"))
    return Cost(wall_s, cpu_s, max(cost.peak_bytes for cost in given))


def cpu_seconds() -> float:
    """Return user and system seconds of this process and of those that it has waited for."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def peak_bytes() -> int:
    """Return the most memory that was resident since ``forget_peak``, mapped files included.

    Not ``ru_maxrss`` where it can be helped: a child inherits its parent's through fork and exec.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def forget_peak() -> None:
    """Start counting the peak anew, where the system allows it."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return
