"""Measure the drift monitor on ten years of features whose drift is known.

    python benchmarks/drift.py --quick              hard data, one seed: about a minute
    python benchmarks/drift.py                      hard data and every stress, several seeds
    python benchmarks/drift.py --speed              seconds and memory for 300 features

Every number comes from the product's own path: monthly tables of rows go into ``sketch_months``, sketches into
``monitor_sketches``. A feature has a season (none, Double 11 and 618, Spring Festival or a sine) whose size varies by year,
a harmless AR(1) wander, and missing values that jitter; 60 % have nothing planted, the others one change. Months
36 to 119 are scored. A false episode is an entry into ``drift`` before the change, or without one; a feature that is
latched already when its change comes counts as not found.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.calendar import retail_season
from featurestore.drift.edges import EdgeSet
from featurestore.drift.monitor import monitor_sketches, sketch_month, sketch_months
from featurestore.drift.state import DRIFT, LATCHED
from featurestore.timeline import Month, months_between

MONTHS = months_between(Month(2016, 1), Month(2025, 12))
FIRST_SCORED = 36
FIRST_ONSET, LAST_ONSET = 40, 95
RECALIBRATED_AFTER_MONTHS = 3
PLANTED = ("step", "small step", "trend", "spread", "mix", "missing")


@dataclass(frozen=True)
class World:
    """How features move when nothing has changed.

    Attributes:
        name: What it is called in the table.
        amplitude: Variation of the season's size from year to year.
        wander: Innovation of the AR(1) level, in standard deviations.
        memory: Its coefficient.
        shocks: Scale of heavy-tailed (t with 3 degrees) shocks of single months.
        spread_wander: Innovation of an AR(1) in the log spread.
        one_offs: Share of months with a campaign of .3 to 1 standard deviations.
    """

    name: str
    amplitude: float = 0.2
    wander: float = 0.035
    memory: float = 0.9
    shocks: float = 0.0
    spread_wander: float = 0.0
    one_offs: float = 0.0


HARD = World("hard")
WORLDS = (
    HARD,
    World("amplitude 40 %", amplitude=0.4),
    World("wander .06, phi .95", wander=0.06, memory=0.95),
    World("t3 month shocks", shocks=0.05),
    World("spread wanders", spread_wander=0.03),
    World("one-off months 2 %", one_offs=0.02),
)


@dataclass(frozen=True)
class Feature:
    """One feature's course: what it does without drift, and what was planted (``onset`` is a month index)."""

    name: str
    is_category: bool
    is_lognormal: bool
    level: np.ndarray
    log_spread: np.ndarray
    missing: np.ndarray
    shares: np.ndarray
    planted: str | None
    onset: int
    size: float


@dataclass
class Tally:
    """What a world's runs add up to."""

    feature_years: float = 0.0
    false_episodes: int = 0
    false_months: int = 0
    festival_episodes: int = 0
    again: int = 0
    delays: dict[str, list[float]] | None = None


def say(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def seasons(rng: np.random.Generator, amplitude: float) -> np.ndarray:
    """Draw one feature's season -> [months]."""
    month = np.array([one.month for one in MONTHS])
    labels = np.array([retail_season(one).label for one in MONTHS])
    yearly = 1 + amplitude * rng.standard_normal(len(MONTHS) // 12)
    size = rng.uniform(0.3, 1.2)
    kinds = (
        np.zeros(len(MONTHS)),
        (month == 11) + 0.6 * (month == 6),
        -1.0 * (labels == "spring_festival") + 0.3 * (labels == "before_spring_festival"),
        0.6 * np.sin(2 * np.pi * month / 12 + rng.uniform(0, 2 * np.pi)),
    )
    return size * kinds[rng.integers(len(kinds))] * np.repeat(yearly, 12)


def wandering(rng: np.random.Generator, innovation: float, memory: float) -> np.ndarray:
    """Draw an AR(1) that starts at zero -> [months]."""
    course = np.zeros(len(MONTHS))
    for t in range(1, len(MONTHS)):
        course[t] = memory * course[t - 1] + innovation * rng.standard_normal()
    return course


def draw_feature(rng: np.random.Generator, world: World, i: int) -> Feature:
    """Draw a feature; two of five have a change."""
    is_category = rng.random() < 0.3
    planted = None
    if rng.random() < 0.4:
        planted = str(
            rng.choice(("mix", "missing") if is_category else ("step", "step", "small step", "trend", "spread", "missing"))
        )
    onset = int(rng.integers(FIRST_ONSET, LAST_ONSET))
    size = {"step": rng.uniform(0.45, 0.8), "small step": 0.3}.get(planted or "", 0.0) * rng.choice([-1, 1])
    after = np.arange(len(MONTHS)) >= onset
    months = np.arange(len(MONTHS))
    level = (
        seasons(rng, world.amplitude)
        + wandering(rng, world.wander, world.memory)
        + world.shocks * rng.standard_t(3, len(MONTHS))
    )
    level += (rng.random(len(MONTHS)) < world.one_offs) * rng.choice([-1, 1], len(MONTHS)) * rng.uniform(0.3, 1, len(MONTHS))
    level += size * after + (planted == "trend") * rng.choice([-1, 1]) * 0.04 * np.maximum(months - onset + 1, 0)
    spread = wandering(rng, world.spread_wander, 0.9) + (planted == "spread") * np.log(1.5) * after
    missing = np.clip(0.02 + 0.005 * rng.standard_normal(len(MONTHS)) + (planted == "missing") * 0.11 * after, 0, 1)
    logits = rng.normal(0, 0.7, 10) + 0.3 * level[:, None] * (np.arange(10) < 3) + 0.02 * rng.standard_normal((len(MONTHS), 10))
    logits += (planted == "mix") * after[:, None] * rng.permutation([0.6, -0.6, 0.4, -0.4, 0, 0, 0, 0, 0, 0])
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Feature(f"f{i:03d}", is_category, rng.random() < 0.5, level, spread, missing, shares, planted, onset, float(size))


def snapshots(features: list[Feature], rows: int, seed: int) -> Iterator[tuple[date, pa.Table]]:
    """Draw the monthly rows of all features."""
    for t, month in enumerate(MONTHS):
        rng = np.random.default_rng((seed, t))
        columns = {}
        for feature in features:
            is_missing = rng.random(rows) < feature.missing[t]
            if feature.is_category:
                codes = pa.array(rng.choice(10, rows, p=feature.shares[t]), mask=is_missing)
                columns[feature.name] = pa.DictionaryArray.from_arrays(codes, [f"k{i}" for i in range(10)])
            else:
                values = feature.level[t] + np.exp(feature.log_spread[t]) * rng.standard_normal(rows)
                columns[feature.name] = pa.array(np.exp(values) if feature.is_lognormal else values, mask=is_missing)
        yield month.first_day, pa.table(columns)


def recalibrated(sketches: list[tuple[date, pa.Table]]) -> pa.Table:
    """Monitor with a recalibration three months after each entry into drift, year by year."""
    resets: dict[str, list[Month]] = {}
    scored: pa.Table | None = None
    for year in sorted({day.year for day, _ in sketches}):
        known = [item for item in sketches if item[0].year <= year]
        while True:
            found = monitor_sketches(known, resets=resets, scored=scored)
            whole = found if scored is None else pa.concat_tables([scored, found])
            wanted: dict[str, list[Month]] = {}
            for row in whole.to_pylist():
                if row["state"] == DRIFT:
                    wanted.setdefault(row["feature"], []).append(Month.parse(row["month"]).shift(RECALIBRATED_AFTER_MONTHS))
            if wanted == resets:
                break
            resets = wanted
        scored = whole
    return whole


def tally(features: list[Feature], found: pa.Table, total: Tally) -> None:
    """Count false episodes and delays of a run."""
    index = {month.first_day: t for t, month in enumerate(MONTHS)}
    rows: dict[str, list[tuple[int, str]]] = {}
    for row in found.to_pylist():
        rows.setdefault(row["feature"], []).append((index[row["month"]], row["state"]))
    for feature in features:
        end = feature.onset if feature.planted else len(MONTHS)
        states = [(t, state) for t, state in rows[feature.name] if t >= FIRST_SCORED]
        entries = [t for t, state in states if state == DRIFT]
        total.feature_years += (end - FIRST_SCORED) / 12
        false = [t for t in entries if t < end]
        total.false_episodes += len(false)
        total.festival_episodes += sum(retail_season(MONTHS[t]).is_festival for t in false)
        total.false_months += sum(state in (DRIFT, LATCHED) for t, state in states if t < end)
        if feature.planted:
            after = [t for t in entries if t >= end]
            total.delays.setdefault(feature.planted, []).append(after[0] - end if after else np.inf)
            total.again += max(len(after) - 1, 0) if feature.planted != "trend" else 0


def share_within(delays: list[float], months: int) -> str:
    """Say which share was found within some months."""
    return f"{np.mean(np.array(delays) <= months):.2f}" if delays else "-"


def report(name: str, total: Tally, seconds: float) -> str:
    """Render one world's row."""
    delays, years = total.delays, total.feature_years
    trend = delays.get("trend", [])
    festival_share = np.mean([retail_season(month).is_festival for month in MONTHS])
    ordinary = (total.false_episodes - total.festival_episodes) / (1 - festival_share)
    ratio = f"{total.festival_episodes / festival_share / ordinary:.1f}" if ordinary else "-"
    cells = [
        name,
        f"{years:.0f}",
        f"{total.false_episodes / years:.4f}",
        f"{total.false_months / years:.3f}",
        ratio,
        "/".join(share_within(delays.get("step", []), within) for within in (0, 1, 2)) + f" ({len(delays.get('step', []))})",
        "/".join(share_within(delays.get("small step", []), within) for within in (2, 12)),
        f"{np.median(trend):.0f}, " + "/".join(share_within(trend, within) for within in (8, 24)) if trend else "-",
        *("/".join(share_within(delays.get(kind, []), within) for within in (1, 24)) for kind in ("spread", "mix", "missing")),
        str(total.again),
        f"{seconds:.0f}",
    ]
    return "| " + " | ".join(cells) + " |"


HEADER = (
    "| world | clean feature-years | false episodes / feature-year | false months / feature-year | festival / ordinary | "
    "steps .45-.8 sd within 0/1/2 | .3 sd within 2/12 | trend .04 sd: median, within 8/24 | spread x 1.5 within 1/24 | "
    "mix within 1/24 | missing 2 -> 13 % within 1/24 | again | CPU s |"
)


def run(world: World, *, features: int, seeds: list[int], rows: int) -> list[str]:
    """Run one world -> rows of the table, latched and recalibrated."""
    totals = {"latched": Tally(delays={}), "recalibrated": Tally(delays={})}
    seconds = 0.0
    for seed in seeds:
        rng = np.random.default_rng((seed, 99))
        drawn = [draw_feature(rng, world, i) for i in range(features)]
        sketches = list(sketch_months(snapshots(drawn, rows, seed)))
        start = time.process_time()
        both = monitor_sketches(sketches), recalibrated(sketches)
        seconds += time.process_time() - start
        for found, total in zip(both, totals.values(), strict=True):
            tally(drawn, found, total)
    return [report(f"{world.name}, {name}", total, seconds) for name, total in totals.items()]


def speed(rows: int) -> None:
    """Print seconds and memory of 300 features: a month sketched, a month judged, a decade judged."""
    rng = np.random.default_rng(0)
    drawn = [replace(draw_feature(rng, HARD, i), is_category=False) for i in range(300)]
    sketches, edges, sketching = [], EdgeSet(()), 0.0
    for day, table in snapshots(drawn, rows, 0):
        before = time.process_time()
        sketched, edges = sketch_month(table, edges)
        sketching += time.process_time() - before
        sketches.append((day, sketched))
    before = time.process_time()
    found = monitor_sketches(sketches)
    decade = time.process_time() - before
    last_year = pc.equal(pc.year(found["month"]), MONTHS[-1].year)
    before = time.process_time()
    monitor_sketches(sketches, scored=found.filter(pc.invert(last_year)))
    year = time.process_time() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    say(f"300 features, {rows} rows a month, CPU seconds: {sketching / len(MONTHS):.2f} to sketch a month,")
    say(f"{year:.1f} to judge the tenth year (all of it, as an audit in December does), {decade:.1f} to judge ten years;")
    say(f"peak memory {peak:.2f} GiB; {dict(Counter(found['state'].to_pylist()))}")


def main() -> None:
    """Parse arguments, run, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="hard data, one seed")
    parser.add_argument("--speed", action="store_true", help="only seconds and memory of 300 features")
    parser.add_argument("--features", type=int, default=100)
    parser.add_argument("--rows", type=int, default=1500, help="rows a month")
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12, 13])
    parser.add_argument("--worlds", nargs="+", default=[world.name for world in WORLDS], help="names from the table")
    chosen = parser.parse_args()
    if chosen.speed:
        speed(chosen.rows)
        return
    worlds = [HARD] if chosen.quick else [world for world in WORLDS if world.name in chosen.worlds]
    say(HEADER)
    say("|" + "---|" * HEADER.count(" | ") + "---|")
    for world in worlds:
        for line in run(world, features=chosen.features, seeds=chosen.seeds[: 1 if chosen.quick else None], rows=chosen.rows):
            say(line)


if __name__ == "__main__":
    main()
