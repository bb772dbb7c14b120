"""All months of one feature and segment, as arrays: the monitor's input.

Months are contiguous from the first to the last snapshot; a month without a snapshot is a hole that nothing was seen in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa

from featurestore.drift.data_faults.feature_fault import SCHEMA
from featurestore.timeline import Month, months_between


@dataclass(frozen=True, eq=False)
class FeatureSeries:
    """One feature and segment over ``M`` months, sketched with one version of its edges.

    Attributes:
        name: The feature's column.
        segment: ``region=9``, or ``None`` for all rows.
        kind: Kind of its edges.
        labels: Names of the bins of a category feature.
        first: Index of the first month with a sketch.
        end: Index of the first month that belongs to a later version of the edges; ``M`` if none.
        is_given: [M] whether there is a sketch.
        is_full: [M] whether its window was full.
        rows: [M] all rows, of months that were sketched with other edges too.
        empty: [M] rows without a value: NULL, NaN or infinite.
        counts: [M, bins] rows per bin.
        mean: [M] of finite values; NaN where the kind has none.
        m2: [M] sum of squared deviations, of a profile from its mean; NaN where the kind has none.
        faults: Month index to the kind of a data fault and what was wrong.
        spoiled: Month index to the source's fault that its windows hold.
        full_since: First month whose window was full, if said.
        scored_on: ``inflow``, or ``None``.
    """

    name: str
    segment: str | None
    kind: str
    labels: tuple[str, ...]
    first: int
    end: int
    is_given: np.ndarray
    is_full: np.ndarray
    rows: np.ndarray
    empty: np.ndarray
    counts: np.ndarray
    mean: np.ndarray
    m2: np.ndarray
    faults: dict[int, tuple[str, str]]
    spoiled: dict[int, str]
    full_since: date | None
    scored_on: str | None

    def is_sufficient(self, min_rows: int) -> np.ndarray:
        """Say for each month whether it can be compared: a full window, rows enough, no fault -> [M]."""
        is_sound = np.ones(len(self.rows), bool)
        is_sound[[*self.faults, *self.spoiled]] = False
        return np.asarray(self.is_given & self.is_full & is_sound & (self.rows >= min_rows))


Spoiled = Mapping[str, Mapping[Month, str]]
NOTHING_SPOILED: Spoiled = MappingProxyType({})


def collect_features(
    sketches: Iterable[tuple[date, pa.Table]], *, spoiled: Spoiled = NOTHING_SPOILED
) -> tuple[list[Month], np.ndarray, list[FeatureSeries]]:
    """Line monthly sketches up by feature and segment.

    Args:
        sketches: First day of the month and table of ``SKETCH_SCHEMA``, in any order. Of a month given twice, the last counts.
        spoiled: Feature to the months whose values a fault of the source has spoiled, and by what.

    Returns:
        The contiguous months, whether each was given ``[M]``, and the features in order of first appearance.
    """
    by_month = {Month.parse(day): table for day, table in sketches}
    if not by_month:
        return [], np.zeros(0, bool), []
    months = months_between(min(by_month), max(by_month))
    columns = {t: _SketchColumns.of(by_month[month]) for t, month in enumerate(months) if month in by_month}
    by_series: dict[tuple[str, str | None], dict[str, list[_Place]]] = {}
    for t, source in columns.items():
        keys = zip(*(source.plain[column] for column in ("feature", "segment", "edges")), strict=True)
        for i, (name, segment, version) in enumerate(keys):
            by_series.setdefault((name, segment), {}).setdefault(version, []).append((t, i))
    features = []
    for versions in by_series.values():
        firsts = [places[0][0] for places in versions.values()]
        for places in versions.values():
            later = [first for first in firsts if first > places[0][0]]
            feature = _feature(places, columns, months, end=min(later, default=len(months)))
            reasons = spoiled.get(feature.name, {})
            feature.spoiled.update({t: reasons[month] for t, month in enumerate(months) if month in reasons})
            _note_other_edges(
                feature, [place for other in versions.values() if other is not places for place in other], columns
            )
            features.append(feature)
    return months, np.array([month in by_month for month in months]), features


_Place = tuple[int, int]  # month index, row of that month's sketch table


@dataclass(frozen=True)
class _SketchColumns:
    """A sketch table's columns, unpacked once."""

    plain: dict[str, list[Any]]
    counts: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, table: pa.Table) -> _SketchColumns:
        whole = table["counts"].combine_chunks()
        plain = {name: table[name].to_pylist() for name in table.column_names if name != "counts"}
        return cls(plain, whole.flatten().to_numpy(), np.concatenate([[0], np.cumsum(np.diff(whole.offsets.to_numpy()))]))


def _note_other_edges(feature: FeatureSeries, places: list[_Place], columns: dict[int, _SketchColumns]) -> None:
    """Note the rows of a feature's months that were sketched with other edges; each had too few values for lasting ones."""
    for t, i in places:
        if feature.first <= t < feature.end:
            plain = columns[t].plain
            feature.rows[t], feature.empty[t] = plain["rows"][i], plain["missing"][i] + plain["nonfinite"][i]
            feature.is_full[t] = True


def _feature(places: list[_Place], columns: dict[int, _SketchColumns], months: list[Month], *, end: int) -> FeatureSeries:
    t, i = places[-1]
    last = {name: values[i] for name, values in columns[t].plain.items()}
    bins = int(columns[t].offsets[i + 1] - columns[t].offsets[i])
    is_given = np.zeros(len(months), bool)
    is_full = np.zeros(len(months), bool)
    counts = np.zeros((len(months), bins))
    rows, missing, nonfinite = np.zeros((3, len(months)), np.int64)
    mean, m2 = np.full((2, len(months)), np.nan)
    faults: dict[int, tuple[str, str]] = {}
    for t, i in places:
        source = columns[t]
        is_given[t] = True
        since = source.plain["full_since"][i]
        is_full[t] = since is None or Month.parse(since) <= months[t]
        rows[t], missing[t], nonfinite[t] = (source.plain[name][i] for name in ("rows", "missing", "nonfinite"))
        counts[t] = source.counts[source.offsets[i] : source.offsets[i + 1]]
        for array, name in ((mean, "mean"), (m2, "m2")):
            array[t] = np.nan if source.plain[name][i] is None else source.plain[name][i]
        if source.plain["fault"][i]:
            faults[t] = SCHEMA, source.plain["fault"][i]
    return FeatureSeries(
        name=last["feature"],
        segment=last["segment"],
        kind=last["kind"],
        labels=tuple(last["labels"]),
        first=places[0][0],
        end=end,
        is_given=is_given,
        is_full=is_full,
        rows=rows,
        empty=missing + nonfinite,
        counts=counts,
        mean=mean,
        m2=m2,
        faults=faults,
        spoiled={},
        full_since=last["full_since"],
        scored_on=last["scored_on"],
    )
