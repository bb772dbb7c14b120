"""Parquet footers: rows, schema and column statistics without reading data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.errors import StoreError

_LONGEST_TEXT = 200


@dataclass(frozen=True)
class Footer:
    """What a Parquet file says about itself.

    ``minimum``, ``maximum`` and ``null_count`` map top-level columns to values; a column without complete and
    comparable statistics (nested, decimal, boolean, long texts, NaN) is absent.
    """

    rows: int
    schema: pa.Schema
    minimum: dict[str, Any]
    maximum: dict[str, Any]
    null_count: dict[str, int]


def read_footer(path: Path) -> Footer:
    """Read rows, schema and statistics from the footer of a Parquet file.

    Raises:
        StoreError: the file is missing or is not a whole Parquet file.
    """
    try:
        with pq.ParquetFile(path) as file:
            metadata, schema = file.metadata, file.schema_arrow
    except (pa.ArrowInvalid, OSError) as error:
        raise StoreError(f"{path} is not a whole Parquet file: {error}") from error
    minimum: dict[str, Any] = {}
    maximum: dict[str, Any] = {}
    null_count: dict[str, int] = {}
    for index in range(metadata.num_columns):
        column = metadata.schema.column(index).path
        groups = [metadata.row_group(group).column(index) for group in range(metadata.num_row_groups)]
        if column not in schema.names or not groups or any(group.statistics is None for group in groups):
            continue
        statistics = [group.statistics for group in groups]
        if all(of.has_null_count for of in statistics):
            null_count[column] = sum(of.null_count for of in statistics)
        with_values = [of for of in statistics if not (of.has_null_count and of.num_values == 0)]
        if with_values and all(of.has_min_max for of in with_values):
            low = min(of.min for of in with_values)
            high = max(of.max for of in with_values)
            if _is_comparable(low) and _is_comparable(high):
                minimum[column], maximum[column] = _utc(low), _utc(high)
    return Footer(metadata.num_rows, schema, minimum, maximum, null_count)


def _is_comparable(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, str):
        return len(value) <= _LONGEST_TEXT
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, (int, date))


def _utc(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)
    return value
