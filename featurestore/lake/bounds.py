"""Bounds: what a call may cost, however small the file that asks for it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from featurestore.errors import DefinitionError, IngestError

_MIB = 1 << 20
_GIB = 1 << 30
_LEAST = {"line_bytes": 1024, "portion_bytes": _MIB, "batch_bytes": _MIB, "spill_bytes": _MIB}


@dataclass(frozen=True)
class Bounds:
    """The most that an input may have, and that a call may use: what is beyond is refused with an error that names the bound.

    A compressed file, and a Parquet file, is refused when it is beyond both its size and its ratio. Size alone would refuse large
    files, ratio alone small ones that repeat themselves and cost little: logs shrink 20 to 40 times, rows of few different values
    100 times, while what is made to cost shrinks 1,000 times or more. With rows it is the same.

    Args:
        line_bytes: Bytes of a line of CSV or JSON lines, at least 1,024.
        columns: Columns of a file.
        nesting: Depth of a JSON value; what is deeper goes to the quarantine.
        decompressed_bytes: Bytes that a file may become, whatever its size.
        decompression_ratio: Bytes that each byte of it may become beyond that.
        rows: Rows, or lines, that a file may have, whatever its size.
        rows_per_byte: Rows that each byte of it may hold beyond that.
        portion_bytes: Bytes that are held in memory at a time, at least 1 MiB.
        batch_bytes: Bytes of one commit; more become several. At least 1 MiB.
        spill_bytes: Bytes that one call may lay aside on the disk, at least 1 MiB. ``None``: half of what is free, from 1 GiB to
            64 GiB.

    Raises:
        DefinitionError: a value is no whole number, or too small.

    >>> Bounds(line_bytes=1 << 30).line_bytes
    1073741824
    """

    line_bytes: int = 16 * _MIB
    columns: int = 32_768
    nesting: int = 100
    decompressed_bytes: int = 2 * _GIB
    decompression_ratio: int = 200
    rows: int = 20_000_000
    rows_per_byte: int = 16
    portion_bytes: int = 64 * _MIB
    batch_bytes: int = 2 * _GIB
    spill_bytes: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            least = _LEAST.get(field.name, 1)
            if field.name == "spill_bytes" and value is None:
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise DefinitionError(f"Bounds has {field.name}={value!r}; use a whole number from {least:,} on.")

    def spill_of(self, free_bytes: int) -> int:
        """Return what one call may lay aside on a disk that has so many bytes free."""
        return self.spill_bytes if self.spill_bytes is not None else min(max(free_bytes // 2, _GIB), 64 * _GIB)

    def check_size(self, path: Path, *, file_bytes: int, decoded_bytes: int) -> None:
        """Refuse a file that becomes too much.

        Args:
            path: The file.
            file_bytes: Its size.
            decoded_bytes: What it becomes, or has become so far.

        Raises:
            IngestError: it is beyond ``decompressed_bytes`` and ``decompression_ratio``.
        """
        if decoded_bytes > max(self.decompressed_bytes, self.decompression_ratio * file_bytes):
            raise IngestError(
                f"{path} has {file_bytes:,} bytes and becomes {decoded_bytes:,} or more when it is read. Allowed are "
                f"{self.decompressed_bytes:,}, or {self.decompression_ratio} times its size. {_mend('decompression_ratio')}"
            )

    def check_rows(self, path: Path, *, file_bytes: int, rows: int) -> None:
        """Refuse a file of too many rows for its size; lines count as rows.

        Raises:
            IngestError: it is beyond ``rows`` and ``rows_per_byte``.
        """
        if rows > max(self.rows, self.rows_per_byte * file_bytes):
            raise IngestError(
                f"{path} has {rows:,} rows or more in {file_bytes:,} bytes. Allowed are {self.rows:,}, or {self.rows_per_byte} for "
                f"each byte. {_mend('rows_per_byte')}"
            )

    def check_columns(self, path: Path, columns: int) -> None:
        """Refuse a file of too many columns.

        Raises:
            IngestError: it is beyond ``columns``.
        """
        if columns > self.columns:
            raise IngestError(f"{path} has {columns:,} columns. Allowed are {self.columns:,}. {_mend('columns')}")

    def long_line(self, path: Path, line: int) -> IngestError:
        """Make the error of a line, counted from 1, that is longer than ``line_bytes``."""
        return IngestError(f"{path}, line {line:,}, has more than {self.line_bytes:,} bytes. {_mend('line_bytes')}")


def _mend(name: str) -> str:
    return (
        f"If it is what it should be, raise the bound {name}: store.ingest(..., bounds=fs.Bounds({name}=...)), or "
        f"--bound {name}=... on the command line. Nothing of it was committed."
    )
