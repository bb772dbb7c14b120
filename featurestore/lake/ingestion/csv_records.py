"""The record splitter: CSV lines to records, line by line, so that damage costs the lines that it touches and no others.

It reads what DuckDB's strict parser reads, and goes on where that one stops:

1. A line without a quote is split at its delimiters.                                              (1 line -> 1 record)
2. A line with quotes is parsed strictly; a quoted field may span lines.                          (n lines -> 1 record)
3. A record that does not end within the bound, has text behind a closing quote, or spans lines and has another number of
   fields, is damaged: its first line is refused, and so is every later line that could lie inside its open quote
   (``Reading``).                                                                                 (n lines -> n refused)

What is refused is refused line by line, as it came.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from featurestore.lake.ingestion.csv_damage import Dialect, Reading, without_end
from featurestore.lake.ingestion.lines import BAD_BYTES, FIRST_REFUSED, INSIDE, UNCLOSED, UNREADABLE

Values = list[str | None]
_NULL = ("", "\\N")
_MOST_REFUSED = 50_000
_SPACES = re.compile(" *")
_SAYS_DELIMITER = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)


def said_delimiter(line: str) -> str | None:
    """Return the delimiter that a first line of Excel says, and nothing else; ``None`` where it is another line.

    >>> said_delimiter("sep=;" + chr(10)), said_delimiter("id;at")
    (';', None)
    """
    found = _SAYS_DELIMITER.fullmatch(line)
    return None if found is None else found[1]


@dataclass
class LineCounts:
    """What the lines of a file were: the sum of all is the number of its lines."""

    header: int = 0
    record: int = 0
    refused: int = 0
    blank: int = 0
    comment: int = 0

    @property
    def total(self) -> int:
        """All lines that were seen."""
        return self.header + self.record + self.refused + self.blank + self.comment


@dataclass
class Damage:
    """A record that cannot be read.

    Args:
        lines: What it has taken.
        is_open: Whether its quote is still open.
        least: How many of the lines it spans for certain.
    """

    lines: list[str]
    is_open: bool = False
    least: int = 1


@dataclass
class Splitter:
    """Reads records of one file.

    Args:
        dialect: How fields are written.
        lines: The lines with their ends; bytes that are not UTF-8 as surrogates.
        counts: What has been read so far.
        portion_bytes: Most letters of lines that may wait to be taken.
        refused: ``(line, reason)`` of the refused lines since the caller last emptied it.
        refused_at: Numbers of the first refused lines, from 1.
        read_size: Letters that were read.
    """

    dialect: Dialect
    lines: Iterable[str]
    portion_bytes: int = 64 << 20
    counts: LineCounts = field(default_factory=LineCounts)
    refused: list[tuple[str, str]] = field(default_factory=list)
    refused_at: list[int] = field(default_factory=list)
    read_size: int = 0

    def __post_init__(self) -> None:
        self._source = iter(self.lines)
        self._back: deque[str] = deque()
        self._asked_at = 0

    def read_header(self) -> Values:
        """Read the first record, whatever its width; an empty list when there is none."""
        while (line := self._next()) is not None:
            if self._is_no_record(line):
                continue
            found = self._parse(line)
            if isinstance(found, Damage):
                self._back.extendleft(reversed(found.lines[1:]))
                self.counts.header += 1
                return list(without_end(line).split(self.dialect.delimiter))
            values, taken = found
            self.counts.header += len(taken)
            return values
        return []

    def next_values(self) -> Values | None:
        """Read the next record of any width, stepping over what cannot be read; ``None`` at the end. It counts nothing."""
        counts = replace(self.counts)
        while (line := self._next()) is not None:
            found = None if self._is_no_record(line) else self._parse(line)
            self.counts = counts
            if isinstance(found, Damage):
                self._back.extendleft(reversed(found.lines[1:]))
            elif found is not None:
                return found[0]
        return None

    def records(self, width: int) -> Iterator[Values | None]:
        """Read the records of ``width`` fields that follow; ``None`` asks to empty ``refused``."""
        quote = self.dialect.quote
        delimiter = self.dialect.delimiter
        while (line := self._next()) is not None:
            if self._is_no_record(line):
                continue
            if quote is not None and quote in line:
                found = self._quoted_record(line, width)
                if isinstance(found, Damage):
                    yield from self._damaged(found)
                elif found is not None:
                    yield found
                continue
            fields = without_end(line).split(delimiter)
            if len(fields) != width or len(line) > self.dialect.max_record_bytes or _is_bad(line):
                self._refuse([line], BAD_BYTES if _is_bad(line) else UNREADABLE)
                if self._is_full():
                    yield None
                continue
            self.counts.record += 1
            yield [None if value in _NULL else value for value in fields]

    def _next(self) -> str | None:
        if self._back:
            return self._back.popleft()
        line = next(self._source, None)
        self.read_size += len(line or "")
        return line

    def _is_full(self) -> bool:
        """Tell whether so much was refused that the caller should take it."""
        if len(self.refused) < _MOST_REFUSED and self.read_size - self._asked_at < self.portion_bytes:
            return False
        self._asked_at = self.read_size
        return True

    def _is_no_record(self, line: str) -> bool:
        if self.counts.total == 0 and said_delimiter(line) is not None:
            self.counts.comment += 1
            return True
        if line[0] in " \r\n" and not line.strip(" \r\n"):
            self.counts.blank += 1
            return True
        if self.dialect.comment is not None and line.startswith(self.dialect.comment):
            self.counts.comment += 1
            return True
        return False

    def _quoted_record(self, line: str, width: int) -> Values | Damage | None:
        found = self._parse(line)
        if isinstance(found, Damage):
            return found
        values, taken = found
        has_bad = any(map(_is_bad, taken))
        if len(values) == width and not has_bad:
            self.counts.record += len(taken)
            return values
        if len(values) != width and len(taken) > 1:
            return Damage(taken, least=len(taken))
        self._refuse(taken, BAD_BYTES if has_bad else UNREADABLE)
        return None

    def _refuse(self, lines: list[str], reason: str) -> None:
        first = self.counts.total + 1
        self.refused_at += range(first, first + min(len(lines), FIRST_REFUSED - len(self.refused_at)))
        self.counts.refused += len(lines)
        self.refused.extend((line, reason) for line in lines)

    def _damaged(self, damage: Damage) -> Iterator[None]:
        """Refuse a damaged record, with all that could lie inside its open quote; stop now and then to have lines taken."""
        self._back.extendleft(reversed(damage.lines))
        reading = Reading(self.dialect)
        waiting: list[str] = []
        is_first = True
        while reading.is_open or is_first:
            line = self._next()
            if line is None:
                break
            waiting.append(line)
            if reading.read(line, is_certain=is_first or len(waiting) < damage.least):
                if is_first:
                    self._refuse(waiting[:1], UNCLOSED if damage.is_open else UNREADABLE)
                self._refuse(waiting[is_first:], INSIDE)
                waiting = []
                if self._is_full():
                    yield None
            is_first = False
        self._back.extendleft(reversed(waiting))

    def _parse(self, line: str) -> tuple[Values, list[str]] | Damage:
        """Parse the record that begins with a line strictly.

        It is damaged when its quote is open at the bound or at the end of the file, or text stands behind a closing quote.
        """
        delimiter = self.dialect.delimiter
        values: Values = []
        taken = [line]
        size = len(line)
        text = without_end(line)
        at = 0
        while True:
            start = _spaces_end(text, at)
            if self.dialect.quote is None or not text.startswith(self.dialect.quote, start):
                end = text.find(delimiter, at)
                value = text[at:] if end < 0 else text[at:end]
                values.append(None if value in _NULL else value)
            else:
                parts: list[str] = []
                at = start + 1
                while (end := _closing(line, at, self.dialect, parts)) < 0:
                    following = self._next()
                    if following is None:
                        return Damage(taken, is_open=True)
                    taken.append(following)
                    size += len(following)
                    if len(taken) > self.dialect.max_record_lines or size > self.dialect.max_record_bytes:
                        return Damage(taken, is_open=True)
                    line, text, at = following, without_end(following), 0
                values.append("".join(parts))
                behind = text.find(delimiter, end)
                if text[end : behind if behind >= 0 else None].strip(" "):
                    return Damage(taken)
                end = behind
            if end < 0:
                return values, taken
            at = end + 1


def _spaces_end(text: str, at: int) -> int:
    found = _SPACES.match(text, at)
    return at if found is None else found.end()


def _is_bad(line: str) -> bool:
    """Tell whether a line has bytes that are not UTF-8."""
    if line.isascii():
        return False
    try:
        line.encode()
    except UnicodeEncodeError:
        return True
    return False


def _closing(line: str, at: int, dialect: Dialect, parts: list[str]) -> int:
    """Read quoted text from ``at`` on into ``parts``; return where the closing quote ends, -1 when the line has none."""
    quote = dialect.quote or ""
    escape = dialect.escape
    while True:
        found = line.find(quote, at)
        if escape is not None and escape != quote:
            escaped = line.find(escape, at, found if found >= 0 else None)
            if escaped >= 0 and line[escaped + 1 : escaped + 2] in (quote, escape):
                parts += [line[at:escaped], line[escaped + 1]]
                at = escaped + 2
                continue
        if found < 0:
            parts.append(line[at:])
            return -1
        parts.append(line[at:found])
        if escape != quote or not line.startswith(quote, found + 1):
            return found + 1
        parts.append(quote)
        at = found + 2
