"""Point-in-time retrieval: a spine row and a window become two bounds, two bounds two ledger rows, two rows a difference.

1. Keys become codes, as_of becomes the view's floor step: ``right`` [n], and per window ``left`` [n] (``Clock.window``).
2. A chunk of rows is sorted by (code, right) once. Shifting by a window keeps the order, so every search and gather runs
   through memory forwards.
3. Each distinct bound is searched once (``LedgerReader.probe``), each measure gathered once per bound; forms turn the
   differences into values. The cost depends on the rows and the number of features, never on the length of a window.
4. Values return to the spine's order; a NULL key or as_of gives NULL. Derived features are evaluated last.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from featurestore.compute.asof import Column, LedgerReader, Probes, sorted_order
from featurestore.compute.derive import Parameters, derive, needed_features
from featurestore.compute.forms import FORMS, measures_of
from featurestore.compute.freshness import check_fresh
from featurestore.compute.keys import load_keys
from featurestore.compute.measure import Measure
from featurestore.compute.spine import Spine, read_spine, read_table, spine_keys
from featurestore.compute.state import ViewState
from featurestore.errors import OverflowingResultError, SpineError, did_you_mean
from featurestore.lake.layout import Layout
from featurestore.lake.table import Table
from featurestore.spec.registry import Features, Registry
from featurestore.spec.view import Feature, FeatureView
from featurestore.timeline import Window

CHUNK = 131_072
METADATA = b"featurestore"


@dataclass(eq=False)
class _Totals:
    """Totals of one view at one bound per row; each measure is gathered once."""

    probes: Probes
    columns: dict[str, Column] = field(default_factory=dict)

    def column(self, measure: Measure) -> Column:
        if measure.name not in self.columns:
            self.columns[measure.name] = self.probes.column(measure)
        return self.columns[measure.name]


@dataclass(frozen=True, eq=False)
class _Edges:
    """The totals at both edges of a window: what a form sees."""

    feature: str
    right: _Totals
    left: _Totals | None
    right_us: np.ndarray
    left_us: np.ndarray | None

    def difference(self, measure: Measure) -> np.ndarray:
        right = self.right.column(measure)
        assert isinstance(right, np.ndarray)
        if self.left is None:
            return right
        left = self.left.column(measure)
        assert isinstance(left, np.ndarray)
        # Totals are exact; only those of different signs can lie further apart than 64 bits.
        if left.min(initial=0) < 0 or right.min(initial=0) < 0:
            self._check_fits(right, left)
        gap: np.ndarray = right - left
        return gap

    def _check_fits(self, right: np.ndarray, left: np.ndarray) -> None:
        gap = right - left
        if (((right ^ left) & (right ^ gap)) < 0).any():
            raise OverflowingResultError(
                f"{self.feature!r} does not fit 64 bits for some row. Declare the column in a larger unit, or as double."
            )

    def carried(self, measure: Measure) -> pa.Array:
        return self.right.column(measure)


@dataclass(frozen=True, eq=False)
class ViewQuery:
    """The features of one view that a call asks for, against one snapshot of its ledger."""

    state: ViewState
    reader: LedgerReader
    features: tuple[Feature, ...]

    @property
    def view(self) -> FeatureView:
        """The view."""
        return self.state.view

    def base_columns(self, codes: np.ndarray, as_of_us: np.ndarray) -> dict[str, pa.Array]:
        """Compute the features that are aggregations, for rows sorted by (code, as_of)."""
        clock, delay = self.state.clock, Window.parse(self.view.delay) if self.view.delay else None
        totals: dict[str, tuple[_Totals, np.ndarray]] = {}

        def at(name: str, bounds: np.ndarray) -> tuple[_Totals, np.ndarray]:
            if name not in totals:
                totals[name] = _Totals(self.reader.probe(codes, bounds)), clock.starts_us(bounds)
            return totals[name]

        values = {}
        for feature in self.features:
            if feature.aggregation is None or feature.window is None:
                continue
            right_step, left_step = clock.window(as_of_us, feature.window, delay)
            right, right_us = at("right", right_step)
            left, left_us = (None, None) if left_step is None else at(feature.window.text, left_step)
            measures = measures_of(self.view, feature.aggregation)
            form = FORMS[type(feature.aggregation)]
            edges = _Edges(feature.column, right, left, right_us, left_us)
            values[feature.name] = form.finalize(feature.aggregation, measures, edges)
        return values


def view_queries(layout: Layout, registry: Registry, features: Features) -> list[ViewQuery]:
    """Open the ledgers that a list of features needs, one query a view, in the order of the first feature of each."""
    by_view: dict[str, list[Feature]] = {}
    for feature in registry.resolve(features):
        by_view.setdefault(feature.view, []).append(feature)
    queries = []
    for name, wanted in by_view.items():
        view = registry.views[name]
        state = ViewState(layout, view, Table.open(layout.events(view.source.name)))
        queries.append(ViewQuery(state, LedgerReader(state), tuple(needed_features(view, wanted))))
    return queries


def historical_features(
    layout: Layout,
    registry: Registry,
    rows: Any,
    features: Features,
    *,
    as_of: str,
    join_keys: Mapping[str, str] | None,
    parameters: Parameters,
) -> pa.Table:
    """Enrich a spine; see ``FeatureStore.get_historical_features``."""
    spine = read_spine(rows, as_of=as_of)
    outputs = registry.resolve(features)
    for feature in outputs:
        if feature.column in spine.table.column_names:
            raise SpineError(f"The spine already has a column {feature.column!r}, the name of an output; rename it.")
    queries, columns, versions = view_queries(layout, registry, features), dict[str, pa.ChunkedArray](), dict[str, str]()
    _check_join_keys(join_keys or {}, queries)
    for query in queries:
        if spine.has_as_of.any():
            check_fresh(query.state, query.reader, as_of_us=int(spine.as_of_us[spine.has_as_of].max()))
        codes, has_key = _codes(query, spine, join_keys or {})
        pieces = [
            _chunk(query, codes[part], spine.as_of_us[part], has_key[part] & spine.has_as_of[part], parameters, versions)
            for part in _parts(len(codes))
        ]
        for feature in query.features:
            columns[feature.column] = pa.chunked_array([piece[feature.name] for piece in pieces])
    table = spine.table
    for feature in outputs:
        table = table.append_column(feature.column, columns[feature.column])
    record = {"ledgers": {query.view.name: query.reader.table.version for query in queries}, "calibrations": versions}
    return table.replace_schema_metadata({**(table.schema.metadata or {}), METADATA: json.dumps(record).encode()})


def _check_join_keys(join_keys: Mapping[str, str], queries: Sequence[ViewQuery]) -> None:
    known = [key for query in queries for key in query.view.entity.keys]
    for key in join_keys:
        if key not in known:
            raise SpineError(f"join_keys names {key!r}, which is no key of these features.{did_you_mean(key, known)}")


def _parts(rows: int) -> Iterator[slice]:
    yield slice(0, min(CHUNK, rows))
    for start in range(CHUNK, rows, CHUNK):
        yield slice(start, start + CHUNK)


def _codes(query: ViewQuery, spine: Spine, join_keys: Mapping[str, str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the code per spine row, and whether its key has no NULL."""
    view = query.view
    names = [join_keys.get(key, key) for key in view.entity.keys]
    keys, has_key = spine_keys(spine.table, names, view.key_types, entity=view.entity.name)
    dictionary = load_keys(query.state.layout.keys(view.entity.name), view.key_types)
    return dictionary.codes(keys), has_key


def _chunk(
    query: ViewQuery,
    codes: np.ndarray,
    as_of_us: np.ndarray,
    is_answered: np.ndarray,
    parameters: Parameters,
    versions: dict[str, str],
) -> dict[str, pa.Array]:
    """Compute all features of a view for some spine rows, in their order."""
    order = sorted_order(codes, as_of_us)
    back = np.empty(len(order), np.int64)
    back[order] = np.arange(len(order))
    index = pa.array(back, mask=~is_answered)
    base = query.base_columns(codes[order], as_of_us[order])
    values = {name: value.take(index) for name, value in base.items()}
    clock = query.state.clock
    versions.update(derive(values, query.features, as_of_us=clock.starts_us(clock.floor(as_of_us)), parameters=parameters))
    return values


def batch_features(
    layout: Layout,
    registry: Registry,
    features: Features,
    *,
    as_of_us: int,
    entities: Any,
    active_since_us: int | None,
    parameters: Parameters,
) -> pa.Table:
    """Compute features of many entities at one instant; see ``FeatureStore.get_batch_features``."""
    queries = view_queries(layout, registry, features)
    names = list(dict.fromkeys(query.view.entity.name for query in queries))
    if not names:
        raise SpineError("No feature was asked for. Name a service, views or 'view:feature' references.")
    if len(names) > 1:
        raise SpineError(
            f"A batch is about one entity, but these features are about {', '.join(names)}. "
            "Ask for each entity's features alone, or give a spine to get_historical_features()."
        )
    keys = _known_keys(queries, as_of_us, active_since_us) if entities is None else read_table(entities)
    as_of = pa.array(np.full(keys.num_rows, as_of_us), pa.timestamp("us", "UTC"))
    spine = keys.append_column("as_of", as_of)
    return historical_features(layout, registry, spine, features, as_of="as_of", join_keys=None, parameters=parameters)


def _known_keys(queries: Sequence[ViewQuery], as_of_us: int, active_since_us: int | None) -> pa.Table:
    """List the entity's keys in order of code; only those with activity in one of the views since, if asked."""
    view, layout = queries[0].view, queries[0].state.layout
    dictionary = load_keys(layout.keys(view.entity.name), view.key_types)
    table = pa.table(list(dictionary.columns), names=list(view.entity.keys))
    if active_since_us is None:
        return table
    active = [
        query.reader.active_codes(query.state.clock.step(active_since_us), query.state.clock.step(as_of_us))
        for query in queries
    ]
    is_active = np.zeros(len(dictionary), bool)
    for codes in active:
        is_active[codes] = True
    return table.filter(pa.array(is_active))
