"""Data faults of a source as an audit shows them: a source and a column, never a view and a feature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from featurestore.timeline import Month

FAULT_SCHEMA = pa.schema(
    [
        ("month", pa.date32()),
        ("source", pa.string()),
        ("column", pa.string()),
        ("kind", pa.string()),
        ("reason", pa.string()),
        ("since", pa.date32()),
    ]
)


@dataclass(frozen=True)
class DataFault:
    """What is wrong in one month with one column of a source's record.

    Args:
        source: Name of the source.
        column: The column; ``rows`` for events as a whole.
        month: The month.
        since: First of the months without a gap in which something was wrong with the column.
        kind: ``unit``, ``nulls``, ``clock``, ``stopped`` or ``duplicates``: that of the fault which weighs most.
        reason: In words, with days and rows.

    >>> fault = DataFault("orders", "cents", Month(2020, 11), Month(2020, 10), "unit", "values times 100")
    >>> fault.name, fault.is_new
    ('orders.cents@2020-10', False)
    """

    source: str
    column: str
    month: Month
    since: Month
    kind: str
    reason: str

    @property
    def place(self) -> str:
        """Where it is: ``source.column``."""
        return f"{self.source}.{self.column}"

    @property
    def name(self) -> str:
        """What it is called in all its months: ``source.column@2024-09``."""
        return f"{self.place}@{self.since}"

    @property
    def is_new(self) -> bool:
        """Whether it began in this month."""
        return self.since == self.month

    def __str__(self) -> str:
        return f"{self.month}: {self.place} data fault: {self.reason}"

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> DataFault:
        """Read a row of ``FAULT_SCHEMA``."""
        month = Month.parse(row["month"])
        since = Month.parse(row["since"])
        return cls(row["source"], row["column"], month, since, row["kind"], row["reason"])


def data_faults(table: pa.Table) -> tuple[DataFault, ...]:
    """List the rows of ``FAULT_SCHEMA`` in order of time, source and column."""
    return tuple(sorted(map(DataFault.of, table.to_pylist()), key=lambda fault: (fault.month, fault.source, fault.column)))
