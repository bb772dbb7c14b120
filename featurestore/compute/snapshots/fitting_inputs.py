"""What calibrations are fitted and tested on: their inputs as known at a month's start, and as they came in during it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.compute.snapshots.inflow import inflow_columns
from featurestore.compute.windows.view_query import ViewQuery
from featurestore.spec.calibration import INFLOW_PREFIX
from featurestore.spec.view import Feature
from featurestore.timeline import Month

MAX_MEMBERS = 100_000


@dataclass(frozen=True)
class MonthlyInputs:
    """Computes the rows that a calibration is fitted or tested on, month by month.

    Args:
        query: The inputs' view.
        inputs: Name and feature of each input, such as ``("trials", orders_1y)``.
        by: Feature that groups the entities.
        is_about_known: Whether the rows are the entities with an amount before the month; else those with an inflow.
        weights: Further columns: name to a query and its feature, of the same entity.
    """

    query: ViewQuery
    inputs: Sequence[tuple[str, Feature]]
    by: Feature | None = None
    is_about_known: bool = False
    weights: Mapping[str, tuple[ViewQuery, Feature]] = field(default_factory=dict)

    def rows(self, month: Month) -> pa.Table:
        """Compute the rows of a month.

        Its inflow is what entered the inputs' measures within it (``inflow_columns``). Where there are many more entities
        than ``MAX_MEMBERS``, every second, third and so on is taken.

        Returns:
            ``code``; each input by name, over its own window, at the month's first instant; ``inflow_<name>``, over the month;
            ``group`` (string) at its first instant, or at its end for entities that were new; the weights, at its first instant.
        """
        query = self.query
        interval = month.interval(self.query.state.layout.timezone)
        known = tuple(feature for _, feature in self.inputs)
        codes = np.arange(0, query.reader.entities, max(query.reader.entities // MAX_MEMBERS, 1))
        all_rows = (
            _values(query, known, codes, interval.start_us)
            if self.is_about_known
            else inflow_columns(query, known, codes, month)
        )
        codes = codes[np.logical_or.reduce([_amounts(all_rows[feature.name]) > 0 for feature in known])]
        extra = (self.by,) if self.by else ()
        early = _values(query, (*known, *extra), codes, interval.start_us)
        late = inflow_columns(query, known, codes, month) | _values(query, extra, codes, interval.end_us)
        columns: dict[str, pa.Array] = {"code": pa.array(codes)}
        for name, feature in self.inputs:
            columns[name] = early[feature.name]
            columns[INFLOW_PREFIX + name] = late[feature.name]
        if self.by:
            columns["group"] = pc.coalesce(early[self.by.name], late[self.by.name]).cast(pa.string())
        for name, (other, feature) in self.weights.items():
            columns[name] = _values(other, (feature,), codes, interval.start_us)[feature.name]
        return pa.table(columns)


def _values(query: ViewQuery, features: tuple[Feature, ...], codes: np.ndarray, at_us: int) -> dict[str, pa.Array]:
    return replace(query, features=features).base_columns(codes, np.full(len(codes), at_us))


def _amounts(column: pa.Array) -> np.ndarray:
    """Return the amount of each row; of a profile, that of all its buckets."""
    if not pa.types.is_fixed_size_list(column.type):
        return np.asarray(np.nan_to_num(np.asarray(column, float)))
    buckets = column.type.list_size
    flat = column.values.slice(column.offset * buckets, len(column) * buckets)
    return np.asarray(np.asarray(flat, float).reshape(-1, buckets).sum(axis=1))
