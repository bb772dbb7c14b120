"""Alerts about faults in the sources' records: one when a fault begins, another when the record is right again.

Derived, not stored, as the alerts about drift are: the same faults, definitions and audited months give the same alerts with the
same names.
"""

from __future__ import annotations

from collections.abc import Sequence

from featurestore.drift.data_faults.data_fault import DataFault
from featurestore.drift.reporting.alert import ENDED, OPENED, FaultAlert
from featurestore.drift.reporting.dependence import Dependants, dependants_of_column
from featurestore.drift.reporting.drift_alerts import MEND, MENDED, NOTHING, anchor_of, page_of
from featurestore.spec.registry import Registry
from featurestore.timeline import Month


def fault_alerts(
    faults: Sequence[DataFault],
    registry: Registry,
    *,
    audited: Sequence[Month],
    since: Month | None = None,
    until: Month | None = None,
) -> tuple[FaultAlert, ...]:
    """Derive the alerts about data faults of some audited months.

    Args:
        faults: All faults in the sources' records, in any order.
        registry: The definitions: who depends on a column.
        audited: All audited months: a fault has ended in the first of them after its last month.
        since: First month whose alerts are wanted; all by default.
        until: Last one.

    Returns:
        In order of time; equal input gives equal alerts.
    """
    stories: dict[str, list[DataFault]] = {}
    for fault in sorted(faults, key=lambda fault: fault.month):
        stories.setdefault(fault.name, []).append(fault)
    alerts = []
    for first, *later in stories.values():
        who = dependants_of_column(registry, first.source, first.column)
        last = (later or [first])[-1].month
        alerts.append(_alert(first, OPENED, first.month, who))
        ended = min((month for month in audited if month > last), default=None)
        if ended is not None:
            alerts.append(_alert(first, ENDED, ended, who))
    wanted = [
        alert
        for alert in alerts
        if (since is None or str(since) <= alert.month) and (until is None or alert.month <= str(until))
    ]
    return tuple(sorted(wanted, key=lambda alert: (alert.month, alert.name)))


def _alert(fault: DataFault, state: str, month: Month, dependants: Dependants) -> FaultAlert:
    is_over = state == ENDED
    return FaultAlert(
        name=f"{fault.name}:{state}:{month}",
        fault=fault.name,
        state=state,
        month=str(month),
        source=fault.source,
        column=fault.column,
        kind=fault.kind,
        since=str(fault.since),
        what=fault.reason,
        dependants=dependants,
        done=MENDED if is_over else "",
        next=NOTHING if is_over else MEND,
        page=f"{page_of(month)}#{anchor_of(fault.name)}",
    )
