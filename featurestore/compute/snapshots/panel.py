"""Snapshots: the features of a stable panel of entities at the first instant after a month.

The panel is a hash sample of the entities with activity in the 90 days before: an entity that stays active stays in the
panel, whoever joins or leaves. Sums over more than a year are taken over the month alone (their inflow), and values carried
from longer ago than a year are not seen: as a history grows, these levels move by construction, what enters them does not.
A value that forgets is a level as far as it remembers: a decayed sum of up to 36 days of half-life, whatever its window.

Windows of another shape: an ``Offset`` or ``YearBefore`` of up to a year is scored as it is, from the month on whose whole
look-back, offset included, lies inside the history. The others are taken over the month like long ones: at a month's end
``"mtd"`` is always empty, and so is ``"ytd"`` in December; a season's level stands still until the next occurrence moves it,
while the month in which a measure changes shows it at once.

What planners read from hour to hour has no monthly level: in a view that counts by the hour or by the event, windows of up to
a day are left out, since the last hours of a month say nothing of it, and so is each ``YearBefore``: it was the
present once, and scored then. A derived feature is left out where all that it reads is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import pyarrow as pa

from featurestore.compute.keys import KeyDictionary, load_keys
from featurestore.compute.search.row_hash import stable_hash
from featurestore.compute.snapshots.forecasts import ACTIVE_DAYS, forecast_at_us, forecast_rows
from featurestore.compute.snapshots.inflow import inflow_columns
from featurestore.compute.windows.derive import Parameters, derive
from featurestore.compute.windows.totals import sorted_order
from featurestore.compute.windows.view_query import ViewQuery
from featurestore.spec.document import digest, fingerprint
from featurestore.spec.lineage import calibrations_read, needed_features
from featurestore.spec.look_back import INFLOW, RECENT, full_after_hours, is_inflow, scored_feature, scored_features
from featurestore.spec.view import Feature
from featurestore.timeline import DAY_US, HOUR_US, Month

FORMAT = 4
FORECASTS = 5
"""Forecasts scored a month, as a multiple of the panel's size: they cost less, being of one feature, and outcomes are few."""


class Panel:
    """Takes the snapshots of one view.

    Args:
        query: All features of the view, against one snapshot of its ledger.
        size: Largest number of entities.
        parameters: The versions of calibrations that a row may read.
    """

    def __init__(self, query: ViewQuery, *, size: int, parameters: Parameters) -> None:
        self._query = query
        self._size = size
        self._parameters = parameters

    @cached_property
    def _dictionary(self) -> KeyDictionary:
        return load_keys(self._query.state.layout.keys(self._query.view.entity.name), self._query.view.key_types)

    @cached_property
    def _hash(self) -> np.ndarray:
        return stable_hash(self._dictionary.columns)

    @cached_property
    def _scored(self) -> list[Feature]:
        return scored_features(self._query.view)

    def has_history(self, month: Month) -> bool:
        """Whether the view has events in or before a month."""
        return any(first <= month for first in self._query.state.tile_digests)

    def name(self, month: Month) -> str:
        """Return the digest of everything a month's snapshot is made from."""
        state = self._query.state
        tiles = {str(m): name for m, name in state.tile_digests.items() if m <= month}
        at_us = month.interval(state.layout.timezone).end_us
        uses = calibrations_read(state.view, state.view.features)
        versions = [v.version for name in sorted(uses) for v in self._parameters(name) if v.start_us < at_us <= v.end_us]
        made_from = [FORMAT, fingerprint(state.view), state.layout.timezone, str(month), self._size, tiles, versions]
        if len(self._scored) < len(state.view.features):
            made_from += [[feature.name for feature in self._scored]]
        if state.view.forecasts:
            made_us = forecast_at_us(state.view, state.clock, month)
            made_from += [
                [v.version for name in sorted(uses) for v in self._parameters(name) if v.start_us <= made_us < v.end_us],
                FORECASTS,
            ]
        return digest(made_from)

    def snapshot(self, month: Month) -> pa.Table:
        """Compute the features of the month's panel at the first instant of the next month.

        Returns:
            The key columns, then one column per feature that has a monthly level, named ``view__feature``; field metadata
            ``full_since`` (first month whose window lies inside the history) and ``scored_on`` (``inflow`` where the window is
            the month).
        """
        query, state = self._query, self._query.state
        interval = month.interval(state.layout.timezone)
        right = state.clock.step(interval.end_us)
        left = state.clock.step(interval.end_us - ACTIVE_DAYS * DAY_US)
        active = query.reader.active_codes(left, right)
        chosen = active[np.argsort(self._hash[active], kind="stable")[: self._size]]
        as_of_us = np.full(len(chosen), interval.end_us)
        needed = needed_features(query.view, self._scored)
        features = [scored_feature(feature, month.window(state.clock)) for feature in needed]
        levels = replace(query, features=tuple(feature for feature in features if not is_inflow(feature)))
        order = sorted_order(chosen, as_of_us)
        values = levels.base_columns(chosen[order], as_of_us)
        inflows = [own for own, feature in zip(needed, features, strict=True) if is_inflow(feature)]
        values |= inflow_columns(query, inflows, chosen[order], month)
        # A decision about this month's audit comes after it: the snapshot reads what was in force just before.
        zone = query.state.layout.naive_timezone
        derive(values, features, as_of_us=as_of_us - 1, parameters=self._parameters, timezone=zone)
        keys = [column.take(pa.array(chosen[order])) for column in self._dictionary.columns]
        fields = [pa.field(name, key.type) for name, key in zip(query.view.entity.keys, keys, strict=True)]
        scored = [feature for own, feature in zip(needed, features, strict=True) if own in self._scored]
        fields += [self._field(feature, values[feature.name].type, features, month) for feature in scored]
        return pa.table([*keys, *(values[feature.name] for feature in scored)], schema=pa.schema(fields))

    def forecasts(self, month: Month) -> dict[str, pa.Table]:
        """Compute the forecasts whose outcomes became known within the month: column to rows, as ``forecast_rows``."""
        if not self._query.view.forecasts:
            return {}
        return forecast_rows(self._query, month, rank=self._hash, size=FORECASTS * self._size, parameters=self._parameters)

    def _field(self, feature: Feature, kind: pa.DataType, features: Sequence[Feature], month: Month) -> pa.Field:
        metadata = {"scored_on": feature.window.text} if feature.window and feature.window.text in (INFLOW, RECENT) else {}
        hours = full_after_hours(feature, features)
        first = min(self._query.state.tile_digests, default=None)
        timezone = self._query.state.layout.timezone
        full = [Month.of(first.interval(timezone).start_us + hours * HOUR_US - 1, timezone)] if hours and first else []
        for name in sorted(calibrations_read(self._query.view, [feature])):
            # Without a version the feature is NULL: that is no missing value, it does not exist yet.
            starts = [version.start_us for version in self._parameters(name)]
            known = min((Month.of(start, timezone) for start in starts), default=month.next())
            full.append(known if known <= month else month.next())
        if full:
            metadata["full_since"] = max(full).first_day.isoformat()
        return pa.field(feature.column, kind, metadata=metadata)
