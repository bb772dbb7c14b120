"""The hot copy: a derived, memory-mapped Arrow file beside each ledger file.

It is named after its Parquet file, holds the same columns with integers as narrow as their values allow, and can be
deleted at any time: a missing or broken copy means reading the Parquet file. At its end lie digests of its blocks
(``block_digests.py``): those of a column are checked when a process first reads the column. A damaged copy is dropped and never
answered from; the next ``materialize`` makes it anew, as it does with copies of before that rule, which are not read any more.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pyarrow as pa

from featurestore.compute.search.block_digests import CheckedFile, DamagedCopyError, append_digests
from featurestore.compute.search.derived_files import cache_file, drop_copy, drop_others
from featurestore.errors import StoreError
from featurestore.lake.arrow_parquet import read_parquet
from featurestore.lake.files import CommittedFile
from featurestore.lake.footer import read_footer

ENDING = ".arrow"
FEW_ROWS = 4_096
"""Up to so many rows are looked at one by one; for more, whole columns are checked."""
_OFFSET_BYTES = 8
_BITS_A_BYTE = 8


def write_hot(file: Path, table: pa.Table) -> None:
    """Write the hot copy of a ledger or balances table, atomically: no crash leaves half of one under its name."""
    narrow = pa.table({name: _narrowed(table[name].combine_chunks()) for name in table.column_names})
    narrow = narrow.replace_schema_metadata(table.schema.metadata)
    with cache_file(file) as aside:
        with pa.ipc.new_file(str(aside), narrow.schema) as writer:
            for batch in narrow.to_batches():
                writer.write_batch(batch)
        append_digests(aside, name=file.stem, data=_data_of(aside))


def drop_hot(folder: Path, *, keep: Collection[str]) -> None:
    """Delete the hot copies of all but the files of these names; whoever still maps one keeps reading it."""
    drop_others(folder, ending=ENDING, keep=keep)


def _narrowed(column: pa.Array) -> pa.Array:
    if pa.types.is_list(column.type) and not column.null_count:
        return pa.ListArray.from_arrays(column.offsets, _narrowed(column.values))
    if column.type != pa.int64() or column.null_count or not len(column):
        return column
    values = column.to_numpy()
    low = int(values.min())
    high = int(values.max())
    for kind in (np.int16, np.int32):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return pa.array(values.astype(kind))
    return column


class ColumnFile:
    """Columns of one ledger or balances file, read when asked for: from the hot copy if there is a sound one, else from Parquet.

    Args:
        parquet: The committed file, or one that is going to be.
        hot: Where its hot copy would be.
    """

    def __init__(self, parquet: CommittedFile | Path, hot: Path) -> None:
        self._parquet = parquet
        self._path = parquet if isinstance(parquet, Path) else parquet.path
        self._columns: dict[str, pa.Array] = {}
        self._hot = HotCopy.open(hot)

    @property
    def is_mapped(self) -> bool:
        """Whether it is read from its hot copy, and that is still the file that was mapped."""
        hot = self._hot
        return hot is not None and hot.is_current

    @property
    def rows(self) -> int:
        """Number of rows."""
        hot = self._hot
        return hot.rows if hot is not None else read_footer(self._path).rows

    def array(self, name: str, rows: np.ndarray | None = None, until: np.ndarray | None = None) -> pa.Array:
        """Return a column as one Arrow array.

        Args:
            name: The column.
            rows: The rows that are looked at, or where each of some ranges begins: of a hot copy nothing else need be read; all
                rows by default.
            until: Where each range ends; by default each is one row.

        Raises:
            DamagedFileError: there is no sound hot copy, and the Parquet file is missing or damaged.
        """
        hot = self._hot  # another thread may find it damaged meanwhile
        if name not in self._columns and rows is not None and len(rows) <= FEW_ROWS and hot is not None:
            part = hot.some(name, rows, until)
            if part is not None:
                return part
        if name not in self._columns:
            column = hot.column(name) if hot is not None else None
            if column is None:
                self._hot = None
                column = read_parquet(self._parquet, columns=[name])[name]
            self._columns[name] = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
        return self._columns[name]

    def numbers(self, name: str, rows: np.ndarray | None = None, until: np.ndarray | None = None) -> np.ndarray:
        """Return a column without NULLs as numpy numbers, as wide as they are stored; see ``array``."""
        return np.asarray(self.array(name, rows, until).to_numpy())


class HotCopy:
    """A hot copy, mapped into memory; its columns are checked one by one, or the rows that are looked at.

    Args:
        path: Where it lies.
        checked: It, opened; ``None`` for columns that lie in memory alone.
        table: Its columns, not checked.
    """

    def __init__(self, path: Path, checked: CheckedFile | None, table: pa.Table) -> None:
        self.path = path
        self._checked = checked
        self.unchecked = table

    @classmethod
    def made(cls, path: Path, table: pa.Table) -> HotCopy:
        """Write a copy and map it; where this user cannot write, the columns are read from memory."""
        try:
            write_hot(path, table)
        except StoreError:  # what lies there may be the very copy that is damaged
            return cls(path, None, table)
        return cls.open(path) or cls(path, None, table)

    @classmethod
    def open(cls, path: Path) -> HotCopy | None:
        """Map a hot copy; ``None`` where it is missing, broken (then it is dropped), or has no digests."""
        try:
            checked = CheckedFile(path)
            return cls(path, checked, pa.ipc.open_file(pa.BufferReader(checked.content)).read_all())
        except (DamagedCopyError, pa.ArrowException):
            drop_copy(path)
        except OSError:
            pass
        return None

    @property
    def is_current(self) -> bool:
        """Whether the file that is mapped is still there, as it was; true of what lies in memory alone."""
        return self._checked is None or self._checked.is_current(self.path)

    @property
    def is_mapped(self) -> bool:
        """Whether it lies in a file, and that is the one that was mapped."""
        return self._checked is not None and self.is_current

    def column(self, name: str) -> pa.ChunkedArray | None:
        """Return a column after checking its blocks; ``None`` if they are damaged: then the copy is dropped."""
        column = self.unchecked[name]
        try:
            if self._checked is not None:
                self._checked.check(_ranges(column, self._checked.content))
        except DamagedCopyError:
            self.drop()
            return None
        return column

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.unchecked.num_rows)

    def some(self, name: str, rows: np.ndarray, until: np.ndarray | None) -> pa.Array | None:
        """Return a column of which only some rows are checked; ``None`` where that cannot be done, or they are damaged."""
        column = self.unchecked[name]
        if column.num_chunks != 1 or not (pa.types.is_primitive(column.type) and column.type.bit_width >= _BITS_A_BYTE):
            return None
        last = max(self.rows - 1, 0)
        try:
            self.check_rows(name, np.clip(rows, 0, last), until=None if until is None else np.clip(until, 0, last + 1))
        except DamagedCopyError:
            return None  # whoever reads the whole column drops the copy
        return column.chunk(0)

    def check_rows(self, name: str, rows: np.ndarray, *, until: np.ndarray | None = None) -> None:
        """Check the blocks of some rows of a column of numbers, or of texts without NULLs.

        Args:
            name: The column; it lies in one chunk.
            rows: The rows [n], or where each of ``n`` ranges begins.
            until: Where each range ends; by default each is one row.

        Raises:
            DamagedCopyError: one is not what was written.
        """
        if self._checked is None or not len(rows):
            return
        until = rows + 1 if until is None else until
        column = self.unchecked[name].chunk(0)
        validity, numbers = column.buffers()[:2]
        if validity is not None:
            base = validity.address - self._checked.content.address
            self._checked.check_at(base + rows // _BITS_A_BYTE, base + (until - 1) // _BITS_A_BYTE + 1)
        is_text = pa.types.is_large_string(column.type)
        width = _OFFSET_BYTES if is_text else column.type.bit_width // _BITS_A_BYTE
        base = numbers.address - self._checked.content.address
        self._checked.check_at(base + rows * width, base + (until + is_text) * width)
        if is_text and (texts := column.buffers()[2]) is not None:
            offsets = np.frombuffer(numbers, np.int64)
            base = texts.address - self._checked.content.address
            begins, ends = base + offsets[rows], base + offsets[until]
            self._checked.check_at(begins[begins < ends], ends[begins < ends])

    def drop(self) -> None:
        """Delete a damaged copy, if this user may; what is mapped stays readable."""
        drop_copy(self.path)

    def table(self) -> pa.Table | None:
        """Return all columns, as ``column`` does."""
        columns = {name: self.column(name) for name in self.unchecked.column_names}
        return None if any(column is None for column in columns.values()) else self.unchecked


def read_hot(file: Path) -> pa.Table | None:
    """Map a hot copy into memory and check all of it; ``None`` where it is missing or broken."""
    hot = HotCopy.open(file)
    return hot.table() if hot is not None else None


def copy_damage(file: Path) -> str | None:
    """Read all of a hot copy and say what is wrong with it, such as ``"is damaged at byte 0"``; ``None`` if nothing is."""
    try:
        checked = CheckedFile(file, is_fresh=True)
        checked.check([(0, checked.content.size)])
        pa.ipc.open_file(pa.BufferReader(checked.content)).read_all()
    except (DamagedCopyError, pa.ArrowException) as error:
        return str(error)
    except OSError as error:
        return f"cannot be read ({error})"
    return None


def _ranges(column: pa.ChunkedArray, content: pa.Buffer) -> list[tuple[int, int]]:
    """List the bytes of a file's content in which a column's buffers lie."""
    buffers = [buffer for chunk in column.chunks for buffer in chunk.buffers() if buffer is not None and buffer.size]
    return [(buffer.address - content.address, buffer.address - content.address + buffer.size) for buffer in buffers]


def _data_of(file: Path) -> tuple[int, int]:
    """Return where the columns of an Arrow file begin and end; of several batches nothing is read in parts."""
    content = pa.memory_map(str(file), "r").read_buffer()
    table = pa.ipc.open_file(pa.BufferReader(content)).read_all()
    ranges = [each for column in table.columns for each in _ranges(column, content)]
    if not ranges or any(column.num_chunks > 1 for column in table.columns):
        return content.size, content.size
    return min(begin for begin, _ in ranges), max(end for _, end in ranges)
