"""A feature's distribution then and now, as inline SVG."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from featurestore.drift.reporting.markup import html
from featurestore.drift.reporting.portrait import Portrait
from featurestore.drift.sketches.edges import CATEGORY, NUMERIC

WIDTH, HEIGHT, FOOT = 460, 170, 22
BAR_PX, LABEL_PX = 17, 150
LABELS, LETTER_PX = 7, 6.2
MAX_LETTERS = 22


def figure(portrait: Portrait) -> str:
    """Draw both distributions over the same bins.

    A numeric feature's bins are those of its sketches, narrow where its values are many: the axis says the values. Categories
    are pairs of bars.
    """
    return _bars(portrait) if portrait.kind == CATEGORY else _curves(portrait)


def _curves(portrait: Portrait) -> str:
    then = portrait.then
    now = portrait.now
    labels = list(portrait.labels)
    if portrait.kind == NUMERIC:
        used = np.flatnonzero((then > 0) | (now > 0))
        inside = slice(max(used[0] - 1, 0), used[-1] + 2)
        then = then[inside]
        now = now[inside]
        labels = labels[inside]
    top = max(then.max(), now.max())
    step = WIDTH / len(then)
    floor = HEIGHT - FOOT
    ground, line = (_outline(side / top * (floor - 8), step, floor) for side in (then, now))
    parts = [f'<path class="then" d="{ground}Z"/>', f'<path class="now" d="{line}"/>']
    parts.append(f'<line class="rule" x1="0" y1="{floor}" x2="{WIDTH}" y2="{floor}"/>')
    parts += _axis(labels, step)
    return _svg(HEIGHT, parts)


def _axis(labels: list[str], step: float) -> Iterator[str]:
    """Write the limits of some bins below them, as many as there is room for."""
    free = 0.0
    for i in np.unique(np.linspace(0, len(labels) - 1, LABELS).astype(int)):
        text = labels[i]
        half = LETTER_PX * len(text) / 2
        x = min(max(i * step, half), WIDTH - half)
        if text and x - half >= free:
            free = x + half + LETTER_PX
            yield f'<text class="soft" x="{x:.1f}" y="{HEIGHT - 6}" text-anchor="middle">{html(text)}</text>'


def _outline(heights: np.ndarray, step: float, floor: int) -> str:
    points = [f"M0 {floor}"]
    for i, height in enumerate(heights):
        points.append(f"L{i * step:.1f} {floor - height:.1f}L{(i + 1) * step:.1f} {floor - height:.1f}")
    points.append(f"L{len(heights) * step:.1f} {floor}")
    return "".join(points)


def _bars(portrait: Portrait) -> str:
    top = max(portrait.then.max(), portrait.now.max())
    room = WIDTH - LABEL_PX - 52
    parts = []
    shown = [i for i in range(len(portrait.labels)) if max(portrait.then[i], portrait.now[i]) > 0]
    for place, i in enumerate(shown):
        y = place * BAR_PX
        label = portrait.labels[i]
        short = label if len(label) <= MAX_LETTERS else f"{label[: MAX_LETTERS - 1]}…"
        parts.append(
            f'<text x="{LABEL_PX - 8}" y="{y + 12}" text-anchor="end">{html(short)}<title>{html(label)}</title></text>'
        )
        for name, side, offset in (("then", portrait.then, 2), ("nowbar", portrait.now, 8)):
            width = side[i] / top * room
            parts.append(f'<rect class="{name}" x="{LABEL_PX}" y="{y + offset}" width="{width:.1f}" height="5"/>')
        x = LABEL_PX + max(portrait.then[i], portrait.now[i]) / top * room + 6
        parts.append(f'<text class="soft" x="{x:.1f}" y="{y + 12}">{portrait.now[i]:.1%}</text>')
    return _svg(BAR_PX * len(shown) + 4, parts)


def _svg(height: int, parts: list[str]) -> str:
    size = f'viewBox="0 0 {WIDTH} {height}" width="100%" style="max-width:{WIDTH}px"'
    return f'<svg role="img" aria-label="Distribution then and now" {size}>{"".join(parts)}</svg>'
