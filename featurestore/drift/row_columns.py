"""Rows that drift is handed as tables."""

from __future__ import annotations

import pyarrow as pa

from featurestore.errors import CalibrationError, did_you_mean


def checked_column(rows: pa.Table, name: str) -> pa.ChunkedArray:
    """Return the column of a name.

    Raises:
        CalibrationError: there is no such column.
    """
    if name not in rows.column_names:
        raise CalibrationError(f"The rows lack the column {name!r}.{did_you_mean(name, rows.column_names)}")
    return rows[name]
