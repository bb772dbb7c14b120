"""What people are told of an audit: alerts, a digest, pages, pictures and Evidently's report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from featurestore.drift.data_faults.data_fault import data_faults
from featurestore.drift.reporting.acknowledge import acknowledgements
from featurestore.drift.reporting.alert import AnyAlert, Digest
from featurestore.drift.reporting.drift_alerts import Answers, digest_of, page_of
from featurestore.drift.reporting.evidently_report import WrittenReport
from featurestore.drift.reporting.overview import answers_of, audit_page, told
from featurestore.drift.reporting.page import AuditPage, render_page, render_sheet
from featurestore.drift.reporting.timeline_picture import draw_timeline
from featurestore.drift.reporting.view_report import draw_report
from featurestore.lake.layout import Layout
from featurestore.lake.whole_file import write_atomically
from featurestore.operations.auditing import drift_history, fault_history
from featurestore.operations.definitions import chosen_views
from featurestore.operations.panels import audited_view
from featurestore.spec.registry import Registry
from featurestore.timeline import Month
from featurestore.timeline.arguments import Months, month_list


def alerts_of(
    layout: Layout, registry: Registry, months: Months | None = None, *, since: Month | None = None
) -> tuple[AnyAlert, ...]:
    """Derive what people should be told, in order of time; see ``FeatureStore.alerts``."""
    wanted = None if months is None else month_list(months, layout.timezone)
    first = since or (wanted[0] if wanted else None)
    history = drift_history(layout, registry)
    faults = data_faults(fault_history(layout, registry))
    until = wanted[-1] if wanted else None
    alerts = told(history, faults, registry, _answers(layout, registry), since=first, until=until)
    return tuple(alert for alert in alerts if wanted is None or Month.parse(alert.month) in wanted)


def digest(layout: Layout, registry: Registry, month: Month) -> Digest:
    """Summarise an audited month; see ``FeatureStore.digest``."""
    scores = drift_history(layout, registry, since=str(month.year))
    return digest_of(scores, data_faults(fault_history(layout, registry)), month)


def write_page(layout: Layout, registry: Registry, month: Month, path: Path | None = None) -> Path:
    """Write the page of an audited month; see ``FeatureStore.write_page``."""
    target = path or _page_path(layout, month)
    write_atomically(target, render_page(_page(layout, registry, month)).encode())
    return target


def write_distributions(layout: Layout, registry: Registry, month: Month, path: Path | None = None) -> Path:
    """Draw what has drifted in a month as one SVG; see ``FeatureStore.write_distributions``."""
    target = path or _page_path(layout, month).with_name("distributions.svg")
    write_atomically(target, render_sheet(_page(layout, registry, month)).encode())
    return target


def write_report(layout: Layout, registry: Registry, view: str, month: Month) -> WrittenReport:
    """Draw the Evidently report of an audited view and month; see ``FeatureStore.write_report``."""
    (chosen,) = chosen_views(registry, view).values()
    return draw_report(audited_view(layout, chosen), month, folder=layout.reports)


def write_timeline(layout: Layout, registry: Registry, path: Path | None = None, **options: Any) -> Path:
    """Draw the states of all features in all audited months; see ``FeatureStore.write_timeline``."""
    faults = data_faults(fault_history(layout, registry))
    return draw_timeline(drift_history(layout, registry), path or layout.reports / "timeline.png", faults=faults, **options)


def _page(layout: Layout, registry: Registry, month: Month) -> AuditPage:
    return audit_page(
        month=month,
        title=f"Store {layout.root.name}, {layout.timezone}",
        history=drift_history(layout, registry),
        faults=data_faults(fault_history(layout, registry)),
        registry=registry,
        answers=_answers(layout, registry),
        audited=lambda name: audited_view(layout, registry.views[name]),
    )


def _page_path(layout: Layout, month: Month) -> Path:
    return layout.root / page_of(month)


def _answers(layout: Layout, registry: Registry) -> Answers:
    folders = {name: layout.calibrations(name) for name in registry.calibrations}
    return answers_of(folders, acknowledgements(layout.acknowledged))
