"""What calibrations are fitted and tested on: their inputs as known at a month's start, and as they came in during it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.compute.retrieve import ViewQuery
from featurestore.spec.view import Feature
from featurestore.timeline import Month

INFLOW = "inflow_"


def monthly_inputs(query: ViewQuery, inputs: Sequence[tuple[str, Feature]], by: Feature | None, month: Month) -> pa.Table:
    """Compute a calibration's inputs for every entity that had an inflow in a month.

    Args:
        query: The inputs' view.
        inputs: Name and feature of each input, such as ``("trials", orders_1y)``.
        by: Feature that groups the entities.
        month: The month; its inflow is what entered the inputs' measures within it (both edges moved by the view's delay).

    Returns:
        ``code``; each input by name, over its own window, at the month's first instant; ``inflow_<name>``, over the month;
        ``group`` (string) at its first instant, or at its end for entities that were new.
    """
    interval = month.interval(query.state.layout.timezone)
    codes = np.arange(query.reader.entities)
    within = [replace(feature, window=month.window(query.state.clock)) for _, feature in inputs]
    known_features = tuple([feature for _, feature in inputs] + ([by] if by else []))
    late = replace(query, features=(*within, *([by] if by else []))).base_columns(codes, np.full(len(codes), interval.end_us))
    rows = np.flatnonzero(np.logical_or.reduce([np.asarray(late[feature.name]) > 0 for feature in within]))
    early = replace(query, features=known_features).base_columns(rows, np.full(len(rows), interval.start_us))
    index = pa.array(rows)
    columns: dict[str, pa.Array] = {"code": index}
    for (name, known), inflow in zip(inputs, within, strict=True):
        columns[name] = early[known.name]
        columns[INFLOW + name] = late[inflow.name].take(index)
    if by:
        group = late[by.name].take(index)
        columns["group"] = pc.coalesce(early[by.name], group).cast(pa.string())
    return pa.table(columns)
