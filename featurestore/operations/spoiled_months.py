"""Whether the sources' records are sound, and which features a fault in them has spoiled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from featurestore.compute.snapshots.panel import LONGEST_LEVEL_HOURS
from featurestore.drift.data_faults.source_fault import EVENT, SourceFault, find_source_faults
from featurestore.drift.monitor.fault import DUPLICATES
from featurestore.drift.reliability import series_of
from featurestore.lake.daily import daily_counts
from featurestore.lake.ingestion.redelivered import redelivered_rows
from featurestore.lake.layout import Layout
from featurestore.spec.expression import parse
from featurestore.spec.registry import Registry
from featurestore.spec.view import FeatureView
from featurestore.timeline import Month, Window

SPOILED_SHARE = 0.02


def source_faults(layout: Layout, registry: Registry, last: Month) -> list[SourceFault]:
    """Find the faults in the records of all sources up to a month."""
    found = []
    for source in registry.sources.values():
        days = daily_counts(layout, source, last)
        found += find_source_faults(source.name, days, redelivered_rows(layout, source.name))
    return found


def spoiled(registry: Registry, faults: Sequence[SourceFault]) -> dict[str, dict[Month, str]]:
    """Name the features and months whose windows hold a fault that weighs ``SPOILED_SHARE`` of their rows or more.

    Returns:
        Feature column to month to the fault in words.
    """
    found: dict[str, dict[Month, str]] = {}
    for view in registry.views.values():
        concerned = [fault for fault in faults if fault.source == view.source.name and fault.kind != DUPLICATES]
        delay = timedelta(hours=Window.parse(view.delay).length_hours or 0) if view.delay else timedelta()
        for feature in view.features:
            # A forecast and its outcomes: their month, and what was looked back upon before it.
            outcomes = feature.outcome.features if feature.outcome else ()
            for fault in concerned:
                span, read = _longest_scored_days(view, feature.name), _columns_read(view, feature.name)
                if fault.column == EVENT or fault.column in read:
                    for month in _reached(fault, delay, span_days=span):
                        found.setdefault(feature.column, {}).setdefault(month, f"{fault.place}: {fault}")
                read = read.union(*(_columns_read(view, name) for name in outcomes))
                if outcomes and (fault.column == EVENT or fault.column in read):
                    behind = [month.shift(1) for month in _reached(fault, 2 * delay, span_days=span)]
                    for month in (*_reached(fault, delay, span_days=0), *behind):
                        found.setdefault(series_of(feature.column), {}).setdefault(month, f"{fault.place}: {fault}")
    return found


def _reached(fault: SourceFault, delay: timedelta, *, span_days: int) -> Iterator[Month]:
    """Yield the months whose window, of so many days or the month itself, holds enough of a fault."""
    month = Month.parse(fault.first)
    while month.next().first_day - delay - timedelta(days=span_days or _days_of(month)) <= fault.last:
        is_reached = month.next().first_day - delay > fault.first
        if is_reached and fault.day_count >= SPOILED_SHARE * (span_days or _days_of(month)):
            yield month
        month = month.next()


def _days_of(month: Month) -> int:
    return (month.next().first_day - month.first_day).days


def _longest_scored_days(view: FeatureView, name: str) -> int:
    """Return the days that a feature's monthly score looks back; 0 for the month itself."""
    feature = view.feature(name)
    if feature.expression:
        return max((_longest_scored_days(view, each) for each in feature.expression.columns), default=0)
    hours = feature.window.look_back_hours if feature.window else None
    return 0 if hours is None or hours > LONGEST_LEVEL_HOURS else hours // 24


def _columns_read(view: FeatureView, name: str) -> set[str]:
    """Return the source columns that a feature is computed from, keys and event time included."""
    feature = view.feature(name)
    if feature.expression:
        return {column for needed in feature.expression.columns for column in _columns_read(view, needed)}
    found = {column for _, column in view.key_columns} | {view.event_time}
    if feature.aggregation is not None:
        found |= {feature.aggregation.input_column} if feature.aggregation.input_column else set()
        found |= parse(feature.aggregation.where, view.source.types).columns if feature.aggregation.where else set()
    return found
