"""Episodes: the features of views that entered ``drift``, each with what it asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.drift.data_faults.feature_fault import FAULT_KINDS
from featurestore.drift.monitor.state import DRIFT
from featurestore.timeline import Month


@dataclass(frozen=True)
class Episode:
    """A feature that entered ``drift``.

    Args:
        view: Its view.
        feature: Its column.
        segment: ``region=9``, or ``None`` for all rows.
        month: Month of the audit that found it.
        since: Month in which the change is estimated to have begun.
        kind: The distance that decided.
        score: In units of its threshold.
        reason: In words.
        calibrations: Those that read or are fitted from the feature.
    """

    view: str
    feature: str
    segment: str | None
    month: Month
    since: Month
    kind: str
    score: float
    reason: str
    calibrations: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What it is called, the same whenever the audit is repeated: ``view__feature[segment]@2024-09``."""
        return f"{self.feature}{f'[{self.segment}]' if self.segment else ''}@{self.month}"

    @property
    def is_fault(self) -> bool:
        """Whether the feature's own record is wrong, rather than what it is about: nothing is recalibrated for that."""
        return self.kind in FAULT_KINDS

    def __str__(self) -> str:
        where = f" ({self.segment})" if self.segment else ""
        what = "data fault" if self.is_fault else f"drifts since {self.since}"
        return f"{self.month}: {self.feature}{where} {what}: {self.reason}"


def episodes(table: pa.Table, calibrations: Callable[[str], tuple[str, ...]]) -> tuple[Episode, ...]:
    """List the rows that entered ``drift``, in order of time.

    Args:
        table: Rows of ``HISTORY_SCHEMA``.
        calibrations: Feature column to the calibrations that depend on it.
    """
    rows = table.filter(pc.equal(table["state"], DRIFT)).to_pylist()
    return tuple(
        Episode(
            view=row["view"],
            feature=row["feature"],
            segment=row["segment"],
            month=Month.parse(row["month"]),
            since=Month.parse(row["since"] or row["month"]),
            kind=row["kind"],
            score=row["score"],
            reason=row["reason"],
            calibrations=() if row["kind"] in FAULT_KINDS else calibrations(row["feature"]),
        )
        for row in sorted(rows, key=lambda row: (row["month"], row["view"], row["feature"], row["segment"] or ""))
    )
