"""Alarms against the truth: false episodes and months, what was found and how late."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.monitors.alarms import Alarms
from benchmarks.monitors.features import Feature
from benchmarks.monitors.worlds import FIRST_SCORED, MONTHS
from featurestore.calendar import retail_season

IS_FESTIVAL = [retail_season(month).is_festival for month in MONTHS]


@dataclass
class Tally:
    """What runs add up to.

    Attributes:
        feature_years: Years of features before their change, or without one.
        festival_years: Those of festival months.
        false_episodes: Begun in them; with local drifts also those of segments that had none, with data faults also those after one.
        festival_episodes: Of which in festival months.
        false_months: Feature-months in alarm.
        festival_months: Of which festival months.
        again: Further episodes after a lasting change, before the next.
        named_faults: Data faults found and called so.
        delays: Name of a change to the months from its onset to the find; ``None`` where it was not found.
    """

    feature_years: float = 0.0
    festival_years: float = 0.0
    false_episodes: int = 0
    festival_episodes: int = 0
    false_months: int = 0
    festival_months: int = 0
    again: int = 0
    named_faults: int = 0
    delays: dict[str, list[int | None]] = field(default_factory=dict)

    def add(self, features: Sequence[Feature], alarms: Mapping[str, Sequence[Alarms]]) -> None:
        """Count a run. An alarm that already stood at the onset is no find."""
        for feature in features:
            self._add_quiet(feature, alarms.get(feature.name, ()))
            for number in range(len(feature.changes)):
                later = feature.changes[number + 1 :]
                self._add_change(feature, number, later[0].onset if later else len(MONTHS), alarms.get(feature.name, ()))

    def merge(self, other: Tally) -> None:
        """Add another tally."""
        for name, value in vars(other).items():
            if name == "delays":
                for change, delays in value.items():
                    self.delays.setdefault(change, []).extend(delays)
            else:
                setattr(self, name, getattr(self, name) + value)

    def _add_quiet(self, feature: Feature, alarms: Sequence[Alarms]) -> None:
        quiet = _quiet_months(feature)
        self.feature_years += len(quiet) / 12
        self.festival_years += sum(IS_FESTIVAL[t] for t in quiet) / 12
        entered = [t for own in alarms for t in own.entered if t in quiet or _is_elsewhere(feature, own, t)]
        self.false_episodes += len(entered)
        self.festival_episodes += sum(IS_FESTIVAL[t] for t in entered)
        standing = {t for own in alarms for t in own.standing} & quiet
        self.false_months += len(standing)
        self.festival_months += sum(IS_FESTIVAL[t] for t in standing)

    def _add_change(self, feature: Feature, number: int, until: int, alarms: Sequence[Alarms]) -> None:
        change = feature.changes[number]
        until = min(until, change.end)
        mine = [own for own in alarms if change.region is None or own.segment == f"region={change.region}"]
        finds = sorted({t for own in mine for t in own.entered if change.onset <= t < until})
        self.delays.setdefault(_name(feature, number), []).append(finds[0] - change.onset if finds else None)
        if change.is_fault:
            self.named_faults += bool(finds) and any(finds[0] in own.faults for own in mine)
        elif change.kind != "trend":
            self.again += max(len(finds) - 1, 0)


def _quiet_months(feature: Feature) -> set[int]:
    """Return the months that are judged and in which nothing planted can be seen."""
    first = feature.changes[0].onset if feature.changes else len(MONTHS)
    after = range(feature.changes[-1].end, len(MONTHS)) if feature.changes else ()
    return {*range(FIRST_SCORED, first), *after}


def _is_elsewhere(feature: Feature, own: Alarms, t: int) -> bool:
    """Whether an episode is of a segment in which nothing changed; all rows hold the segment in which something did."""
    regions = {change.region for change in feature.changes if change.region is not None and t >= change.onset}
    return bool(regions) and own.segment is not None and own.segment not in {f"region={region}" for region in regions}


def _name(feature: Feature, number: int) -> str:
    """Name a change; of two, the order counts and not the size."""
    if len(feature.changes) == 1:
        return feature.changes[number].name
    return f"{('first', 'second')[number]} {feature.changes[number].kind}"
