"""Score: planted changes against the months in which the audit saw something."""

from collections.abc import Sequence

from featurestore.drift.audit import AuditReport, Episode
from featurestore.drift.monitor.state import DRIFT, LATCHED
from featurestore.synth import PlantedDrift
from featurestore.timeline import Month
from featurestore_pipelines.demo.result import PlantedOutcome

FOUND_WITHIN_MONTHS, GRADUAL_FOUND_WITHIN_MONTHS = 6, 24
"""Windows of 90 days behind a delay of 45 hold nothing but new events after five months."""
ONSET_MONTHS = 3
"""How far from the true beginning an estimated one may lie."""


def score_planted(planted: Sequence[PlantedDrift], audit: AuditReport) -> tuple[PlantedOutcome, ...]:
    """Look for each planted change among the episodes of the features that it should move.

    An episode is a find if it is not estimated to have begun before the change, and either is seen while the change is young
    or is estimated to have begun with it.
    """
    rows = audit.table.select(["feature", "segment", "month", "state"]).to_pylist()
    latched = {
        (_place(row["feature"], row["segment"]), Month.parse(row["month"])) for row in rows if row["state"] in (DRIFT, LATCHED)
    }
    return tuple(_outcome(drift, audit.entered, latched) for drift in planted)


def count_unplanted(planted: Sequence[PlantedDrift], audit: AuditReport) -> int:
    """Count the episodes that no planted change explains by its features and its time."""
    return sum(not any(_is_find(episode, drift) for drift in planted) for episode in audit.entered)


def _outcome(drift: PlantedDrift, episodes: Sequence[Episode], latched: set[tuple[str, Month]]) -> PlantedOutcome:
    finds = [episode for episode in episodes if _is_find(episode, drift)]
    first = min(finds, key=lambda episode: (episode.month, -episode.score), default=None)
    before = drift.first_month.shift(-1)
    return PlantedOutcome(
        name=drift.name,
        kind=drift.kind,
        first_month=drift.first_month,
        last_month=drift.last_month,
        features=drift.features,
        found_month=first.month if first else None,
        found_feature=_place(first.feature, first.segment) if first else None,
        is_masked=first is None and bool(drift.features) and all((name, before) in latched for name in drift.features),
    )


def _is_find(episode: Episode, drift: PlantedDrift) -> bool:
    begins = drift.first_month
    within = GRADUAL_FOUND_WITHIN_MONTHS if drift.kind == "gradual" else FOUND_WITHIN_MONTHS
    is_place = _place(episode.feature, episode.segment) in drift.features
    if not is_place or episode.month < begins or episode.since < begins.shift(-ONSET_MONTHS):
        return False
    return episode.month <= begins.shift(within) or episode.since <= begins.shift(ONSET_MONTHS)


def _place(feature: str, segment: str | None) -> str:
    """Name a column and segment as planted changes do."""
    return feature if segment is None else f"{feature}[{segment}]"
