"""Keys to codes: one append-only dictionary per entity, shared by its views.

1. A key is one value or a tuple of them; its code is a dense int64 from 0, in order of first appearance, never reused.
2. Committed form: a Delta table of (code, key columns), one file per extension. An extension is committed only on the
   version that it was numbered from, so no two writers give out one code. Keys of other types live in a table of their own.
3. In memory: each part of a key becomes a rank among the known values of that part (int64: bisection in a sorted array;
   string: a hash lookup); ranks are packed pairwise into int64 and ranked again, so that any number of columns fits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.errors import CommitConflictError, StoreError
from featurestore.lake.arrow_parquet import read_parquet, write_parquet
from featurestore.lake.retry import retried
from featurestore.lake.storage import STORAGE
from featurestore.lake.table import CommittedFile, Table, commit, describe, stage
from featurestore.lake.witness import record_version

UNKNOWN = -1


class _Ranks:
    """Rank of values among known ones: positions in the sorted distinct values, -1 for unknown or NULL."""

    def __init__(self, known: pa.Array) -> None:
        self._is_text = not pa.types.is_integer(known.type)
        self._known = pc.unique(known) if self._is_text else _distinct(known.to_numpy(zero_copy_only=False))
        self.count = len(self._known)

    def of(self, values: pa.Array) -> np.ndarray:
        if self._is_text:
            return np.asarray(pc.fill_null(pc.index_in(values, value_set=self._known), UNKNOWN), np.int64)
        nulls = np.asarray(values.is_null()) if values.null_count else None
        ranks = self.of_numbers(np.asarray(pc.fill_null(values, 0) if nulls is not None else values))
        if nulls is not None:
            ranks[nulls] = UNKNOWN
        return ranks

    def of_numbers(self, numbers: np.ndarray) -> np.ndarray:
        if not self.count:
            return np.full(len(numbers), UNKNOWN, np.int64)
        # Sorted probes walk through the known values once; in any order, each would miss the cache at every halving.
        order = np.argsort(numbers)
        probes = numbers[order]
        position = np.minimum(np.searchsorted(self._known, probes), self.count - 1)
        ranks = np.empty(len(numbers), np.int64)
        ranks[order] = np.where(self._known[position] == probes, position, UNKNOWN)
        return ranks


def _distinct(values: np.ndarray) -> np.ndarray:
    """Sort and drop repeats; ``np.unique`` hashes first, which is ten times slower on a million keys."""
    ordered = np.sort(values)
    return ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])] if len(ordered) else ordered


@dataclass(frozen=True, eq=False)
class KeyDictionary:
    """The known keys of one entity.

    Args:
        columns: Key columns in key order; row c is the key with code c.
    """

    columns: tuple[pa.Array, ...]

    def __len__(self) -> int:
        return len(self.columns[0])

    @cached_property
    def _levels(self) -> tuple[list[_Ranks], list[_Ranks], np.ndarray]:
        """Ranks of each part, of each packed pair, and the code of each final rank."""
        parts = [_Ranks(column) for column in self.columns]
        rank = parts[0].of(self.columns[0])
        pairs = []
        for part, column in zip(parts[1:], self.columns[1:], strict=True):
            packed = rank * part.count + part.of(column)
            pairs.append(_Ranks(pa.array(packed)))
            rank = pairs[-1].of_numbers(packed)
        code_of_rank = np.empty(len(self), np.int64)
        code_of_rank[rank] = np.arange(len(self))
        return parts, pairs, code_of_rank

    def codes(self, keys: Sequence[pa.Array]) -> np.ndarray:
        """Return the code of each key (int64); ``UNKNOWN`` for keys never seen or with a NULL part."""
        parts, pairs, code_of_rank = self._levels
        rank = parts[0].of(keys[0])
        for part, pair, column in zip(parts[1:], pairs, keys[1:], strict=True):
            other = part.of(column)
            known = (rank >= 0) & (other >= 0)
            rank = np.where(known, pair.of_numbers(np.where(known, rank * part.count + other, UNKNOWN)), UNKNOWN)
        if not len(code_of_rank):
            return np.full(len(keys[0]), UNKNOWN, np.int64)
        return np.where(rank >= 0, code_of_rank.take(rank, mode="clip"), UNKNOWN)

    def extended(self, keys: Sequence[pa.Array]) -> KeyDictionary:
        """Return a dictionary that also knows these keys (distinct or not, no NULLs), the new ones in key order."""
        unknown = pa.array(self.codes(keys) == UNKNOWN)
        names = [f"key_{i}" for i in range(len(keys))]
        new = pa.table([key.filter(unknown) for key in keys], names=names).group_by(names).aggregate([])
        if not new.num_rows:
            return self
        new = new.sort_by([(name, "ascending") for name in names])
        return KeyDictionary(
            tuple(
                pa.concat_arrays([column, *new[name].cast(column.type).chunks])
                for column, name in zip(self.columns, names, strict=True)
            )
        )

    def slice(self, start: int) -> tuple[pa.Array, ...]:
        """Return the key columns from a code on."""
        return tuple(column.slice(start) for column in self.columns)


def key_type(kind: str) -> pa.DataType:
    """Return the Arrow type in which keys of a schema type are kept."""
    return pa.int64() if kind == "int64" else pa.large_string()


def load_keys(path: Path, types: Sequence[str], *, table: Table | None = None) -> KeyDictionary:
    """Read the committed dictionary of an entity; empty when there is none.

    Args:
        path: Folder of the entity's dictionaries.
        types: Schema types of the key columns.
        table: A snapshot of the dictionary's table, where the caller has one.

    Raises:
        StoreError: its codes are not 0, 1, 2 and so on: it was damaged.
    """
    return KeyDictionary(read_keys((table or Table.open(keys_table(path, types))).files(), types))


def read_keys(files: Sequence[CommittedFile], types: Sequence[str], *, first: int = 0) -> tuple[pa.Array, ...]:
    """Read the key columns of some files of a dictionary, in order of their codes.

    Args:
        files: The files, in any order.
        types: Schema types of the key columns.
        first: Their first code.

    Raises:
        StoreError: their codes are not ``first`` and what follows: the dictionary was damaged.
    """
    if not files:
        return tuple(pa.array([], key_type(kind)) for kind in types)
    rows = pa.concat_tables([read_parquet(file) for file in files]).sort_by("code").combine_chunks()
    if not np.array_equal(rows["code"].to_numpy(), np.arange(first, first + rows.num_rows)):
        raise StoreError(
            f"The codes of the keys in {files[0].path.parent} are not consecutive. Restore the folder from a backup."
        )
    return tuple(
        pa.concat_arrays([pa.array([], key_type(kind)), *rows[f"key_{i}"].cast(key_type(kind)).chunks])
        for i, kind in enumerate(types)
    )


def count_keys(path: Path, types: Sequence[str]) -> int:
    """Return the number of keys that have a code now; these codes never change."""
    return sum(file.rows for file in Table.open(keys_table(path, types)).files())


def used_codes(balances: Iterable[CommittedFile]) -> int:
    """Return the number of codes that totals were made with, from files of balances; see ``check_codes``."""
    return max((max(file.rows, (file.largest("step") or -1) + 1) for file in balances), default=0)


def check_codes(path: Path, types: Sequence[str], balances: Iterable[CommittedFile]) -> None:
    """Refuse a dictionary that knows fewer keys than totals were made with: others would be given the codes of those it forgot.

    Args:
        path: Folder of the entity's dictionaries.
        types: Schema types of the key columns.
        balances: Files of a ledger's balances, a row for each code, or for each of the codes in their column ``step``.

    Raises:
        StoreError: names both counts and the repair.
    """
    used = used_codes(balances)
    known = count_keys(path, types) if used else 0
    if known < used:
        raise StoreError(
            f"The dictionary {keys_table(path, types)} knows {known:,} keys, and totals were made with {used:,}: it was lost in "
            "part, or is another store's. Restore it from a backup that is as new as the ledgers. Without one, delete the store's "
            "folders lake/keys, lake/tiles, lake/ledger, hot and known, and materialize: they are made again from the events."
        )


def extend_keys(path: Path, types: Sequence[str], keys: Sequence[pa.Array]) -> KeyDictionary:
    """Commit the codes of keys that have none yet, and return the dictionary that knows them all.

    Another writer may extend the dictionary meanwhile: then its codes are read, and only what is still missing is added.

    Raises:
        CommitConflictError: other writers were faster again and again.
    """

    def step() -> KeyDictionary:
        table = Table.open(keys_table(path, types))
        before = load_keys(path, types, table=table)
        after = before.extended(keys)
        if len(after) > len(before):
            append_keys(path, types, after.slice(len(before)), first=len(before), read_version=table.version)
        return after

    return retried(step, gave_up=f"Other writers kept extending the keys in {path}. Make the call again.")


def append_keys(path: Path, types: Sequence[str], keys: Sequence[pa.Array], *, first: int, read_version: int) -> None:
    """Commit the codes ``first``, ``first + 1`` and so on for keys that have none.

    Args:
        path: Folder of the entity's dictionaries.
        types: Schema types of the key columns.
        keys: Distinct keys, in order of their codes.
        first: The number of keys that have a code.
        read_version: Version of the dictionary's table in which that was seen.

    Raises:
        CommitConflictError: another writer has extended the dictionary since.
    """
    place = keys_table(path, types)
    names = ["code", *(f"key_{i}" for i in range(len(types)))]
    added = pa.table([pa.array(np.arange(first, first + len(keys[0]))), *keys], names=names)
    file = stage(place, {})
    write_parquet(added, file)
    try:
        message = f"{added.num_rows} keys"
        version = commit(place, add=[describe(file, {})], read_version=read_version, message=message, is_lasting=True)
        record_version(place, version)
    except CommitConflictError:
        STORAGE.delete(file)
        raise


def keys_table(path: Path, types: Sequence[str]) -> Path:
    """Return the table of the dictionary of keys of some types, below the folder of an entity's dictionaries."""
    return path / "-".join(types)
