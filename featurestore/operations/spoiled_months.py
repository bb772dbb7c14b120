"""Whether the sources' records are sound, and which features a fault in them has spoiled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np

from featurestore.drift.data_faults.feature_fault import DUPLICATES
from featurestore.drift.data_faults.source_fault import EVENT, SourceFault, find_source_faults
from featurestore.drift.reliability import series_of
from featurestore.lake.daily import daily_counts
from featurestore.lake.ingestion.redelivered import redelivered_rows
from featurestore.lake.layout import Layout
from featurestore.spec.lineage import columns_read, needed_features
from featurestore.spec.look_back import LookBack, look_backs, scored_features
from featurestore.spec.registry import Registry
from featurestore.spec.view import Feature, FeatureView
from featurestore.timeline import Clock, Month, months_between

SPOILED_SHARE = 0.02


def source_faults(layout: Layout, registry: Registry, last: Month) -> list[SourceFault]:
    """Find the faults in the records of all sources up to a month."""
    faults = []
    for source in registry.sources.values():
        days = daily_counts(layout, source, last)
        faults += find_source_faults(source.name, days, redelivered_rows(layout, source.name))
    return faults


def spoiled(registry: Registry, faults: Sequence[SourceFault], last: Month, *, timezone: str) -> dict[str, dict[Month, str]]:
    """Name the features and months in whose score a fault has ``SPOILED_SHARE`` of the weight or more.

    What a score looks at is ``spec.look_back``'s to say. The score of a forecast's reliability looks at the month's outcomes, and at
    what the forecast was made from.

    Args:
        registry: The definitions.
        faults: Faults of all sources, as ``source_faults``.
        last: Last month to name.
        timezone: Business zone of the store.

    Returns:
        Feature column to month to the fault in words.
    """
    reasons: dict[str, dict[Month, str]] = {}
    for view in registry.views.values():
        concerned = [fault for fault in faults if fault.source == view.source.name and fault.kind != DUPLICATES]
        if not concerned:
            continue
        months = months_between(min(Month.parse(fault.first) for fault in concerned), last)
        scores = _Scores(view, Clock(view.grain, timezone), months)
        for feature in scored_features(view):
            for fault in concerned:
                for column, is_spoiled in scores.spoiled(feature, fault):
                    for t in np.flatnonzero(is_spoiled).tolist():
                        reasons.setdefault(column, {})[months[t]] = f"{fault.place}: {fault}"
    return reasons


@dataclass(frozen=True)
class _Scores:
    """The scores of a view in some months, next to each other."""

    view: FeatureView
    clock: Clock
    months: Sequence[Month]

    def spoiled(self, feature: Feature, fault: SourceFault) -> Iterator[tuple[str, np.ndarray]]:
        """Yield each series that is scored of a feature, and which of its months a fault spoils [M]."""
        yield feature.column, self._holds(feature, fault, self._edges[1:-1], self._edges[2:])
        if feature.outcome:
            # Forecasts are made at the month's first instant, less the delay, and look back from there.
            at = self._edges - self.view.delay_steps
            held = self._holds(feature, fault, at[:-2], at[1:-1])
            for name in feature.outcome.features:
                held = held | self._came_in(self.view.feature(name), fault)
            yield series_of(feature.column), held

    @cached_property
    def _edges(self) -> np.ndarray:
        """First step of the month before the first, of each month, and of the one after the last [M + 2]."""
        months = [self.months[0].shift(-1), *self.months, self.months[-1].next()]
        return self.clock.floor(np.array([month.interval(self.clock.timezone).start_us for month in months], np.int64))

    def _holds(self, feature: Feature, fault: SourceFault, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Say in which months one of the aggregations that a feature is computed from holds enough of a fault."""
        held = np.zeros(len(starts), bool)
        for each in needed_features(self.view, [feature]):
            if each.aggregation is not None and self._reads(each, fault):
                for look_back in look_backs(each, self.clock, starts=starts, ends=ends, delay=self.view.delay_steps):
                    held |= self._weighs(look_back, fault)
        return held

    def _came_in(self, feature: Feature, fault: SourceFault) -> np.ndarray:
        """Say in which months what came in of an aggregation holds enough of a fault."""
        if not self._reads(feature, fault):
            return np.zeros(len(self.months), bool)
        at = self._edges - self.view.delay_steps
        return self._weighs(LookBack(((at[1:-1], at[2:]),)), fault)

    def _reads(self, feature: Feature, fault: SourceFault) -> bool:
        keys = {column for _, column in self.view.key_columns}
        return fault.column == EVENT or fault.column in keys | columns_read(self.view, [feature])

    def _weighs(self, look_back: LookBack, fault: SourceFault) -> np.ndarray:
        first, last = ((day - date(1970, 1, 1)).days for day in (fault.first, fault.last))
        shares = look_back.shares(self.clock.day_step(first), self.clock.day_step(last + 1))
        return np.asarray(shares * fault.day_count / (last + 1 - first) >= SPOILED_SHARE)
