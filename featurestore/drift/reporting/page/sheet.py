"""The distributions of an audit on one sheet: a picture of its own, for where a page cannot be shown."""

from __future__ import annotations

import re

from featurestore.drift.reporting.markup import html
from featurestore.drift.reporting.page.figure import WIDTH, figure
from featurestore.drift.reporting.page.page import AuditPage
from featurestore.drift.reporting.page.reliability import reliability_plot
from featurestore.drift.reporting.portrait import Portrait, ReliabilityPortrait, months_text

MAX_FIGURES, ACROSS = 12, 2
GAP, HEAD = 36, 44
HEIGHT = re.compile(rf'viewBox="0 0 {WIDTH} (\d+)"')
STYLE = (
    "text{fill:#1c2430;font:11px system-ui,sans-serif}.name{font-weight:600;font-size:13px}.soft{fill:#5b6675}"
    ".rule{stroke:#d9dee5}.then{fill:#9aa5b1;opacity:.45}.now{fill:none;stroke:#1f5fbf;stroke-width:1.6}.nowbar{fill:#1f5fbf}"
    ".mark{stroke:#1f5fbf;fill:none}"
)


def render_sheet(page: AuditPage) -> str:
    """Return the distributions then and now of an audit's newest episodes as one SVG; equal input gives an equal picture."""
    portraits = [
        (f"{first.feature} ({first.segment})" if first.segment else first.feature, page.portraits[first.episode])
        for first, *_ in page.stories
        if first.episode in page.portraits
    ]
    parts = []
    bottom = GAP / 2
    shown = portraits[:MAX_FIGURES]
    for start in range(0, len(shown), ACROSS):
        drawn = [_drawn(name, portrait) for name, portrait in shown[start : start + ACROSS]]
        for place, (text, _) in enumerate(drawn):
            parts.append(f'<g transform="translate({GAP / 2 + place * (WIDTH + GAP)} {bottom})">{text}</g>')
        bottom += max(height for _, height in drawn) + GAP
    if not shown:
        parts.append(f'<text x="{GAP / 2}" y="{bottom + 14}">Nothing is open.</text>')
    size = f'width="{ACROSS * (WIDTH + GAP)}" height="{bottom + GAP:.0f}"'
    ground = '<rect width="100%" height="100%" fill="#fff"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}><style>{STYLE}</style>{ground}{"".join(parts)}</svg>\n'


def _drawn(name: str, portrait: Portrait | ReliabilityPortrait) -> tuple[str, int]:
    """Return a figure below its heading, and the height of both."""
    picture = reliability_plot(portrait) if isinstance(portrait, ReliabilityPortrait) else figure(portrait)
    match = HEIGHT.search(picture)
    assert match is not None
    height = int(match[1])
    heading = f'<text class="name" y="12">{html(name)}</text><text class="soft" y="30">{html(_sides(portrait))}</text>'
    return f'{heading}<svg y="{HEAD}" width="{WIDTH}" height="{height}">{picture}</svg>', HEAD + height


def _sides(portrait: Portrait | ReliabilityPortrait) -> str:
    what = "forecasts" if isinstance(portrait, ReliabilityPortrait) else "rows"
    then, now = portrait.rows
    return f"blue: {portrait.month}, {now:,} {what}; grey: {months_text(portrait.reference)}, {then:,} {what}"
