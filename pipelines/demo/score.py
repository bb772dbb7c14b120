"""Score: planted changes against the months in which the audit saw something: a feature's episode, or a source's data fault."""

from collections.abc import Sequence
from dataclasses import dataclass

from featurestore.drift.audit import AuditReport
from featurestore.drift.episode import Episode
from featurestore.drift.monitor.state import DRIFT, LATCHED
from featurestore.drift.monitor.thresholds import MAX_SCORE
from featurestore.synth import PlantedDrift
from featurestore.timeline import Month
from featurestore_pipelines.demo.result import PlantedOutcome

FOUND_WITHIN_MONTHS, GRADUAL_FOUND_WITHIN_MONTHS = 6, 24
"""Windows of 90 days with a delay of 45 hold nothing but new events after five months."""
ONSET_MONTHS = 3
"""How far from the true beginning an estimated one may lie."""


def score_planted(planted: Sequence[PlantedDrift], audit: AuditReport) -> tuple[PlantedOutcome, ...]:
    """Look for each planted change among the episodes of the features, and the faults of the columns, that it should move.

    What was seen is a find if it is not estimated to have begun before the change, and either is seen while the change is young
    or is estimated to have begun with it.
    """
    rows = audit.table.select(["feature", "segment", "month", "state"]).to_pylist()
    latched = {
        (_place(row["feature"], row["segment"]), Month.parse(row["month"])) for row in rows if row["state"] in (DRIFT, LATCHED)
    }
    latched |= {(fault.place, fault.month) for fault in audit.faults}
    seen = [
        *map(_seen, audit.entered),
        *(_Seen(fault.place, fault.month, fault.since) for fault in audit.faults if fault.is_new),
    ]
    return tuple(_outcome(drift, seen, latched) for drift in planted)


def count_unplanted(planted: Sequence[PlantedDrift], audit: AuditReport) -> int:
    """Count the episodes that no planted change explains by its features and its time."""
    return sum(not any(_is_find(_seen(episode), drift) for drift in planted) for episode in audit.entered)


@dataclass(frozen=True)
class _Seen:
    """Something that an audit saw begin: where, in which month, since when, how much."""

    place: str
    month: Month
    since: Month
    score: float = MAX_SCORE


def _seen(episode: Episode) -> _Seen:
    return _Seen(_place(episode.feature, episode.segment), episode.month, episode.since, episode.score)


def _outcome(drift: PlantedDrift, seen: Sequence[_Seen], latched: set[tuple[str, Month]]) -> PlantedOutcome:
    finds = [each for each in seen if _is_find(each, drift)]
    first = min(finds, key=lambda each: (each.month, -each.score), default=None)
    before = drift.first_month.shift(-1)
    return PlantedOutcome(
        name=drift.name,
        kind=drift.kind,
        first_month=drift.first_month,
        last_month=drift.last_month,
        features=drift.features,
        found_month=first.month if first else None,
        found_feature=first.place if first else None,
        is_masked=first is None and bool(drift.features) and all((name, before) in latched for name in drift.features),
    )


def _is_find(seen: _Seen, drift: PlantedDrift) -> bool:
    begins = drift.first_month
    within = GRADUAL_FOUND_WITHIN_MONTHS if drift.kind == "gradual" else FOUND_WITHIN_MONTHS
    if seen.place not in drift.features or seen.month < begins or seen.since < begins.shift(-ONSET_MONTHS):
        return False
    return seen.month <= begins.shift(within) or seen.since <= begins.shift(ONSET_MONTHS)


def _place(feature: str, segment: str | None) -> str:
    """Name a column and segment as planted changes do."""
    return feature if segment is None else f"{feature}[{segment}]"
