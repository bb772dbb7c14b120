"""Arrow tables as Parquet files of a Delta table: tiles, ledgers, keys, snapshots, sketches, scores, daily counts; and reading any.

What DuckDB writes from a query (events, superseded versions, quarantine) is in ``query_parquet.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.lake.digests import DamagedFileError, check_file, note_damaged
from featurestore.lake.files import CommittedFile
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
        plain = table.replace_schema_metadata(dict(metadata) if metadata else None)
        pq.write_table(plain, aside, compression="zstd", write_page_checksum=True)


def read_parquet(file: CommittedFile | Path, *, columns: Sequence[str] | None = None) -> pa.Table:
    """Read one file, all columns or some; partition columns are not added.

    Args:
        file: A committed file is compared with the digest in its table's log, once in a process; checksums of pages, where there
            are any, each time.
        columns: Names; all by default.

    Raises:
        DamagedFileError: the file is missing or damaged.
    """
    path = file if isinstance(file, Path) else file.path
    try:
        if isinstance(file, CommittedFile):
            check_file(file)
        with pq.ParquetFile(path, page_checksum_verification=True) as opened:  # ``read_table`` would import pandas
            return opened.read() if columns is None else opened.read(columns=list(columns)).select(list(columns))
    except FileNotFoundError as error:
        note_damaged(path, "is missing")
        raise DamagedFileError(path, "is missing (deleted, or an old version was vacuumed)") from error
    except (pa.ArrowException, KeyError, OSError) as error:
        note_damaged(path, "is damaged")
        raise DamagedFileError(path, f"is damaged ({error})") from error


def no_rows(schema: pa.Schema) -> pa.Table:
    """Return an empty table. ``schema.empty_table()`` would import pandas, if it is installed: a third of a second of a command."""
    return pa.Table.from_batches([], schema=schema)
