"""Comparing two tables of a view by their decoded values: hashes first, rows only where these differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from featurestore.compute.items.lists import FIELDS, ROWS
from featurestore.compute.keys import KeyDictionary
from featurestore.compute.search.row_hash import named_hash, set_hash, stable_hash
from featurestore.errors import StoreError

CODE, STEP, ENDS = "code", "step", "ends"


@dataclass(frozen=True, eq=False)
class CodedRows:
    """Rows of tiles, a ledger or balances, with the code of each row's entity.

    Args:
        codes: int64 [rows].
        values: The other columns; ``step`` among them where rows have one.
    """

    codes: np.ndarray
    values: pa.Table

    @classmethod
    def of_tiles(cls, table: pa.Table) -> CodedRows:
        """Read tiles, whose rows carry their own codes."""
        return cls(table[CODE].to_numpy(), table.drop_columns([CODE]).combine_chunks())

    @classmethod
    def of_ledger(cls, table: pa.Table, balances: pa.Table) -> CodedRows:
        """Read a ledger: which entity a row is of follows from where each entity's rows end.

        Raises:
            StoreError: the ends are not those of this ledger.
        """
        ends = balances[ENDS].to_numpy()
        codes = np.repeat(_codes_of(balances), np.diff(ends, prepend=0))
        if len(codes) != table.num_rows:
            raise StoreError(f"It has {table.num_rows} rows, but by its balances the last entity's rows end at {len(codes)}.")
        return cls(codes, table.drop_columns([ENDS]).combine_chunks())

    @classmethod
    def of_balances(cls, table: pa.Table, neutral: pa.Table) -> CodedRows:
        """Read balances, one row per entity, without the rows that say no more than a missing row does."""
        values = table.select(neutral.column_names).combine_chunks()
        says = np.flatnonzero(named_hash(values) != named_hash(neutral)[0])
        return cls(_codes_of(table)[says], values.take(pa.array(says)))

    @classmethod
    def of_sub_ledger(cls, table: pa.Table) -> CodedRows:
        """Read the lists of each entity that has values; columns that are not this file's own are left out."""
        own = [field.name for field in FIELDS if not table[field.name].null_count]
        columns = {name: table[name].combine_chunks() for name in own}
        ends = {name: np.asarray(column.offsets)[1:] for name, column in columns.items()}
        if ROWS in own:  # counted from the file's beginning; from the entity's, they depend on no other entity
            counts, rows = np.diff(ends[ROWS], prepend=0), columns[ROWS].values.to_numpy()
            starts = np.repeat(np.concatenate([[0], rows])[ends[ROWS] - counts], counts)
            columns[ROWS] = pa.ListArray.from_arrays(columns[ROWS].offsets, pa.array(rows - starts))
        codes = np.flatnonzero(np.any([np.diff(column, prepend=0) > 0 for column in ends.values()], axis=0))
        return cls(codes, pa.table(columns).take(pa.array(codes)))

    def chosen(self, is_chosen: np.ndarray) -> CodedRows:
        """Return the rows of the chosen entities, and those whose code is not known."""
        known = (self.codes >= 0) & (self.codes < len(is_chosen))
        kept = ~known | is_chosen.take(self.codes, mode="clip") if len(is_chosen) else np.ones(len(self.codes), bool)
        return self if kept.all() else CodedRows(self.codes[kept], self.values.filter(pa.array(kept)))


def _codes_of(balances: pa.Table) -> np.ndarray:
    """Return the code of each row of balances: its number, or what their column ``step`` says of those of active entities alone."""
    steps = balances[STEP]
    return np.arange(balances.num_rows) if steps.null_count else np.asarray(steps.to_numpy())


@dataclass(frozen=True, eq=False)
class Decoder:
    """Turns codes back into the keys that they stand for."""

    dictionary: KeyDictionary

    @cached_property
    def _hashes(self) -> np.ndarray:
        return stable_hash(self.dictionary.columns)

    def hashes(self, rows: CodedRows) -> np.ndarray:
        """Hash each row: its key and its values by name (uint64)."""
        known = (rows.codes >= 0) & (rows.codes < len(self._hashes))
        keys = self._hashes.take(rows.codes, mode="clip") if len(self._hashes) else np.zeros(len(rows.codes), np.uint64)
        # A code without a key hashes as itself: two such rows differ from all others.
        keys = np.where(known, keys, ~rows.codes.astype(np.uint64))
        return named_hash(rows.values.append_column("\0key", pa.array(keys)))

    def key(self, code: int) -> tuple[Any, ...]:
        """Return the key of a code, or a text with the code where it has none."""
        if not 0 <= code < len(self.dictionary):
            return (f"code {code}, which has no key",)
        return tuple(column[code].as_py() for column in self.dictionary.columns)


@dataclass(frozen=True)
class ComparedTables:
    """Two hashes, and where they differ the first row that does: code, step and column with both values."""

    committed: str
    recomputed: str
    code: int = -1
    step: int | None = None
    column: str | None = None
    values: tuple[Any, Any] = (None, None)

    @property
    def is_equal(self) -> bool:
        """Whether the hashes agree."""
        return self.committed == self.recomputed


def compare(committed: CodedRows, recomputed: CodedRows, decoder: Decoder) -> ComparedTables:
    """Compare two sets of rows; the first difference is the one of the earliest step, then of the lowest code."""
    hashes = decoder.hashes(committed), decoder.hashes(recomputed)
    texts = f"{set_hash(hashes[0]):016x}", f"{set_hash(hashes[1]):016x}"
    if texts[0] == texts[1]:
        return ComparedTables(*texts)
    first = _first(committed, recomputed, hashes)
    code, step = first
    sides = [_row(rows, code, step) for rows in (committed, recomputed)]
    if sides[0] is None or sides[1] is None or len(sides[0]) != len(sides[1]):
        return ComparedTables(*texts, code, step, None, (sides[0], sides[1]))
    differing = [name for name in sides[0] if not _is_same(sides[0][name], sides[1].get(name))]
    column = differing[0] if differing else None
    values = (sides[0], sides[1]) if column is None else (sides[0][column], sides[1][column])
    return ComparedTables(*texts, code, step, column, values)


def _first(committed: CodedRows, recomputed: CodedRows, hashes: tuple[np.ndarray, np.ndarray]) -> tuple[int, int | None]:
    """Return code and step of the first row that is not as often on one side as on the other."""
    every = np.concatenate(hashes)
    _, which = np.unique(every, return_inverse=True)
    surplus = np.zeros(len(every), np.int64)
    np.add.at(surplus, which, np.repeat([1, -1], [len(hashes[0]), len(hashes[1])]))
    odd = np.flatnonzero(surplus[which])
    codes = np.concatenate([committed.codes, recomputed.codes])[odd]
    if STEP not in committed.values.column_names:
        return int(codes.min()), None
    steps = np.concatenate([rows.values[STEP].to_numpy() for rows in (committed, recomputed)])[odd]
    first = np.lexsort((codes, steps))[0]
    return int(codes[first]), int(steps[first])


def _row(rows: CodedRows, code: int, step: int | None) -> dict[str, Any] | None:
    is_it = rows.codes == code
    if step is not None:
        is_it &= rows.values[STEP].to_numpy() == step
    matching = np.flatnonzero(is_it)
    return rows.values.take(pa.array(matching[:1])).to_pylist()[0] if len(matching) else None


def _is_same(a: Any, b: Any) -> bool:
    return bool(a == b or (a != a and b != b))


def differing_columns(a: pa.Table, b: pa.Table, names: Sequence[str]) -> list[str]:
    """List the columns of two tables with rows in the same order that do not hold the same values, whatever their widths."""
    if a.num_rows != b.num_rows:
        return list(names)
    return [
        name
        for name in names
        if name not in b.column_names or not np.array_equal(named_hash(a.select([name])), named_hash(b.select([name])))
    ]
