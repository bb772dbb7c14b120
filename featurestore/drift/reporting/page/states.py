"""The decade as inline SVG: features by months, coloured by state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import pyarrow as pa

from featurestore.calendar import retail_season
from featurestore.drift.data_faults.data_fault import DataFault
from featurestore.drift.monitor.state import DRIFT, LATCHED
from featurestore.drift.reporting.markup import html
from featurestore.timeline import Month, months_between

ROW_PX, MONTH_PX, HEAD_PX, FOOT_PX, LETTER_PX = 15, 7, 20, 34, 6.1
MAX_ROWS, MAX_LETTERS = 250, 48
MARKS = {"spring_festival": "S", "618": "6", "double11": "11"}
"""Letters of the festivals below a picture's months, by the season's label."""

_States = Mapping[Month, str]


def states_figure(history: pa.Table, faults: Sequence[DataFault], month: Month) -> str:
    """Draw the states of all features up to a month; segments only where something entered drift; data faults below them.

    Args:
        history: ``HISTORY_SCHEMA``.
        faults: Faults in the sources' records: their first month is drawn as ``drift``, those after it as ``latched``.
        month: The audited month, marked by a frame.

    Returns:
        An ``<svg>``, or ``""`` when there is nothing to draw.
    """
    rows = [*_rows(history, month), *_fault_rows(faults, month)][:MAX_ROWS]
    if not rows:
        return ""
    months = months_between(min(each for _, states in rows for each in states), month)
    left = LETTER_PX * max(len(label) for label, _ in rows) + 12
    width = left + MONTH_PX * len(months) + 4
    height = HEAD_PX + ROW_PX * len(rows) + FOOT_PX
    parts = [*_years(months, left, height), *_festivals(months, left, height)]
    for i, (label, states) in enumerate(rows):
        top = HEAD_PX + i * ROW_PX
        parts.append(f'<text x="{left - 8:.0f}" y="{top + 11}" text-anchor="end">{html(label)}</text>')
        parts += _runs(label, states, months, left, top)
    x = left + MONTH_PX * (len(months) - 1)
    parts.append(f'<rect class="mark" x="{x:.0f}" y="{HEAD_PX - 2}" width="{MONTH_PX}" height="{ROW_PX * len(rows) + 2}"/>')
    size = f'width="{width:.0f}" height="{height}" viewBox="0 0 {width:.0f} {height}"'
    return f'<svg role="img" aria-label="State of each feature in each month" {size}>{"".join(parts)}</svg>'


def _rows(history: pa.Table, month: Month) -> list[tuple[str, _States]]:
    """Lay the states out: label and states by month, in order of view and feature."""
    by_series: dict[tuple[str, str, str], dict[Month, str]] = {}
    for row in history.select(["view", "month", "feature", "segment", "state"]).to_pylist():
        at = Month.parse(row["month"])
        if at <= month:
            by_series.setdefault((row["view"], row["feature"], row["segment"] or ""), {})[at] = row["state"]
    shown = {key: states for key, states in sorted(by_series.items()) if not key[2] or DRIFT in states.values()}
    return [
        (_short(f"{feature} · {segment}" if segment else feature), states) for (_, feature, segment), states in shown.items()
    ]


def _fault_rows(faults: Sequence[DataFault], month: Month) -> list[tuple[str, _States]]:
    """Lay the data faults out, a row per column of a source."""
    by_place: dict[str, dict[Month, str]] = {}
    for fault in faults:
        if fault.month <= month:
            by_place.setdefault(fault.place, {})[fault.month] = DRIFT if fault.is_new else LATCHED
    return [(_short(place), states) for place, states in sorted(by_place.items())]


def _short(label: str) -> str:
    return label if len(label) <= MAX_LETTERS else f"…{label[-MAX_LETTERS:]}"


def _runs(label: str, states: _States, months: list[Month], left: float, top: int) -> Iterator[str]:
    """Draw months of one state next to each other as one bar that says what it is."""
    start = 0
    for state, run in groupby(months, key=lambda each: states.get(each)):
        length = len(list(run))
        if state is not None:
            span = str(months[start]) if length == 1 else f"{months[start]} to {months[start + length - 1]}"
            box = f'x="{left + start * MONTH_PX:.0f}" y="{top}" width="{length * MONTH_PX - 0.6:.1f}" height="{ROW_PX - 2}"'
            yield f'<rect class="{html(state)}" {box}><title>{html(label)}: {html(state)}, {span}</title></rect>'
        start += length


def _years(months: list[Month], left: float, height: int) -> Iterator[str]:
    for i, month in enumerate(months):
        if month.month == 1 or i == 0:
            x = left + i * MONTH_PX
            yield f'<line class="rule" x1="{x:.1f}" y1="{HEAD_PX - 8}" x2="{x:.1f}" y2="{height - FOOT_PX + 4}"/>'
            if month.month <= 9:  # else the next year's label stands there
                yield f'<text class="soft" x="{x + 2:.1f}" y="{HEAD_PX - 7}">{month.year}</text>'


def _festivals(months: list[Month], left: float, height: int) -> Iterator[str]:
    for i, month in enumerate(months):
        mark = MARKS.get(retail_season(month).label)
        if mark:
            x = left + (i + 0.5) * MONTH_PX
            yield f'<text class="soft tiny" x="{x:.1f}" y="{height - FOOT_PX + 14}" text-anchor="middle">{mark}</text>'
    yield (f'<text class="soft" x="{left:.0f}" y="{height - 4}">S Spring Festival, 6 618, 11 Double 11</text>')
