"""Joined features: those of several views side by side in the spine's order, then expressions over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from featurestore.compute.windows.derive import Parameters, derive
from featurestore.compute.windows.view_query import LedgerOpener, ViewQuery
from featurestore.spec.joined import JoinedView
from featurestore.spec.registry import Registry
from featurestore.spec.view import Feature


@dataclass(frozen=True, eq=False)
class JoinedQuery:
    """The features of one joined view that a call asks for.

    Args:
        view: The joined view.
        features: What is asked for and what its expressions need of the joined view itself, in declared order.
        queries: What they read of its views, in an order in which every key is known before it is needed.
    """

    view: JoinedView
    features: tuple[Feature, ...]
    queries: tuple[ViewQuery, ...]

    def keys(self, query: ViewQuery, columns: Mapping[str, pa.ChunkedArray]) -> dict[str, pa.ChunkedArray]:
        """Return the keys of a view that come from features, from the columns computed so far."""
        return {key: columns[column] for key, column in self.view.key_features if key in query.view.entity.keys}

    def derive(
        self, columns: Mapping[str, pa.ChunkedArray], as_of_us: np.ndarray, parameters: Parameters
    ) -> tuple[dict[str, pa.ChunkedArray], dict[str, tuple[str, ...]]]:
        """Evaluate the features, and name the calibrations that were read; these at the floor of the first view's grain.

        Args:
            columns: ``view__feature`` to column, of all that the features read.
            as_of_us: Instant of knowledge per row.
            parameters: The versions of a calibration by name.
        """
        clock = self.queries[0].state.clock
        values = dict(columns)
        floor_us = clock.starts_us(clock.floor(as_of_us))
        zone = self.queries[0].state.layout.naive_timezone
        used = derive(values, self.features, as_of_us=floor_us, parameters=parameters, timezone=zone)
        return {feature.column: pa.chunked_array([values[feature.name]]) for feature in self.features}, used


def joined_queries(registry: Registry, features: Sequence[Feature], opener: LedgerOpener) -> list[JoinedQuery]:
    """Open what the features of joined views are read from, in the order of the first feature of each."""
    by_view: dict[str, list[Feature]] = {}
    for feature in features:
        if feature.view in registry.joined_views:
            by_view.setdefault(feature.view, []).append(feature)
    opened = []
    for name, wanted in by_view.items():
        view = registry.joined_views[name]
        own, read = view.needed(wanted)
        queries = tuple(opener.query(registry.views[each], mine) for each, mine in read.items())
        opened.append(JoinedQuery(view, own, queries))
    return opened
