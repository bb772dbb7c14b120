"""CSV to tables of texts, every line accounted for.

1. The bytes are counted: lines and delimiters.
2. DuckDB parses the whole file strictly into a session table, of full width: what a query leaves out, DuckDB does not parse.
   Records and what they hold must add up to the lines and to the delimiters.                      (records -> tables)
3. Where it stops, or where they do not add up (blank lines and comments are among the reasons), the file is read anew record by
   record.                                                                        (records -> tables, refused lines -> tables)
4. The sum of all lines must be the number of lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from featurestore.errors import IngestError
from featurestore.lake.endings import compression_of
from featurestore.lake.ingestion.csv_damage import without_end
from featurestore.lake.ingestion.csv_header import CsvFile
from featurestore.lake.ingestion.csv_records import LineCounts, Splitter, Values
from featurestore.lake.ingestion.ingest_report import FileLines
from featurestore.lake.ingestion.lines import BAD_BYTES, IS_ROW, LINE, REASON
from featurestore.lake.ingestion.text_files import encoding_hint, is_utf8, newline_of, open_bytes, open_text, shown
from featurestore.lake.session import connect, literal, literals, path_literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_TABLE = "csv_rows"
_CHUNK_BYTES = 1 << 20
_SPLIT_ROWS = 50_000


@dataclass
class CsvReading:
    """Reads one CSV file.

    Args:
        file: The file, its header read.
        temp_folder: Where texts that exceed the memory may lie meanwhile.
        counted: After the last table, what became of the lines.
    """

    file: CsvFile
    temp_folder: Path | None
    counted: FileLines | None = None

    def tables(self) -> Iterator[pa.Table]:
        """Read the records as texts under the columns' names, refused lines as lines with a reason.

        Raises:
            IngestError: the file is damaged as gzip or zstd, or its lines do not add up.
        """
        file = self.file
        if _is_beyond_duckdb(file):
            yield from self._split(_count_lines(file))
            return
        lines, delimiters = _count_bytes(file)
        with connect(file.path.parent, temp_folder=self.temp_folder) as session:
            records = _parse_strictly(session, file)
            if records is not None and _adds_up(session, file, records, lines, delimiters):
                reader = session.sql(f"SELECT {_texts_sql(file)} FROM {_TABLE}").to_arrow_reader(65_536)
                for batch in reader:
                    yield _named(file, pa.Table.from_batches([batch]))
                self._close(LineCounts(header=file.header_lines, record=lines - file.header_lines), records, lines, "")
                return
        yield from self._split(lines)

    def _split(self, lines: int) -> Iterator[pa.Table]:
        """Read the file record by record."""
        file = self.file
        records = 0
        hint = ""
        with open_text(file.path, "CSV", encoding=file.csv.encoding) as text:
            splitter = Splitter(file.dialect, text)
            if file.csv.header:
                splitter.read_header()
            waiting: list[Values] = []
            for values in splitter.records(len(file.fields)):
                if values is not None:
                    waiting.append(values)
                if values is None or len(waiting) >= _SPLIT_ROWS:
                    hint = hint or self._hint(splitter.refused)
                    records += len(waiting)
                    yield from _split_tables(file, waiting, splitter.refused)
            hint = hint or self._hint(splitter.refused)
            records += len(waiting)
            yield from _split_tables(file, waiting, splitter.refused)
        self._close(splitter.counts, records, lines, hint)

    def _hint(self, refused: list[tuple[str, str]]) -> str:
        if not is_utf8(self.file.csv.encoding):
            return ""
        bad = [line for line, reason in refused if reason == BAD_BYTES]
        return encoding_hint("".join(bad[:100])) if bad else ""

    def _close(self, counts: LineCounts, records: int, lines: int, hint: str) -> None:
        """Close the sum of the lines."""
        if counts.total != lines:
            raise IngestError(
                f"{self.file.path} has {lines:,} lines, but {counts.total:,} are accounted for: {counts}. "
                "Nothing of it was committed. Please report it, with the file if you can."
            )
        self.counted = FileLines(
            file=str(self.file.path),
            lines=lines,
            records=records,
            record_lines=counts.record,
            quarantined_lines=counts.refused,
            blank_lines=counts.blank,
            comment_lines=counts.comment,
            header_lines=counts.header,
            hint=hint,
        )


def _is_beyond_duckdb(file: CsvFile) -> bool:
    """Tell whether a file is for the splitter from the first.

    Comments, and lines before the header, are read otherwise by DuckDB; other encodings it does not know.
    """
    return file.starts_late or file.csv.comment is not None or not is_utf8(file.csv.encoding)


def _count_lines(file: CsvFile) -> int:
    """Count the lines of a file of any encoding, the last without an end too."""
    lines = 0
    newline = last = ""
    with open_text(file.path, "CSV", encoding=file.csv.encoding) as text:
        while chunk := text.read(_CHUNK_BYTES):
            newline = newline or newline_of(chunk.encode("utf-8", "surrogateescape")).decode()
            lines += chunk.count(newline)
            last = chunk[-1]
    return lines + (last not in ("", newline))


def _count_bytes(file: CsvFile) -> tuple[int, int]:
    """Count the lines of a file, the last without an end too, and its delimiters."""
    delimiter = file.delimiter.encode()
    lines = delimiters = 0
    newline = last = b""
    with open_bytes(file.path, "CSV") as opened:
        while chunk := opened.read(_CHUNK_BYTES):
            newline = newline or newline_of(chunk)
            lines += chunk.count(newline)
            delimiters += chunk.count(delimiter)
            last = chunk[-1:]
    return lines + (last not in (b"", newline)), delimiters


def _parse_strictly(session: DuckDBPyConnection, file: CsvFile) -> int | None:
    """Parse the whole file into a session table of texts and count its records; ``None`` where it cannot be."""
    import duckdb

    csv = file.csv
    columns = ", ".join(f"c{number}: 'VARCHAR'" for number in range(len(file.fields)))
    sql = (
        f"CREATE TEMP TABLE {_TABLE} AS FROM read_csv({path_literal(file.path)}, columns = {{{columns}}}, "
        f"compression = {literal(compression_of(file.path))}, "
        f"header = {str(csv.header).lower()}, auto_detect = false, delim = {literal(file.delimiter)}, "
        f"quote = {literal(csv.quote or '')}, escape = {literal(csv.escape or '')}, nullstr = ['', '\\N'], "
        f"allow_quoted_nulls = false, strict_mode = true, max_line_size = {csv.max_record_bytes})"
    )
    try:
        session.execute(sql)
        return int(session.execute(f"SELECT count(*) FROM {_TABLE}").fetchall()[0][0])
    except duckdb.OutOfMemoryException as error:
        raise IngestError(f"{file.path} does not fit into memory and spill: {error}. Cut it into smaller files.") from error
    except duckdb.Error:
        return None


def _texts_sql(file: CsvFile) -> str:
    nulls = _nulls(file)
    return f"CASE WHEN COLUMNS(*) NOT IN ({literals(nulls)[1:-1]}) THEN COLUMNS(*) END" if nulls else "*"


def _nulls(file: CsvFile) -> list[str]:
    """List the texts that are NULL, quoted or not."""
    return [*file.csv.null, *([""] if file.csv.empty_as_null else [])]


def _adds_up(session: DuckDBPyConnection, file: CsvFile, records: int, lines: int, delimiters: int) -> bool:
    """Compare the records with the counted lines and delimiters; those inside quoted texts are counted only when there are some."""
    more_lines = lines - file.header_lines - records
    more_delimiters = delimiters - file.header_delimiters - records * (len(file.fields) - 1)
    if more_lines == 0 and more_delimiters == 0:
        return True
    if more_lines < 0 or more_delimiters < 0:
        return False
    if more_lines:
        breaks = f"list_sum([{', '.join(_counts_sql(file, 'chr(10)'))}])"
        ((within, longest),) = session.execute(f"SELECT sum({breaks}), max({breaks}) FROM {_TABLE}").fetchall()
        if within != more_lines or longest >= file.csv.max_record_lines:
            return False
    sums = ", ".join(f"sum({count})" for count in _counts_sql(file, literal(file.delimiter)))
    (separating,) = session.execute(f"SELECT {sums} FROM {_TABLE}").fetchall()
    return sum(count or 0 for count in separating) == more_delimiters


def _counts_sql(file: CsvFile, text: str) -> list[str]:
    """Count a text of one byte in each column of a record."""
    names = [f"c{number}" for number in range(len(file.fields))]
    return [f"(strlen({name}) - strlen(replace({name}, {text}, '')))" for name in names]


def _named(file: CsvFile, table: pa.Table) -> pa.Table:
    """Give the columns their names and leave those without one out."""
    kept = [index for index, name in enumerate(file.fields) if name]
    return table.select(kept).rename_columns([file.fields[index] for index in kept])


def _split_tables(file: CsvFile, waiting: list[Values], refused: list[tuple[str, str]]) -> Iterator[pa.Table]:
    """Make tables of what waits, and empty it."""
    if waiting:
        nulls = set(_nulls(file))
        texts = [
            pa.array([None if value in nulls else value for value in column] if nulls else list(column), pa.string())
            for column in zip(*waiting, strict=True)
        ]
        yield _named(file, pa.Table.from_arrays(texts, [str(number) for number in range(len(file.fields))]))
        waiting.clear()
    if refused:
        lines = pa.array([shown(without_end(line)) for line, _ in refused], pa.string())
        reasons = pa.array([reason for _, reason in refused], pa.string())
        nothing = pa.nulls(len(refused), pa.string())
        given = dict.fromkeys(file.columns, nothing)
        columns = {LINE: lines, IS_ROW: pa.array([False] * len(refused)), REASON: reasons, **given}
        yield pa.table(columns)
        refused.clear()
