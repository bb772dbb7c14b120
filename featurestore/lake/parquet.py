"""Small Parquet files of the store's own: written whole or not at all, read without guessing partitions from their path."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.errors import StoreError


def write_parquet(table: pa.Table, file: Path, *, metadata: Mapping[str, str] | None = None) -> None:
    """Write a table under a content-addressed name: aside first, so that two writers never share a half file.

    Args:
        table: What to write; field metadata is kept.
        file: Path in an existing folder.
        metadata: The file's own metadata, in place of the table's.

    Raises:
        StoreError: it cannot be written: the disk is full, or the folder is not ours.
    """
    aside = file.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        pq.write_table(table.replace_schema_metadata(dict(metadata) if metadata else None), aside, compression="zstd")
        os.replace(aside, file)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise StoreError(
            f"{file} cannot be written ({error}). Nothing of it was committed: make room, or give the right to write, and make "
            "the call again."
        ) from error


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
