"""Inflow: how a month moves features, whatever their windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.compute.windows.view_query import ViewQuery
from featurestore.spec.view import Feature
from featurestore.timeline import Month


def inflow_columns(query: ViewQuery, features: Sequence[Feature], codes: np.ndarray, month: Month) -> dict[str, pa.Array]:
    """Compute the inflow of a month, both edges moved by the view's delay.

    It is the measure over the month in place of the feature's window. A measure that exists for declared windows alone
    (``Distinct``) has none over a month: its inflow is the change of its value from the month's first instant to the next
    month's, so items that came for the first time less those that left the window; below 0 where more left than came.

    Args:
        query: The features' view.
        features: Features that are aggregations.
        codes: Entities, ascending.
        month: The month.

    Returns:
        Name of each feature to its inflow per entity.
    """
    interval = month.interval(query.state.layout.timezone)

    def at(edge_us: int, wanted: Sequence[Feature]) -> dict[str, pa.Array]:
        return replace(query, features=tuple(wanted)).base_columns(codes, np.full(len(codes), edge_us))

    declared = [feature for feature in features if feature.aggregation and not feature.aggregation.takes_any_window]
    others = [replace(feature, window=month.window(query.state.clock)) for feature in features if feature not in declared]
    before = at(interval.start_us, declared)
    after = at(interval.end_us, [*others, *declared])
    return after | {name: pc.subtract(after[name], value) for name, value in before.items()}
