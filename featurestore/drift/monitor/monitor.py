"""The monthly audit as a pure function: snapshots or sketches in, one row per month, feature and segment out.

1. snapshots    (month, rows)                      -> sketches: additive, so a month is read once
2. series       one per feature and segment        all months of it, as arrays
3. pools        the same season in earlier years   what a month is compared with, and how far it is from it
4. findings     per month: score, kind, onset      -> standings: ok, watch, drift, latched
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from featurestore.calendar import retail_season
from featurestore.concurrency import small_matrices
from featurestore.drift.monitor.policy import DriftPolicy
from featurestore.drift.monitor.run import MonitorRun, Resets, scored_states
from featurestore.drift.reliability import outcome_sketches
from featurestore.drift.sketches.edges import EdgeSet, fit_edges, usable_values
from featurestore.drift.sketches.feature_series import NOTHING_SPOILED, Spoiled, collect_features
from featurestore.drift.sketches.sketch import SKETCH_SCHEMA, full_since, sketch
from featurestore.errors import FrameError, UnknownNameError, did_you_mean
from featurestore.lake.frames import FrameDoor, read_frame
from featurestore.timeline import Month

DRIFT_SCHEMA = pa.schema(
    [
        ("month", pa.date32()),
        ("feature", pa.string()),
        ("segment", pa.string()),
        ("score", pa.float64()),
        ("kind", pa.string()),
        ("state", pa.string()),
        ("reason", pa.string()),
        ("reference_months", pa.list_(pa.string())),
        ("since", pa.date32()),
    ]
)
Season = Callable[[Month], object]
DEFAULT_POLICY = DriftPolicy()
NO_EDGES = EdgeSet(())
NO_RESETS: Resets = MappingProxyType({})


def monitor_drift(
    snapshots: Iterable[tuple[date, Any]],
    *,
    season: Season = retail_season,
    policy: DriftPolicy = DEFAULT_POLICY,
    resets: Resets = NO_RESETS,
) -> pa.Table:
    """Judge every month of every feature against its own past, knowing the retail calendar.

    Args:
        snapshots: First day of the month and its rows, any kind of frame (Arrow, pandas, Polars, DuckDB); all its columns are
            features but those of ``policy.segments``. Read once, one at a time. Field metadata of Arrow may say
            ``full_since`` (ISO date of the first month whose window is full) and ``scored_on``.
        season: Month to its season, with ``label`` and ``is_festival``.
        policy: Thresholds and segments.
        resets: Feature to the months in which it was recalibrated: from such a month on the feature has a new baseline and is
            no longer latched. A pair of feature and segment (``("orders", "region=9")``) means that one alone; with the
            baseline of all rows, ``("orders", None)``, the segments without an episode of their own get a new one too.

    Returns:
        One row per month, feature and segment (NULL: all rows): ``score`` in units of its threshold (NULL when
        ``insufficient``), ``kind`` of the distance that decided, ``state``, ``reason``, ``reference_months`` (``2023-11``),
        ``since`` (first day of the month in which the open episode is estimated to have begun).

    Raises:
        FrameError: a snapshot is no frame, names a column twice, or holds one that Arrow has no type for.
    """
    tables = ((day, _snapshot(day, rows)) for day, rows in snapshots)
    return monitor_sketches(sketch_months(tables, policy=policy), season=season, policy=policy, resets=resets)


def _snapshot(day: date, rows: Any) -> pa.Table:
    table = read_frame(rows, FrameDoor(f"snapshot of {day}", FrameError))
    repeated = next((name for name in table.column_names if table.column_names.count(name) > 1), None)
    if repeated is not None:
        raise FrameError(f"The snapshot of {day} has several columns named {repeated!r}; rename all but one.")
    return table


def sketch_months(
    snapshots: Iterable[tuple[date, pa.Table]], *, policy: DriftPolicy = DEFAULT_POLICY, edges: EdgeSet = NO_EDGES
) -> Iterator[tuple[date, pa.Table]]:
    """Sketch each snapshot with the edges of those before it, as ``sketch_month``."""
    for day, table in snapshots:
        sketched, edges = sketch_month(table, edges, month=day, policy=policy)
        yield day, sketched


def sketch_month(
    table: pa.Table, edges: EdgeSet = NO_EDGES, *, month: date | None = None, policy: DriftPolicy = DEFAULT_POLICY
) -> tuple[pa.Table, EdgeSet]:
    """Sketch a month; a feature without edges gets them from the first month that has values enough and a full window.

    Bins of a year's sum are fitted once a year is full: the sum over its first month lies where no later value will.

    Args:
        table: The month's rows: segment columns of the policy, all others features. It may carry the outcomes of forecasts
            (``reliability.with_outcomes``): they become rows of their own, of the kind ``calibration``.
        edges: What the months before have fitted.
        month: First day of the month; without it, all windows count as full.
        policy: Names the segment columns and the values that are enough (``min_rows``).

    Returns:
        The sketch (``SKETCH_SCHEMA``; features that cannot have lasting edges yet included), and the edges to keep.

    Raises:
        UnknownNameError: the first snapshot lacks a segment column; later ones may.
    """
    present = [name for name in policy.segments if name in table.column_names]
    if not edges.features and table.column_names and len(present) < len(policy.segments):
        absent = next(name for name in policy.segments if name not in present)
        raise UnknownNameError(
            f"The policy's segment column {absent!r} is not in the snapshot.{did_you_mean(absent, table.column_names)}"
        )
    new = [name for name in table.column_names if name not in edges and name not in policy.segments]
    ready = [
        name for name in new if usable_values(table[name]) >= policy.min_rows and _is_full(table.schema.field(name), month)
    ]
    kept = edges.with_features(fit_edges(table, ready).features) if ready else edges
    provisional = fit_edges(table, [name for name in new if name not in ready]).features
    sketched = sketch(table, kept.with_features(provisional), segments=present)
    outcomes = pa.Table.from_pylist(outcome_sketches(table), schema=SKETCH_SCHEMA)
    return pa.concat_tables([sketched, outcomes]), kept


def _is_full(field: pa.Field, month: date | None) -> bool:
    since = full_since(field)
    return month is None or since is None or since <= month


def monitor_sketches(
    sketches: Iterable[tuple[date, pa.Table]],
    *,
    season: Season = retail_season,
    policy: DriftPolicy = DEFAULT_POLICY,
    resets: Resets = NO_RESETS,
    scored: pa.Table | None = None,
    spoiled: Spoiled = NOTHING_SPOILED,
) -> pa.Table:
    """Judge every month as ``monitor_drift`` does, from sketches (``SKETCH_SCHEMA``), so that no month's rows are read twice.

    Args:
        sketches: First day of the month and its sketches, in any order; of a month given twice, the last counts.
        season: Month to its season.
        policy: Thresholds.
        resets: Feature to the months in which it was recalibrated.
        scored: The answer for whole years before, with the same sketches and settings. Noise is fitted afresh each January, so
            these years are not tested again; their standings are taken over.
        spoiled: Feature to the months whose values a fault of the source has spoiled, and by what: they are ``insufficient``.

    Returns:
        As ``monitor_drift``, for the months that ``scored`` does not hold.
    """
    months, is_given, features = collect_features(sketches, spoiled=spoiled)
    run = MonitorRun(features, months, is_given, season=season, policy=policy, resets=resets)
    known = scored_states(months, scored)
    rows: list[dict[str, object]] = []
    with small_matrices():
        for t, month in enumerate(months):
            run.begin(t)
            if month in known:
                run.take_over(t, known[month])
            else:
                rows += run.judge(t)
    return pa.Table.from_pylist(rows, schema=DRIFT_SCHEMA)
