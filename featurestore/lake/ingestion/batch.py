"""A batch: valid rows of one or more portions, waiting in a session's memory for their commit."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from featurestore.errors import IngestError
from featurestore.lake.ingestion.extra_columns import without_odd_columns
from featurestore.lake.ingestion.ingest_report import FileLines
from featurestore.lake.ingestion.intake import ROWS, Portion
from featurestore.lake.ingestion.lines import POSITION
from featurestore.lake.ingestion.time_functions import WallClocks
from featurestore.lake.ingestion.validate import validation_of
from featurestore.lake.session import quote
from featurestore.spec.source import EventSource
from featurestore.spec.types import SQL_TYPES

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

VALID = "batch"
"""Table of the valid rows: the schema's columns, and which row of the batch each is. Not a temporary one: sessions that write months
side by side see it."""
INPUT = "$input"
"""Column of the valid rows of a source without event_id: the number of the file that they come from."""
_POSITION = quote(POSITION)
INVALID = "invalid"
"""Session table of the invalid rows: row (JSON), reason, source_file."""


@dataclass(frozen=True)
class Gap:
    """Rows of a batch that come without some columns: their delivery says nothing of these.

    Args:
        label: Input that they come from.
        columns: What it lacks.
        first: Row of the table of valid rows.
        end: The row after the last.
    """

    label: str
    columns: tuple[str, ...]
    first: int
    end: int


@dataclass
class Batch:
    """Rows read but not yet committed, their size as they were read, and what was noticed while reading them.

    ``naive_timezone`` is the zone of times that name none, in a source that says nothing about them. ``inputs`` counts the files that
    were read to their end, ``input_rows`` the rows read of the next; ``is_continued`` tells whether the batch before began it.
    """

    session: DuckDBPyConnection
    source: EventSource
    now_us: int
    naive_timezone: str = "UTC"
    ids: Collection[str] = ()
    rows_read: int = 0
    rows_valid: int = 0
    size_bytes: int = 0
    non_finite: int = 0
    extra_columns: dict[str, None] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    lines: list[FileLines] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    inputs: int = 0
    input_rows: int = 0
    is_continued: bool = False
    clocks: WallClocks = field(init=False)

    def __post_init__(self) -> None:
        self.clocks = WallClocks(self.source.timezone or self.naive_timezone)
        self.clocks.register(self.session)
        self.clear()

    def clear(self) -> None:
        """Forget the rows and their counts, after their commit."""
        columns = ", ".join(f"{quote(column)} {SQL_TYPES[kind]}" for column, kind in self.source.stored.items())
        columns += f", {quote(INPUT)} INTEGER" if self.source.event_id is None else ""
        self.is_continued = self.input_rows > 0
        self.session.execute(f"CREATE OR REPLACE TABLE {VALID} ({columns}, {_POSITION} BIGINT)")
        self.session.execute(f"CREATE OR REPLACE TEMP TABLE {INVALID} (row VARCHAR, reason VARCHAR, source_file VARCHAR)")
        self.rows_read = self.rows_valid = self.size_bytes = self.non_finite = 0
        self.files = []
        self.lines = []
        self.gaps = []

    def add(self, portion: Portion) -> None:
        """Convert and validate one portion.

        Raises:
            IngestError: DuckDB cannot read it, or texts of a column are no UTF-8; what runs out of memory and spill stays an error of
                DuckDB's.
        """
        import duckdb

        if portion.ends_file:
            self.files.append(Path(portion.label))
            self.inputs += 1
            self.input_rows = 0
            if portion.lines is not None:
                self.lines.append(portion.lines)
            return
        if portion.table is not None:
            table = portion.table if portion.is_text else without_odd_columns(portion.table, self.source.types, portion.label)
            self.session.register("portion", table.append_column(POSITION, pa.array(np.arange(table.num_rows))))
        try:
            self._insert(portion)
        except duckdb.OutOfMemoryException:
            raise
        except duckdb.Error as error:
            raise IngestError(f"{portion.label} cannot be read: {error}") from error
        finally:
            if portion.table is not None:
                self.session.unregister("portion")

    def _insert(self, portion: Portion) -> None:
        relation = portion.scan or "portion"
        described = self.session.sql(f"SELECT * FROM {relation}")
        types = dict(zip(described.columns, map(str, described.types), strict=True))
        plan = validation_of(
            self.source, relation, types, now_us=self.now_us, ids=self.ids, csv=portion.csv, more_reasons=portion.reasons
        )
        self.clocks.is_counting = True
        position = f"* REPLACE ({_POSITION} + {self.rows_read} AS {_POSITION})"
        position += f", {self.inputs} AS {quote(INPUT)}" if self.source.event_id is None else ""
        valid = self._count(f"INSERT INTO {VALID} BY NAME SELECT {position} FROM ({plan.valid_sql})")
        if valid < portion.rows:
            file = Path(portion.label).name if portion.label != ROWS else None
            self.clocks.is_counting = False
            self.session.execute(f"INSERT INTO {INVALID} SELECT row, reason, ? FROM ({plan.invalid_sql})", [file])
        if plan.non_finite_sql is not None:
            self.non_finite += self._count(plan.non_finite_sql)
        missing = tuple(column for column in self.source.types if column not in types)
        if missing:
            self.gaps.append(Gap(portion.label, missing, self.rows_valid, self.rows_valid + valid))
        self.rows_read += portion.rows
        self.input_rows += portion.rows
        self.rows_valid += valid
        self.size_bytes += portion.size_bytes
        self.extra_columns.update(dict.fromkeys((*portion.extra_columns, *plan.extra_columns)))

    def is_full_with(self, portion: Portion, *, rows: int, size_bytes: int) -> bool:
        """Tell whether a portion, with what waits already, is more than one commit may have."""
        return self.rows_read > 0 and (
            self.rows_read + portion.rows > rows or self.size_bytes + portion.size_bytes > size_bytes
        )

    def count_invalid(self) -> dict[str, int]:
        """Count the invalid rows by reason."""
        return dict(self.session.execute(f"SELECT reason, count(*) FROM {INVALID} GROUP BY reason").fetchall())

    def _count(self, sql: str) -> int:
        return int(self.session.execute(sql).fetchall()[0][0])
