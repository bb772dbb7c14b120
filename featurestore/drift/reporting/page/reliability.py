"""How far forecasts were right, then and now, as inline SVG: what came against what was forecast, bucket by bucket.

Both axes run by the arcsine of the root, in which equal distances are equally surprising: most forecasts lie near 0 or 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from featurestore.drift.reliability import Reliability
from featurestore.drift.reporting.markup import html
from featurestore.drift.reporting.portrait import ReliabilityPortrait

WIDTH, HEIGHT, LEFT, FOOT, TOP = 460, 300, 44, 36, 8
MIN_RADIUS_PX, MAX_RADIUS_PX = 2.5, 9.0
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
TICK_PX = 26
ERRORS = 2.0
MIN_TRIALS = 10


@dataclass(frozen=True)
class _Plane:
    """Where a share lies on either axis; ``most`` is the highest one shown."""

    most: float

    def x(self, share: float) -> float:
        return LEFT + self._place(share) * (WIDTH - LEFT - MAX_RADIUS_PX)

    def y(self, share: float) -> float:
        return HEIGHT - FOOT - self._place(share) * (HEIGHT - FOOT - TOP)

    def _place(self, share: float) -> float:
        return math.asin(math.sqrt(share)) / math.asin(math.sqrt(self.most))


def reliability_figure(portrait: ReliabilityPortrait) -> str:
    """Draw both sides; below are mean forecast, observed share, expected calibration error and Brier score of each."""
    titles = ("", "forecast", "came", "ECE", "Brier", "trials")
    head = "".join(f"<th class=n>{title}</th>" for title in titles)
    sides = (("then", portrait.then), ("now", portrait.now))
    rows = "".join(f"<tr><td>{name}</td>{_scores(side)}</tr>" for name, side in sides)
    return f"{reliability_plot(portrait)}<table><tr>{head}</tr>{rows}</table>"


def reliability_plot(portrait: ReliabilityPortrait) -> str:
    """Draw both sides: forecasts that hold lie on the diagonal, a dot's area says how many trials it has.

    Buckets of fewer than ``MIN_TRIALS`` are left out. Bars around the dots of today are two standard errors of the observed
    share.
    """
    then, now = portrait.then, portrait.now
    plane = _Plane(max(_highest(then), _highest(now), 0.01))
    parts = [*_axes(plane), *_dots(then, plane, name="then"), *_dots(now, plane, name="nowbar")]
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="100%" style="max-width:{WIDTH}px"'
    return f'<svg role="img" aria-label="Observed against expected, then and now" {size}>{"".join(parts)}</svg>'


def _scores(side: Reliability) -> str:
    texts = (f"{side.mean_forecast:.2%}", f"{side.observed_share:.2%}", f"{side.ece:.4f}", f"{side.brier:.4f}")
    return "".join(f"<td class=n>{html(text)}</td>" for text in (*texts, f"{side.trials.sum():,.0f}"))


def _highest(side: Reliability) -> float:
    forecast, observed, error = _shares(side)
    return float(np.max(np.concatenate([forecast, np.minimum(observed + ERRORS * error, 1.0)]), initial=0.0))


def _shares(side: Reliability) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean forecast, observed share and its standard error of the buckets that are drawn."""
    is_filled = side.trials >= MIN_TRIALS
    n, expected, observed = (each[is_filled] for each in (side.trials, side.expected, side.observed))
    share = (observed + 0.5) / (n + 1)
    return expected / n, observed / n, np.sqrt(share * (1 - share) / n)


def _axes(plane: _Plane) -> Iterator[str]:
    floor = HEIGHT - FOOT
    yield f'<line class="rule" x1="{LEFT}" y1="{floor}" x2="{plane.x(plane.most):.1f}" y2="{plane.y(plane.most):.1f}"/>'
    yield f'<line class="rule" x1="{LEFT}" y1="{floor}" x2="{WIDTH}" y2="{floor}"/>'
    free = 0.0
    for value in TICKS:
        x = plane.x(value)
        y = plane.y(value)
        text = f"{value:.0%}"
        if value <= plane.most and x >= free:
            free = x + TICK_PX
            yield f'<text class="soft" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'
            yield f'<text class="soft" x="{x:.1f}" y="{floor + 14}" text-anchor="middle">{text}</text>'
    yield f'<text class="soft" x="{WIDTH}" y="{HEIGHT - 6}" text-anchor="end">forecast</text>'
    yield f'<text class="soft" x="{LEFT + 4}" y="{TOP + 8}">came</text>'


def _dots(side: Reliability, plane: _Plane, *, name: str) -> Iterator[str]:
    trials = side.trials[side.trials >= MIN_TRIALS]
    for forecast, observed, error, n in zip(*_shares(side), trials, strict=True):
        x = plane.x(forecast)
        y = plane.y(observed)
        radius = max(MAX_RADIUS_PX * math.sqrt(n / trials.max()), MIN_RADIUS_PX)
        if name == "nowbar":
            low, high = (plane.y(min(max(observed + way * error, 0.0), 1.0)) for way in (-ERRORS, ERRORS))
            yield f'<line class="mark" x1="{x:.1f}" y1="{low:.1f}" x2="{x:.1f}" y2="{high:.1f}"/>'
        title = f"forecast {forecast:.2%}, came {observed:.2%} of {n:,.0f}"
        yield f'<circle class="{name}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"><title>{html(title)}</title></circle>'
