"""Staging: one file of a ledger table, with its hot copy."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from featurestore.compute.forms import ledger_measures, view_items
from featurestore.compute.items.lists import FIELDS
from featurestore.compute.search.hot_copy import write_hot
from featurestore.compute.state import KIND, START, ViewState
from featurestore.lake.arrow_parquet import write_parquet
from featurestore.lake.table import StagedFile, describe, stage


def stage_file(
    state: ViewState, kind: str, start: str, name: str, table: pa.Table, *, metadata: Mapping[str, str] | None = None
) -> StagedFile:
    """Write a file of a view's ledger table and its hot copy.

    Args:
        state: The view.
        kind: What it holds.
        start: Name of its partition.
        name: Name of the file.
        table: Its own columns.
        metadata: The Parquet file's own metadata.
    """
    partition = {KIND: kind, START: start}
    file = stage(state.ledger_path, partition, name)
    write_parquet(_widened(state, table), file, metadata=metadata)
    write_hot(state.layout.hot(state.view.name) / f"{name}.arrow", table)
    return describe(file, partition)


def _widened(state: ViewState, table: pa.Table) -> pa.Table:
    """Add the columns that only other files of the table fill: a Delta table has one schema."""
    zone = state.layout.naive_timezone
    if not view_items(state.view, zone):
        return table
    fields = [("ends", pa.int64()), ("step", pa.int64()), *((m.name, m.type) for m in ledger_measures(state.view, zone))]
    for field in (*(pa.field(name, kind) for name, kind in fields), *FIELDS):
        if field.name not in table.column_names:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    return table.select([*(name for name, _ in fields), *(field.name for field in FIELDS)])
