"""Arrow tables as Parquet files of a Delta table: tiles, ledgers, keys, snapshots, sketches, scores, daily counts; and reading any.

What DuckDB writes from a query (events, superseded versions, quarantine) is in ``query_parquet.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.errors import StoreError
from featurestore.lake.whole_file import atomic_file


def write_parquet(table: pa.Table, file: Path, *, metadata: Mapping[str, str] | None = None) -> None:
    """Write a table as a Parquet file, whole or not at all; the commit that names the file flushes it.

    Args:
        table: What to write; field metadata is kept.
        file: Path in an existing folder.
        metadata: The file's own metadata, in place of the table's.

    Raises:
        StoreError: it cannot be written: the disk is full, or the folder is not ours.
    """
    with atomic_file(file) as aside:
        pq.write_table(table.replace_schema_metadata(dict(metadata) if metadata else None), aside, compression="zstd")


def read_parquet(file: Path, *, columns: Sequence[str] | None = None) -> pa.Table:
    """Read one file, all columns or some; partition columns are not added.

    Raises:
        StoreError: the file is missing or damaged.
    """
    try:
        return pq.read_table(file, columns=None if columns is None else list(columns), partitioning=None)
    except FileNotFoundError as error:
        raise StoreError(
            f"{file} is missing, though a committed version of the store needs it: it was deleted, or an old version was vacuumed. "
            "Restore it from a backup, or read a newer version."
        ) from error
    except (pa.ArrowInvalid, OSError) as error:
        raise StoreError(
            f"{file} is damaged ({error}). Restore it from a backup; what is computed (tiles, ledger) can "
            "be deleted and materialized again."
        ) from error
