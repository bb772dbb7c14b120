"""What a monitor says of a feature, month by month."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from benchmarks.monitors.worlds import FIRST_SCORED, MONTHS
from featurestore.drift.data_faults.feature_fault import FAULT_KINDS
from featurestore.drift.monitor.state import DRIFT, LATCHED

_INDEX = {month.first_day: t for t, month in enumerate(MONTHS)}


@dataclass(frozen=True)
class Alarms:
    """The alarms of one feature, of all rows or of a segment.

    Attributes:
        segment: ``region=3``, or ``None``.
        entered: Months in which an episode began.
        standing: Months in alarm.
        faults: Months in which one began that was called a data fault.
    """

    segment: str | None
    entered: tuple[int, ...]
    standing: tuple[int, ...]
    faults: tuple[int, ...] = ()


def of_table(table: pa.Table) -> dict[str, list[Alarms]]:
    """Read the alarms of our monitor's table: an episode is an entry into ``drift``."""
    rows: dict[tuple[str, str | None], list[tuple[int, str, bool]]] = {}
    for row in table.to_pylist():
        state = (_INDEX[row["month"]], row["state"], row["kind"] in FAULT_KINDS)
        rows.setdefault((row["feature"], row["segment"]), []).append(state)
    alarms: dict[str, list[Alarms]] = {}
    for (feature, segment), states in rows.items():
        scored = [state for state in states if state[0] >= FIRST_SCORED]
        own = Alarms(
            segment,
            entered=tuple(t for t, state, _ in scored if state == DRIFT),
            standing=tuple(t for t, state, _ in scored if state in (DRIFT, LATCHED)),
            faults=tuple(t for t, state, is_fault in scored if state == DRIFT and is_fault),
        )
        alarms.setdefault(feature, []).append(own)
    return alarms


def of_months(standing: Mapping[str, Iterable[int]]) -> dict[str, list[Alarms]]:
    """Make alarms of the months in which a monitor without a memory cried: a run of them is one episode."""
    alarms = {}
    for feature, months in standing.items():
        cried = np.zeros(len(MONTHS) + 1, bool)
        cried[[t for t in months if t >= FIRST_SCORED]] = True
        entered = tuple(int(t) for t in np.flatnonzero(cried[1:] & ~cried[:-1]) + 1)
        alarms[feature] = [Alarms(None, entered, tuple(int(t) for t in np.flatnonzero(cried)))]
    return alarms
