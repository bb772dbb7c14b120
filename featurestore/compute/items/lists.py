"""Sub-ledger files: one row per entity, its values in lists. The offsets of a list column are where each entity's values end.

A file uses some of these columns, all int64, and is sorted inside each entity:

    items    item numbers, or bucket numbers
    rows     where each item's values of ``steps`` end, counted from the file's beginning
    steps    steps
    totals   running totals

In Parquet every file of a ledger table has all of the table's columns, NULL where they are not its own; its hot copy has
only its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

ITEMS, ROWS, STEPS, TOTALS = "items", "rows", "steps", "totals"
LIST = pa.list_(pa.int64())
FIELDS = tuple(pa.field(name, LIST) for name in (ITEMS, ROWS, STEPS, TOTALS))


class Columns(Protocol):
    """Columns by name, each one Arrow array."""

    def array(self, name: str) -> pa.Array:
        """Return a column by its name."""
        ...


@dataclass(frozen=True, eq=False)
class InMemory:
    """Columns of a table that lies in memory."""

    table: pa.Table

    def array(self, name: str) -> pa.Array:
        """Return a column by its name."""
        return self.table[name].combine_chunks()


@dataclass(frozen=True, eq=False)
class EntityLists:
    """A sub-ledger file, its columns as flat arrays.

    Args:
        file: Its columns.
    """

    file: Columns

    def ends(self, name: str) -> np.ndarray:
        """Return, per entity, where its values of a column end (int32)."""
        return np.asarray(self.file.array(name).offsets)[1:]

    def values(self, name: str) -> np.ndarray:
        """Return the values of all entities, as wide as they are stored."""
        return np.asarray(self.file.array(name).values.to_numpy())


def list_table(columns: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> pa.Table:
    """Make a table of one row per entity from flat columns: name to ``(number of values per entity, values)``."""
    arrays = {}
    for name, (counts, values) in columns.items():
        offsets = np.concatenate([[0], np.cumsum(counts)])
        if offsets[-1] >= 2**31:
            raise OverflowError(f"{offsets[-1]} values of one partition do not fit a list column.")
        arrays[name] = pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pa.array(values, pa.int64()))
    return pa.table(arrays)


def expanded(ends: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """List the values of some entities.

    Args:
        ends: Per entity, where its values end.
        codes: Entities, in any order, repeated or not; those beyond ``ends`` have no values.

    Returns:
        ``(position, value)``: index into ``codes`` and index of a value, one pair per value, in order of both.

    >>> expanded(np.array([2, 2, 5]), np.array([2, 0, 1, 9]))
    (array([0, 0, 0, 1, 1]), array([2, 3, 4, 0, 1]))
    """
    return listed(*segments(ends, codes))


def listed(starts: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """List the numbers ``[start, start + count)`` of each range.

    Returns:
        ``(range, number)``, in order of both.

    >>> listed(np.array([7, 3]), np.array([1, 2]))
    (array([0, 1, 1]), array([7, 3, 4]))
    """
    position = np.repeat(np.arange(len(counts)), counts)
    before = np.cumsum(counts) - counts
    return position, np.arange(len(position)) + np.repeat(starts - before, counts)


def segments(ends: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ``(first value, number of values)`` of each entity; nothing for codes that are negative or beyond ``ends``."""
    if not len(ends):
        return np.zeros(len(codes), np.int64), np.zeros(len(codes), np.int64)
    known = (codes >= 0) & (codes < len(ends))
    starts = np.where(codes > 0, ends.take(codes - 1, mode="clip"), 0).astype(np.int64)
    return starts, np.where(known, ends.take(codes, mode="clip") - starts, 0)


def joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Concatenate int64 arrays; none gives an empty one."""
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)
