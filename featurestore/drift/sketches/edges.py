"""Bin edges: fitted once on reference rows, fixed and versioned, so that the counts of any two months can be compared.

A numeric feature has 64 bins. Their inner cuts are the reference's quantiles, equally spaced in normal scores
(-3.5 .. 3.5), so that a lognormal looks normal; beyond them a few bins of doubling width resolve what the reference
never saw, and the first and the last bin are open. Atoms (a value that many rows share) get a bin of their own.
A category feature has its most frequent values, OTHER (known, rare) and NEW (never seen in the reference).
A profile (fixed-size list) has one bin per list position.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from statistics import NormalDist
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.errors import DefinitionError, UnknownNameError, did_you_mean

NUMERIC, CATEGORY, PROFILE, UNSUPPORTED = "numeric", "category", "profile", "unsupported"
BINS = 64
TAIL_BINS = 8
FEW_VALUES = 40
TOP_CATEGORIES = 12
MAX_CATEGORIES = 4096
OTHER, NEW = "OTHER", "NEW"


@dataclass(frozen=True)
class FeatureEdges:
    """The bins of one feature.

    Attributes:
        feature: Column name.
        kind: ``numeric``, ``category``, ``profile`` or ``unsupported``.
        cuts: Ascending bin limits of a numeric feature; bin ``i`` is ``[cuts[i - 1], cuts[i])``, the outer ones are open.
        categories: Most frequent values of a category feature, in order of their counts.
        rest: Its other known values. Together they are at most ``MAX_CATEGORIES``.
        is_open: The reference had more values than that, so an unknown value counts as OTHER, never as NEW.
        positions: List length of a profile.
    """

    feature: str
    kind: str
    cuts: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    rest: tuple[str, ...] = ()
    is_open: bool = False
    positions: int = 0

    def __post_init__(self) -> None:
        if self.kind not in (NUMERIC, CATEGORY, PROFILE, UNSUPPORTED):
            raise DefinitionError(
                f"Feature {self.feature!r} has edges of kind {self.kind!r}.{did_you_mean(self.kind, (NUMERIC, CATEGORY, PROFILE))}"
            )
        if not np.all(np.diff(self.cuts) > 0):
            raise DefinitionError(f"The cuts of feature {self.feature!r} must ascend; they are {self.cuts[:5]}.")

    @property
    def bins(self) -> int:
        """Number of bins, the open ones, OTHER and NEW included."""
        return {NUMERIC: len(self.cuts) + 1, CATEGORY: len(self.categories) + 2}.get(self.kind, self.positions)

    @property
    def labels(self) -> tuple[str, ...]:
        """One label per bin, for reports."""
        if self.kind == CATEGORY:
            return (*self.categories, OTHER, NEW)
        if self.kind == NUMERIC:
            text = [f"{cut:.6g}" for cut in self.cuts]
            return (f"< {text[0]}", *(f"{low} .. {high}" for low, high in pairwise(text)), f">= {text[-1]}")
        return tuple(str(i) for i in range(self.positions))

    @cached_property
    def version(self) -> str:
        """Hash of the bins: counts of two months can be compared exactly when it is equal."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class EdgeSet:
    """The bins of several features, with a JSON form.

    >>> edges = fit_edges(pa.table({"price": [1.0, 2.0, 2.0], "colour": ["red", "red", "blue"]}))
    >>> EdgeSet.from_json(edges.to_json()) == edges
    True
    >>> edges["colour"].labels
    ('red', 'blue', 'OTHER', 'NEW')
    """

    features: tuple[FeatureEdges, ...]

    def __post_init__(self) -> None:
        names = self.names
        if len(set(names)) != len(names):
            raise DefinitionError(f"Two edges for one feature: {sorted({n for n in names if names.count(n) > 1})}.")

    @property
    def names(self) -> tuple[str, ...]:
        """The features, in order."""
        return tuple(edges.feature for edges in self.features)

    @property
    def version(self) -> str:
        """Hash of all bins."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]

    def __getitem__(self, feature: str) -> FeatureEdges:
        for edges in self.features:
            if edges.feature == feature:
                return edges
        raise UnknownNameError(f"No edges were fitted for feature {feature!r}.{did_you_mean(feature, self.names)}")

    def __contains__(self, feature: str) -> bool:
        return feature in self.names

    def with_features(self, more: Iterable[FeatureEdges]) -> EdgeSet:
        """Return these edges and ``more``, which replace those of the same features."""
        merged = {edges.feature: edges for edges in self.features} | {edges.feature: edges for edges in more}
        return EdgeSet(tuple(merged.values()))

    def to_json(self) -> str:
        """Write the edges as JSON; floats round-trip exactly."""
        return json.dumps([asdict(edges) for edges in self.features], sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> EdgeSet:
        """Read what ``to_json`` wrote.

        Raises:
            DefinitionError: the text is not that.
        """
        try:
            rows: list[dict[str, Any]] = json.loads(text)
            listed: list[dict[str, Any]] = [{k: tuple(v) if isinstance(v, list) else v for k, v in row.items()} for row in rows]
            return cls(tuple(FeatureEdges(**row) for row in listed))
        except (ValueError, TypeError, AttributeError) as error:
            raise DefinitionError(f"This is not an edge set, which EdgeSet.to_json() writes: {text[:80]!r}.") from error


def fit_edges(table: pa.Table, features: Sequence[str] | None = None) -> EdgeSet:
    """Fit the bins of each feature on reference rows.

    Args:
        table: Reference rows, one column per feature.
        features: Columns to fit. Default: all.

    Returns:
        Edges per feature; a column without a finite value has cuts around zero, one of a type that is not scored is
        ``unsupported``.

    Raises:
        UnknownNameError: the table lacks a feature.
    """
    names = table.column_names if features is None else list(features)
    for name in names:
        if name not in table.column_names:
            raise UnknownNameError(f"The reference rows have no column {name!r}.{did_you_mean(name, table.column_names)}")
    return EdgeSet(tuple(_fit_one(name, table.column(name)) for name in names))


def kind_of(column_type: pa.DataType) -> str:
    """Say how a column of a type is binned.

    >>> kind_of(pa.int64()), kind_of(pa.bool_()), kind_of(pa.list_(pa.float64(), 24))
    ('numeric', 'category', 'profile')
    """
    types = pa.types
    if types.is_dictionary(column_type):
        return kind_of(column_type.value_type)
    if any(is_such(column_type) for is_such in (types.is_integer, types.is_floating, types.is_decimal, types.is_temporal)):
        return NUMERIC
    if types.is_fixed_size_list(column_type):
        return PROFILE if kind_of(column_type.value_type) == NUMERIC else UNSUPPORTED
    is_text = any(is_such(column_type) for is_such in (types.is_string, types.is_large_string, types.is_string_view))
    return CATEGORY if is_text or types.is_boolean(column_type) else UNSUPPORTED


def numbers(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Read a numeric column as doubles and a mask of its NULLs; instants become microseconds, dates days."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = kind.value_type
    is_null = column.is_null().to_numpy() if column.null_count else np.zeros(len(column), bool)
    if pa.types.is_temporal(kind):
        whole = pa.int32() if kind.bit_width == 32 else pa.int64()
        column = (
            column.cast(pa.timestamp("us"), safe=False).cast(pa.int64()) if pa.types.is_timestamp(kind) else column.cast(whole)
        )
    return column.cast(pa.float64(), safe=False).to_numpy().astype(np.float64, copy=False), is_null


def texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Read a category column as strings."""
    return column.cast(pa.string())


def profiles(column: pa.ChunkedArray) -> np.ndarray:
    """Read a profile column as doubles -> [rows, positions]; what stands in the place of a NULL row says nothing."""
    whole = column.combine_chunks()
    size = whole.type.list_size
    flat = whole.values.slice(whole.offset * size, len(whole) * size).cast(pa.float64(), safe=False)
    return np.asarray(flat.to_numpy(zero_copy_only=False).reshape(len(whole), size))


def usable_values(column: pa.ChunkedArray) -> int:
    """Count the values that edges can be fitted on: finite ones, or those that are not NULL; none of an unsupported type."""
    kind = kind_of(column.type)
    if kind == NUMERIC:
        values, is_null = numbers(column)
        return int((np.isfinite(values) & ~is_null).sum())
    return 0 if kind == UNSUPPORTED else len(column) - column.null_count


def values_by_count(column: pa.ChunkedArray) -> list[str]:
    """List the different values of a string column, the most frequent first, ties by value; NULL is none."""
    counted = pc.value_counts(column.drop_null().combine_chunks())
    pairs = zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True)
    return [value for value, _ in sorted(pairs, key=lambda pair: (-pair[1], pair[0]))]


def _fit_one(name: str, column: pa.ChunkedArray) -> FeatureEdges:
    kind = kind_of(column.type)
    if kind == NUMERIC:
        values, is_null = numbers(column)
        return FeatureEdges(name, kind, cuts=_cuts(values[np.isfinite(values) & ~is_null]))
    if kind == CATEGORY:
        return _fit_category(name, texts(column))
    return FeatureEdges(name, kind, positions=column.type.list_size if kind == PROFILE else 0)


def _fit_category(name: str, column: pa.ChunkedArray) -> FeatureEdges:
    values = values_by_count(column)
    known = values[:MAX_CATEGORIES]
    return FeatureEdges(
        name,
        CATEGORY,
        categories=tuple(known[:TOP_CATEGORIES]),
        rest=tuple(sorted(known[TOP_CATEGORIES:])),
        is_open=len(values) > len(known),
    )


def _cuts(values: np.ndarray) -> tuple[float, ...]:
    """Choose the inner cuts of a numeric feature from its finite reference values."""
    if not len(values):
        return (0.0, float(np.nextafter(0.0, 1.0)))
    distinct = np.unique(values)
    if len(distinct) <= FEW_VALUES:
        inner = np.concatenate([distinct[:1], distinct[1:] / 2 + distinct[:-1] / 2, [np.nextafter(distinct[-1], np.inf)]])
    else:
        inner = _quantile_cuts(values)
    inner = np.unique(inner)
    return tuple(float(cut) for cut in _with_tails(inner[np.isfinite(inner)]))


def _quantile_cuts(values: np.ndarray) -> np.ndarray:
    shares = [NormalDist().cdf(score) for score in np.linspace(-3.5, 3.5, BINS - 1 - 2 * TAIL_BINS)]
    quantiles = np.quantile(values, shares, method="inverted_cdf")
    cuts, repeats = np.unique(quantiles, return_counts=True)
    # An atom: without a cut right after it, its rows would share a bin with the next larger values.
    return np.concatenate([cuts, np.nextafter(cuts[repeats > 1], np.inf), [np.nextafter(values.max(), np.inf)]])


def _with_tails(inner: np.ndarray) -> np.ndarray:
    """Add bins of doubling width on both sides, as far as doubles reach."""
    if len(inner) <= 2:  # a constant: on, below or above it is all there is to see
        return inner
    with np.errstate(over="ignore"):
        steps = (inner[-1] - inner[0]) / 4 * (2.0 ** np.arange(1, TAIL_BINS) - 1)
        cuts = np.concatenate([inner[0] - steps[::-1], inner, inner[-1] + steps])
    return np.unique(cuts[np.isfinite(cuts)])
