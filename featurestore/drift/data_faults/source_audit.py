"""The audit of a source's record: its faults as rows of the drift history, committed a file a year under their content."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa

from featurestore.drift.audit import HISTORY_SCHEMA, commit_years, history_of
from featurestore.drift.data_faults.source_fault import SourceFault
from featurestore.drift.monitor.state import DRIFT, LATCHED
from featurestore.drift.monitor.thresholds import MOST_SCORE
from featurestore.spec.document import digest
from featurestore.timeline import Month


def audit_source(path: Path, faults: Sequence[SourceFault], last: Month) -> pa.Table:
    """Commit a source's faults as rows of the drift history.

    Args:
        path: Delta table of the source's faults.
        faults: All of them up to ``last``.
        last: Last audited month; rows behind it stay as they are.

    Returns:
        ``HISTORY_SCHEMA``, a row per month and column with a fault: state ``drift`` in its first month, then ``latched``.
    """
    kept = [row for row in history_of(path).to_pylist() if Month.parse(row["month"]) > last]
    rows = [*fault_rows(faults), *kept]
    rows.sort(key=lambda row: (row["month"], row["feature"]))
    years = {str(year): list(own) for year, own in groupby(rows, key=lambda row: row["month"].year)}
    tables = {year: pa.Table.from_pylist(own, schema=HISTORY_SCHEMA) for year, own in years.items()}
    named = {year: (digest([str(row) for row in years[year]]), table) for year, table in tables.items()}
    commit_years(path, named, "data faults", removes_others=True)
    return pa.Table.from_pylist(rows, schema=HISTORY_SCHEMA)


def fault_rows(faults: Sequence[SourceFault]) -> list[dict[str, Any]]:
    """Write faults as rows, those of one month and column as one."""
    groups: dict[tuple[str, str, Month], list[SourceFault]] = {}
    for fault in faults:
        groups.setdefault((fault.source, fault.name, Month.parse(fault.first)), []).append(fault)
    rows = []
    for (source, name, month), own in sorted(groups.items(), key=lambda item: (item[0][2], item[0][1])):
        begun = month
        while (source, name, begun.shift(-1)) in groups:
            begun = begun.shift(-1)
        worst = max(own, key=lambda fault: fault.rows * fault.factor)
        rows.append(
            {
                "view": source,
                "month": month.first_day,
                "feature": name,
                "segment": None,
                "score": MOST_SCORE,
                "kind": worst.kind,
                "state": DRIFT if begun == month else LATCHED,
                "reason": "; ".join(map(str, own)),
                "reference_months": [],
                "since": begun.first_day,
            }
        )
    return rows
