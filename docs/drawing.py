"""Draw the ways of architecture.md: a column per way, a box per file in the colour of its folder, what is committed between.

    python -m docs.drawing

The lists of the page are the source, so page and drawing cannot differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

HERE = Path(__file__).parent
PAGE, DRAWING = HERE / "architecture.md", HERE / "architecture.svg"
WAY = re.compile(r"^## (The way of an? \w+)\n(.*?)(?=^## )", re.MULTILINE | re.DOTALL)
STEP = re.compile(r"^\d+\. \[`([^`]+)`\]\(\.\./([^)]+)\) (.+)$")
KEPT = re.compile(r"^    \*\*(.+?)\*\*(.*)$")

COLOURS = {
    "client.py": ("#f3f4f6", "#6b7280"),
    "operations": ("#f3f4f6", "#6b7280"),
    "lake": ("#e0ecfb", "#2b6cb0"),
    "compute": ("#e3f3e6", "#2f855a"),
    "drift": ("#fdeedd", "#c05621"),
}
WIDTH, GAP, MARGIN = 300, 30, 20
BOX_HEIGHT, KEPT_HEIGHT, STEP_GAP, HEAD = 50, 26, 14, 78
CHARACTERS = 46


@dataclass(frozen=True)
class Step:
    """A file on a way, by its name below featurestore/, and what happens there."""

    name: str
    path: str
    text: str


@dataclass(frozen=True)
class Kept:
    """What lies committed, or is answered, at this point of a way."""

    text: str


def ways(page: str) -> dict[str, list[Step | Kept]]:
    """Read the ways from the page: title to what is passed, in order."""
    return {title: list(_passed(body)) for title, body in WAY.findall(page)}


def _passed(body: str) -> Iterator[Step | Kept]:
    for line in body.splitlines():
        if step := STEP.match(line):
            yield Step(*step.groups())
        elif kept := KEPT.match(line):
            yield Kept(kept[1] + kept[2])


def draw(page: str) -> str:
    """Draw the page's ways as SVG."""
    columns = ways(page)
    parts, bottom = list(_legend()), 0
    for number, (title, passed) in enumerate(columns.items()):
        left = MARGIN + number * (WIDTH + GAP)
        drawn, depth = _column(title, passed, left)
        parts += drawn
        bottom = max(bottom, depth)
    width = 2 * MARGIN + len(columns) * (WIDTH + GAP) - GAP
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {bottom + MARGIN}" width="{width}" '
        'font-family="system-ui, -apple-system, Segoe UI, DejaVu Sans, sans-serif">'
    )
    arrow = (
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z" fill="#6b7280"/></marker></defs>'
    )
    ground = f'<rect width="{width}" height="{bottom + MARGIN}" rx="8" fill="#ffffff"/>'
    return "\n".join([head, arrow, ground, *parts, "</svg>"]) + "\n"


def _legend() -> Iterator[str]:
    left = MARGIN
    for name in ("lake", "compute", "drift", "operations"):
        fill, edge = COLOURS[name]
        label = "client, operations" if name == "operations" else name
        yield f'<rect x="{left}" y="16" width="14" height="14" rx="3" fill="{fill}" stroke="{edge}"/>'
        yield _text(left + 20, 27, label, size=12)
        left += 34 + 8 * len(label)
    yield f'<rect x="{left}" y="16" width="26" height="14" rx="7" fill="#374151"/>'
    yield _text(left + 32, 27, "what lies committed", size=12)


def _column(title: str, passed: list[Step | Kept], left: int) -> tuple[list[str], int]:
    parts = [_text(left, HEAD - 16, title, size=16, weight="bold")]
    top = HEAD
    for number, each in enumerate(passed):
        if number:
            middle = left + WIDTH // 2
            parts.append(f'<path d="M{middle} {top - STEP_GAP} V{top - 1}" stroke="#6b7280" marker-end="url(#tip)"/>')
        height = BOX_HEIGHT if isinstance(each, Step) else KEPT_HEIGHT
        parts += _box(each, left, top) if isinstance(each, Step) else _pill(each, left, top)
        top += height + STEP_GAP
    return parts, top - STEP_GAP


def _box(step: Step, left: int, top: int) -> list[str]:
    fill, edge = COLOURS[step.name.partition("/")[0]]
    name = _text(left + 10, top + 20, step.name, size=12, weight="bold", fill=edge)
    return [
        f'<rect x="{left}" y="{top}" width="{WIDTH}" height="{BOX_HEIGHT}" rx="6" fill="{fill}" stroke="{edge}"/>',
        name,
        _text(left + 10, top + 38, _fitting(step.text), size=11.5),
    ]


def _pill(kept: Kept, left: int, top: int) -> list[str]:
    text = escape(_fitting(kept.text))
    return [
        f'<rect x="{left}" y="{top}" width="{WIDTH}" height="{KEPT_HEIGHT}" rx="13" fill="#374151"/>',
        f'<text x="{left + WIDTH / 2}" y="{top + 17}" font-size="11.5" fill="#ffffff" text-anchor="middle">{text}</text>',
    ]


def _fitting(text: str) -> str:
    assert len(text) <= CHARACTERS, f"{text!r} does not fit into a box; {CHARACTERS} characters do"
    return text


def _text(x: float, y: float, text: str, *, size: float, weight: str = "normal", fill: str = "#111827") -> str:
    return f'<text x="{x}" y="{y}" font-size="{size}" font-weight="{weight}" fill="{fill}">{escape(text)}</text>'


if __name__ == "__main__":
    DRAWING.write_text(draw(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
