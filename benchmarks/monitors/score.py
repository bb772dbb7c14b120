"""One monitor in one world: rows drawn, alarms counted, cost measured; in a process of its own, so that the peak is its own."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.cost import peak_bytes
from benchmarks.isolated import isolated
from benchmarks.monitors import evidently, nannyml, ours, tests
from benchmarks.monitors.alarms import Alarms
from benchmarks.monitors.features import draw_features
from benchmarks.monitors.references import FIRST_YEAR, PREVIOUS, compared
from benchmarks.monitors.rows import snapshots
from benchmarks.monitors.tally import Tally
from benchmarks.monitors.worlds import WORLDS
from benchmarks.peers.environments import NotInstallableError

Months = Iterable[tuple[date, pa.Table]]
OURS: dict[str, Callable[[Months, tuple[str, ...]], dict[str, list[Alarms]]]] = {
    "ours, recalibrated": ours.recalibrated,
    "ours, latched": ours.latched,
}
STATELESS = {
    "KS, chi-square, BH; previous month": (PREVIOUS, tests.differing),
    "KS, chi-square, BH; first year": (FIRST_YEAR, tests.differing),
    "Evidently; previous month": (PREVIOUS, evidently.differing),
    "Evidently; first year": (FIRST_YEAR, evidently.differing),
}
EVIDENTLY = tuple(name for name in STATELESS if name.startswith("Evidently"))
NANNYML = "NannyML; three years"
PEERS = (*STATELESS, NANNYML)


@dataclass(frozen=True)
class Score:
    """What a monitor did in a world.

    Attributes:
        tally: Its alarms against the truth; ``None`` when there is no answer.
        cpu_s: CPU seconds of the monitor, the drawing of the rows aside.
        peak_bytes: Most memory of its process.
        reason: Why there is no answer.
    """

    tally: Tally | None
    cpu_s: float = 0.0
    peak_bytes: int = 0
    reason: str = ""


def score(world: str, monitor: str, *, features: int, rows: int, seeds: Iterable[int], data: Path) -> Score:
    """Score a monitor over several seeds.

    Args:
        world: A key of ``WORLDS``.
        monitor: A key of ``OURS``, or one of ``PEERS``.
        features: Number of features per seed.
        rows: Rows per month.
        seeds: Of the features and their rows.
        data: Folder of the peers' environments.
    """
    total = Tally()
    cpu_s = 0.0
    peak = 0
    for seed in seeds:
        asked = {"world": world, "monitor": monitor, "features": features, "rows": rows, "seed": seed, "data": str(data)}
        answer = isolated(run, **asked)
        if answer["reason"]:
            return Score(None, reason=answer["reason"])
        total.merge(Tally(**answer["tally"]))
        cpu_s = cpu_s + answer["cpu_s"]
        peak = max(peak, answer["peak_bytes"])
    return Score(total, cpu_s, peak)


def run(world: str, monitor: str, features: int, rows: int, seed: int, data: str) -> dict[str, Any]:
    """Run a monitor once -> the fields of a ``Score``."""
    of = WORLDS[world]
    drawn = draw_features(of, features, seed)
    total = Tally()
    months = Drawing(snapshots(of, drawn, rows, seed))
    if monitor == NANNYML:
        try:
            answered = nannyml.ask(months, environments=Path(data) / "peers")
        except (NotInstallableError, nannyml.NoAnswerError) as error:
            return {"reason": str(error), "tally": None}
        total.add(drawn, answered.alarms)
        return {"reason": "", "tally": asdict(total), "cpu_s": answered.cpu_s, "peak_bytes": answered.peak_bytes}
    before = _cpu_s()
    alarms = OURS[monitor](months, of.segments) if monitor in OURS else compared(months, *STATELESS[monitor])
    cpu_s = _cpu_s() - before - months.cpu_s
    total.add(drawn, alarms)
    return {"reason": "", "tally": asdict(total), "cpu_s": cpu_s, "peak_bytes": peak_bytes()}


class Drawing:
    """Months that are drawn when they are asked for; counts the CPU seconds that this takes."""

    def __init__(self, months: Iterator[tuple[date, pa.Table]]) -> None:
        self.cpu_s = 0.0
        self._months = months

    def __iter__(self) -> Iterator[tuple[date, pa.Table]]:
        while True:
            before = time.process_time()
            month = next(self._months, None)
            self.cpu_s += time.process_time() - before
            if month is None:
                return
            yield month


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
