"""Closing the loop: challengers fitted where a drift asks for them, what each calibration waits for, the way back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from featurestore.drift.episode import Episode, episodes
from featurestore.drift.recalibration.calibration_versions import rollback
from featurestore.drift.recalibration.fitters import fitter
from featurestore.drift.recalibration.loop import DEFAULT_POLICY, recalibrate
from featurestore.drift.recalibration.recalibrate import Decision
from featurestore.drift.recalibration.rules import Outlook, Runs, budget_spent, outlook, running_alone
from featurestore.drift.reporting.dependence import calibrations_of
from featurestore.errors import CalibrationError, UnknownNameError, did_you_mean
from featurestore.lake.layout import Layout
from featurestore.operations.auditing import drift_history
from featurestore.operations.calibration_rows import calibration_rows
from featurestore.spec.registry import Registry
from featurestore.timeline import Month
from featurestore.timeline.arguments import Months, month_list


@dataclass(frozen=True)
class _Evidence:
    """What recalibrations go by: the months to act on, all episodes of the history, and the runs of a month."""

    months: list[Month]
    episodes: tuple[Episode, ...]
    spent: Callable[[Month], int]


def recalibrate_store(
    layout: Layout, registry: Registry, name: str | None = None, *, months: Months | None = None
) -> list[Decision]:
    """Fit challengers and promote those that win; see ``FeatureStore.recalibrate``."""
    if name is not None:
        _check_named(registry, name)
    evidence = _evidence(layout, registry, months)
    decisions = list[Decision]()
    for calibration in registry.calibrations.values():
        if name in (None, calibration.name):
            decisions += recalibrate(
                calibration,
                calibration_rows(layout, registry, calibration),
                folder=layout.calibrations(calibration.name),
                months=evidence.months,
                episodes=[episode for episode in evidence.episodes if calibration.name in episode.calibrations],
                is_forced=name is not None,
                spent=evidence.spent,
            )
    return decisions


def outlooks(layout: Layout, registry: Registry, *, month: Month | None = None) -> dict[str, Outlook]:
    """Say what each calibration waits for; see ``FeatureStore.outlooks``."""
    evidence = _evidence(layout, registry, month)
    last = evidence.months[0]
    return {
        name: outlook(
            Runs.of(layout.calibrations(name)),
            fitter(calibration.fit),
            month=last,
            first=calibration_rows(layout, registry, calibration).first,
            episodes=[each for each in evidence.episodes if name in each.calibrations and each.month <= last],
            policy=DEFAULT_POLICY,
            runs_this_month=evidence.spent(last),
            definition=calibration.fitted_from,
        )
        for name, calibration in registry.calibrations.items()
    }


def roll_back(layout: Layout, registry: Registry, name: str) -> str:
    """Make the champion before the present one champion again; see ``FeatureStore.rollback``."""
    _check_named(registry, name)
    folder = layout.calibrations(name)
    with running_alone(folder):
        return rollback(folder).name


def _evidence(layout: Layout, registry: Registry, months: Months | None) -> _Evidence:
    table = drift_history(layout, registry)
    if not table.num_rows:
        raise CalibrationError("No month has been audited yet. Call store.audit() for the months you have first.")
    return _Evidence(
        months=month_list(max(table["month"].to_pylist()) if months is None else months, layout.timezone),
        episodes=episodes(table, lambda feature: calibrations_of(registry, feature)),
        spent=budget_spent([layout.calibrations(each) for each in registry.calibrations]),
    )


def _check_named(registry: Registry, name: str) -> None:
    if name not in registry.calibrations:
        raise UnknownNameError(f"There is no calibration {name!r}.{did_you_mean(name, registry.calibrations)}")
