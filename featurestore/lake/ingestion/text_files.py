"""Text files: plain, gzip or zstd, opened as bytes; what is binary under a text file's name is refused."""

from __future__ import annotations

import codecs
import gzip
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa

from featurestore.errors import IngestError
from featurestore.lake.bounds import Bounds
from featurestore.lake.ingestion.lines import newline_of

_MAGIC = {".gz": b"\x1f\x8b", ".zst": b"\x28\xb5\x2f\xfd"}
_WIDE = ("utf-16", "utf-32")
_MARKS = {
    "utf-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
    "utf-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
}
# What stands for bytes that an encoding does not have: alone it is no UTF-8 either, so it is found wherever it goes.
_NO_CHARACTER = "\udcff"
_MARK_BAD = "featurestore_mark_bad_bytes"
_GUESSED_BYTES = 1 << 16
_BUFFER_BYTES = 1 << 16
_HIGH = 0x80
_HIGH_RUN = re.compile(b"[\x80-\xff]+")


def _mark_bad(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _NO_CHARACTER * (error.end - error.start), error.end


codecs.register_error(_MARK_BAD, _mark_bad)


def is_utf8(encoding: str) -> bool:
    """Tell whether an encoding is UTF-8, with or without a byte order mark."""
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")


@contextmanager
def open_bytes(path: Path, kind: str, bounds: Bounds, *, encoding: str = "utf-8") -> Iterator[IO[bytes]]:
    """Open a text file, decompressed.

    Raises:
        IngestError: its first bytes are not what its name or its encoding says, or zeros of another encoding; or, while it is read,
            more comes out of it than ``bounds`` allow.
    """
    with path.open("rb") as raw:
        start = raw.read(4)
    suffix = path.suffix.lower()
    found = next((ending for ending, magic in _MAGIC.items() if start.startswith(magic)), None)
    if start == b"PAR1" or found != (suffix if suffix in _MAGIC else None):
        content = {".gz": "gzip", ".zst": "zstd", None: "not compressed"}[found]
        content = "a Parquet file" if start == b"PAR1" else content
        raise IngestError(f"{path} is {content}, but its name says {kind}. Rename it, or deliver it again.")
    with _decompressed(path, found) as opened:
        start = opened.read(4)
    name = codecs.lookup(encoding).name
    if not name.startswith(_WIDE):
        _refuse_wide(path, kind, start)
    if name in _MARKS and not start.startswith(_MARKS[name]):
        raise IngestError(
            f"{path} does not begin with a byte order mark, as {name} does. Say csv=fs.Csv(encoding='{name}-le') or '{name}-be', "
            "or leave encoding= out if it is UTF-8."
        )
    with _decompressed(path, found) as opened:
        yield opened if found is None else cast(IO[bytes], io.BufferedReader(_Measured(opened, path, bounds), _BUFFER_BYTES))


@contextmanager
def open_text(path: Path, kind: str, bounds: Bounds, *, encoding: str = "utf-8") -> Iterator[IO[str]]:
    """Open a text file; bytes that are none of its encoding become surrogates, and lines keep their ends.

    Lines end with a line feed; in a file whose first bytes have none, with a carriage return.
    """
    with open_bytes(path, kind, bounds, encoding=encoding) as opened:
        newline = newline_of(opened.read(_GUESSED_BYTES)).decode()
    name, errors = ("utf-8-sig", "surrogateescape") if is_utf8(encoding) else (encoding, _MARK_BAD)
    with open_bytes(path, kind, bounds, encoding=encoding) as opened:
        yield io.TextIOWrapper(opened, encoding=name, errors=errors, newline=newline)


def lines_of(text: IO[str], path: Path, bounds: Bounds) -> Iterator[str]:
    """Read the lines of an opened text, with their ends.

    Raises:
        IngestError: one has more letters than ``line_bytes``.
    """
    most = bounds.line_bytes + 1
    number = 0
    while line := text.readline(most):
        number += 1
        if len(line) == most and line[-1] not in "\r\n":
            raise bounds.long_line(path, number)
        yield line


def shown(text: str) -> str:
    """Write bytes that are no UTF-8 in a text as escapes, so that it can be kept and shown."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def encoding_hint(text: str) -> str:
    """Guess what encoding a text that is not UTF-8 has, as a sentence that says what to write."""
    guess = guessed_encoding(text)
    return f"It looks like {guess}: say csv=fs.Csv(encoding={guess!r})."


def guessed_encoding(text: str) -> str:
    """Guess the encoding of a text whose bytes are not UTF-8 and stand in it as surrogates."""
    content = text.encode("utf-8", "surrogateescape")
    try:
        content.decode("gb18030")
    except UnicodeDecodeError:
        return "latin-1"
    high = sum(byte >= _HIGH for byte in content)
    # Both bytes of a common Chinese character are high; in Western texts such bytes stand alone, before a letter.
    paired = sum(len(run) for run in _HIGH_RUN.findall(content) if len(run) % 2 == 0)
    return "gb18030" if high and paired >= high * 0.8 else "latin-1"


class _Measured(io.RawIOBase):
    """What comes out of a compressed file, held against what may."""

    def __init__(self, opened: IO[bytes], path: Path, bounds: Bounds) -> None:
        self._opened = opened
        self._path = path
        self._bounds = bounds
        self._file_bytes = path.stat().st_size
        self._decoded_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        content = self._opened.read(len(buffer))
        buffer[: len(content)] = content
        self._decoded_bytes += len(content)
        self._bounds.check_size(self._path, file_bytes=self._file_bytes, decoded_bytes=self._decoded_bytes)
        return len(content)


@contextmanager
def _decompressed(path: Path, ending: str | None) -> Iterator[IO[bytes]]:
    if ending == ".zst":
        with pa.input_stream(str(path), compression="zstd") as stream:
            yield io.BufferedReader(cast(io.RawIOBase, stream))
    else:
        with gzip.open(path, "rb") if ending == ".gz" else path.open("rb") as opened:
            yield cast(IO[bytes], opened)


def _refuse_wide(path: Path, kind: str, start: bytes) -> None:
    is_marked = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if is_marked and kind != "CSV":
        raise IngestError(f"{path} looks like UTF-16; {kind} are UTF-8. Write it as UTF-8, or deliver it again.")
    if is_marked or (b"\0" in start and kind == "CSV"):
        raise IngestError(f"{path} looks like UTF-16, not {kind} in UTF-8. Say csv=fs.Csv(encoding='utf-16').")
    if b"\0" in start:
        raise IngestError(f"{path} is not text, but its name says {kind}. Rename it, or deliver it again.")
