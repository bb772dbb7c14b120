"""What a Parquet file becomes in memory, told before any of it is decoded.

Its footer says how many values it has, and how many bytes they are after their encoding: a dictionary of one long text, or one that
repeats the beginning of the one before, is small there, whatever the number of rows. So the texts of such columns are measured,
which reads their lengths, where the footer allows that they are too much.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.errors import IngestError
from featurestore.lake.bounds import Bounds
from featurestore.lake.session import connect, quote
from featurestore.lake.table import parquet_scan_sql

_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}
_TEXT = "BYTE_ARRAY"
_EXPANDING = {"PLAIN_DICTIONARY", "RLE_DICTIONARY", "DELTA_BYTE_ARRAY"}
# How DuckDB counts the bytes of a text, by its Arrow type.
_LENGTHS = {"string": "strlen", "large_string": "strlen", "binary": "octet_length", "large_binary": "octet_length"}
_OVERHEAD = 16  # of a text, in memory
_MEMORY = "1GB"


@dataclass(frozen=True)
class ParquetSize:
    """What a file becomes.

    Args:
        rows: Its rows.
        decoded_bytes: All of them in memory.
        longest_row_bytes: The longest, at most.
    """

    rows: int
    decoded_bytes: int
    longest_row_bytes: int


def size_of(path: Path, bounds: Bounds) -> ParquetSize:
    """Tell what a file becomes, and refuse it if that is too much for its size.

    Raises:
        ArrowException: it is no whole Parquet file.
        IngestError: it has too many rows or columns, or becomes too much.
    """
    with pq.ParquetFile(path) as file:
        metadata, schema = file.metadata, file.schema_arrow
    file_bytes = path.stat().st_size
    bounds.check_columns(path, metadata.num_columns)
    bounds.check_rows(path, file_bytes=file_bytes, rows=metadata.num_rows)
    fixed_bytes = 0
    least: dict[str, int] = {}
    most: dict[str, int] = {}
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for number, chunk in enumerate(map(group.column, range(group.num_columns))):
            if chunk.physical_type != _TEXT:
                fixed_bytes += chunk.num_values * (_WIDTHS.get(chunk.physical_type) or metadata.schema.column(number).length)
                continue
            size = chunk.num_values * _OVERHEAD + chunk.total_uncompressed_size
            # No text is longer than its chunk, and each value may be the longest.
            expanded = chunk.num_values * chunk.total_uncompressed_size if _EXPANDING & set(chunk.encodings) else size
            name = chunk.path_in_schema
            least[name] = least.get(name, 0) + size
            most[name] = most.get(name, 0) + max(size, expanded)
    longest = 0
    if fixed_bytes + sum(most.values()) > bounds.batch_bytes:
        suspects = [field for field in schema if most.get(field.name, 0) > least.get(field.name, 0)]
        measured = _measured(path, suspects)
        longest = sum(each for _, each in measured.values())
        least |= {name: metadata.num_rows * _OVERHEAD + total for name, (total, _) in measured.items()}
    decoded_bytes = fixed_bytes + sum(least.values())
    bounds.check_size(path, file_bytes=file_bytes, decoded_bytes=decoded_bytes)
    rows = metadata.num_rows
    return ParquetSize(rows, decoded_bytes, longest + decoded_bytes // max(rows, 1))


def _measured(path: Path, columns: list[pa.Field]) -> dict[str, tuple[int, int]]:
    """Measure the texts of some columns: all of them together, and the longest; in bytes."""
    import duckdb

    sizes = {
        column.name: f"{function}({quote(column.name)})" for column in columns if (function := _LENGTHS.get(str(column.type)))
    }
    if not sizes:
        return {}
    lengths = ", ".join(f"sum({size}), max({size})" for size in sizes.values())
    with connect(path.parent, memory_limit=_MEMORY) as session:
        try:
            (found,) = session.execute(f"SELECT {lengths} FROM {parquet_scan_sql([path])}").fetchall()
        except duckdb.Error as error:
            raise IngestError(f"{path} cannot be read as Parquet: {error}") from error
    return {name: (int(found[2 * i] or 0), int(found[2 * i + 1] or 0)) for i, name in enumerate(sizes)}
