"""Files of columns: Parquet and Arrow IPC, read batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

BATCH_ROWS = 65_536


def parquet_shape(path: Path) -> tuple[pa.Schema, int]:
    """Return the columns and the number of rows of a Parquet file, from its footer.

    Raises:
        ArrowException, OSError: it is missing, or no such file.
    """
    with pq.ParquetFile(path) as opened:
        return opened.schema_arrow, int(opened.metadata.num_rows)


def arrow_shape(path: Path) -> tuple[pa.Schema, int]:
    """Return the columns and the number of rows of an Arrow IPC file or stream; all of it is read, and found whole.

    Raises:
        ArrowException, OSError: it is missing, no such file, or damaged.
    """
    with _opened_arrow(path) as opened:
        schema = opened.schema
    return schema, sum(batch.num_rows for batch in arrow_batches(path))


def parquet_batches(path: Path, *, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
    """Read a Parquet file batch by batch, of at most so many rows.

    Raises:
        ArrowException, OSError: it is missing or damaged.
    """
    with pq.ParquetFile(path) as opened:
        yield from opened.iter_batches(batch_size=rows)


def arrow_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """Read an Arrow IPC file or stream batch by batch; offsets and texts are checked, since Arrow itself trusts them.

    Raises:
        ArrowException, OSError: it is missing or damaged.
    """
    with _opened_arrow(path) as opened:
        is_stream = isinstance(opened, pa.RecordBatchStreamReader)
        for batch in opened if is_stream else map(opened.get_batch, range(opened.num_record_batches)):
            batch.validate(full=True)
            yield batch


@contextmanager
def _opened_arrow(path: Path) -> Iterator[pa.RecordBatchFileReader | pa.RecordBatchStreamReader]:
    with pa.memory_map(str(path)) as mapped:
        try:
            opened = pa.ipc.open_file(mapped)
        except pa.ArrowInvalid:
            mapped.seek(0)
            opened = pa.ipc.open_stream(mapped)
        with opened:
            yield opened
