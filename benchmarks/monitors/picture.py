"""The picture of hard data: how often each monitor cries for nothing, and which share of steps it finds within two months.

A step that comes while a monitor is crying already is not found.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.monitors.bar import share_within
from benchmarks.monitors.features import SIZES
from benchmarks.monitors.tally import Tally
from benchmarks.monitors.worlds import HARD

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WITHIN_MONTHS = 2
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
    figure = Figure(figsize=(10.4, 4.2), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_false(left, tallies, colours)
    _draw_steps(right, tallies, colours)
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.part")
    figure.savefig(part, format="png")
    return part.replace(file)


def _draw_false(axes: Axes, tallies: Mapping[str, Tally], colours: Mapping[str, str]) -> None:
    rates = {monitor: tally.false_episodes / tally.feature_years for monitor, tally in tallies.items()}
    axes.barh(list(rates), list(rates.values()), color=[colours[monitor] for monitor in rates])
    for place, rate in enumerate(rates.values()):
        axes.annotate(f" {rate:.3f}", (rate, place), va="center", fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_title("False episodes a feature-year", loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_steps(axes: Axes, tallies: Mapping[str, Tally], colours: Mapping[str, str]) -> None:
    for monitor, tally in tallies.items():
        found = {size: tally.delays[name] for size in SIZES["step"] if (name := f"step {size:g}") in tally.delays}
        shares = [share_within(delays, WITHIN_MONTHS) for delays in found.values()]
        axes.plot(list(found), shares, marker="o", markersize=4, color=colours[monitor], label=monitor)
    axes.set_ylim(-0.05, 1.05)
    axes.set_xlabel("size of the step, standard deviations")
    axes.set_title(f"Share of steps found within {WITHIN_MONTHS} months", loc="left", fontsize=10)
    axes.grid(color="#e5e5e5")
    axes.spines[["top", "right"]].set_visible(False)
