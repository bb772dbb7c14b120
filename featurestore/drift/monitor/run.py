"""A run of the monitor, month by month: new baselines, judgements, standings, rows.

begin      recalibrated, settled and released features get their new baselines
take_over  a month that was scored before: its standings count, nothing is tested
judge      any other: findings -> standings -> rows
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from featurestore.drift.data_faults.feature_fault import FAULT_KINDS, feature_faults
from featurestore.drift.monitor.findings import Findings
from featurestore.drift.monitor.policy import DriftPolicy
from featurestore.drift.monitor.pool import season_labels
from featurestore.drift.monitor.state import DRIFT, LATCHED, Finding, Standing, advance
from featurestore.drift.reliability import CALIBRATION
from featurestore.drift.sketches.edges import UNSUPPORTED
from featurestore.drift.sketches.feature_series import FeatureSeries
from featurestore.timeline import Month

Resets = Mapping[str | tuple[str, str | None], Sequence[Month | date | str]]


class MonitorRun:
    """Where all features stand, month after month.

    Args:
        features: What is judged.
        months: The features' months.
        is_given: [M] whether there is a snapshot of the month.
        season: Month to its season.
        policy: Thresholds.
        resets: Feature, or feature and segment, to the months from which it has a new baseline.
    """

    def __init__(
        self,
        features: Sequence[FeatureSeries],
        months: Sequence[Month],
        is_given: np.ndarray,
        *,
        season: Callable[[Month], object],
        policy: DriftPolicy,
        resets: Resets,
    ) -> None:
        self._features, self._months, self._is_given, self._policy = features, months, is_given, policy
        self._baselines = _baselines_of(features, resets)
        seasons = season_labels(months, season)
        for feature, baselines in zip(features, self._baselines, strict=True):
            _find_faults(feature, months, seasons, baselines, policy)
        self._findings = Findings(features, months, season, policy)
        self._segments = _segments_of(features)
        self._standings = [Standing()] * len(features)
        self._scores: list[float | None] = [None] * len(features)

    def begin(self, t: int) -> None:
        """Give new baselines to the features that take one in month ``t``."""
        for i, (own, baselines) in enumerate(zip(self._standings, self._baselines, strict=True)):
            if own.entered is None and not baselines:
                continue
            is_released = own.is_over(t, self._policy.release_months) and bool(self._is_given[t])
            is_reset = self._months[t] in baselines
            if is_reset or _has_settled(own, self._scores[i], t, self._policy, is_released=is_released):
                # What all rows take for their level, their segments do: but for those with an episode of their own.
                followers = [j for j in self._segments.get(i, ()) if not self._standings[j].is_latched]
                for j in (i, *followers):
                    self._findings.forget(j, baseline=t, since=own.since)
            if is_reset or is_released:
                self._standings[i] = Standing()

    def take_over(self, t: int, seen: Mapping[tuple[str, str | None], Seen]) -> None:
        """Take over the standings after a month that was scored before; nothing is tested."""
        for i, feature in enumerate(self._features):
            row = seen.get((feature.name, feature.segment))
            if row is not None and not row.is_fault:
                self._standings[i] = self._standings[i].followed_by(row.state, row.since, t=t)
                self._scores[i] = row.score

    def judge(self, t: int) -> list[dict[str, object]]:
        """Judge a month -> its rows."""
        month = self._months[t]
        first_end = t + 13 - self._months[t].month
        if t and month.month == 1 and first_end > self._policy.min_months:
            self._findings.begin_year(t, min(first_end, len(self._months)))
        if self._findings.has_year:
            self._findings.step(t)
        present = [i for i, feature in enumerate(self._features) if self._is_given[t] and feature.first <= t < feature.end]
        wholes = {segment: i for i in present for segment in self._segments.get(i, ())}
        return [self._judged(i, t, wholes.get(i)) for i in present]

    def _judged(self, i: int, t: int, whole: int | None) -> dict[str, object]:
        reason = insufficiency(self._features[i], t, self._policy)
        finding = self._findings.finding(i, t) if reason is None else None
        if finding is not None and finding.is_fault:
            shown = Standing(DRIFT if finding.onset == t else LATCHED, finding.onset)
            return _row(self._months, t, self._features[i], shown, finding, reason, [])
        if finding is not None and finding.score >= 1 and whole is not None and self._is_shared(i, finding, t, whole):
            finding = finding.shared()
        standing = advance(self._standings[i], finding, t=t, settle_months=self._policy.settle_months)
        self._standings[i], self._scores[i] = standing, None if finding is None else finding.score
        members = self._findings.reference(i, t) if finding else []
        return _row(self._months, t, self._features[i], standing, finding, reason, members)

    def _is_shared(self, i: int, finding: Finding, t: int, whole: int) -> bool:
        """Say whether a segment's change is that of all rows: they drift, or are not yet settled after it, as it does."""
        score = self._scores[whole]
        standing = self._standings[whole]
        is_settling = standing.is_latched and not standing.is_settled(finding.onset, self._policy.settle_months)
        return (is_settling or (score is not None and score >= 1)) and self._findings.is_shared(i, whole, t)


def _baselines_of(features: Sequence[FeatureSeries], resets: Resets) -> list[set[Month]]:
    """List the months from which each feature has a new baseline."""
    recalibrated = {name: {Month.parse(day) for day in days} for name, days in resets.items()}
    return [
        recalibrated.get(feature.name, set()) | recalibrated.get((feature.name, feature.segment), set()) for feature in features
    ]


def _segments_of(features: Sequence[FeatureSeries]) -> dict[int, list[int]]:
    """List the segments of each feature of all rows that share months with it; all rows come first."""
    wholes: dict[str, list[int]] = {}
    for i, feature in enumerate(features):
        if feature.segment is None:
            wholes.setdefault(feature.name, []).append(i)
    segments: dict[int, list[int]] = {}
    for j, feature in enumerate(features):
        for i in wholes.get(feature.name, ()) if feature.segment is not None else ():
            if feature.first < features[i].end and features[i].first < feature.end:
                segments.setdefault(i, []).append(j)
    return segments


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


def _find_faults(
    feature: FeatureSeries, months: Sequence[Month], seasons: Sequence[str], recalibrated: set[Month], policy: DriftPolicy
) -> None:
    """Add to a feature the data faults that its own months show."""
    baselines = [t for t, month in enumerate(months) if month in recalibrated]
    is_sound = feature.is_sufficient(policy.min_rows)
    finite = np.maximum(feature.rows - feature.empty, 1)
    faults = feature_faults(
        rows=feature.rows,
        empty=feature.empty,
        mean=feature.mean,
        sd=np.sqrt(feature.m2 / finite),
        is_sound=is_sound,
        baselines=baselines,
        seasons=seasons,
    )
    feature.faults.update(faults)


@dataclass(frozen=True)
class Seen:
    """What a month that has been scored said of a feature and segment."""

    state: str
    since: int | None
    score: float | None
    is_fault: bool


def scored_states(months: Sequence[Month], scored: pa.Table | None) -> dict[Month, dict[tuple[str, str | None], Seen]]:
    """Read earlier scores -> month to feature and segment to what was said of it; empty without any."""
    places = {month: t for t, month in enumerate(months)}
    states: dict[Month, dict[tuple[str, str | None], Seen]] = {}
    for row in scored.to_pylist() if scored is not None else ():
        since = None if row["since"] is None else places[Month.parse(row["since"])]
        states.setdefault(Month.parse(row["month"]), {})[row["feature"], row["segment"]] = Seen(
            row["state"], since, row["score"], row["kind"] in FAULT_KINDS
        )
    return states


def insufficiency(feature: FeatureSeries, t: int, policy: DriftPolicy) -> str | None:
    """Say why a month cannot be judged; ``None`` when it can."""
    if feature.kind == CALIBRATION and feature.rows[t] < policy.min_rows:
        return f"labels not mature: {feature.rows[t]} forecasts with a known outcome; {policy.min_rows} are needed"
    if not feature.rows[t]:
        return "no rows in this month"
    if not feature.is_full[t]:
        return f"window not full: its first full month is {Month.parse(feature.full_since or date.max)}"
    if t in feature.spoiled:
        return f"a data fault in its window: {feature.spoiled[t]}"
    if t in feature.faults:
        return None
    if feature.kind == UNSUPPORTED:
        return "columns of this type are not scored"
    if feature.rows[t] < policy.min_rows:
        return f"{feature.rows[t]} rows; {policy.min_rows} are needed"
    if not feature.is_given[t]:
        return f"{feature.rows[t] - feature.empty[t]} values; {policy.min_rows} are needed"
    usable = feature.is_sufficient(policy.min_rows)[: t + 1]
    if (feature.empty[: t + 1] >= feature.rows[: t + 1])[usable].all():
        return "all values have been missing from the beginning"
    if usable.sum() <= policy.min_months:
        return f"month {usable.sum()} of its history; it is judged after {policy.min_months}"
    return None


def _row(
    months: Sequence[Month],
    t: int,
    feature: FeatureSeries,
    standing: Standing,
    finding: Finding | None,
    insufficient: str | None,
    members: list[str],
) -> dict[str, object]:
    score = finding and finding.score
    is_open = standing.state == LATCHED and standing.since is not None
    opened = f"unanswered since {months[standing.since or 0]}; now: " if is_open and finding and not finding.is_fault else ""
    return {
        "month": months[t].first_day,
        "feature": feature.name,
        "segment": feature.segment,
        "score": score,
        "kind": finding and finding.kind,
        "state": standing.state,
        "reason": f"insufficient: {insufficient}" if finding is None else opened + finding.text,
        "reference_months": members,
        "since": None if standing.since is None else months[standing.since].first_day,
    }
