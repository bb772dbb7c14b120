"""An audit for people: its alerts, its digest and its page, put together from what a store has committed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.drift.audit_tables import AuditedView
from featurestore.drift.data_faults.data_fault import DataFault
from featurestore.drift.monitor.state import DRIFT, LATCHED
from featurestore.drift.recalibration.rules import Runs
from featurestore.drift.reporting.acknowledge import Acknowledgement
from featurestore.drift.reporting.alert import Alert, AnyAlert, FaultAlert
from featurestore.drift.reporting.drift_alerts import Answers, alerts, digest_of
from featurestore.drift.reporting.fault_alerts import fault_alerts
from featurestore.drift.reporting.page import AuditPage
from featurestore.drift.reporting.portrait import Portrait, ReliabilityPortrait, portrait
from featurestore.errors import FeatureStoreError
from featurestore.spec.registry import Registry
from featurestore.timeline import Month


def answers_of(folders: Mapping[str, Path], acknowledgements: Iterable[Acknowledgement]) -> Answers:
    """Read what was done about drifts: the logs in the calibrations' folders, by name, and what people accepted."""
    return Answers({name: Runs.of(folder) for name, folder in sorted(folders.items())}, tuple(acknowledgements))


def told(
    history: pa.Table,
    faults: Sequence[DataFault],
    registry: Registry,
    answers: Answers,
    *,
    since: Month | None = None,
    until: Month | None = None,
) -> tuple[AnyAlert, ...]:
    """Derive all that people should be told about some audited months: about drifts, and about faults in the sources' records.

    Args:
        history: All committed scores (``HISTORY_SCHEMA``).
        faults: All faults in the sources' records.
        registry: The definitions.
        answers: What was done.
        since: First month whose alerts are wanted; all by default.
        until: Last one.

    Returns:
        In order of time; equal input gives equal alerts.
    """
    months = [Month.parse(day) for day in pc.unique(history["month"]).to_pylist()]
    derived: list[AnyAlert] = [
        *alerts(history, registry, answers, since=since, until=until),
        *fault_alerts(faults, registry, audited=months, since=since, until=until),
    ]
    return tuple(sorted(derived, key=lambda alert: (alert.month, alert.name)))


def audit_page(
    *,
    month: Month,
    title: str,
    history: pa.Table,
    faults: Sequence[DataFault],
    registry: Registry,
    answers: Answers,
    audited: Callable[[str], AuditedView],
) -> AuditPage:
    """Put the page of an audited month together.

    It shows the episodes and data faults that are open in the month and those whose state changed in it, the newest first.

    Args:
        month: The audited month; nothing after it is shown.
        title: Of the store.
        history: All committed scores (``HISTORY_SCHEMA``).
        faults: All faults in the sources' records.
        registry: The definitions.
        answers: What was done.
        audited: View to its tables.

    Raises:
        FeatureStoreError: the month has not been audited.
    """
    seen = history.filter(pc.less_equal(history["month"], pa.scalar(month.first_day)))
    rows = {(row["feature"], row["segment"]): row for row in seen.to_pylist() if Month.parse(row["month"]) == month}
    if not rows:
        raise FeatureStoreError(f"There is no audit of {month}. Call store.audit({str(month)!r}) first.")
    stories: dict[str, list[Alert]] = {}
    for alert in alerts(seen, registry, answers, until=month):
        stories.setdefault(alert.episode, []).append(alert)
    newest: dict[tuple[str, str | None], str] = {}
    for name, story in stories.items():
        if rows.get((story[0].feature, story[0].segment), {}).get("state") in (DRIFT, LATCHED):
            newest[story[0].feature, story[0].segment] = name
    shown = [story for name, story in stories.items() if name in newest.values() or story[-1].month == str(month)]
    shown.sort(key=lambda story: (story[0].month, story[0].score, story[0].episode), reverse=True)
    portraits = {story[0].episode: _portrait(story[0], audited(story[0].view), month) for story in shown}
    known = [fault for fault in faults if fault.month <= month]
    return AuditPage(
        title=title,
        month=month,
        history=seen,
        faults=known,
        fault_stories=_fault_stories(known, registry, seen, month),
        digest=digest_of(seen, known, month),
        stories=shown,
        portraits={name: drawn for name, drawn in portraits.items() if drawn is not None},
        runs=answers.runs,
    )


def _fault_stories(faults: Sequence[DataFault], registry: Registry, seen: pa.Table, month: Month) -> list[list[FaultAlert]]:
    """List the alerts of each data fault that lasts in a month or ended in it, the newest first."""
    months = [Month.parse(day) for day in pc.unique(seen["month"]).to_pylist()]
    stories: dict[str, list[FaultAlert]] = {}
    for alert in fault_alerts(faults, registry, audited=months, until=month):
        stories.setdefault(alert.fault, []).append(alert)
    lasting = {fault.name for fault in faults if fault.month == month}
    shown = [story for name, story in stories.items() if name in lasting or story[-1].month == str(month)]
    return sorted(shown, key=lambda story: (story[0].month, story[0].fault), reverse=True)


def _portrait(opened: Alert, audited: AuditedView, month: Month) -> Portrait | ReliabilityPortrait | None:
    """Compare the month with the same months of the years before the change, or, without any, with the year before it."""
    since = Month.parse(opened.since)
    same = [month.shift(-12 * years) for years in range(1, 12)]
    before = [each for each in same if each < since]
    year = [since.shift(-back) for back in range(1, 13)]
    for reference in (sorted(before)[-3:], sorted(year)):
        drawn = portrait(audited, opened.feature, opened.segment, month=month, reference=reference)
        if drawn is not None:
            return drawn
    return None
