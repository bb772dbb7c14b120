"""New baselines: what accepted calibrations and acknowledged drifts tell the monitor to forget."""

from __future__ import annotations

from featurestore.compute.snapshots.forecasts import forecast_at_us
from featurestore.drift.recalibration.calibration_versions import active_resets, versions
from featurestore.drift.reliability import series_of
from featurestore.drift.reporting.acknowledge import acknowledgements
from featurestore.lake.layout import Layout
from featurestore.spec.registry import Registry
from featurestore.spec.view import FeatureView
from featurestore.timeline import Clock, Month


def resets(layout: Layout, registry: Registry) -> dict[str | tuple[str, str | None], list[Month]]:
    """Collect the new baselines that accepted calibrations and acknowledgements brought: what ``monitor_sketches`` takes.

    A calibration brings one to the features whose drift it answers, and to those that read it: a promotion moves them. The
    reliability of a forecast that reads it has its new baseline later, when the first outcomes of forecasts with the new version
    are known.
    """
    collected: dict[str | tuple[str, str | None], list[Month]] = {}
    for name in registry.calibrations:
        folder = layout.calibrations(name)
        delayed = {series_of(reader.column) for reader in registry.calibrated_features(name) if reader.outcome is not None}
        for feature, months in active_resets(folder).items():
            if feature not in delayed:
                collected.setdefault(feature, []).extend(Month.parse(month) for month in months)
        for version in versions(folder):
            if version.is_accepted:
                month = Month.of(version.fitted_until_us, layout.timezone)
                for reader in registry.calibrated_features(name):
                    collected.setdefault(reader.column, []).append(month)
                    if reader.outcome is not None:
                        known = _first_known(registry.views[reader.view], version.fitted_until_us, layout.timezone)
                        collected.setdefault(series_of(reader.column), []).append(known)
    for accepted in acknowledgements(layout.acknowledged):
        collected.setdefault((accepted.feature, accepted.segment), []).append(accepted.reset)
    return collected


def _first_known(view: FeatureView, since_us: int, timezone: str) -> Month:
    """Return the first month in which outcomes of forecasts since an instant become known."""
    clock = Clock(view.grain, timezone)
    month = Month.of(since_us, timezone)
    while forecast_at_us(view, clock, month) < since_us:
        month = month.next()
    return month
