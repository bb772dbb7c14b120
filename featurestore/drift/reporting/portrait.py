"""A feature's distribution then and now, from its committed sketches: what a page shows of an episode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa

from featurestore.drift.audit_tables import AT, EDGES, AuditedView, rows_of
from featurestore.drift.reliability import CALIBRATION, Reliability
from featurestore.drift.sketches.edges import CATEGORY, NUMERIC, EdgeSet
from featurestore.drift.year_files import YEAR
from featurestore.lake.arrow_parquet import read_parquet
from featurestore.lake.table import Table
from featurestore.timeline import Month

MAX_REFERENCE_MONTHS = 12


@dataclass(frozen=True, eq=False)
class Portrait:
    """Shares of a feature's rows by bin.

    Attributes:
        kind: Kind of its edges.
        labels: Name of each bin; of a numeric one, its lower limit.
        now: [bins] share of the rows with a value in the month.
        then: [bins] in the reference months.
        month: The month.
        reference: The reference months.
        missing: Share of rows without a value, in the reference months and in the month.
        rows: Rows, likewise.
    """

    kind: str
    labels: tuple[str, ...]
    now: np.ndarray
    then: np.ndarray
    month: Month
    reference: tuple[Month, ...]
    missing: tuple[float, float]
    rows: tuple[int, int]


@dataclass(frozen=True, eq=False)
class ReliabilityPortrait:
    """How far forecasts were right.

    Attributes:
        now: Forecasts whose outcomes became known in the month.
        then: In the reference months.
        month: The month.
        reference: The reference months.
    """

    now: Reliability
    then: Reliability
    month: Month
    reference: tuple[Month, ...]

    @property
    def missing(self) -> tuple[float, float]:
        """Zero on both sides: forecasts without a value are not counted."""
        return 0.0, 0.0

    @property
    def rows(self) -> tuple[int, int]:
        """Forecasts, in the reference months and in the month."""
        return self.then.forecasts, self.now.forecasts


def portrait(
    audited: AuditedView, feature: str, segment: str | None, *, month: Month, reference: Sequence[Month]
) -> Portrait | ReliabilityPortrait | None:
    """Compare a month of a feature, or of how reliable a forecast is, with reference months.

    Returns:
        ``None`` when one side has no sketch of the same bins, or no value.
    """
    wanted = {month, *reference[-MAX_REFERENCE_MONTHS:]}
    tables = {file.partition[YEAR]: read_parquet(file) for file in Table.open(audited.sketches).files()}
    years = {str(each.year) for each in wanted} & set(tables)
    if str(month.year) not in years:
        return None
    edges = EdgeSet.from_json(tables[str(month.year)].schema.metadata[EDGES].decode())
    rows = pa.concat_tables([tables[year].replace_schema_metadata(None) for year in sorted(years)])
    own = {Month.parse(row[AT]): row for row in rows_of(rows, feature, segment).to_pylist()}
    now = own.get(month)
    if now is None or not (feature in edges or now["kind"] == CALIBRATION) or not now["counts"]:
        return None
    old = {each: own[each] for each in sorted(wanted - {month}) if each in own and own[each]["edges"] == now["edges"]}
    counts = [np.array(now["counts"]), np.sum([row["counts"] for row in old.values()], axis=0) if old else np.zeros(1)]
    if not all(side.sum() for side in counts):
        return None
    if now["kind"] == CALIBRATION:
        forecasts = now["rows"], sum(row["rows"] for row in old.values())
        here, there = (Reliability.from_counts(*each) for each in zip(forecasts, counts, strict=True))
        return ReliabilityPortrait(here, there, month, tuple(old))
    shares = [side / side.sum() for side in counts]
    sides = (list(old.values()), [now])
    return Portrait(
        now["kind"],
        _labels(now["kind"], edges, feature, now["labels"]),
        shares[0],
        shares[1],
        month,
        tuple(old),
        (_missing(sides[0]), _missing(sides[1])),
        (sum(row["rows"] for row in sides[0]), now["rows"]),
    )


def months_text(months: Sequence[Month]) -> str:
    """Name up to three months, and of more the first and the last.

    >>> months_text([Month(2021, 3), Month(2022, 3)]), months_text([Month(2022, month) for month in range(1, 5)])
    ('2021-03, 2022-03', '2022-01 to 2022-04')
    """
    return ", ".join(map(str, months)) if len(months) <= 3 else f"{months[0]} to {months[-1]}"


def short_number(value: float) -> str:
    """Write a number in three figures, thousands and millions by a letter.

    >>> [short_number(value) for value in (0.03846, 21.0, -94240.0, 2.932e6)]
    ['0.0385', '21', '-94.2k', '2.93M']
    """
    for letter, size in (("G", 1e9), ("M", 1e6), ("k", 1e4)):
        if abs(value) >= size:
            return f"{value / (1e3 if letter == 'k' else size):.3g}{letter}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _labels(kind: str, edges: EdgeSet, feature: str, labels: Sequence[str]) -> tuple[str, ...]:
    if kind == CATEGORY:
        return tuple(labels)
    own = edges[feature]
    if kind != NUMERIC:
        return own.labels
    # After an atom, a value that many rows share, the next bin begins right above it.
    is_above = [float(np.nextafter(low, np.inf)) == high for low, high in pairwise(own.cuts)]
    above = [
        f"> {short_number(low)}" if is_next else short_number(high)
        for is_next, (low, high) in zip(is_above, pairwise(own.cuts), strict=True)
    ]
    return ("", *map(short_number, own.cuts[:1]), *above)


def _missing(rows: Sequence[dict[str, int]]) -> float:
    total = sum(row["rows"] for row in rows)
    return sum(row["missing"] + row["nonfinite"] for row in rows) / total if total else 0.0
