"""The picture of hard data: how often each monitor cries for nothing, and which share of large steps it finds in time.

A step that comes while a monitor is crying already is not found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.monitors.bar import BIG, share_within
from benchmarks.monitors.tally import Tally
from benchmarks.monitors.worlds import HARD
from featurestore.lake.whole_file import atomic_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WITHIN_MONTHS = 1
OURS, OTHERS = "#c0562f", ("#2b6cb0", "#7aa6d6", "#4a8f5c", "#9cc7a8", "#8a63a8")


def draw(record: Mapping[str, Any], file: Path) -> Path | None:
    """Draw the answered monitors of hard data as a PNG; nothing when there are none beside ours.

    Args:
        record: Of ``record.py``.
        file: To write, whole or not at all.
    """
    tallies = {
        entry["monitor"]: Tally(**entry["tally"])
        for entry in record["scores"].values()
        if entry["world"] == HARD.name and entry["tally"] and entry["monitor"] != "ours, latched"
    }
    if len(tallies) < 2:
        return None
    from matplotlib.figure import Figure

    colours = dict(zip(tallies, (OURS, *OTHERS), strict=False))
    figure = Figure(figsize=(10.4, 3.2), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    _draw_false(left, tallies, colours)
    _draw_steps(right, tallies, colours)
    with atomic_file(file) as aside:
        figure.savefig(aside, format="png")
    return file


def _draw_false(axes: Axes, tallies: Mapping[str, Tally], colours: Mapping[str, str]) -> None:
    rates = {monitor: tally.false_episodes / tally.feature_years for monitor, tally in tallies.items()}
    _draw_bars(axes, rates, [f"{rate:.3f}" for rate in rates.values()], colours)
    axes.invert_yaxis()
    axes.set_title("False episodes a feature-year", loc="left", fontsize=10)


def _draw_steps(axes: Axes, tallies: Mapping[str, Tally], colours: Mapping[str, str]) -> None:
    steps = {monitor: [delay for name in BIG for delay in tally.delays.get(name, ())] for monitor, tally in tallies.items()}
    shares = {monitor: share_within(delays, WITHIN_MONTHS) for monitor, delays in steps.items()}
    texts = [f"{shares[monitor] * len(delays):.0f} of {len(delays)}" for monitor, delays in steps.items()]
    _draw_bars(axes, shares, texts, colours)
    axes.set_title("Steps of .45 sd and more found within a month", loc="left", fontsize=10)


def _draw_bars(axes: Axes, values: Mapping[str, float], texts: Sequence[str], colours: Mapping[str, str]) -> None:
    axes.barh(list(values), list(values.values()), color=[colours[monitor] for monitor in values])
    for place, (value, text) in enumerate(zip(values.values(), texts, strict=True)):
        axes.annotate(f" {text}", (value, place), va="center", fontsize=8)
    axes.margins(x=0.15)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
