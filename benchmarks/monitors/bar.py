"""The bar: what our monitor, recalibrated, must reach on hard data and under stress, and how far it is from it."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.findings import Row
from benchmarks.monitors.features import BIG_STEPS
from benchmarks.monitors.tally import Tally
from benchmarks.monitors.worlds import HARD

MONITOR = "ours, recalibrated"
MIN_FALSE = {HARD.name: 0.01, "one-off months 2 %": 0.02}
STRESS_FALSE = 0.03
BIG = [f"step {size:g}" for size in BIG_STEPS] + ["first step", "second step"]


def distances(scores: Mapping[str, Any]) -> Iterator[Row]:
    """Compare what was measured with the bar, one row per target and world."""
    for entry in scores.values():
        if entry["monitor"] == MONITOR:
            yield from _of_world(entry["world"], Tally(**entry["tally"]))


def share_within(delays: Sequence[int | None], months: int) -> float:
    """Return the share that was found within some months; of none, 0.

    >>> share_within([0, 1, None, 3], 1)
    0.5
    """
    return sum(delay is not None and delay <= months for delay in delays) / max(len(delays), 1)


def _of_world(world: str, tally: Tally) -> Iterator[Row]:
    years = tally.feature_years
    is_hard = world == HARD.name
    bound = MIN_FALSE.get(world, STRESS_FALSE)
    note = f"{tally.false_episodes} in {years:.0f} feature-years"
    yield Row(f"{world}: false episodes a feature-year", tally.false_episodes / years, at_most=bound, note=note)
    if is_hard:
        yield Row(f"{world}: false months a feature-year", tally.false_months / years, at_most=0.05)
        yield _festivals(world, tally)
    big = [delay for name in BIG for delay in tally.delays.get(name, ())]
    yield from _found(f"{world}: steps from .45 sd", big, 1, 0.98 if is_hard else 0.95)
    if is_hard:
        yield from _found(f"{world}: steps of .3 sd", tally.delays.get("step 0.3", ()), 2, 0.85)
        trends = tally.delays.get("trend 0.04", ())
        if known := [delay for delay in trends if delay is not None]:
            yield Row(f"{world}: trends of .04 sd, median delay", statistics.median(known), at_most=7, unit=" months")
        for months, least in ((8, 0.7), (24, 0.93)):
            yield from _found(f"{world}: trends of .04 sd", trends, months, least)


def _found(what: str, delays: Sequence[int | None], months: int, least: float) -> Iterator[Row]:
    if delays:
        share = share_within(delays, months)
        yield Row(f"{what} within {months} months", share or None, at_least=least, note=f"{share:.2f} of {len(delays)}")


def _festivals(world: str, tally: Tally) -> Row:
    """Compare the rates of false episodes in festival months and in others."""
    what = f"{world}: festival months / others, false episodes"
    ordinary = tally.false_episodes - tally.festival_episodes
    note = f"{tally.festival_episodes} and {ordinary}"
    if not ordinary:
        return Row(what, 0.0 if not tally.festival_episodes else None, at_most=1.5, note=note)
    others = ordinary / (tally.feature_years - tally.festival_years)
    return Row(what, tally.festival_episodes / tally.festival_years / others, at_most=1.5, note=note)
