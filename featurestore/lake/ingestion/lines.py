"""Lines: the columns of portions that come from lines, why a line can be no row, and the meter that counts them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from featurestore.lake.bounds import Bounds

LINE, IS_ROW, REASON = "$line", "$is_row", "$reason"
"""The line itself, where it matters; whether it could be split into columns; and if not, where there are several reasons, why."""
POSITION = "$position"
"""Which row of its portion a row is, from 0: what the place in a load decides is decided by it, in whatever order rows are read."""

UNREADABLE, UNCLOSED, INSIDE = "unreadable line", "unclosed quote", "inside an unclosed quote"
BAD_BYTES, TOO_LONG, TOO_DEEP = "bytes of another encoding", "line too long", "nested too deeply"
KEY_TWICE = "a key twice"
REASONS = (UNREADABLE, UNCLOSED, INSIDE, BAD_BYTES, TOO_LONG, TOO_DEEP, KEY_TWICE)
"""Why a line is no row."""

FIRST_REFUSED = 10
"""Of so many refused lines of a file the report tells the numbers."""

_BLANK = re.compile(rb"(?<=\n)\r?\n")
_SEEN_BEFORE = 2
_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*"')
_BRACKET = re.compile(rb"[\[{\]}]")


@dataclass
class LineMeter:
    """Counts the lines of a file piece by piece, and stops at the first that is beyond its bound.

    Args:
        file: Whose lines they are, for errors.
        bounds: How long they may be, and how many.
        blank: Lines that are empty but for their end, inside quoted texts too.
    """

    file: Path
    bounds: Bounds
    blank: int = 0

    def __post_init__(self) -> None:
        self._file_bytes = self.file.stat().st_size
        self._newline = b""
        self._ended = 0
        self._open_bytes = 0
        self._last = b"\n"

    @property
    def lines(self) -> int:
        """Lines so far, the last without an end too."""
        return self._ended + (self._open_bytes > 0)

    def read(self, piece: bytes) -> None:
        """Go on by a piece of the file.

        Raises:
            IngestError: a line is longer than ``line_bytes``, or there are too many for the size of the file.
        """
        if not self._newline and (b"\n" in piece or b"\r" in piece):
            self._newline = newline_of(piece)
        newline = self._newline or b"\n"
        self._measure(piece, newline)
        self._ended += piece.count(newline)
        self.bounds.check_rows(self.file, file_bytes=self._file_bytes, rows=self.lines)
        seen = self._last + piece
        if b"\n\n" in seen or b"\n\r\n" in seen:
            self.blank += sum(found.end() > len(self._last) for found in _BLANK.finditer(seen))
        self._last = seen[-_SEEN_BEFORE:]

    def _measure(self, piece: bytes, newline: bytes) -> None:
        """Hop from line end to line end, each as far as a line may reach: what lies between two of them is short enough."""
        start = 0
        while start < len(piece):
            room = self.bounds.line_bytes - self._open_bytes
            end = piece.rfind(newline, start, start + room + 1)
            if end < 0 and len(piece) - start > room:
                raise self.bounds.long_line(self.file, self._ended + piece.count(newline, 0, start) + 1)
            if end < 0:
                self._open_bytes += len(piece) - start
                return
            start = end + 1
            self._open_bytes = 0


def newline_of(sample: bytes) -> bytes:
    """Return what ends the lines of a sample: a line feed, maybe behind a carriage return; or a carriage return alone."""
    return b"\r" if b"\r" in sample and b"\n" not in sample else b"\n"


def is_deep(line: bytes, most: int) -> bool:
    """Tell whether the brackets of a line of JSON lie deeper in each other than allowed."""
    depth = 0
    for found in _BRACKET.finditer(_TEXT.sub(b"", line)):
        depth += 1 if found[0] in b"[{" else -1
        if depth > most:
            return True
    return False
