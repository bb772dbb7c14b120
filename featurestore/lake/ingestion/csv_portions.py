"""CSV to tables of texts, every line accounted for.

1. The bytes are counted: lines, blank lines and delimiters, none beyond its bound.
2. DuckDB parses the whole file strictly and counts, in all columns: what a query leaves out, DuckDB does not parse. Records, blank
   lines and what quoted texts hold must add up to the lines and to the delimiters. Then it gives the records: of a small file
   from memory, of a large one by parsing it once more, which costs less than laying it aside.     (records -> tables)
3. Where it stops, or where they do not add up (comments are among the reasons), the file is read anew record by record.
                                                                                  (records -> tables, refused lines -> tables)
4. The sum of all lines must be the number of lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from featurestore.errors import IngestError
from featurestore.lake.endings import compression_of
from featurestore.lake.ingestion.csv_damage import without_end
from featurestore.lake.ingestion.csv_header import CsvFile
from featurestore.lake.ingestion.csv_records import LineCounts, Splitter, Values
from featurestore.lake.ingestion.ingest_report import FileLines
from featurestore.lake.ingestion.lines import BAD_BYTES, IS_ROW, LINE, REASON, LineMeter
from featurestore.lake.ingestion.text_files import encoding_hint, is_utf8, open_bytes, open_text, shown
from featurestore.lake.session import connect, literal, literals, path_literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_TABLE = "csv_rows"
_CHUNK_BYTES = 1 << 20
_SPLIT_ROWS = 50_000
# Texts that DuckDB may hold at once; short ones need several times the bytes of the file.
_KEPT_BYTES = 256 << 20
_MEMORY = "1GB"


@dataclass(frozen=True)
class Counted:
    """What the bytes of a file have."""

    lines: int
    blank_lines: int
    delimiters: int
    size_bytes: int
    has_quotes: bool


@dataclass(frozen=True)
class Parsed:
    """What DuckDB found in a file: its records, the line breaks and delimiters within them, and the most breaks of one record."""

    records: int
    breaks: int = 0
    delimiters: int = 0
    most_breaks: int = 0


@dataclass
class CsvReading:
    """Reads one CSV file.

    Args:
        file: The file, its header read.
        counted: After the last table, what became of the lines.
    """

    file: CsvFile
    counted: FileLines | None = None

    def tables(self) -> Iterator[pa.Table]:
        """Read the records as texts under the columns' names, refused lines as lines with a reason.

        Raises:
            IngestError: the file is damaged as gzip or zstd, beyond a bound, or its lines do not add up.
        """
        file = self.file
        if _is_beyond_duckdb(file):
            yield from self._split(_count_lines(file))
            return
        counted = _count_bytes(file)
        with connect(file.path.parent, memory_limit=_MEMORY) as session:
            relation = _relation(session, file, counted)
            parsed = None if relation is None else _parse_strictly(session, file, relation, counted)
            blank = None if parsed is None else _blank_lines(file, parsed, counted)
            if parsed is not None and blank is not None:
                reader = session.sql(f"SELECT {_texts_sql(file)} FROM {relation}").to_arrow_reader(65_536)
                for batch in reader:
                    yield _named(file, pa.Table.from_batches([batch]))
                counts = LineCounts(header=file.header_lines, record=counted.lines - file.header_lines - blank, blank=blank)
                self._close(counts, parsed.records, counted.lines, hint="")
                return
        yield from self._split(counted.lines)

    def _split(self, lines: int) -> Iterator[pa.Table]:
        """Read the file record by record."""
        file = self.file
        records = 0
        hint = ""
        with open_text(file.path, "CSV", file.bounds, encoding=file.csv.encoding) as text:
            splitter = Splitter(file.dialect, text, file.bounds.portion_bytes)
            if file.csv.header:
                splitter.read_header()
            waiting: list[Values] = []
            due = file.bounds.portion_bytes
            for values in splitter.records(len(file.fields)):
                if values is not None:
                    waiting.append(values)
                if values is None or len(waiting) >= _SPLIT_ROWS or splitter.read_size >= due:
                    due = splitter.read_size + file.bounds.portion_bytes
                    hint = hint or self._hint(splitter.refused)
                    records += len(waiting)
                    yield from _split_tables(file, waiting, splitter.refused)
            hint = hint or self._hint(splitter.refused)
            records += len(waiting)
            yield from _split_tables(file, waiting, splitter.refused)
        self._close(splitter.counts, records, lines, hint, splitter.refused_at)

    def _hint(self, refused: list[tuple[str, str]]) -> str:
        if not is_utf8(self.file.csv.encoding):
            return ""
        bad = [line for line, reason in refused if reason == BAD_BYTES]
        return encoding_hint("".join(bad[:100])) if bad else ""

    def _close(self, counts: LineCounts, records: int, lines: int, hint: str, refused_at: Sequence[int] = ()) -> None:
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
            quarantined_at=tuple(refused_at),
        )


def _is_beyond_duckdb(file: CsvFile) -> bool:
    """Tell whether a file is for the splitter from the first.

    Comments, and lines before the header, are read otherwise by DuckDB; other encodings it does not know.
    """
    return file.starts_late or file.csv.comment is not None or not is_utf8(file.csv.encoding)


def _count_lines(file: CsvFile) -> int:
    """Count the lines of a file of any encoding, the last without an end too."""
    meter = LineMeter(file.path, file.bounds)
    with open_text(file.path, "CSV", file.bounds, encoding=file.csv.encoding) as text:
        while chunk := text.read(_CHUNK_BYTES):
            meter.read(chunk.encode("utf-8", "surrogateescape"))
    return meter.lines


def _count_bytes(file: CsvFile) -> Counted:
    """Count what a file in UTF-8 has, the last line without an end too."""
    delimiter, quote = file.delimiter.encode(), (file.csv.quote or "").encode()
    meter = LineMeter(file.path, file.bounds)
    delimiters = size = 0
    has_quotes = False
    with open_bytes(file.path, "CSV", file.bounds) as opened:
        while chunk := opened.read(_CHUNK_BYTES):
            meter.read(chunk)
            delimiters += chunk.count(delimiter)
            size += len(chunk)
            has_quotes = has_quotes or (quote != b"" and quote in chunk)
    return Counted(meter.lines, meter.blank, delimiters, size, has_quotes)


def _relation(session: DuckDBPyConnection, file: CsvFile, counted: Counted) -> str | None:
    """Return what follows FROM to read the records: a session table of a small file, the file itself if it is large.

    ``None``: it cannot be parsed.
    """
    import duckdb

    csv = file.csv
    columns = ", ".join(f"c{number}: 'VARCHAR'" for number in range(len(file.fields)))
    scan = (
        f"read_csv({path_literal(file.path)}, columns = {{{columns}}}, "
        f"compression = {literal(compression_of(file.path))}, "
        f"header = {str(csv.header).lower()}, auto_detect = false, delim = {literal(file.delimiter)}, "
        f"quote = {literal(csv.quote or '')}, escape = {literal(csv.escape or '')}, nullstr = ['', '\\N'], "
        f"allow_quoted_nulls = false, strict_mode = true, max_line_size = {csv.max_record_bytes})"
    )
    if counted.size_bytes > _KEPT_BYTES:
        return scan
    try:
        session.execute(f"CREATE TEMP TABLE {_TABLE} AS FROM {scan}")
    except duckdb.OutOfMemoryException:
        return scan
    except duckdb.Error:
        return None
    return _TABLE


def _parse_strictly(session: DuckDBPyConnection, file: CsvFile, relation: str, counted: Counted) -> Parsed | None:
    """Parse all of a file and count what it has; ``None`` where it cannot be parsed."""
    import duckdb

    names = [f"c{number}" for number in range(len(file.fields))]
    try:
        if not counted.has_quotes:
            # Each column is named, so that each is parsed.
            lengths = ", ".join(f"sum(strlen({name}))" for name in names)
            return Parsed(session.execute(f"SELECT count(*), {lengths} FROM {relation}").fetchall()[0][0])
        breaks = f"list_sum([{', '.join(_counts_sql(names, 'chr(10)'))}])"
        within = ", ".join(f"sum({count})" for count in _counts_sql(names, literal(file.delimiter)))
        sql = f"SELECT count(*), sum({breaks}), max({breaks}), {within} FROM {relation}"
        ((records, sum_breaks, most, *delimiters),) = session.execute(sql).fetchall()
    except duckdb.Error:
        return None
    return Parsed(records, int(sum_breaks or 0), sum(count or 0 for count in delimiters), most or 0)


def _blank_lines(file: CsvFile, parsed: Parsed, counted: Counted) -> int | None:
    """Compare the records with the counted lines and delimiters; return how many lines are blank, ``None`` if they do not add up.

    Of a file with line breaks within quoted texts and with blank lines outside of them, the bytes cannot tell which are which.
    """
    if counted.delimiters - file.header_delimiters != parsed.records * (len(file.fields) - 1) + parsed.delimiters:
        return None
    if parsed.most_breaks >= file.csv.max_record_lines:
        return None
    blank = counted.lines - file.header_lines - parsed.records - parsed.breaks
    return blank if blank == 0 or (parsed.breaks == 0 and blank == counted.blank_lines) else None


def _texts_sql(file: CsvFile) -> str:
    nulls = _nulls(file)
    return f"CASE WHEN COLUMNS(*) NOT IN ({literals(nulls)[1:-1]}) THEN COLUMNS(*) END" if nulls else "*"


def _nulls(file: CsvFile) -> list[str]:
    """List the texts that are NULL, quoted or not."""
    return [*file.csv.null, *([""] if file.csv.empty_as_null else [])]


def _counts_sql(names: Sequence[str], text: str) -> list[str]:
    """Count a text of one byte in each column of a record."""
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
