"""A feature's course over ten years: what it does without drift, and what was planted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.monitors.worlds import FIRST_ONSET, LAST_ONSET, MONTHS, REGIONS, World
from featurestore.calendar import retail_season

SIZES: dict[str, tuple[float, ...]] = {
    "step": (0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0),
    "trend": (0.02, 0.04),
    "spread": (1.25, 1.5, 2.0),
    "mix": (0.3, 0.6),
    "missing": (0.03, 0.11),
    "local step": (0.3, 0.6, 1.0),
    "unit": (100.0,),
    "nulls": (0.5,),
}
NUMERIC = {
    "usual": ("step", "step", "step", "trend", "spread", "missing"),
    "local": ("local step",),
    "fault": ("unit", "nulls"),
    "two": ("step",),
}
CATEGORICAL = {"usual": ("mix", "missing"), "local": (), "fault": ("nulls",), "two": ("mix",)}
FAULT_LENGTHS = {"unit": 2, "nulls": 1}
BIG_STEPS = SIZES["step"][3:]
CATEGORIES = 10


@dataclass(frozen=True)
class Change:
    """Something planted.

    Attributes:
        kind: A key of ``SIZES``.
        size: One of them; steps in standard deviations, trends a month, spreads a factor, missing values a share more, mixes
            in log odds, units a factor.
        onset: Index of its first month.
        end: Index of the month after its last; the last of all, unless it is a fault.
        region: Where, if not everywhere.
    """

    kind: str
    size: float
    onset: int
    end: int = len(MONTHS)
    region: int | None = None

    @property
    def name(self) -> str:
        """Kind and size, as in the table."""
        return f"{self.kind} {self.size:g}"

    @property
    def is_fault(self) -> bool:
        """Whether the record is wrong, rather than what it is about."""
        return self.kind in FAULT_LENGTHS


@dataclass(frozen=True)
class Feature:
    """One feature: arrays over months, of shares over months and categories; local steps are not in ``level``."""

    name: str
    is_category: bool
    is_lognormal: bool
    level: np.ndarray
    log_spread: np.ndarray
    missing: np.ndarray
    shares: np.ndarray
    factor: np.ndarray
    changes: tuple[Change, ...]


def draw_features(world: World, count: int, seed: int) -> list[Feature]:
    """Draw the features of a world."""
    rng = np.random.default_rng((seed, 99))
    return [draw_feature(rng, world, i) for i in range(count)]


def draw_feature(rng: np.random.Generator, world: World, i: int) -> Feature:
    """Draw a feature; two of five have a change."""
    is_category = bool(rng.random() < 0.3)
    is_lognormal = bool(rng.random() < 0.5)
    changes = _plant(rng, world.planted, is_category=is_category) if rng.random() < 0.4 else ()
    sizes = {kind: _course(changes, kind) for kind in SIZES}
    months = np.arange(len(MONTHS))
    level = _season(rng, world) + wandering(rng, world.wander, world.memory) + world.shocks * rng.standard_t(3, len(MONTHS))
    level += (rng.random(len(MONTHS)) < world.one_offs) * rng.choice([-1, 1], len(MONTHS)) * rng.uniform(0.3, 1, len(MONTHS))
    level += sizes["step"]
    for change in changes:
        if change.kind == "trend":
            level += rng.choice([-1, 1]) * change.size * np.maximum(months - change.onset + 1, 0)
    spread = wandering(rng, world.spread_wander, 0.9) + np.log(np.where(sizes["spread"], sizes["spread"], 1.0))
    missing = np.clip(0.02 + 0.005 * rng.standard_normal(len(MONTHS)) + sizes["missing"] + sizes["nulls"], 0, 1)
    logits = rng.normal(0, 0.7, CATEGORIES) + 0.3 * level[:, None] * (np.arange(CATEGORIES) < 3)
    logits += 0.02 * rng.standard_normal((len(MONTHS), CATEGORIES))
    logits += sizes["mix"][:, None] * rng.permutation([1, -1, 0.7, -0.7, 0, 0, 0, 0, 0, 0])
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    factor = np.where(sizes["unit"], sizes["unit"], 1.0)
    # Another unit can only be seen in what has one: amounts, which are positive.
    is_lognormal |= any(change.kind == "unit" for change in changes)
    return Feature(f"f{i:03d}", is_category, is_lognormal, level, spread, missing, shares, factor, changes)


def wandering(rng: np.random.Generator, innovation: float, memory: float) -> np.ndarray:
    """Draw an AR(1) that starts at zero -> [months]."""
    course = np.zeros(len(MONTHS))
    for t in range(1, len(MONTHS)):
        course[t] = memory * course[t - 1] + innovation * rng.standard_normal()
    return course


def _season(rng: np.random.Generator, world: World) -> np.ndarray:
    """Draw a season: none, Double 11 and 618, Spring Festival or a sine -> [months]."""
    month = np.array([one.month for one in MONTHS])
    labels = np.array([retail_season(one).label for one in MONTHS])
    if world.has_own_seasons:
        varying = 1 + world.amplitude * rng.standard_normal(len(MONTHS))
    else:
        varying = np.repeat(1 + world.amplitude * rng.standard_normal(len(MONTHS) // 12), 12)
    kinds = (
        np.zeros(len(MONTHS)),
        (month == 11) + 0.6 * (month == 6),
        -1.0 * (labels == "spring_festival") + 0.3 * (labels == "before_spring_festival"),
        0.6 * np.sin(2 * np.pi * month / 12 + rng.uniform(0, 2 * np.pi)),
    )
    return rng.uniform(0.3, 1.2) * kinds[rng.integers(len(kinds))] * varying


def _plant(rng: np.random.Generator, planted: str, *, is_category: bool) -> tuple[Change, ...]:
    kinds = (CATEGORICAL if is_category else NUMERIC)[planted]
    if not kinds:
        return ()
    kind = str(rng.choice(kinds))
    onset = int(rng.integers(FIRST_ONSET, LAST_ONSET))
    if planted == "two":
        sizes = BIG_STEPS if kind == "step" else SIZES["mix"][1:]
        second = onset + int(rng.integers(12, 24))
        return Change(kind, float(rng.choice(sizes)), onset), Change(kind, float(rng.choice(sizes)), second)
    end = onset + FAULT_LENGTHS[kind] if kind in FAULT_LENGTHS else len(MONTHS)
    region = int(rng.integers(REGIONS)) if kind == "local step" else None
    return (Change(kind, float(rng.choice(SIZES[kind])), onset, end, region),)


def _course(changes: tuple[Change, ...], kind: str) -> np.ndarray:
    """Add up the changes of a kind -> [months]; a second one goes the other way, and further than the first."""
    course = np.zeros(len(MONTHS))
    for change, sign in zip([one for one in changes if one.kind == kind], (1, -1), strict=False):
        course[change.onset : change.end] += sign * change.size
    return course
