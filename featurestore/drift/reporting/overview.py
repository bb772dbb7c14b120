"""An audit for people: its alerts, its digest and its page, put together from what a store has committed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.drift.audit import AuditedView
from featurestore.drift.monitor.state import DRIFT, LATCHED
from featurestore.drift.recalibration.rules import Runs
from featurestore.drift.reporting.acknowledge import Acknowledgement
from featurestore.drift.reporting.alert import Alert
from featurestore.drift.reporting.alerts import Answers, alerts, digest_of
from featurestore.drift.reporting.page import AuditPage
from featurestore.drift.reporting.portrait import Portrait, ReliabilityPortrait, portrait
from featurestore.errors import FeatureStoreError
from featurestore.spec.registry import Registry
from featurestore.timeline import Month


def answers_of(folders: Mapping[str, Path], acknowledgements: Iterable[Acknowledgement]) -> Answers:
    """Read what was done about drifts: calibration to its folder, and what people accepted."""
    return Answers({name: Runs.of(folder) for name, folder in sorted(folders.items())}, tuple(acknowledgements))


def audit_page(
    *,
    month: Month,
    title: str,
    history: pa.Table,
    registry: Registry,
    answers: Answers,
    audited: Callable[[str], AuditedView | None],
) -> AuditPage:
    """Put the page of an audited month together.

    It shows the episodes that are open in the month and those whose state changed in it, the newest first.

    Args:
        month: The audited month; nothing after it is shown.
        title: Of the store.
        history: All committed scores (``HISTORY_SCHEMA``).
        registry: The definitions.
        answers: What was done.
        audited: View to its tables; a source, whose columns have no sketches to be drawn from, to ``None``.

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
    return AuditPage(
        title=title,
        month=month,
        history=seen,
        digest=digest_of(seen, month),
        stories=shown,
        portraits={name: found for name, found in portraits.items() if found is not None},
        runs=answers.runs,
    )


def _portrait(opened: Alert, audited: AuditedView | None, month: Month) -> Portrait | ReliabilityPortrait | None:
    """Compare the month with the same months of the years before the change, or, without any, with the year before it."""
    if audited is None:
        return None
    since = Month.parse(opened.since)
    same = [month.shift(-12 * years) for years in range(1, 12)]
    before = [each for each in same if each < since]
    year = [since.shift(-back) for back in range(1, 13)]
    for reference in (sorted(before)[-3:], sorted(year)):
        found = portrait(audited, opened.feature, opened.segment, month=month, reference=reference)
        if found is not None:
            return found
    return None
