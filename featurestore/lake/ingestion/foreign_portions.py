"""Foreign portions: rows of foreign files, read through a mapping, as portions of events.

Files that stand alone are mapped portion by portion, as they are read. Where rows need each other (joined files, cumulated times,
ids of whole rows), the columns that are read are laid aside first, in the session, which has room on the disk for them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from featurestore.lake.bounds import Bounds
from featurestore.lake.ingestion.extra_columns import without_odd_columns
from featurestore.lake.ingestion.foreign_files import CheckedDelivery
from featurestore.lake.ingestion.foreign_query import ROW, Rows, events_query, needs_all_rows, refused_scan
from featurestore.lake.ingestion.foreign_tables import LaidAside, drop_joined, joined_rows
from featurestore.lake.ingestion.ingest_report import ForeignCounts
from featurestore.lake.ingestion.intake import ROWS, Portion, portions_of
from featurestore.lake.ingestion.lines import IS_ROW, LINE, POSITION, REASON
from featurestore.lake.ingestion.validate import row_json
from featurestore.lake.session import quote
from featurestore.spec.csv_format import Csv
from featurestore.spec.source import EventSource

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_PORTION = "foreign_portion"
_SLICE_ROWS = 500_000
_OURS = (LINE, IS_ROW, REASON, POSITION)


@dataclass
class ForeignReading:
    """Reads deliveries as events.

    Args:
        session: Where the portions will be read.
        source: The source, with a mapping.
        bounds: How many bytes a portion may have.
        limit: Rows of a portion, at most about.
        csv: How CSV files are written, in place of what mapping and source say.
        counts: What became of the rows so far.
    """

    session: DuckDBPyConnection
    source: EventSource
    bounds: Bounds
    limit: int
    csv: Csv | None = None
    counts: ForeignCounts = field(default_factory=ForeignCounts)

    def portions(self, deliveries: Sequence[CheckedDelivery]) -> Iterator[Portion]:
        """Read deliveries; each portion must be used up before the next is asked for."""
        assert self.source.mapping is not None
        for delivery in deliveries:
            if needs_all_rows(self.source.mapping, delivery.branch, self.source):
                yield from self._all_at_once(delivery)
            else:
                yield from self._one_by_one(delivery)

    def _one_by_one(self, delivery: CheckedDelivery) -> Iterator[Portion]:
        branch = delivery.branch
        limit = max(self.limit // len(branch.events), 1)
        for portion in portions_of(delivery.inputs[branch.root], limit=limit, bounds=self.bounds):
            if portion.ends_file:
                yield portion
                continue
            columns = {column for _, column in delivery.places.values()}
            with self._opened(portion, columns) as (relation, types):
                yield from self._refused(delivery, portion, relation, types)
                good, count = self._good(portion, relation, types)
                self.counts.rows += count
                rows = self._rows(delivery, good, types)
                size = portion.size_bytes * len(branch.events)
                extra = [column for column in types if column not in columns and column not in _OURS]
                like = replace(portion, size_bytes=size, extra_columns=(*portion.extra_columns, *extra))
                yield from self._mapped(delivery, rows, count, like)

    def _all_at_once(self, delivery: CheckedDelivery) -> Iterator[Portion]:
        mapping, branch = self.source.mapping, delivery.branch
        assert mapping is not None
        tables: dict[str, LaidAside] = {}
        ended: list[Portion] = []
        for number, name in enumerate(branch.sources):
            keys = [left for join in branch.joins if join.left == name for left, _ in join.on]
            keys += [right for join in branch.joins if join.right == name for _, right in join.on]
            inputs = delivery.inputs[name]
            needed = {column for of, column in delivery.places.values() if of == name} | set(keys)
            there = inputs[0].columns if isinstance(inputs, list) and inputs else ()
            columns = [*(column for column in there if column in needed), *sorted(needed.difference(there))]
            table = LaidAside(self.session, number, columns, isinstance(inputs, list) and len(inputs) > 1)
            tables[name] = table
            for portion in portions_of(inputs, limit=_SLICE_ROWS, bounds=self.bounds):
                if portion.ends_file:
                    ended.append(portion)
                    continue
                with self._opened(portion, columns) as (relation, types):
                    yield from self._refused(delivery, portion, relation, types)
                    table.add(self._good(portion, relation, types)[0], types)
        self.counts.rows += tables[branch.root].rows
        csv = {name: self._csv(name) for name in branch.sources}
        rows, count, unjoined = joined_rows(self.session, mapping, branch, self.source, tables, delivery.places, csv)
        for table in tables.values():
            table.drop()
        for name, missed in unjoined.items():
            self.counts.unjoined[name] = self.counts.unjoined.get(name, 0) + missed
        label = next((str(file.path) for file in delivery.files), ROWS)
        for start in range(0, count, _SLICE_ROWS):
            end = min(start + _SLICE_ROWS, count)
            of = f"(SELECT * FROM {rows.relation} WHERE {quote(ROW)} >= {start} AND {quote(ROW)} < {end})"
            yield from self._mapped(
                delivery, replace(rows, relation=of), end - start, Portion(label, 0, is_text=True), start=start
            )
        drop_joined(self.session)
        yield from ended

    @contextmanager
    def _opened(self, portion: Portion, columns: Collection[str]) -> Iterator[tuple[str, dict[str, str]]]:
        """Make a portion a relation with a position for each row; give its columns with their types."""
        relation = portion.scan or _PORTION
        if portion.table is not None:
            table = portion.table if portion.is_text else without_odd_columns(portion.table, columns, portion.label)
            self.session.register(_PORTION, table.append_column(POSITION, pa.array(np.arange(table.num_rows))))
        try:
            described = self.session.sql(f"SELECT * FROM {relation}")
            yield relation, dict(zip(described.columns, map(str, described.types), strict=True))
        finally:
            if portion.table is not None:
                self.session.unregister(_PORTION)

    def _good(self, portion: Portion, relation: str, types: Mapping[str, str]) -> tuple[str, int]:
        """Return the rows of a portion without lines that are none, and how many they are."""
        if IS_ROW not in types:
            return relation, portion.rows
        position = f"(row_number() OVER (ORDER BY {quote(POSITION)}) - 1) AS {quote(POSITION)}"
        good = f"(SELECT * REPLACE ({position}) FROM {relation} WHERE {quote(IS_ROW)})"
        ((count,),) = self.session.execute(f"SELECT count(*) FROM {relation} WHERE {quote(IS_ROW)}").fetchall()
        return good, int(count)

    def _refused(
        self, delivery: CheckedDelivery, portion: Portion, relation: str, types: Mapping[str, str]
    ) -> Iterator[Portion]:
        """Hand on the lines of a portion that are no rows."""
        assert self.source.mapping is not None
        if IS_ROW not in types:
            return
        ((count,),) = self.session.execute(f"SELECT count(*) FROM {relation} WHERE NOT {quote(IS_ROW)}").fetchall()
        if count:
            scan = refused_scan(self.source.mapping, delivery.branch, self.source, relation, has_reason=REASON in types)
            yield replace(portion, rows=int(count), table=None, scan=scan, csv=None, extra_columns=())

    def _rows(self, delivery: CheckedDelivery, relation: str, types: Mapping[str, str]) -> Rows:
        """Name the columns of a portion that are read."""
        places = delivery.places
        names = {ref: f"$c {i}" for i, ref in enumerate(places)}
        read = [
            f"{quote(column) if column in types else 'NULL::VARCHAR'} AS {quote(names[ref])}"
            for ref, (_, column) in places.items()
        ]
        line = (
            quote(LINE) if LINE in types else row_json({column: kind for column, kind in types.items() if column not in _OURS})
        )
        selected = ", ".join([*read, f"{quote(POSITION)} AS {quote(ROW)}", f"{line} AS {quote(LINE)}"])
        of = {ref: types.get(column, "VARCHAR") for ref, (_, column) in places.items()}
        csv = self._csv(delivery.branch.root)
        return Rows(f"(SELECT {selected} FROM {relation})", names, of, dict.fromkeys(places, csv), {})

    def _csv(self, name: str) -> Csv | None:
        assert self.source.mapping is not None
        return self.csv or self.source.mapping.source(name).csv or self.source.csv

    def _mapped(self, delivery: CheckedDelivery, rows: Rows, count: int, like: Portion, *, start: int = 0) -> Iterator[Portion]:
        """Compile the mapping over some rows, count what it makes, and hand it on."""
        assert self.source.mapping is not None
        if not count:
            return
        query = events_query(self.source.mapping, delivery.branch, self.source, rows, first_row=start)
        made, ignored = count, 0
        if query.counts_sql is not None:
            ((made, ignored),) = self.session.execute(query.counts_sql).fetchall()
        self.counts.ignored += int(ignored)
        if made:
            yield replace(like, rows=int(made), table=None, scan=query.scan, csv=None, is_text=True, reasons=query.reasons)
