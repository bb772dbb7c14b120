"""The monthly audit as a pure function: snapshots or sketches in, one row per month, feature and segment out.

1. snapshots    (month, rows)                      -> sketches: additive, so a month is read once
2. records      one per feature and segment        all months of it, as arrays
3. pools        the same season in earlier years   what a month is compared with, and how far it is from it
4. findings     per month: score, kind, onset      -> standings: ok, watch, drift, latched
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from types import MappingProxyType

import pyarrow as pa

from featurestore.calendar import retail_season
from featurestore.drift.edges import UNSUPPORTED, EdgeSet, fit_edges, usable_values
from featurestore.drift.judge import Judge
from featurestore.drift.policy import DriftPolicy
from featurestore.drift.record import FeatureRecord, collect_records
from featurestore.drift.sketch import sketch
from featurestore.drift.state import LATCHED, Finding, Standing, advance
from featurestore.errors import UnknownNameError, did_you_mean
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
Resets = Mapping[str | tuple[str, str | None], Sequence[Month | date | str]]
DEFAULT_POLICY = DriftPolicy()
NO_EDGES = EdgeSet(())
NO_RESETS: Resets = MappingProxyType({})


def monitor_drift(
    snapshots: Iterable[tuple[date, pa.Table]],
    *,
    season: Season = retail_season,
    policy: DriftPolicy = DEFAULT_POLICY,
    resets: Resets = NO_RESETS,
) -> pa.Table:
    """Judge every month of every feature against its own past, knowing the retail calendar.

    Args:
        snapshots: First day of the month and a table of rows; all its columns are features but those of
            ``policy.segments``. Read once, one at a time. Field metadata may say ``full_since`` (ISO date of the first month
            whose window is full) and ``scored_on``.
        season: Month to its season, with ``label`` and ``is_festival``.
        policy: Thresholds and segments.
        resets: Feature to the months in which it was recalibrated: from such a month on the feature has a new baseline and is
            no longer latched. A pair of feature and segment (``("orders", "region=9")``) means that one alone.

    Returns:
        One row per month, feature and segment (NULL: all rows): ``score`` in units of its threshold (NULL when
        ``insufficient``), ``kind`` of the distance that decided, ``state``, ``reason``, ``reference_months`` (``2023-11``),
        ``since`` (first day of the month in which the open episode is estimated to have begun).
    """
    return monitor_sketches(sketch_months(snapshots, policy=policy), season=season, policy=policy, resets=resets)


def sketch_months(
    snapshots: Iterable[tuple[date, pa.Table]], *, policy: DriftPolicy = DEFAULT_POLICY, edges: EdgeSet = NO_EDGES
) -> Iterator[tuple[date, pa.Table]]:
    """Sketch each snapshot with the edges of those before it, as ``sketch_month``."""
    for day, table in snapshots:
        sketched, edges = sketch_month(table, edges, policy=policy)
        yield day, sketched


def sketch_month(
    table: pa.Table, edges: EdgeSet = NO_EDGES, *, policy: DriftPolicy = DEFAULT_POLICY
) -> tuple[pa.Table, EdgeSet]:
    """Sketch a month; a feature without edges gets them from the first month that has values enough.

    Args:
        table: The month's rows: segment columns of the policy, all others features.
        edges: What the months before have fitted.
        policy: Names the segment columns and the values that are enough (``min_rows``).

    Returns:
        The sketch (``SKETCH_SCHEMA``; features with too few values for lasting edges included), and the edges to keep.

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
    ready = [name for name in new if usable_values(table[name]) >= policy.min_rows]
    kept = edges.with_features(fit_edges(table, ready).features) if ready else edges
    provisional = fit_edges(table, [name for name in new if name not in ready]).features
    return sketch(table, kept.with_features(provisional), segments=present), kept


def monitor_sketches(
    sketches: Iterable[tuple[date, pa.Table]],
    *,
    season: Season = retail_season,
    policy: DriftPolicy = DEFAULT_POLICY,
    resets: Resets = NO_RESETS,
    scored: pa.Table | None = None,
) -> pa.Table:
    """Do the same from sketches (``SKETCH_SCHEMA``), so that no month is read twice.

    Args:
        sketches: First day of the month and its sketches, in any order; of a month given twice, the last counts.
        season: Month to its season.
        policy: Thresholds.
        resets: Feature to the months in which it was recalibrated.
        scored: The answer for whole years before, with the same sketches and settings. Noise is fitted afresh each January, so
            these years are not tested again; their standings are taken over.

    Returns:
        As ``monitor_drift``, for the months that ``scored`` does not hold.
    """
    months, is_given, records = collect_records(sketches)
    judge = Judge(records, months, season, policy)
    recalibrated = {name: {Month.parse(month) for month in given} for name, given in resets.items()}
    known = _scored_states(months, scored)
    standings, rows = [Standing()] * len(records), []
    scores: list[float | None] = [None] * len(records)
    for t, month in enumerate(months):
        seen = known.get(month)
        for i, record in enumerate(records):
            own = standings[i]
            is_released = own.is_over(t, policy.release_months) and is_given[t]
            is_reset = any(month in recalibrated.get(key, ()) for key in (record.feature, (record.feature, record.segment)))
            if is_reset or _has_settled(own, scores[i], t, policy, is_released=is_released):
                judge.forget(i, baseline=t, since=own.since)
            if is_reset or is_released:
                standings[i] = Standing()
            if seen is not None:
                state, since, scores[i] = seen.get((record.feature, record.segment), (own.state, own.since, None))
                standings[i] = standings[i].followed_by(state, since, t=t)
        if seen is not None:
            continue
        year_end = t + 13 - month.month
        if t and month.month == 1 and year_end > policy.min_months:
            judge.begin_year(t, min(year_end, len(months)))
        if judge.has_year:
            judge.step(t)
        for i, record in enumerate(records):
            if is_given[t] and record.first <= t < record.end:
                reason = insufficiency(record, t, policy)
                finding = judge.finding(i, t) if reason is None else None
                standings[i] = advance(standings[i], finding, t=t, settle_months=policy.settle_months)
                scores[i] = None if finding is None else finding.score
                members = judge.reference(i, t) if finding else []
                rows.append(_row(month, months, record, standings[i], finding, reason, members))
    return pa.Table.from_pylist(rows, schema=DRIFT_SCHEMA)


def _has_settled(standing: Standing, score: float | None, t: int, policy: DriftPolicy, *, is_released: bool) -> bool:
    """Say whether a latched feature takes its present level for its own: once per episode, and not if it has gone back.

    Args:
        standing: After the month before.
        score: Of the month before.
        t: Index of the month.
        policy: Says when.
        is_released: Whether the episode ends this month, unanswered.
    """
    if standing.entered is None or t - standing.entered > policy.settle_months:
        return False
    is_time = t - standing.entered == policy.settle_months or is_released
    return is_time and (score is None or score >= 1)


_Seen = tuple[str, int | None, float | None]  # state, onset, score


def _scored_states(months: Sequence[Month], scored: pa.Table | None) -> dict[Month, dict[tuple[str, str | None], _Seen]]:
    """Read what months that have been scored said of each feature and segment."""
    places = {month: t for t, month in enumerate(months)}
    found: dict[Month, dict[tuple[str, str | None], _Seen]] = {}
    for row in scored.to_pylist() if scored is not None else ():
        since = None if row["since"] is None else places[Month.parse(row["since"])]
        found.setdefault(Month.parse(row["month"]), {})[row["feature"], row["segment"]] = row["state"], since, row["score"]
    return found


def insufficiency(record: FeatureRecord, t: int, policy: DriftPolicy) -> str | None:
    """Say why a month cannot be judged; ``None`` when it can."""
    if not record.is_given[t] or not record.rows[t]:
        return "no rows in this month"
    if not record.is_full[t]:
        return f"window not full: its first full month is {Month.parse(record.full_since or date.max)}"
    if t in record.faults:
        return None
    if record.kind == UNSUPPORTED:
        return "columns of this type are not scored"
    if record.rows[t] < policy.min_rows:
        return f"{record.rows[t]} rows; {policy.min_rows} are needed"
    usable = record.is_sufficient(policy.min_rows)[: t + 1]
    if (record.empty[: t + 1] >= record.rows[: t + 1])[usable].all():
        return "all values have been missing from the beginning"
    if usable.sum() <= policy.min_months:
        return f"month {usable.sum()} of its history; it is judged after {policy.min_months}"
    return None


def _row(
    month: Month,
    months: list[Month],
    record: FeatureRecord,
    standing: Standing,
    finding: Finding | None,
    insufficient: str | None,
    members: list[str],
) -> dict[str, object]:
    score = finding and finding.score
    latched = (
        f"unanswered since {months[standing.since]}; now: " if standing.since is not None and standing.state == LATCHED else ""
    )
    return {
        "month": month.first_day,
        "feature": record.feature,
        "segment": record.segment,
        "score": score,
        "kind": finding and finding.kind,
        "state": standing.state,
        "reason": f"insufficient: {insufficient}" if finding is None else latched + finding.text,
        "reference_months": members,
        "since": None if standing.since is None else months[standing.since].first_day,
    }
