"""Batches: the features of all entities, or of some, at one instant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from featurestore.compute.keys import load_keys
from featurestore.compute.retrieval.historical import HistoricalQuery
from featurestore.compute.retrieval.spine import read_table
from featurestore.compute.windows.versions import ReadVersions
from featurestore.compute.windows.view_query import ViewQuery
from featurestore.errors import SpineError


def batch_features(
    query: HistoricalQuery,
    *,
    as_of_us: int,
    entities: Any = None,
    active_since_us: int | None = None,
) -> pa.Table:
    """Compute features of many entities at one instant; see ``FeatureStore.get_batch_features``.

    Args:
        query: What is read. Of a publication that is not complete up to ``as_of_us``, its own as_of is answered.
        as_of_us: Instant, UTC microseconds.
        entities: A table of keys, any kind of frame; all known ones by default.
        active_since_us: Only entities with activity since, UTC microseconds.

    Raises:
        SpineError: the features are about several entities, or there are none.
    """
    queries = [*query.queries, *(join.queries[0] for join in query.joins)]
    entity = _entity_of(queries)
    publication = query.publication
    asked_us = as_of_us
    if publication:
        as_of_us = publication.served_us(asked_us, clocks=[each.state.clock for each in query.read])
    known: dict[str, int] = {}
    if entities is None:
        dictionary = _known_keys(queries[0], (query.versions.entities if query.versions else {}).get(entity))
        known = {entity: dictionary.num_rows}
        keys = dictionary.filter(_is_active(queries, dictionary.num_rows, active_since_us, as_of_us))
    else:
        keys = read_table(entities, what="table of entities")
    answer = query.answer(keys.append_column("as_of", pa.array(np.full(keys.num_rows, as_of_us), pa.timestamp("us", "UTC"))))
    metadata = {**answer.schema.metadata, **replace(ReadVersions.parse(answer), entities=known).metadata()}
    if publication:
        metadata |= publication.metadata(asked_us=asked_us, served_us=as_of_us)
    return answer.replace_schema_metadata(metadata)


def _entity_of(queries: Sequence[ViewQuery]) -> str:
    """Return the one entity that all features are about."""
    names = list(dict.fromkeys(query.view.entity.name for query in queries))
    if not names:
        raise SpineError("No feature was asked for. Name a service, views or 'view:feature' references.")
    if len(names) > 1:
        raise SpineError(
            f"A batch is about one entity, but these features are about {', '.join(names)}. "
            "Ask for each entity's features alone, or give a spine to get_historical_features()."
        )
    return names[0]


def _known_keys(query: ViewQuery, count: int | None) -> pa.Table:
    """List the entity's keys in order of code: all that are known, or as many as were."""
    view, layout = query.view, query.state.layout
    dictionary = load_keys(layout.keys(view.entity.name), view.key_types)
    return pa.table(list(dictionary.columns), names=list(view.entity.keys)).slice(0, count)


def _is_active(queries: Sequence[ViewQuery], rows: int, since_us: int | None, as_of_us: int) -> pa.Array:
    """Say for each code whether it has activity in one of the views since ``since_us``; all count where that is ``None``."""
    is_active = np.full(rows, since_us is None)
    if since_us is not None:
        for query in queries:
            clock = query.state.clock
            is_active[query.reader.active_codes(clock.step(since_us), clock.step(as_of_us))] = True
    return pa.array(is_active)
