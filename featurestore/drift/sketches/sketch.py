"""Additive monthly sketches: what drift keeps of a month's rows.

    1. snapshot     (row, one column per feature)         read once, column by column
    2. bins         (row) -> bin number                   bisection in the feature's fixed cuts, or look-up of its categories
    3. counts       (segment, bin) -> rows                one bincount for all segments of a column
    4. sketch       one row per feature and segment       adds up over months, regions and segments

Segments are the values of a column, written ``region=9``; the sketch of all rows has the segment NULL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.drift.sketches.edges import (
    CATEGORY,
    NUMERIC,
    PROFILE,
    UNSUPPORTED,
    EdgeSet,
    FeatureEdges,
    kind_of,
    numbers,
    profiles,
    texts,
    values_by_count,
)
from featurestore.errors import FeatureStoreError, UnknownNameError, did_you_mean

SKETCH_SCHEMA = pa.schema(
    [
        ("feature", pa.string()),
        ("segment", pa.string()),
        ("kind", pa.string()),
        ("edges", pa.string()),
        ("rows", pa.int64()),
        ("missing", pa.int64()),
        ("nonfinite", pa.int64()),
        ("mean", pa.float64()),
        ("m2", pa.float64()),
        ("counts", pa.list_(pa.float64())),
        ("labels", pa.list_(pa.string())),
        ("full_since", pa.date32()),
        ("scored_on", pa.string()),
        ("fault", pa.string()),
    ]
)
MAX_SEGMENTS = 64


@dataclass(frozen=True)
class _Groups:
    """Rows of a table by segment: ``codes`` is [rows], ``None`` when all rows are one group; -1 belongs to none."""

    labels: tuple[str | None, ...]
    codes: np.ndarray | None

    def count(self, index: np.ndarray, bins: int, *, where: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Count rows per group and bin -> [groups, bins]."""
        if self.codes is not None:
            where = where & (self.codes >= 0)
            index = index + self.codes * bins
        picked = None if weights is None else weights[where]
        counts = np.bincount(index[where], picked, minlength=len(self.labels) * bins)
        return counts.reshape(len(self.labels), bins).astype(np.float64)


@dataclass(frozen=True)
class _Column:
    """One column's sketch, per group: the values of SKETCH_SCHEMA in the same order from ``missing`` to ``counts``."""

    missing: np.ndarray
    nonfinite: np.ndarray
    mean: np.ndarray
    m2: np.ndarray
    counts: np.ndarray


def sketch(table: pa.Table, edges: EdgeSet, *, segments: Sequence[str] = ()) -> pa.Table:
    """Summarise a month's rows as one row per feature, and per value of each segment column.

    Args:
        table: One column per feature; extra columns are ignored. A field's metadata may say ``full_since`` (ISO date of the
            first month whose window is full) and ``scored_on`` (``inflow``); both are kept.
        edges: Bins of the features to sketch.
        segments: Columns whose values are sketched apart as well (the ``MAX_SEGMENTS`` largest of each; NULL is no segment).

    Returns:
        ``SKETCH_SCHEMA``: ``rows`` counts all rows, ``missing`` the NULLs (and profiles without mass), ``nonfinite`` NaN and
        infinities; ``mean`` and ``m2`` (sum of squared deviations) are over finite values; of profiles ``m2`` adds up the squared
        distances of the rows' shares from their mean. They are NULL otherwise. ``counts`` has one entry per bin of the
        edges, fractional for profiles, whose rows weigh one each; ``labels`` names the bins of categories and is empty for
        other kinds. ``fault`` says why a column could not be counted: it is absent, or its type changed.

    Raises:
        UnknownNameError: the table lacks a segment column.
    """
    parts = [_sketch_group(table, edges, _Groups((None,), None))]
    for name in segments:
        if name not in table.column_names:
            raise UnknownNameError(f"The snapshot has no segment column {name!r}.{did_you_mean(name, table.column_names)}")
        groups = _segment_groups(name, table.column(name))
        parts += [_sketch_group(table, edges, groups)] if groups.labels else []
    return pa.concat_tables(parts)


def _segment_groups(name: str, column: pa.ChunkedArray) -> _Groups:
    values = texts(column)
    largest = values_by_count(values)[:MAX_SEGMENTS]
    codes = pc.fill_null(pc.index_in(values, value_set=pa.array(largest, pa.string()), skip_nulls=True), -1)
    return _Groups(tuple(f"{name}={value}" for value in largest), codes.to_numpy().astype(np.int64))


def _sketch_group(table: pa.Table, edges: EdgeSet, groups: _Groups) -> pa.Table:
    rows = groups.count(np.zeros(len(table), np.int64), 1, where=np.ones(len(table), bool))[:, 0]
    if not edges.features:
        return SKETCH_SCHEMA.empty_table()
    described, counted = zip(*(_sketch_feature(table, one, groups) for one in edges.features), strict=True)
    size = len(groups.labels)
    features = len(described)
    columns = {
        name: pa.array([row[name] for row in described for _ in range(size)], SKETCH_SCHEMA.field(name).type)
        for name in described[0]
    }
    for name in ("missing", "nonfinite"):
        columns[name] = pa.array(np.concatenate([getattr(one, name) for one in counted]).astype(np.int64))
    for name in ("mean", "m2"):
        columns[name] = pa.array(np.concatenate([getattr(one, name) for one in counted]), from_pandas=True)
    columns["segment"] = pa.array(list(groups.labels) * features, pa.string())
    columns["rows"] = pa.array(np.tile(rows.astype(np.int64), features))
    offsets = np.concatenate([[0], np.cumsum(np.repeat([one.counts.shape[1] for one in counted], size))])
    flat = np.concatenate([one.counts.ravel() for one in counted])
    columns["counts"] = pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pa.array(flat))
    return pa.table([columns[name] for name in SKETCH_SCHEMA.names], schema=SKETCH_SCHEMA)


def _sketch_feature(table: pa.Table, edges: FeatureEdges, groups: _Groups) -> tuple[dict[str, Any], _Column]:
    """Sketch one column: what describes it, and what was counted per group."""
    fault: str | None = "the snapshot has no such column"
    field = pa.field(edges.feature, pa.null())
    if edges.feature in table.column_names:
        field = table.schema.field(edges.feature)
        fault = _fault(field.type, edges)
    described = {
        "feature": edges.feature,
        "kind": edges.kind,
        "edges": edges.version,
        "labels": list(edges.labels) if edges.kind == CATEGORY else [],
        "full_since": full_since(field),
        "scored_on": (field.metadata or {}).get(b"scored_on", b"").decode() or None,
        "fault": fault,
    }
    if not fault and edges.kind != UNSUPPORTED:
        return described, _COUNTERS[edges.kind](table.column(edges.feature), edges, groups)
    nothing = np.zeros(len(groups.labels))
    return described, _Column(nothing, nothing, nothing * np.nan, nothing * np.nan, np.zeros((len(nothing), edges.bins)))


def full_since(field: pa.Field) -> date | None:
    """Read the first month whose window is full from a feature's metadata; ``None`` where nothing is said."""
    text = (field.metadata or {}).get(b"full_since")
    try:
        return date.fromisoformat(text.decode()) if text else None
    except ValueError as error:
        raise FeatureStoreError(
            f"Column {field.name!r} carries full_since={text!r}; write the first day of a month, as '2019-01-01'."
        ) from error


def _fault(column_type: pa.DataType, edges: FeatureEdges) -> str | None:
    kind = kind_of(column_type)
    if kind != edges.kind:
        return f"type changed: {column_type}, but its edges are of kind {edges.kind}"
    if kind == PROFILE and column_type.list_size != edges.positions:
        return f"type changed: a list of {column_type.list_size}, but its edges have {edges.positions} positions"
    return None


def _count_numeric(column: pa.ChunkedArray, edges: FeatureEdges, groups: _Groups) -> _Column:
    values, is_null = numbers(column)
    is_finite = np.isfinite(values) & ~is_null
    nothing = np.zeros(len(values), np.int64)
    counts = groups.count(np.searchsorted(edges.cuts, values, side="right"), edges.bins, where=is_finite)
    clean = np.where(is_finite, values, 0.0)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        mean = groups.count(nothing, 1, where=is_finite, weights=clean)[:, 0] / counts.sum(axis=1)
        own = mean[0] if groups.codes is None else mean[np.maximum(groups.codes, 0)]
        squares = np.square(clean - own)
    return _Column(
        missing=groups.count(nothing, 1, where=is_null)[:, 0],
        nonfinite=groups.count(nothing, 1, where=~is_finite & ~is_null)[:, 0],
        mean=mean,
        m2=np.where(np.isnan(mean), np.nan, groups.count(nothing, 1, where=is_finite, weights=squares)[:, 0]),
        counts=counts,
    )


def _count_categories(column: pa.ChunkedArray, edges: FeatureEdges, groups: _Groups) -> _Column:
    values = texts(column)
    top = len(edges.categories)
    is_null = column.is_null().to_numpy()
    known = pa.array([*edges.categories, *edges.rest], pa.string())
    unknown = top if edges.is_open else top + 1
    codes = pc.fill_null(pc.index_in(values, value_set=known, skip_nulls=True), -1).to_numpy().astype(np.int64)
    index = np.where(codes < 0, unknown, np.minimum(codes, top))
    nothing = np.zeros(len(groups.labels))
    return _Column(
        missing=groups.count(np.zeros(len(index), np.int64), 1, where=is_null)[:, 0],
        nonfinite=nothing,
        mean=nothing * np.nan,
        m2=nothing * np.nan,
        counts=groups.count(index, edges.bins, where=~is_null),
    )


def _count_profiles(column: pa.ChunkedArray, edges: FeatureEdges, groups: _Groups) -> _Column:
    values = profiles(column)
    size = edges.positions
    finite = np.where(np.isfinite(values) & (values > 0), values, 0.0)
    totals = finite.sum(axis=1)
    is_null = column.is_null().to_numpy()
    is_broken = ~is_null & np.isinf(values).any(axis=1)
    has_mass = ~is_null & ~is_broken & (totals > 0)
    nothing = np.zeros(len(values), np.int64)
    weights = np.divide(finite, totals[:, None], out=np.zeros_like(finite), where=has_mass[:, None])
    counts = [groups.count(nothing, 1, where=has_mass, weights=weights[:, i])[:, 0] for i in range(size)]
    stacked = np.stack(counts, axis=1) if size else np.zeros((len(groups.labels), 0))
    rows = groups.count(nothing, 1, where=has_mass)[:, 0]
    squares = groups.count(nothing, 1, where=has_mass, weights=np.square(weights).sum(axis=1))[:, 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        m2 = np.maximum(squares - np.square(stacked).sum(axis=1) / rows, 0.0)
    return _Column(
        missing=groups.count(nothing, 1, where=~has_mass & ~is_broken)[:, 0],
        nonfinite=groups.count(nothing, 1, where=is_broken)[:, 0],
        mean=np.full(len(groups.labels), np.nan),
        m2=m2,
        counts=stacked,
    )


_COUNTERS = {NUMERIC: _count_numeric, CATEGORY: _count_categories, PROFILE: _count_profiles}
