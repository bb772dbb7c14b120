"""Segments of a view: which values of a column are monitored apart.

A value gets its place in the first month in which it has rows enough, the most frequent first, until all places are taken; it
keeps it, so that its months can be compared. Rows of other values or without one belong to no segment: what is common to
them would change whenever one of them gets a place of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.drift.sketches.edges import texts, values_by_count

PLACES = 40


@dataclass(frozen=True)
class Places:
    """The values of each segment that have a place, in the order in which they got it.

    >>> rows = pa.table({"v__region": ["north"] * 3 + ["south"] * 2 + ["east"]})
    >>> places = Places().filled(rows, {"region": "v__region"}, min_rows=2)
    >>> places.values
    (('region', ('north', 'south')),)
    >>> places.columns(rows, {"region": "v__region"})["region"].to_pylist()
    ['north', 'north', 'north', 'south', 'south', None]
    """

    values: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def filled(self, rows: pa.Table, segments: Mapping[str, str], *, min_rows: int) -> Places:
        """Return these places and those of values that have ``min_rows`` rows for the first time.

        Args:
            rows: A snapshot.
            segments: Name of each segment to its column.
            min_rows: Rows that are enough.
        """
        known = dict(self.values)
        filled = []
        for name, column in segments.items():
            held = known.get(name, ())
            whole = texts(rows[column])
            counts = dict(zip(*(part.to_pylist() for part in pc.value_counts(whole.combine_chunks()).flatten()), strict=True))
            new = [value for value in values_by_count(whole) if value not in held and counts[value] >= min_rows]
            filled.append((name, (*held, *new)[:PLACES]))
        return Places(tuple(filled))

    def columns(self, rows: pa.Table, segments: Mapping[str, str]) -> dict[str, pa.ChunkedArray]:
        """Return each segment of a snapshot's rows as strings, NULL where the value has no place."""
        segmented = {}
        for name, held in self.values:
            values = texts(rows[segments[name]])
            has_place = pc.is_in(values, value_set=pa.array(held, pa.string()), skip_nulls=True)
            segmented[name] = pc.if_else(has_place, values, pa.scalar(None, pa.string()))
        return segmented

    def to_json(self) -> str:
        """Write the places as JSON."""
        return json.dumps(self.values)

    @classmethod
    def from_json(cls, text: str) -> Places:
        """Read what ``to_json`` wrote."""
        return cls(tuple((name, tuple(held)) for name, held in json.loads(text)))
