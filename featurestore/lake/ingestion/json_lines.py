"""JSON lines to tables of texts, every line accounted for.

1. The bytes are cut at line ends; what a line is beyond its bound is not kept.                        (bytes -> lines)
2. A line that is no UTF-8, too long or nested too deeply is no row, with that reason; DuckDB takes the others apart, and says which
   are no JSON object.                                                    (1 line -> 1 row of texts, or 1 refused line)
3. Rows, refused lines and blank lines must add up to the lines that were cut.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.errors import IngestError
from featurestore.lake.bounds import Bounds
from featurestore.lake.endings import JSON_LINES
from featurestore.lake.ingestion.ingest_report import FileLines
from featurestore.lake.ingestion.json_keys import keys_among, parsed
from featurestore.lake.ingestion.lines import (
    BAD_BYTES,
    FIRST_REFUSED,
    IS_ROW,
    KEY_TWICE,
    LINE,
    REASON,
    TOO_DEEP,
    TOO_LONG,
    is_deep,
    newline_of,
)
from featurestore.lake.ingestion.text_files import open_bytes, shown
from featurestore.lake.session import connect, literal, literals, quote

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_BOM = b"\xef\xbb\xbf"
_PIECE_BYTES = 4 << 20
_SAMPLED_LINES = 10_000
# Of a line that is too long the quarantine keeps the beginning.
_KEPT_BYTES = 1000
_MEMORY = "1GB"


@dataclass(frozen=True)
class JsonFile:
    """A file of JSON lines whose first lines have been read.

    Args:
        path: Where it lies.
        columns: Keys of the first lines, in their order, and those columns of the source that only later lines have.
        wanted: Those that are read: the columns of the source that some line has.
        bounds: What reading it may cost.
    """

    path: Path
    columns: tuple[str, ...]
    wanted: tuple[str, ...]
    bounds: Bounds

    @property
    def extra_columns(self) -> tuple[str, ...]:
        """Keys that are not read."""
        wanted = set(self.wanted)
        return tuple(column for column in self.columns if column not in wanted)


@dataclass
class LineCutter:
    """Cuts a file into lines without their ends.

    Args:
        path: The file, for errors.
        bounds: How long lines may be, and how many.
        needs_first: Whether a first line that is too long is an error.
        lines: How many were cut.
        too_long: Number, from 1, to length in bytes, of lines that are beyond the bound: only their beginning is kept.
    """

    path: Path
    bounds: Bounds
    needs_first: bool = False
    lines: int = 0
    too_long: dict[int, int] = field(default_factory=dict)

    def pieces(self, opened: IO[bytes]) -> Iterator[list[bytes]]:
        """Read the lines of an opened file, some at a time.

        Raises:
            IngestError: there are too many for the size of the file, or the first is too long and needed.
        """
        file_bytes = self.path.stat().st_size
        newline = b""
        open_line = b""
        open_bytes = 0
        is_first = True
        while piece := opened.read(min(_PIECE_BYTES, self.bounds.portion_bytes)):
            newline = newline or newline_of(piece)
            first, *others = (piece.removeprefix(_BOM) if is_first else piece).split(newline)
            is_first = False
            open_bytes += len(first)
            open_line = self._begun(open_line, first, open_bytes)
            if self.needs_first and not self.lines and open_bytes > self.bounds.line_bytes:
                raise self.bounds.long_line(self.path, 1)
            if not others:
                continue
            lines = [self._cut(open_line, open_bytes), *(self._cut(line, len(line)) for line in others[:-1])]
            open_bytes = len(others[-1])
            open_line = self._begun(b"", others[-1], open_bytes)
            self.bounds.check_rows(self.path, file_bytes=file_bytes, rows=self.lines)
            yield lines
        if open_bytes:
            yield [self._cut(open_line, open_bytes)]

    def _begun(self, line: bytes, more: bytes, size: int) -> bytes:
        return (
            (line if len(line) >= _KEPT_BYTES else line + more)[:_KEPT_BYTES] if size > self.bounds.line_bytes else line + more
        )

    def _cut(self, line: bytes, size: int) -> bytes:
        self.lines += 1
        if size > self.bounds.line_bytes:
            self.too_long[self.lines] = size
            return line[:_KEPT_BYTES]
        return line.removesuffix(b"\r")


def check_json_lines(path: Path, wanted: Collection[str], bounds: Bounds) -> JsonFile:
    """Read the keys of the first lines of a file, and look for columns of its source that only later lines have.

    Args:
        path: The file.
        wanted: The columns of its source.
        bounds: What reading it may cost.

    Raises:
        IngestError: none of the first lines is a JSON object, the first is too long, or the file is one JSON array.
    """
    keys: dict[str, None] = {}
    cutter = LineCutter(path, bounds, needs_first=True)
    looked = size = 0
    ends_in_comma = False
    with open_bytes(path, JSON_LINES, bounds) as opened:
        for lines in cutter.pieces(opened):
            sampled = 0 if size > bounds.portion_bytes else max(_SAMPLED_LINES - looked, 0)
            for line in lines[:sampled]:
                if not keys and line.lstrip()[:1] == b"[" and parsed(line) is None:
                    raise IngestError(
                        f"{path} begins like a JSON array of several lines; JSON lines have one object per line. Convert it: "
                        f"jq -c '.[]' {path.name!r}. Nothing of it was committed."
                    )
                value = parsed(line)
                ends_in_comma = ends_in_comma or (value is None and isinstance(parsed(line.rstrip()[:-1]), dict))
                if isinstance(value, dict):
                    keys.update((key, None) for key in value if len(keys) < bounds.columns or key in wanted)
            keys.update(dict.fromkeys(keys_among(lines[sampled:], [column for column in wanted if column not in keys])))
            looked += len(lines)
            size += sum(map(len, lines))
            if (looked >= _SAMPLED_LINES or size > bounds.portion_bytes) and all(column in keys for column in wanted):
                break
    if not keys and cutter.too_long:
        raise bounds.long_line(path, min(cutter.too_long))
    if not keys and ends_in_comma:
        raise IngestError(
            f"{path} has lines that end in a comma, as in an array; JSON lines have one object per line alone. Remove them: "
            f"sed 's/,$//' {path.name!r}. Nothing of it was committed."
        )
    if not keys:
        raise IngestError(f"{path} holds no JSON object in its first lines. JSON lines have one object per line, not an array.")
    return JsonFile(path, tuple(map(shown, keys)), tuple(column for column in wanted if column in keys), bounds)


@dataclass
class JsonReading:
    """Reads one file of JSON lines.

    Args:
        file: The file, its first lines read.
        counted: After the last table, what became of the lines.
    """

    file: JsonFile
    counted: FileLines | None = None

    def tables(self) -> Iterator[pa.Table]:
        """Read the lines as ``LINE``, ``IS_ROW``, ``REASON`` and a text for each wanted column.

        Raises:
            IngestError: the file is damaged as gzip or zstd, beyond a bound, or its lines do not add up.
        """
        cutter = LineCutter(self.file.path, self.file.bounds)
        rows = refused = blank = 0
        refused_at: list[int] = []
        with open_bytes(self.file.path, JSON_LINES, self.file.bounds) as opened, connect(memory_limit=_MEMORY) as session:
            for lines in cutter.pieces(opened):
                first = cutter.lines - len(lines) + 1
                numbered = [(number, line) for number, line in enumerate(lines, first) if line and not line.isspace()]
                blank += len(lines) - len(numbered)
                if not numbered:
                    continue
                numbers = [number for number, _ in numbered]
                table = self._taken_apart(session, numbers, _texts(numbered, cutter, self.file.bounds))
                is_row = table.column(IS_ROW)
                now = pc.sum(is_row).as_py() or 0
                if now < len(numbers):
                    found = pc.indices_nonzero(pc.invert(is_row))[: FIRST_REFUSED - len(refused_at)].to_pylist()
                    refused_at += [numbers[index] for index in found]
                rows += now
                refused += len(numbers) - now
                yield table
        self._close(cutter.lines, rows, refused, blank, refused_at)

    def _taken_apart(self, session: DuckDBPyConnection, numbers: list[int], texts: pa.Table) -> pa.Table:
        """Let DuckDB say which lines are objects, and take their values out of them, in the order of the lines."""
        line = quote(LINE)
        values = "".join(f', "$values"[{i}] AS {quote(column)}' for i, column in enumerate(self.file.wanted, 1))
        session.register("lines", texts.append_column("$number", pa.array(numbers)))
        kind = f"CASE WHEN {quote(REASON)} IS NULL AND json_valid({line}) THEN json_type({line}) = 'OBJECT' ELSE false END"
        keys = f"CASE WHEN {quote(IS_ROW)} THEN json_keys({line}) END"
        reason = f"CASE WHEN list_unique({keys}) < len({keys}) THEN {literal(KEY_TWICE)} ELSE {quote(REASON)} END"
        # All values of a line at once: one look for each would hold the texts of all lines once for each column.
        pointers = literals([_pointer(column) for column in self.file.wanted])
        taken = f"CASE WHEN {quote(IS_ROW)} AND {quote(REASON)} IS NULL THEN json_extract_string({line}, {pointers}) END"
        table: pa.Table = session.sql(
            f"SELECT {line}, {quote(IS_ROW)} AND {quote(REASON)} IS NULL AS {quote(IS_ROW)}, {quote(REASON)}{values} FROM ("
            f'SELECT *, {taken} AS "$values" FROM (SELECT * REPLACE ({reason} AS {quote(REASON)}) FROM ('
            f'SELECT *, {kind} AS {quote(IS_ROW)} FROM lines))) ORDER BY "$number"'
        ).to_arrow_table()
        session.unregister("lines")
        return table

    def _close(self, lines: int, rows: int, refused: int, blank: int, refused_at: list[int]) -> None:
        if rows + refused + blank != lines:
            raise IngestError(
                f"{self.file.path} has {lines:,} lines, but {rows:,} rows, {refused:,} refused and {blank:,} blank lines are "
                "accounted for. Nothing of it was committed. Please report it, with the file if you can."
            )
        self.counted = FileLines(
            file=str(self.file.path),
            lines=lines,
            records=rows,
            record_lines=rows,
            quarantined_lines=refused,
            blank_lines=blank,
            comment_lines=0,
            header_lines=0,
            quarantined_at=tuple(refused_at),
        )


def _texts(numbered: list[tuple[int, bytes]], cutter: LineCutter, bounds: Bounds) -> pa.Table:
    """Make texts of lines, with the reason of those that are refused before they are looked into."""
    lines = [line for _, line in numbered]
    reasons: dict[int, str] = {}
    for index, (number, line) in enumerate(numbered):
        if number in cutter.too_long:
            reasons[index] = TOO_LONG
            lines[index] = line.decode("utf-8", "ignore").encode() + f" ... ({cutter.too_long[number]:,} bytes)".encode()
    binary = pa.array(lines, pa.large_binary())
    try:
        texts = binary.cast(pa.large_string())
    except pa.ArrowInvalid:
        for index, line in enumerate(lines):
            try:
                line.decode()
            except UnicodeDecodeError:
                reasons.setdefault(index, BAD_BYTES)
                lines[index] = shown(line.decode("utf-8", "surrogateescape")).encode()
        texts = pa.array(lines, pa.large_binary()).cast(pa.large_string())
    brackets = pc.add(pc.count_substring(texts, "["), pc.count_substring(texts, "{"))
    for index in pc.indices_nonzero(pc.greater(brackets, bounds.nesting)).to_pylist():
        if is_deep(lines[index], bounds.nesting):
            reasons.setdefault(index, TOO_DEEP)
    why = (
        pa.array([reasons.get(index) for index in range(len(lines))], pa.string())
        if reasons
        else pa.nulls(len(lines), pa.string())
    )
    return pa.table({LINE: texts, REASON: why})


def _pointer(column: str) -> str:
    """Write a key as a JSON pointer."""
    return "/" + column.replace("~", "~0").replace("/", "~1")
