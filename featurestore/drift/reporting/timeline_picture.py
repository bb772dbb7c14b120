"""The decade at a glance: features by months, coloured by state."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.calendar import retail_season
from featurestore.drift.data_faults.data_fault import DataFault
from featurestore.drift.monitor.changes.noise import named_season
from featurestore.drift.monitor.state import DRIFT, INSUFFICIENT, LATCHED, OK, STATES, WATCH
from featurestore.drift.reporting.page.states import MARKS
from featurestore.errors import FeatureStoreError
from featurestore.lake.whole_file import atomic_file
from featurestore.timeline import Month, months_between

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {INSUFFICIENT: "#e8e8e8", OK: "#b9dfc0", WATCH: "#f6d55c", DRIFT: "#c0202f", LATCHED: "#ee9b8f"}
NO_ROW = "#ffffff"
ROW_INCHES, MONTH_INCHES, LETTER_INCHES, MIN_WIDTH_INCHES = 0.17, 0.052, 0.058, 8.0
MAX_LETTERS = 60


def draw_timeline(
    scores: pa.Table,
    path: Path,
    *,
    faults: Sequence[DataFault] = (),
    title: str = "Feature drift",
    season: Callable[[Month], object] = retail_season,
    planted: Mapping[str, Sequence[date]] | None = None,
) -> Path:
    """Draw the state of every feature in every month as a PNG, and of the segments that have entered ``drift``.

    Args:
        scores: ``DRIFT_SCHEMA``, any months; rows of the picture keep the table's order of features.
        path: File to write, whole or not at all.
        faults: Faults in the sources' records, a row below the features per column of a source: their first month is drawn as
            ``drift``, those after it as ``latched``.
        title: Heading.
        season: Marks festival months below the time axis by their label.
        planted: Feature to the months of its true changes, where they are known: marked by a triangle.

    Returns:
        ``path``.

    Raises:
        FeatureStoreError: there is nothing to draw.
    """
    if not len(scores):
        raise FeatureStoreError("There are no scores to draw yet. Audit at least one month first.")
    seen = [Month.parse(day) for day in pc.unique(scores["month"]).to_pylist()] + [fault.month for fault in faults]
    months = months_between(min(seen), max(seen))
    labels, codes = _grid(scores, faults, months)
    from matplotlib.figure import Figure

    left = 0.3 + LETTER_INCHES * max(map(len, labels))
    width = max(left + MONTH_INCHES * len(months) + 0.3, MIN_WIDTH_INCHES)
    height = 1.6 + ROW_INCHES * len(labels)
    figure = Figure(figsize=(width, height), dpi=110)
    axes = figure.add_axes((left / width, 1.15 / height, (width - left - 0.2) / width, (height - 1.6) / height))
    _draw_states(axes, codes, labels)
    _draw_months(axes, months, season)
    _draw_planted(axes, labels, months, planted or {})
    axes.set_title(_plain(title), loc="left", fontsize=11, pad=8)
    _draw_legend(axes, has_planted=bool(planted), inches=ROW_INCHES * len(labels))
    with atomic_file(path) as aside:
        figure.savefig(aside, format="png")
    return path


def _grid(scores: pa.Table, faults: Sequence[DataFault], months: list[Month]) -> tuple[list[str], np.ndarray]:
    """Lay states out -> row labels, and state codes [rows, months], -1 where there is no row."""
    places: dict[str, int] = {}
    column = {month: t for t, month in enumerate(months)}
    cells = []
    rows = scores.select(["month", "feature", "segment", "state"]).to_pylist()
    drifted = {(row["feature"], row["segment"]) for row in rows if row["state"] == DRIFT}
    for row in rows:
        if row["segment"] is not None and (row["feature"], row["segment"]) not in drifted:
            continue
        label = row["feature"] if row["segment"] is None else f"{row['feature']} · {row['segment']}"
        place = places.setdefault(_short(label), len(places))
        cells.append((place, column[Month.parse(row["month"])], STATES.index(row["state"])))
    for fault in sorted(faults, key=lambda fault: fault.place):
        place = places.setdefault(_short(fault.place), len(places))
        cells.append((place, column[fault.month], STATES.index(DRIFT if fault.is_new else LATCHED)))
    codes = np.full((len(places), len(months)), -1)
    for i, t, code in cells:
        codes[i, t] = code
    return list(places), codes


def _short(label: str) -> str:
    return label if len(label) <= MAX_LETTERS else f"…{label[-MAX_LETTERS:]}"


def _draw_states(axes: Axes, codes: np.ndarray, labels: list[str]) -> None:
    from matplotlib.colors import ListedColormap

    colours = ListedColormap([NO_ROW, *(COLOURS[state] for state in STATES)])
    axes.pcolormesh(codes, cmap=colours, vmin=-1.5, vmax=len(STATES) - 0.5, edgecolors="white", linewidth=0.4)
    axes.invert_yaxis()
    axes.set_yticks(np.arange(len(labels)) + 0.5, [_plain(label) for label in labels], fontsize=7)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw_months(axes: Axes, months: list[Month], season: Callable[[Month], object]) -> None:
    """Write the years below the grid and a letter under each festival month."""
    years = [t for t, month in enumerate(months) if month.month == 1 or t == 0]
    axes.set_xticks([t + 0.5 for t in years], [str(months[t].year) for t in years], fontsize=8)
    axes.tick_params(axis="x", pad=14)
    for t in years[1:]:
        axes.axvline(t, color="#777777", linewidth=0.8)
    for t, month in enumerate(months):
        label, _ = named_season(season(month))
        mark = MARKS.get(label)
        if mark:
            place: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "xytext": (0, -9), "textcoords": "offset points"}
            axes.annotate(mark, (t + 0.5, 0), ha="center", fontsize=6, color="#555555", **place)


def _draw_planted(axes: Axes, labels: list[str], months: list[Month], planted: Mapping[str, Sequence[date]]) -> None:
    rows = {label: i for i, label in enumerate(labels)}
    first = months[0]
    for label, days in planted.items():
        for day in days:
            month = Month.parse(day)
            t = (month.year - first.year) * 12 + month.month - first.month
            if label in rows and 0 <= t < len(months):
                axes.plot(
                    t + 0.5, rows[label] + 0.5, "v", markersize=4, color="black", markeredgecolor="white", markeredgewidth=0.4
                )


def _draw_legend(axes: Axes, *, has_planted: bool, inches: float) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Patch | Line2D] = [Patch(color=COLOURS[state], label=state) for state in STATES]
    if has_planted:
        handles.append(Line2D([], [], marker="v", color="black", linestyle="", markersize=4, label="true change"))
    axes.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0, -0.5 / inches), ncols=len(handles), frameon=False, fontsize=8
    )
    place: dict[str, Any] = {"xycoords": "axes fraction", "xytext": (0, -72), "textcoords": "offset points"}
    axes.annotate("S = Spring Festival, 6 = 618, 11 = Double 11", (0, 0), fontsize=7, color="#555555", **place)


def _plain(text: str) -> str:
    """Keep matplotlib from reading a name as a formula."""
    return text.replace("$", r"\$")
