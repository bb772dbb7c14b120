"""Tables of the session in which rows of foreign files wait for each other, and how they are joined.

foreign 0, 1, ...   columns that are read, "$position"    rows of the files of a source, in the order of the branch
foreign rows        "$c 0", ..., "$row", ...              the rows of the root with what is joined to them
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from featurestore.lake.ingestion.foreign_query import EQUAL, ROW, Rows, counts_equals
from featurestore.lake.ingestion.foreign_values import sum_sql
from featurestore.lake.ingestion.lines import LINE, POSITION
from featurestore.lake.ingestion.validate import row_json
from featurestore.lake.session import literal, quote
from featurestore.spec.csv_format import Csv
from featurestore.spec.mapping import Mapping as FilesMapping
from featurestore.spec.mapping.mapping import Branch
from featurestore.spec.mapping.values import Cumulated
from featurestore.spec.source import EventSource

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_JOINED = "foreign rows"


@dataclass
class LaidAside:
    """The rows of one source's files, in a table of the session.

    Args:
        session: Where the table is.
        number: The source's place in its branch.
        columns: What is kept.
        are_texts: Whether all of it is kept as texts, since files of several formats may differ in their types.
        rows: How many there are.
    """

    session: DuckDBPyConnection
    number: int
    columns: Sequence[str]
    are_texts: bool
    rows: int = 0

    @property
    def name(self) -> str:
        """The table, quoted."""
        return quote(f"foreign {self.number}")

    def add(self, relation: str, types: Mapping[str, str]) -> None:
        """Add rows of a relation that has a position for each."""
        position = f"{quote(POSITION)} + {self.rows} AS {quote(POSITION)}"
        kept = ", ".join([self._kept(column, types) for column in self.columns] + [position])
        sql = f"SELECT {kept} FROM {relation}"
        if not self.rows:
            self.session.execute(f"CREATE OR REPLACE TEMP TABLE {self.name} AS {sql} LIMIT 0")
        ((added,),) = self.session.execute(f"INSERT INTO {self.name} {sql}").fetchall()
        self.rows += int(added)

    def finish(self) -> dict[str, str]:
        """Return the DuckDB types of the columns; a source without any row has an empty table of texts."""
        if not self.rows:
            columns = "".join(f"{quote(column)} VARCHAR, " for column in self.columns)
            self.session.execute(f"CREATE OR REPLACE TEMP TABLE {self.name} ({columns}{quote(POSITION)} BIGINT)")
        described = self.session.sql(f"SELECT * FROM {self.name}")
        return dict(zip(described.columns, map(str, described.types), strict=True))

    def drop(self) -> None:
        """Free the room."""
        self.session.execute(f"DROP TABLE IF EXISTS {self.name}")

    def _kept(self, column: str, types: Mapping[str, str]) -> str:
        name = quote(column)
        if column not in types:
            return f"NULL::VARCHAR AS {name}"
        return f"{name}::VARCHAR AS {name}" if self.are_texts or types[column].startswith("ENUM") else name


def joined_rows(
    session: DuckDBPyConnection,
    mapping: FilesMapping,
    branch: Branch,
    source: EventSource,
    tables: Mapping[str, LaidAside],
    places: Mapping[str, tuple[str, str]],
    csv: Mapping[str, Csv | None],
) -> tuple[Rows, int, dict[str, int]]:
    """Join what is laid aside, number the rows, and add up cumulated times.

    Args:
        session: Holds the tables.
        mapping: The mapping.
        branch: Which files it reads.
        source: Whose events they become.
        tables: Source to its table.
        places: Column, as the mapping writes it, to its source and its name there.
        csv: Source to how its CSV is written.

    Returns:
        The rows, how many they are, and of each joined source the rows that no row of the other side has found.
    """
    types = {name: table.finish() for name, table in tables.items()}
    aliases = {name: quote(f"s{i}") for i, name in enumerate(branch.sources)}
    sums, root = _with_sums(branch, tables[branch.root].name, places)
    joins = ""
    unjoined: dict[str, int] = {}
    for join in branch.joins:
        on = " AND ".join(
            _equal(
                f"{aliases[join.left]}.{quote(left)}",
                types[join.left][left],
                f"{aliases[join.right]}.{quote(right)}",
                types[join.right][right],
            )
            for left, right in join.on
        )
        left_table, right_table = tables[join.left].name, tables[join.right].name
        joins += f" LEFT JOIN {right_table} {aliases[join.right]} ON {on}"
        missed = f"SELECT count(*) FROM {right_table} {aliases[join.right]} ANTI JOIN {left_table} {aliases[join.left]} ON {on}"
        ((unjoined[join.right],),) = session.execute(missed).fetchall()
    names = {ref: f"$c {i}" for i, ref in enumerate(places)}
    read = [f"{aliases[name]}.{quote(column)} AS {quote(names[ref])}" for ref, (name, column) in places.items()]
    read += [f"{aliases[branch.root]}.{quote(name)}" for pair in sums.values() for name in pair]
    order = ", ".join(f"{alias}.{quote(POSITION)}" for alias in aliases.values())
    selected = ", ".join([*read, f"row_number() OVER (ORDER BY {order}) - 1 AS {quote(ROW)}"])
    numbered = f"SELECT {selected} FROM {root} {aliases[branch.root]}{joins}"
    if counts_equals(mapping, branch, source):
        same = ", ".join(quote(name) for name in names.values())
        numbered = (
            f"SELECT *, row_number() OVER (PARTITION BY {same} ORDER BY {quote(ROW)}) AS {quote(EQUAL)} FROM ({numbered})"
        )
    session.execute(f"CREATE OR REPLACE TEMP TABLE {quote(_JOINED)} AS {numbered}")
    ((count,),) = session.execute(f"SELECT count(*) FROM {quote(_JOINED)}").fetchall()
    of = {ref: types[name][column] for ref, (name, column) in places.items()}
    line = _line(tables, places, names, of)
    relation = f"(SELECT *, {line} AS {quote(LINE)} FROM {quote(_JOINED)})"
    return Rows(relation, names, of, {ref: csv[name] for ref, (name, _) in places.items()}, sums), int(count), unjoined


def drop_joined(session: DuckDBPyConnection) -> None:
    """Free the room of the joined rows."""
    session.execute(f"DROP TABLE IF EXISTS {quote(_JOINED)}")


def _with_sums(branch: Branch, table: str, places: Mapping[str, tuple[str, str]]) -> tuple[dict[str, tuple[str, str]], str]:
    """Add cumulated times to the rows of the root, before joins repeat these."""
    sums: dict[str, tuple[str, str]] = {}
    added = ""
    names = {ref: column for ref, (_, column) in places.items()}
    for event in branch.events:
        if isinstance(event.time, Cumulated) and event.time.at not in sums:
            clock, broken = sum_sql(event.time, names, quote(POSITION))
            sums[event.time.at] = (f"$sum {len(sums)}", f"$broken {len(sums)}")
            added += "".join(
                f", {sql} AS {quote(name)}" for sql, name in zip((clock, broken), sums[event.time.at], strict=True)
            )
    return sums, f"(SELECT *{added} FROM {table})" if added else table


def _equal(left: str, left_type: str, right: str, right_type: str) -> str:
    return f"{left} = {right}" if left_type == right_type else f"{left}::VARCHAR = {right}::VARCHAR"


def _line(
    tables: Mapping[str, LaidAside], places: Mapping[str, tuple[str, str]], names: Mapping[str, str], types: Mapping[str, str]
) -> str:
    """Render a row as JSON text; of several files with the columns of each under its name."""
    parts = []
    for name, table in tables.items():
        read = {column: ref for ref, (of, column) in places.items() if of == name}
        columns = {column: read[column] for column in table.columns if column in read}
        if columns:
            inner = row_json({c: types[ref] for c, ref in columns.items()}, {c: names[ref] for c, ref in columns.items()})
            parts.append(inner if len(tables) == 1 else f"{literal(json.dumps(name))} || ':' || {inner}")
    texts = " || ',' || ".join(parts)
    return texts if len(tables) == 1 else f"('{{' || {texts} || '}}')"
