"""The picture: cost against the length of the window, and against the number of events; ours and a range join's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from featurestore.lake.whole_file import atomic_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS = {
    "lengths": ("length of the window", "5 features of one window"),
    "growth": ("events in ten years", "40 features"),
}
COLOURS = {"users": "#2b6cb0", "SKUs": "#c0562f"}
LENGTH_TICKS = {0.5: "6 m", 1: "1 y", 2: "2 y", 5: "5 y", 10: "10 y"}


def draw(record: dict[str, Any], file: Path) -> Path | None:
    """Draw the series of a record that have been measured as a PNG; nothing when none has.

    Args:
        record: Of one size.
        file: To write, whole or not at all.
    """
    panels = {name: texts for name, texts in PANELS.items() if name in record["sections"]}
    if not panels:
        return None
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    figure = Figure(figsize=(4.8 * len(panels), 4.4), dpi=110, layout="constrained")
    for axes, (name, (axis, title)) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        _draw_panel(axes, record["sections"][name]["series"])
        axes.set_title(f"{title}, the same spine", loc="left", fontsize=10)
        axes.set_xlabel(axis)
        axes.set_ylabel("CPU seconds")
        if name == "lengths":
            axes.set_xticks(list(LENGTH_TICKS), list(LENGTH_TICKS.values()))
        else:
            axes.set_xticks(sorted({x for points in record["sections"][name]["series"].values() for x, _ in points}))
            axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
        axes.xaxis.set_minor_locator(NullLocator())
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=2 * len(panels),
        fontsize=9,
        frameon=False,
    )
    figure.suptitle(f"Cost of a training set, {record['events']:,} events", x=0.01, ha="left", fontsize=12)
    with atomic_file(file) as aside:
        figure.savefig(aside, format="png")
    return file


def _draw_panel(axes: Axes, series: dict[str, list[list[float]]]) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(color="#e5e5e5", which="major")
    axes.spines[["top", "right"]].set_visible(False)
    for name, points in series.items():
        who, of = name.rsplit(", ", 1)
        style = {"linestyle": "-", "marker": "o"} if who == "ours" else {"linestyle": "--", "marker": "x"}
        axes.plot(*zip(*points, strict=True), label=name, color=COLOURS[of], **style)
