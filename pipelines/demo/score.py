"""Score: planted changes against the months in which the audit saw something."""

from collections.abc import Sequence

from featurestore.drift.audit import Episode
from featurestore.synth import PlantedDrift
from featurestore.timeline import Month
from pipelines.demo.result import PlantedOutcome

FOUND_WITHIN_MONTHS, GRADUAL_FOUND_WITHIN_MONTHS = 6, 24
"""A find later than this after the beginning is not attributed to a change.

Windows of 90 days behind a delay of 45 hold nothing but new events after five months.
"""


def score_planted(planted: Sequence[PlantedDrift], episodes: Sequence[Episode]) -> tuple[PlantedOutcome, ...]:
    """Look for each planted change among the episodes of the features that it should move."""
    return tuple(_outcome(drift, episodes) for drift in planted)


def count_unplanted(planted: Sequence[PlantedDrift], episodes: Sequence[Episode]) -> int:
    """Count the episodes that no planted change explains by its features and its time."""
    return sum(not any(_is_of(episode, drift) for drift in planted) for episode in episodes)


def _outcome(drift: PlantedDrift, episodes: Sequence[Episode]) -> PlantedOutcome:
    finds = [episode for episode in episodes if _is_of(episode, drift)]
    first = min(finds, key=lambda episode: (episode.month, -episode.score), default=None)
    before = {episode.feature for episode in episodes if episode.month < drift.first_month}
    return PlantedOutcome(
        name=drift.name,
        kind=drift.kind,
        first_month=drift.first_month,
        last_month=drift.last_month,
        features=drift.features,
        found_month=first.month if first else None,
        found_feature=first.feature if first else None,
        is_masked=first is None and bool(drift.features) and set(drift.features) <= before,
    )


def _is_of(episode: Episode, drift: PlantedDrift) -> bool:
    return episode.feature in drift.features and drift.first_month <= episode.month <= _last_find(drift)


def _last_find(drift: PlantedDrift) -> Month:
    within = GRADUAL_FOUND_WITHIN_MONTHS if drift.kind == "gradual" else FOUND_WITHIN_MONTHS
    return drift.first_month.shift(within)
