"""Training sets and batches: spines of any size become tables of features, point in time correct row for row.

1. The ledgers are opened once, at the newest versions or at those of an earlier answer.
2. Keys become codes; a chunk of rows is sorted by (code, as_of) once, so that every search runs through memory forwards
   (``compute/windows/view_query.py``).
3. Values return to the spine's order; a NULL key or as_of gives NULL. Derived features are evaluated last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from featurestore.compute.as_known.query import KnownOpener
from featurestore.compute.retrieval.freshness import check_fresh
from featurestore.compute.retrieval.joined import JoinedQuery, joined_queries
from featurestore.compute.retrieval.lag import Lag, last_complete
from featurestore.compute.retrieval.moments import NAIVE_TIMES, is_naive
from featurestore.compute.retrieval.publication import Publication
from featurestore.compute.retrieval.spine import Spine, one_piece, read_spine, spine_batches, spine_keys
from featurestore.compute.retrieval.spine_files import SpineTexts
from featurestore.compute.search.key_index import KeyIndex
from featurestore.compute.windows.derive import Parameters, derive
from featurestore.compute.windows.totals import sorted_order
from featurestore.compute.windows.versions import ReadVersions, ViewVersions, features_digest
from featurestore.compute.windows.view_query import LedgerOpener, ViewQuery
from featurestore.errors import SpineError, did_you_mean
from featurestore.lake.endings import ending_of
from featurestore.lake.layout import Layout
from featurestore.lake.table_writers import check_writable, table_writer
from featurestore.lake.whole_file import atomic_file, check_replaceable, translating
from featurestore.spec.joined import JoinedView
from featurestore.spec.registry import Registry
from featurestore.spec.resolution import Features
from featurestore.spec.view import Feature, FeatureView

CHUNK = 131_072
# A batch of a stream holds about so many values, so that memory does not grow with the spine or with the features.
_VALUES_AT_ONCE = 32_000_000
_ROWS_AT_ONCE = 2 * CHUNK


@dataclass(eq=False)
class HistoricalQuery:
    """Features for any number of spines, against one snapshot of the ledgers.

    Args:
        outputs: The features asked for, in order.
        queries: One per view whose own features are asked for.
        joins: One per joined view.
        parameters: The versions of a calibration by name.
        timezone: The zone of times that name none.
        as_of: Name of the spine's as_of column.
        join_keys: Entity key to spine column, where the names differ.
        versions: What an earlier answer read, if that is read again.
        publication: What is read, if it was published: it is complete up to its own as_of, and answers name it.
        lag: The last complete state, if that is read, which answers name.
    """

    outputs: Sequence[Feature]
    queries: Sequence[ViewQuery]
    joins: Sequence[JoinedQuery]
    parameters: Parameters
    timezone: str
    as_of: str = "as_of"
    join_keys: Mapping[str, str] = field(default_factory=dict)
    versions: ReadVersions | None = None
    publication: Publication | None = None
    lag: Lag | None = None
    _fresh_until_us: int | None = None
    _indexes: dict[str, KeyIndex] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = [key for query in self.queries for key in query.view.entity.keys]
        known += [key for join in self.joins for key in join.view.spine_keys]
        for key in self.join_keys:
            if key not in known:
                raise SpineError(f"join_keys names {key!r}, which is no key of these features.{did_you_mean(key, known)}")

    def answer(self, rows: Any) -> pa.Table:
        """Enrich one table of spine rows, of any kind of frame.

        Raises:
            SpineError: a key or as_of column is missing, of the wrong type, or named like an output.
            NotMaterializedError: committed events before an as_of are not yet in a view.
        """
        spine = read_spine(rows, as_of=self.as_of, timezone=self.timezone)
        for feature in self.outputs:
            if feature.column in spine.table.column_names:
                raise SpineError(f"The spine already has a column {feature.column!r}, the name of an output; rename it.")
        self._check_fresh(spine)
        enriched = spine.table
        columns = dict[str, pa.ChunkedArray]()
        calibrations = dict[str, tuple[str, ...]]()
        for query in self.queries:
            columns |= self._columns(query, spine, {}, calibrations)
        for join in self.joins:
            columns |= self._joined(join, spine, calibrations)
        for feature in self.outputs:
            enriched = enriched.append_column(feature.column, columns[feature.column])
        metadata = {**(spine.table.schema.metadata or {}), **self._versions(calibrations).metadata()}
        if is_naive(spine.table.schema.field(self.as_of).type):
            metadata[NAIVE_TIMES] = self.timezone.encode()
        for served in (self.publication, self.lag):
            metadata |= served.metadata() if served else {}
        return enriched.replace_schema_metadata(metadata)

    def batch_rows(self) -> int:
        """Return the number of spine rows that a batch of a stream should have."""
        return max(min(_ROWS_AT_ONCE, _VALUES_AT_ONCE // max(len(self.outputs), 1)), 1)

    def _check_fresh(self, spine: Spine) -> None:
        if not spine.has_as_of.any():
            return
        latest_us = int(spine.as_of_us[spine.has_as_of].max())
        if self._fresh_until_us is None or latest_us > self._fresh_until_us:
            for query in self.read:
                if self.publication:
                    self.publication.check(query.state.clock, latest_us)
                else:
                    check_fresh(query.state, query.reader, as_of_us=latest_us)
            self._fresh_until_us = latest_us

    def texts(self) -> SpineTexts:
        """Say what the texts of a spine's file are read as: the keys' declared types."""
        views = [query.view for query in self.read]
        pairs = [pair for view in views for pair in zip(view.entity.keys, view.key_types, strict=True)]
        return SpineTexts(self.as_of, {self.join_keys.get(key, key): kind for key, kind in pairs})

    @property
    def read(self) -> list[ViewQuery]:
        """All queries, those of joined views included; several may be of one view, at the same versions."""
        return [*self.queries, *(query for join in self.joins for query in join.queries)]

    def _joined(self, join: JoinedQuery, spine: Spine, calibrations: dict[str, tuple[str, ...]]) -> dict[str, pa.ChunkedArray]:
        """Compute features of a joined view for all spine rows; the calibrations that were read are added."""
        columns: dict[str, pa.ChunkedArray] = {}
        for query in join.queries:
            columns |= self._columns(query, spine, join.keys(query, columns), calibrations)
        features, used = join.derive(columns, spine.as_of_us, self.parameters)
        calibrations |= used
        return features

    def _columns(
        self,
        query: ViewQuery,
        spine: Spine,
        computed: Mapping[str, pa.ChunkedArray],
        calibrations: dict[str, tuple[str, ...]],
    ) -> dict[str, pa.ChunkedArray]:
        """Compute features of one view for all spine rows, with the keys that were computed; the others are the spine's."""
        codes, has_key = self._codes(query, spine, computed)
        pieces = []
        for part in _parts(len(codes)):
            is_answered = has_key[part] & spine.has_as_of[part]
            values, used = self._chunk(query, codes[part], spine.as_of_us[part], is_answered)
            pieces.append(values)
            calibrations |= used
        return {each.column: pa.chunked_array([piece[each.name] for piece in pieces]) for each in query.features}

    def _codes(self, query: ViewQuery, spine: Spine, computed: Mapping[str, pa.ChunkedArray]) -> tuple[np.ndarray, np.ndarray]:
        """Return the code per spine row, and whether its key has no NULL."""
        view, table = query.view, spine.table
        names = [key if key in computed else self.join_keys.get(key, key) for key in view.entity.keys]
        for key, column in computed.items():
            table = table.drop_columns([key] if key in table.column_names else []).append_column(key, column)
        keys, has_key = spine_keys(table, names, view.key_types, entity=view.entity.name)
        if view.entity.name not in self._indexes:
            self._indexes[view.entity.name] = KeyIndex.open(query.state.layout, view.entity.name, view.key_types)
        return self._indexes[view.entity.name].codes(keys), has_key

    def _chunk(
        self, query: ViewQuery, codes: np.ndarray, as_of_us: np.ndarray, is_answered: np.ndarray
    ) -> tuple[dict[str, pa.Array], dict[str, tuple[str, ...]]]:
        """Compute all features of a view for some spine rows, in their order, and name the calibrations that were read."""
        clock = query.state.clock
        floor = clock.floor(as_of_us)
        order = sorted_order(codes, floor)
        back = np.empty(len(order), np.int64)
        back[order] = np.arange(len(order))
        index = pa.array(back, mask=~is_answered)
        base = query.base_columns(codes[order], as_of_us[order])
        values = {name: value.take(index) for name, value in base.items()}
        floor_us = clock.starts_us(floor)
        used = derive(values, query.features, as_of_us=floor_us, parameters=self.parameters, timezone=self.timezone)
        return values, used

    def _versions(self, calibrations: Mapping[str, Sequence[str]]) -> ReadVersions:
        views = {
            query.view.name: ViewVersions(
                query.state.fingerprint,
                query.reader.table.version,
                query.state.events.version,
                query.superseded_version,
                query.view.source.name,
            )
            for query in self.read
        }
        by_name: dict[str, FeatureView | JoinedView] = {query.view.name: query.view for query in self.queries}
        by_name |= {join.view.name: join.view for join in self.joins}
        meanings = [(by_name[each.view], each) for each in self.outputs]
        return ReadVersions(views, calibrations, features_digest(meanings, self.timezone))


def _parts(rows: int) -> Iterator[slice]:
    yield slice(0, min(CHUNK, rows))
    for start in range(CHUNK, rows, CHUNK):
        yield slice(start, start + CHUNK)


def historical_query(
    layout: Layout,
    registry: Registry,
    features: Features,
    *,
    as_of: str = "as_of",
    join_keys: Mapping[str, str] | None = None,
    parameters: Parameters,
    as_known: bool = False,
    versions: ReadVersions | None = None,
    publication: Publication | None = None,
    max_lag_us: int | None = None,
) -> HistoricalQuery:
    """Open what features are read from.

    Args:
        layout: The store.
        registry: Its definitions.
        features: A service, a view, or a list of views and references.
        as_of: Name of the spine's as_of column.
        join_keys: Entity key to spine column, where the names differ.
        parameters: The versions of a calibration by name.
        as_known: Whether a row sees only what was known before floor(as_of).
        versions: What an earlier answer read; the newest by default.
        publication: What was published, read instead, with the registry of then; any of its features may be asked for.
        max_lag_us: By how much the last complete state may lie before the present; ``None`` reads the newest, or fails.

    Raises:
        NotMaterializedError: no state within ``max_lag_us`` was complete.
        VersionError: the versions do not belong to these features, or to answers of the other mode.
    """
    outputs = registry.resolve(features)
    if publication:
        versions = publication.versions
    elif versions:
        versions.check_features([(registry.view(feature.view), feature) for feature in outputs], layout.naive_timezone)
    lag = None if max_lag_us is None else last_complete(layout, registry.views_of(outputs), max_lag_us=max_lag_us)
    read = lag.versions if lag else versions
    opener = KnownOpener(layout, read) if as_known else LedgerOpener(layout, read)
    queries = opener.queries(registry, outputs)
    joins = joined_queries(registry, outputs, opener)
    return HistoricalQuery(
        outputs, queries, joins, parameters, layout.naive_timezone, as_of, join_keys or {}, versions, publication, lag
    )


def stream_features(query: HistoricalQuery, rows: Any, *, batch_rows: int | None = None) -> pa.RecordBatchReader:
    """Enrich a spine batch after batch; see ``FeatureStore.stream_historical_features``."""
    rows_at_once = batch_rows or query.batch_rows()
    schema, batches = spine_batches(rows, batch_rows=rows_at_once, texts=query.texts(), timezone=query.timezone)
    answered = query.answer(schema.empty_table()).schema

    def answers() -> Iterator[pa.RecordBatch]:
        for table in batches:
            yield from one_piece(query.answer(table).cast(answered)).to_batches()

    return pa.RecordBatchReader.from_batches(answered, answers())


def write_features(reader: pa.RecordBatchReader, path: Path, *, progress: Callable[[int], None] | None = None) -> Path:
    """Write batches to one file, in the format that its ending says, aside until it is complete.

    Raises:
        SpineError: the folder does not exist, the ending is unknown, or the format has no type for a column.
        StoreError: what lies there is no regular file.
    """
    check_replaceable(path)
    ending = ending_of(path, SpineError)
    if not path.parent.is_dir():
        raise SpineError(f"There is no folder {path.parent} to write {path.name} in. Create it first.")
    with translating(path, "written"):
        check_writable(reader.schema, ending, SpineError)
    rows = 0
    with atomic_file(path) as aside, table_writer(aside, ending, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)
            rows += batch.num_rows
            if progress:
                progress(rows)
    return path
