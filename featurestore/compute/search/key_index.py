"""The key index: the codes of a few keys among millions, without reading the millions.

    segment     a derived file (``hot_copy.py``) of some files of an entity's dictionary, which hold the codes [first, first + n):
        hash    uint64, ascending: of a key of any type, so that one search serves numbers, texts and pairs
        code    of the key with that hash
        key_i   the key columns, row c for the code first + c: a hash proposes, the key itself decides
    fences      the first hash of each ``FENCE_ROWS`` rows, in the file's metadata: a look-up reads one stretch of hashes, one code
                and one key, and checks the digests of these blocks alone

A dictionary has two segments at most: all but what came last, and that. The last one is merged into the first when it has grown to a
quarter of it, so a day's new keys sort the keys of the days before it and not of ten years. Which files make a segment follows from
the committed files; it is named after them, and a missing or damaged one is made again from them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.compute.keys import UNKNOWN, KeyDictionary, append_keys, key_type, keys_table, read_keys
from featurestore.compute.search.block_digests import DamagedCopyError
from featurestore.compute.search.derived_files import drop_folders
from featurestore.compute.search.hot_copy import ENDING, HotCopy, drop_hot
from featurestore.compute.search.key_hash import key_hash
from featurestore.lake.layout import Layout
from featurestore.lake.newest import NewestVersions
from featurestore.lake.retry import retried
from featurestore.lake.table import CommittedFile, Table
from featurestore.spec.document import digest

FENCE_ROWS = 1 << 14
MERGED_AT = 4
_FORMAT = 1
_FENCES = b"fences"


class KeyIndex:
    """Codes of the keys of one entity.

    Args:
        segments: In order of their codes.
        files: Names of their files, without the ending.
        version: Version of the dictionary's table.
    """

    def __init__(self, segments: Sequence[_Segment], files: Sequence[str], version: int) -> None:
        self._segments = list(segments)
        self.files = files
        self.version = version

    def __len__(self) -> int:
        return sum(segment.rows for segment in self._segments)

    @classmethod
    def open(cls, layout: Layout, entity: str, types: Sequence[str]) -> KeyIndex:
        """Return the index of an entity's newest dictionary. What this process has opened is kept until keys are added.

        Raises:
            StoreError: the dictionary is damaged.
        """
        table = Table.open(keys_table(layout.keys(entity), types))
        kept = _NEWEST.get(table.path)
        if kept is None or not kept.is_current:
            kept = cls.made(layout.hot_keys(entity), table, types)
            _NEWEST.keep(table.path, table.version, kept)
        return kept

    @property
    def is_current(self) -> bool:
        """Whether all that is mapped is still the file that it was."""
        return all(segment.copy.is_current for segment in self._segments)

    @property
    def is_mapped(self) -> bool:
        """Whether all of it lies in files, each still the one that was mapped."""
        return all(segment.copy.is_mapped for segment in self._segments)

    @classmethod
    def made(cls, folder: Path, table: Table, types: Sequence[str]) -> KeyIndex:
        """Map the segments of a dictionary; those that are not in the folder are made, and written if this user may write."""
        segments = list[_Segment]()
        first = 0
        plan = _planned(table.files())
        names = [digest([_FORMAT, list(types), [[file.name, file.modified_ms] for file in files]]) for files in plan]
        for name, files in zip(names, plan, strict=True):
            segments.append(_Segment.open(folder / f"{name}{ENDING}", files, types, first=first))
            first += segments[-1].rows
        return cls(segments, names, table.version)

    def codes(self, keys: Sequence[pa.Array]) -> np.ndarray:
        """Return the code of each key (int64); ``UNKNOWN`` for keys never seen or with a NULL part."""
        found = np.full(len(keys[0]), UNKNOWN, np.int64)
        has_key = np.ones(len(found), bool)
        for key in keys:
            if key.null_count:
                has_key &= np.asarray(key.is_valid())
        hashes = key_hash(keys)
        order = np.argsort(hashes)
        order = order[has_key[order]]
        for place, segment in enumerate(self._segments):
            asked = hashes[order], [key.take(pa.array(order)) for key in keys]
            try:
                mine = segment.codes(*asked)
            except DamagedCopyError:
                self._segments[place] = segment.made_again()
                mine = self._segments[place].codes(*asked)
            found[order] = mine
            order = order[mine == UNKNOWN]
        return found


_NEWEST = NewestVersions[KeyIndex]()


def extended_codes(layout: Layout, entity: str, types: Sequence[str], keys: Sequence[pa.Array]) -> np.ndarray:
    """Return the code of each key (int64), after committing codes for those that have none, as ``keys.extend_keys``.

    The keys that are known are looked up, not read: a day's few new keys cost what they are, not what ten years were.

    Args:
        layout: The store.
        entity: The entity.
        types: Schema types of its key columns.
        keys: The keys, distinct or not, no NULLs.

    Raises:
        CommitConflictError: other writers were faster again and again.
        StoreError: the dictionary is damaged.
    """
    path = layout.keys(entity)

    def step() -> np.ndarray:
        index = KeyIndex.open(layout, entity, types)
        codes = index.codes(keys)
        is_new = codes == UNKNOWN
        if is_new.any():
            unknown = [key.filter(pa.array(is_new)) for key in keys]
            new = KeyDictionary(tuple(pa.array([], key_type(kind)) for kind in types)).extended(unknown)
            append_keys(path, types, new.columns, first=len(index), read_version=index.version)
            codes[is_new] = len(index) + new.codes(unknown)
        return codes

    return retried(step, gave_up=f"Other writers kept extending the keys in {path}. Make the call again.")


def renew_index(layout: Layout, entity: str, types: Sequence[str]) -> None:
    """Write the segments that are missing, so that no reader waits for them; those that no one needs are deleted.

    Raises:
        StoreError: the dictionary is damaged.
    """
    folder = layout.hot_keys(entity)
    table = Table.open(keys_table(layout.keys(entity), types))
    index = _NEWEST.get(table.path)
    if index is None or not index.is_mapped:  # what was opened before may lie in memory alone, since the disk was full
        index = KeyIndex.made(folder, table, types)
        _NEWEST.keep(table.path, table.version, index)
    drop_hot(folder, keep=index.files)


def drop_indexes(layout: Layout, *, keep: Collection[str]) -> None:
    """Delete the indexes of all entities but these; whoever still maps one keeps reading it."""
    drop_folders(layout.hot_keys_root, ending=ENDING, keep=keep)


def _planned(files: Sequence[CommittedFile]) -> list[list[CommittedFile]]:
    """Divide the files of a dictionary between its segments, in order of their codes."""
    plan: list[list[CommittedFile]] = [[], []]
    rows = [0, 0]
    for file in sorted(files, key=lambda file: int(file.smallest("code"))):
        plan[1].append(file)
        rows[1] += file.rows
        if MERGED_AT * rows[1] > rows[0]:
            plan, rows = [[*plan[0], *plan[1]], []], [rows[0] + rows[1], 0]
    return [part for part in plan if part]


@dataclass(frozen=True, eq=False)
class _Segment:
    """A file of the index.

    Args:
        copy: Its columns.
        first: Its first code.
        rows: Its number of keys.
        fences: The first hash of each ``FENCE_ROWS`` rows.
        parquet: What it is made from.
        types: Schema types of the key columns.
    """

    copy: HotCopy
    first: int
    rows: int
    fences: np.ndarray
    parquet: Sequence[CommittedFile]
    types: Sequence[str]

    @classmethod
    def open(cls, path: Path, parquet: Sequence[CommittedFile], types: Sequence[str], *, first: int) -> _Segment:
        """Map a segment; one that is not there is made, and written if this user may write."""
        copy = HotCopy.open(path)
        if copy is None:
            copy = HotCopy.made(path, _sorted_segment(parquet, types, first=first))
        fences = np.frombuffer((copy.unchecked.schema.metadata or {})[_FENCES], "<u8")
        return cls(copy, first, copy.unchecked.num_rows, fences, parquet, types)

    def made_again(self) -> _Segment:
        """Return the segment anew, from what it is made from, whatever lies in its file."""
        self.copy.drop()
        return replace(self, copy=HotCopy.made(self.copy.path, _sorted_segment(self.parquet, self.types, first=self.first)))

    def codes(self, hashes: np.ndarray, keys: Sequence[pa.Array]) -> np.ndarray:
        """Return the code of each key, ``UNKNOWN`` for those that are not here.

        Args:
            hashes: Of the keys, ascending.
            keys: Without NULLs.

        Raises:
            DamagedCopyError: what was to be read is not what was written.
        """
        found = np.full(len(hashes), UNKNOWN, np.int64)
        known, codes_of = (self.copy.unchecked[name].chunk(0).to_numpy() for name in ("hash", "code"))
        rows = self._lower_bounds(known, hashes)
        open_ = np.flatnonzero(rows < self.rows)
        while len(open_):
            self.copy.check_rows("hash", rows[open_])
            open_ = open_[known[rows[open_]] == hashes[open_]]
            self.copy.check_rows("code", rows[open_])
            codes = codes_of[rows[open_]].astype(np.int64)
            is_it = np.ones(len(open_), bool)
            for i, key in enumerate(keys):
                is_it &= self._is_key(f"key_{i}", codes - self.first, key.take(pa.array(open_)))
            found[open_[is_it]] = codes[is_it]
            # Two keys of one hash lie next to each other.
            rows[open_] += 1
            open_ = open_[~is_it & (rows[open_] < self.rows)]
        return found

    def _lower_bounds(self, known: np.ndarray, hashes: np.ndarray) -> np.ndarray:
        """Return the first row whose hash is not smaller, stretch by stretch."""
        stretch = np.maximum(np.searchsorted(self.fences, hashes, side="left") - 1, 0)
        rows = np.empty(len(hashes), np.int64)
        starts = np.flatnonzero(np.diff(stretch, prepend=-1))
        ends = np.append(starts[1:], len(hashes)) if len(starts) else starts
        begins = stretch[starts] * FENCE_ROWS
        self.copy.check_rows("hash", begins, until=np.minimum(begins + FENCE_ROWS, self.rows))
        for low, high, begin in zip(starts.tolist(), ends.tolist(), begins.tolist(), strict=True):
            rows[low:high] = begin + np.searchsorted(known[begin : begin + FENCE_ROWS], hashes[low:high], side="left")
        return rows

    def _is_key(self, name: str, rows: np.ndarray, key: pa.Array) -> np.ndarray:
        self.copy.check_rows(name, rows)
        own = self.copy.unchecked[name].chunk(0).take(pa.array(rows))
        return np.asarray(pc.equal(own, key.cast(own.type) if pa.types.is_large_string(own.type) else key))


def _sorted_segment(parquet: Sequence[CommittedFile], types: Sequence[str], *, first: int) -> pa.Table:
    keys = read_keys(parquet, types, first=first)
    hashes = key_hash(keys)
    order = np.argsort(hashes, kind="stable")
    hashes = hashes[order]
    columns = {"hash": pa.array(hashes), "code": pa.array(order + first), **{f"key_{i}": key for i, key in enumerate(keys)}}
    return pa.table(columns).replace_schema_metadata({_FENCES: hashes[::FENCE_ROWS].astype("<u8").tobytes()})
