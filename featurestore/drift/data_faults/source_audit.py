"""The audit of a source's record: its faults by month and column, committed a file a year under their content."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa

from featurestore.drift.data_faults.data_fault import FAULT_SCHEMA
from featurestore.drift.data_faults.source_fault import SourceFault
from featurestore.drift.year_files import commit_years, read_years
from featurestore.lake.arrow_parquet import no_rows
from featurestore.spec.document import digest
from featurestore.timeline import Month


def audit_source(path: Path, faults: Sequence[SourceFault], last: Month) -> pa.Table:
    """Commit a source's faults up to a month, in place of those that were committed up to it.

    Args:
        path: Delta table of the source's faults.
        faults: All faults of the source up to ``last``.
        last: Last audited month; rows after it stay as they are.

    Returns:
        ``FAULT_SCHEMA``, a row per month and column with a fault, in order of time.
    """
    kept = [row for row in read_faults(path).to_pylist() if Month.parse(row["month"]) > last]
    rows = [*fault_rows(faults), *kept]
    rows.sort(key=lambda row: (row["month"], row["column"]))
    years = {str(year): list(own) for year, own in groupby(rows, key=lambda row: row["month"].year)}
    tables = {year: pa.Table.from_pylist(own, schema=FAULT_SCHEMA) for year, own in years.items()}
    named = {year: (digest([str(row) for row in years[year]]), table) for year, table in tables.items()}
    commit_years(path, named, "data faults", removes_others=True)
    return pa.Table.from_pylist(rows, schema=FAULT_SCHEMA)


def read_faults(path: Path, *, since: str = "") -> pa.Table:
    """Return a source's committed faults, all or since a year, in order of time (``FAULT_SCHEMA``); none before the first audit."""
    return pa.concat_tables([no_rows(FAULT_SCHEMA), *map(_as_faults, read_years(path, since=since))])


def fault_rows(faults: Sequence[SourceFault]) -> list[dict[str, Any]]:
    """Return faults as rows of ``FAULT_SCHEMA``, those of one month and column as one, of the kind that weighs most."""
    groups: dict[tuple[str, str, Month], list[SourceFault]] = {}
    for fault in faults:
        groups.setdefault((fault.source, fault.column, Month.parse(fault.first)), []).append(fault)
    rows = []
    for (source, column, month), own in sorted(groups.items(), key=lambda item: (item[0][2], item[0][1])):
        begun = month
        while (source, column, begun.shift(-1)) in groups:
            begun = begun.shift(-1)
        worst = max(own, key=lambda fault: fault.rows * fault.factor)
        rows.append(
            {
                "month": month.first_day,
                "source": source,
                "column": column,
                "kind": worst.kind,
                "reason": "; ".join(map(str, own)),
                "since": begun.first_day,
            }
        )
    return rows


def _as_faults(table: pa.Table) -> pa.Table:
    """Read a year's file; before the faults had a form of their own they were written as scores of a view and a feature."""
    if "view" not in table.column_names:
        return table
    columns = [place.partition(".")[2] for place in table["feature"].to_pylist()]
    named = table.rename_columns({"view": "source"}).append_column("column", pa.array(columns, pa.string()))
    return named.select(FAULT_SCHEMA.names)
