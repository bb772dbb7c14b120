"""What a demo did: every number that its last screen shows, all measured in the run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from featurestore.drift.data_faults.data_fault import DataFault
from featurestore.drift.episode import Episode
from featurestore.timeline import Month


@dataclass(frozen=True)
class StageTime:
    """Wall time of one stage, over all chunks."""

    stage: str
    elapsed_s: float


@dataclass(frozen=True)
class TrainingSet:
    """A training set that was retrieved.

    Attributes:
        service: Whose features.
        rows: Rows of the spine, and so of the table.
        features: Columns added to it.
        elapsed_s: Wall time of ``get_historical_features``.
    """

    service: str
    rows: int
    features: int
    elapsed_s: float


@dataclass(frozen=True)
class PlantedOutcome:
    """A planted change, and what the audit saw of it.

    Attributes:
        name: Name of the change.
        kind: ``sudden``, ``gradual``, ``temporary``, ``recurring`` or ``quality``.
        first_month: When it began.
        last_month: When it was over; ``None`` if it stayed.
        features: Columns that it should move; none if ingest alone takes care of it.
        found_month: First month, while it could still be attributed, in which one of them entered drift; ``None`` if none did.
        found_feature: That column; ``None`` if none did.
        is_masked: Whether it was not found and all of these features were already latched by an earlier change.
    """

    name: str
    kind: str
    first_month: Month
    last_month: Month | None
    features: tuple[str, ...]
    found_month: Month | None
    found_feature: str | None
    is_masked: bool

    @property
    def delay_months(self) -> int | None:
        """Months from the beginning to the find; ``None`` if it was not found."""
        if self.found_month is None:
            return None
        return (self.found_month.year - self.first_month.year) * 12 + self.found_month.month - self.first_month.month


@dataclass(frozen=True)
class Recalibration:
    """One decision about a calibration, for one consumer.

    Attributes:
        calibration: Its name.
        month: Month of the audit that it answers.
        trigger: Feature whose drift called for it; ``None`` for the first version.
        is_promoted: Whether the challenger is the new champion.
        consumer: Service for which the losses were compared; ``None`` for the first version, which has nothing to beat.
        champion_loss: Mean loss per trial on the held-out months.
        challenger_loss: That of the challenger, on the same months.
        reason: In words.
    """

    calibration: str
    month: Month
    trigger: str | None
    is_promoted: bool
    consumer: str | None
    champion_loss: float | None
    challenger_loss: float | None
    reason: str


@dataclass(frozen=True)
class ProbabilityError:
    """How far the served return probability is from the one that the shop draws returns by.

    Attributes:
        first_month: First month of the comparison: probabilities as of its first instant, for the orders of the month.
        last_month: Last month of the comparison.
        skus: SKUs that sold, over all months.
        first: Mean absolute error with the parameters that were never recalibrated, weighted by the units of 28 days.
        champion: With those in force now, of the same SKUs and months.
        version: Name of the champion's version.
    """

    first_month: Month
    last_month: Month
    skus: int
    first: float
    champion: float
    version: str


@dataclass(frozen=True)
class DemoResult:
    """What a demo did.

    Attributes:
        data: ``shop`` or the name of a data set.
        root: The store's directory.
        first_month: First month of events.
        last_month: Last month of events.
        events: Committed events.
        quarantined: Invalid rows, kept aside with a reason.
        event_bytes: Size of the committed events.
        store_bytes: Size of everything the store has committed: events, tiles, ledgers, snapshots, scores.
        views: Feature views.
        features: Their features.
        entities: Sizes of their key dictionaries, by entity.
        training_set: What was retrieved for the first service.
        scores: Feature-months that the audit scored.
        episodes: Features that entered drift, in order of time.
        faults: Faults that began in the sources' records, in order of time.
        planted: Planted changes and what was seen of them; empty for real data.
        unplanted_episodes: How many episodes no planted change explains.
        recalibrations: Decisions, in order of time.
        return_error: Error of the return probability against its truth, if it was recalibrated and the truth is known.
        reports: Evidently reports and the page of the last audit (HTML).
        timeline: Picture of all features and months.
        stages: Wall time by stage.
        elapsed_s: Wall time of all.
        peak_memory_bytes: Largest resident size of the process.
        environment: Variables under which ``dagster dev`` shows this store and these runs.
    """

    data: str
    root: Path
    first_month: Month
    last_month: Month
    events: int
    quarantined: int
    event_bytes: int
    store_bytes: int
    views: int
    features: int
    entities: Mapping[str, int]
    training_set: TrainingSet
    scores: int
    episodes: tuple[Episode, ...]
    faults: tuple[DataFault, ...]
    planted: tuple[PlantedOutcome, ...]
    unplanted_episodes: int
    recalibrations: tuple[Recalibration, ...]
    return_error: ProbabilityError | None
    reports: tuple[Path, ...]
    timeline: Path
    stages: tuple[StageTime, ...]
    elapsed_s: float
    peak_memory_bytes: int
    environment: Mapping[str, str]

    @property
    def events_per_s(self) -> float:
        """Events ingested per second: read, validated, de-duplicated, sorted and committed."""
        ingest_s = sum(stage.elapsed_s for stage in self.stages if stage.stage == "events")
        return self.events / ingest_s if ingest_s else 0.0

    @property
    def bytes_per_event(self) -> float:
        """Committed bytes of an event."""
        return self.event_bytes / self.events if self.events else 0.0
