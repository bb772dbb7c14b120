"""Acknowledgements: real changes that need no recalibration, answered by a person.

    <folder>/<number>.json      one acknowledgement each; append-only

An acknowledged feature has a new baseline from the month after the acknowledged one and is no longer latched: what it was
before is no alarm any more, the next change is.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from featurestore.drift.audit_tables import rows_of
from featurestore.drift.monitor.state import DRIFT, LATCHED
from featurestore.errors import CommitConflictError, DefinitionError, FeatureStoreError, StoreError, did_you_mean
from featurestore.lake.json_files import read_json
from featurestore.lake.storage import STORAGE
from featurestore.timeline import Month


@dataclass(frozen=True)
class Acknowledgement:
    """A drift that a person has looked at and accepts.

    Attributes:
        feature: Its column.
        segment: ``region=9``, or ``None`` for all rows.
        month: Audited month in which the drift was open, ``2024-08``; the new baseline begins after it.
        note: Why it needs nothing else.
        at_us: When it was written, UTC microseconds.
    """

    feature: str
    segment: str | None
    month: str
    note: str
    at_us: int

    def __post_init__(self) -> None:
        if not self.note.strip():
            raise DefinitionError(
                f"The acknowledgement of {self.feature!r} has no note. Say why the change needs no recalibration."
            )

    @property
    def reset(self) -> Month:
        """First month of the new baseline."""
        return Month.parse(self.month).next()

    def __str__(self) -> str:
        where = f" ({self.segment})" if self.segment else ""
        return f"{self.feature}{where}: acknowledged in {self.month}, new baseline from {self.reset}: {self.note}"


def acknowledge(
    folder: Path,
    history: pa.Table,
    feature: str,
    *,
    month: Month | None,
    segment: str | None,
    note: str,
    now_us: int | None = None,
) -> Acknowledgement:
    """Write an acknowledgement of an open drift; one that is there already is returned as it is.

    Args:
        folder: Where acknowledgements are.
        history: All committed scores (``HISTORY_SCHEMA``).
        feature: Column of the feature.
        month: Audited month; the last one of the feature by default.
        segment: Segment of the drift; ``None`` for all rows.
        note: Why.
        now_us: For the record; the present by default.

    Raises:
        FeatureStoreError: the feature has no open drift in that month.
        CommitConflictError: another acknowledgement was written at the same time; the same call may be made again.
    """
    at = _open_month(history, feature, month=month, segment=segment)
    known = acknowledgements(folder)
    for old in known:
        if (old.feature, old.segment, old.month) == (feature, segment, str(at)):
            return old
    new = Acknowledgement(feature, segment, str(at), note, time.time_ns() // 1000 if now_us is None else now_us)
    try:
        STORAGE.create(folder / f"{len(known):08d}.json", json.dumps(asdict(new), indent=1, sort_keys=True).encode())
    except CommitConflictError as error:
        raise CommitConflictError("Another drift was acknowledged at the same time. Make the call again.") from error
    return new


def acknowledgements(folder: Path) -> list[Acknowledgement]:
    """Read all acknowledgements, oldest first; none without a folder."""
    read = []
    for file in STORAGE.list_files(folder, ending=".json"):
        try:
            read.append(Acknowledgement(**read_json(file.path)))
        except (StoreError, TypeError) as error:
            raise StoreError(f"{file.path}, an acknowledgement, cannot be read ({error}). Restore it from a backup.") from error
    return read


def _open_month(history: pa.Table, feature: str, *, month: Month | None, segment: str | None) -> Month:
    own = rows_of(history, feature, segment).select(["month", "state"])
    states = {Month.parse(row["month"]): row["state"] for row in own.to_pylist()}
    at = month or max(states, default=None)
    if at is not None and states.get(at) in (DRIFT, LATCHED):
        return at
    latest = max(history["month"].to_pylist(), default=None)
    rows = [row for row in history.to_pylist() if row["month"] == latest and row["state"] in (DRIFT, LATCHED)]
    listed = sorted(f"{row['feature']} ({row['segment']})" if row["segment"] else row["feature"] for row in rows)
    what = feature if segment is None else f"{feature} ({segment})"
    hint = did_you_mean(what, listed)
    raise FeatureStoreError(
        f"{what} has no open drift in {at or 'any audited month'}.{hint} Open in {latest and Month.parse(latest)}: "
        f"{', '.join(listed) or 'none'}."
    )
