"""The hot copy: a derived, memory-mapped Arrow file beside each ledger file.

It is named after its Parquet file, holds the same columns with integers as narrow as their values allow, and can be
deleted at any time: a missing or broken copy means reading the Parquet file.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pyarrow as pa

from featurestore.compute.search.derived_files import cache_file, drop_others
from featurestore.lake.arrow_parquet import read_parquet

ENDING = ".arrow"


def write_hot(file: Path, table: pa.Table) -> None:
    """Write the hot copy of a ledger or balances table, atomically: no crash leaves half of one under its name."""
    narrow = pa.table({name: _narrowed(table[name].combine_chunks()) for name in table.column_names})
    with cache_file(file) as aside, pa.ipc.new_file(str(aside), narrow.schema) as writer:
        for batch in narrow.to_batches():
            writer.write_batch(batch)


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
    """Columns of one ledger or balances file, read when asked for: from the hot copy if there is one, else from Parquet.

    Args:
        parquet: The committed file.
        hot: Where its hot copy would be.
    """

    def __init__(self, parquet: Path, hot: Path) -> None:
        self._parquet = parquet
        self._columns: dict[str, pa.Array] = {}
        self._mapped = read_hot(hot)

    def array(self, name: str) -> pa.Array:
        """Return a column as one Arrow array."""
        if name not in self._columns:
            source = self._mapped if self._mapped is not None else read_parquet(self._parquet, columns=[name])
            column = source[name]
            self._columns[name] = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
        return self._columns[name]

    def numbers(self, name: str) -> np.ndarray:
        """Return a column without NULLs as numpy numbers, as wide as they are stored."""
        return np.asarray(self.array(name).to_numpy())


def read_hot(file: Path) -> pa.Table | None:
    """Map a hot copy into memory; ``None`` where it is missing or broken."""
    try:
        return pa.ipc.open_file(pa.memory_map(str(file), "r")).read_all()
    except (OSError, pa.ArrowException):
        return None
