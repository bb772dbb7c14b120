"""Draw a peak day of the shop: what planners read while twelve refreshes follow each other, one of which is killed.

python -m docs.peak_day
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np
import pyarrow as pa

from featurestore.compute.retrieval.publication import Publication
from tests.pipelines.peak_day import DAY, KILLED, REFRESHES, SERVICES, PeakDay, shop_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PICTURE = Path(__file__).with_name("peak-day.png")
EVENTS = 5_000_000
"""Of fourteen months."""
HOURS = [DAY + timedelta(hours=hour) for hour in range(25)]
READ, TRUE, BEFORE, MARK = "#1f6f8b", "#9ecad6", "#8a8a8a", "#c0202f"


Reading = tuple[Publication, pa.Table]


@dataclass(frozen=True)
class Course:
    """One feature of one entity over the day.

    Attributes:
        title: Heading of its panel.
        true: What was so at every full hour, known at the end of the day.
        before: The same hour of the day's counterpart.
        read: What planners read on the eve and after each refresh, until the next one.
    """

    title: str
    true: np.ndarray
    before: np.ndarray
    read: list[float]


def main() -> None:
    """Let the day happen, and draw it."""
    with TemporaryDirectory() as folder, dg.DagsterInstance.ephemeral() as instance:
        day = PeakDay(Path(folder) / "store", shop_of(EVENTS))
        day.prepare()
        readings, took_s = live(day, instance)
        courses = [
            course(day, readings["routing_v1"], "region", "orders_2h", "orders of the last two hours"),
            course(day, readings["warehousing_v1"], "warehouse", "backlog", "ordered and not shipped yet"),
        ]
    draw(courses, [publication.as_of for publication, _ in readings["routing_v1"][1:]])
    sys.stdout.write(f"{len(took_s)} refreshes of {min(took_s):.1f} to {max(took_s):.1f} s: {PICTURE}\n")


def live(day: PeakDay, instance: dg.DagsterInstance) -> tuple[dict[str, list[Reading]], list[float]]:
    """Let each delivery arrive and each refresh run.

    Returns:
        Service to what planners read on the eve and after each refresh, and the seconds that each took that was not killed.
    """
    readings = {service: [day.read(service)] for service in SERVICES}
    took_s, eve = [], DAY
    for due in REFRESHES:
        day.land(eve, due)
        started = time.perf_counter()
        if due == KILLED:
            day.refresh_and_die(due)
        elif day.refresh(due, instance):
            took_s.append(time.perf_counter() - started)
        for service, read in readings.items():
            read.append(day.read(service))
        eve = due
    return readings, took_s


def course(day: PeakDay, readings: Sequence[Reading], place: str, name: str, what: str) -> Course:
    """Follow a feature of the region or warehouse that had most of it at the end of the day."""
    store, key, feature = day.resource.store(), f"{place}_id", f"{place}_hours:{name}"
    column = feature.replace(":", "__")
    tables = [table.select([key, column]).to_pylist() for _, table in readings]
    (chosen, _) = max(((row[key], row[column]) for row in tables[-1]), key=lambda pair: pair[1])
    spine = pa.table({key: [chosen] * len(HOURS), "as_of": HOURS})
    found = store.get_historical_features(spine, [feature, f"{feature}_year_before"])
    read = [next(row[column] for row in rows if row[key] == chosen) for rows in tables]
    title = f"{place.capitalize()} {chosen}: {what}"
    return Course(title, found[column].to_numpy(), found[f"{column}_year_before"].to_numpy(), read)


def draw(courses: list[Course], published: list[datetime]) -> None:
    """Draw the courses below each other, with the publications and the refresh that was killed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6.4), dpi=110, layout="constrained")
    for row, each in enumerate(courses):
        axes = figure.add_subplot(len(courses), 1, row + 1)
        _draw_course(axes, each)
        _draw_marks(axes, published, is_named=row == 0)
        if row == 0:
            axes.legend(loc="upper left", bbox_to_anchor=(0.2, 1.04), frameon=False, fontsize=9)
    figure.suptitle(
        "11.11 of 2024: refreshed every two hours, one refresh killed in the middle", x=0.01, ha="left", fontsize=12
    )
    figure.savefig(PICTURE)


def _draw_course(axes: Axes, each: Course) -> None:
    hours = np.arange(len(HOURS))
    axes.plot(hours, each.before, color=BEFORE, linestyle=(0, (4, 2)), linewidth=1.4, label="11.11 of 2023, the same hour")
    axes.plot(hours, each.true, color=TRUE, linewidth=2.2, label="what happened")
    axes.step(range(0, 25, 2), each.read, where="post", color=READ, linewidth=1.8, label="what planners read")
    axes.set_title(each.title, loc="left", fontsize=10)
    axes.set_xlim(0, 24)
    axes.set_ylim(0, 1.25 * max(each.true.max(), each.before.max()))
    axes.set_xticks(range(0, 25, 2), [f"{hour:02d}:00" for hour in range(0, 25, 2)], fontsize=8)
    axes.tick_params(axis="y", labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _draw_marks(axes: Axes, published: list[datetime], *, is_named: bool) -> None:
    """Mark each publication on the time axis, and shade the hours in which planners stay on an older one."""
    good = [_hour(due) for due, as_of in zip(REFRESHES, published, strict=True) if due == as_of]
    place = axes.get_xaxis_transform()
    axes.plot(good, [0] * len(good), "^", color=READ, markersize=7, clip_on=False, transform=place, label="publication")
    killed = _hour(KILLED)
    axes.axvspan(killed, killed + 2, color=MARK, alpha=0.08, linewidth=0)
    axes.plot([killed], [0], "X", color=MARK, markersize=9, clip_on=False, transform=place, label="refresh killed (kill -9)")
    if is_named:
        text = "planners stay on\nthe publication of 12:00"
        axes.annotate(text, (killed + 1, 0.5), xycoords=place, ha="center", va="center", fontsize=8, color=MARK)


def _hour(moment: datetime) -> int:
    return int((moment - DAY) / timedelta(hours=1))


if __name__ == "__main__":
    main()
