"""Files of a Delta table: where new ones go, what their footers say, and how DuckDB scans a list of them."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from featurestore.errors import StoreError
from featurestore.lake.footer import read_footer
from featurestore.lake.session import path_literal
from featurestore.lake.storage import STORAGE
from featurestore.lake.whole_file import translating
from featurestore.timeline import from_us

LOG = "_delta_log"
"""The folder of a table's log, in the table's."""
SHA256 = "sha256"
"""The tag of a file's digest in the action that adds it."""
_INSTANT = pa.timestamp("us", "UTC")
_STATISTICS = ("min.", "max.", "null_count.")
_PARTITION_VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class StagedFile:
    """A written file that no version of its table knows yet.

    ``minimum``, ``maximum`` and ``null_count`` map columns to values; a column without usable statistics is absent.
    ``sha256`` is the digest of its bytes.
    """

    path: Path
    partition: Mapping[str, str]
    rows: int
    size_bytes: int
    minimum: Mapping[str, Any]
    maximum: Mapping[str, Any]
    null_count: Mapping[str, int]
    schema: pa.Schema
    sha256: str

    def stats_json(self) -> str:
        """Render rows and statistics as the Delta log wants them."""
        return json.dumps(
            {
                "numRecords": self.rows,
                "minValues": {column: _json_value(value) for column, value in self.minimum.items()},
                "maxValues": {column: _json_value(value) for column, value in self.maximum.items()},
                "nullCount": dict(self.null_count),
            },
            allow_nan=False,
        )


@dataclass(frozen=True)
class CommittedFile:
    """A file of one version of a table.

    ``name`` is its path relative to the table's folder, ``modified_ms`` when it was committed. ``minimum``, ``maximum`` and
    ``null_count`` map columns to values (timestamps as aware datetimes); a column without statistics is absent: nothing may
    be concluded about it. They are unpacked when asked for: most readers want the names alone, and a log has statistics for
    each column of each file. ``statistics`` has them by names such as ``min.amount``.
    """

    path: Path
    name: str
    partition: dict[str, str]
    rows: int
    size_bytes: int
    modified_ms: int
    statistics: Mapping[str, Any] = field(repr=False, compare=False)

    @cached_property
    def minimum(self) -> dict[str, Any]:
        """Smallest value by column."""
        return self._known("min.")

    @cached_property
    def maximum(self) -> dict[str, Any]:
        """Largest value by column."""
        return self._known("max.")

    def smallest(self, column: str) -> Any:
        """Return the smallest value of one column, without unpacking the others; ``None`` where it is not known."""
        return self._one(f"min.{column}")

    def largest(self, column: str) -> Any:
        """Return the largest value of one column, as ``smallest``."""
        return self._one(f"max.{column}")

    def nulls(self, column: str) -> int | None:
        """Return the number of NULLs of one column, as ``smallest``."""
        nulls: int | None = self._one(f"null_count.{column}")
        return nulls

    def _one(self, name: str) -> Any:
        return self.statistics.get(name)

    @cached_property
    def null_count(self) -> dict[str, int]:
        """Number of NULL values by column."""
        return self._known("null_count.")

    def _known(self, prefix: str) -> dict[str, Any]:
        return _without_prefix({name: self.statistics[name] for name in self.statistics if name.startswith(prefix)}, prefix)


def stage(path: Path, partition: Mapping[str, str], name: str | None = None) -> Path:
    """Return where to write a new file of a table; its folder, and that of the table's log, exist afterwards.

    Args:
        path: The table's folder.
        partition: Partition column to value, in the table's order; empty for an unpartitioned table.
        name: File name without ``.parquet``, such as a digest of the content; a random one by default.

    Raises:
        StoreError: a value cannot be a folder name.
    """
    folder = path
    for column, value in partition.items():
        if not _PARTITION_VALUE.fullmatch(value):
            raise StoreError(
                f"{value!r} cannot be a value of the partition column {column!r}: use letters, digits, '_', '.', '-'."
            )
        folder = folder / f"{column}={value}"
    STORAGE.keep_folder(path / LOG)  # before the first file: a table with files and without that folder has lost its log
    return STORAGE.place(folder / f"{name or uuid.uuid4().hex}.parquet")


def describe(file_path: Path, partition: Mapping[str, str]) -> StagedFile:
    """Read rows, size, schema and statistics from the footer of a written Parquet file, and all of it for its digest.

    Raises:
        StoreError: the file is not a whole Parquet file.
    """
    footer = read_footer(file_path)
    return StagedFile(
        path=file_path,
        partition=dict(partition),
        rows=footer.rows,
        size_bytes=file_path.stat().st_size,
        minimum=footer.minimum,
        maximum=footer.maximum,
        null_count=footer.null_count,
        schema=footer.schema,
        sha256=sha256_of(file_path),
    )


def sha256_of(file_path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal digits as ``sha256sum`` writes it."""
    with translating(file_path, "read"), file_path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def parquet_scan_sql(files: Iterable[CommittedFile | StagedFile | Path], *, options: str = "") -> str:
    """Render a DuckDB scan of exactly these files, without partition columns.

    Args:
        files: At least one.
        options: More arguments of ``read_parquet``, such as ``"file_row_number = true"``.

    >>> parquet_scan_sql([Path("/lake/it's.parquet")])
    "read_parquet(['/lake/it''s.parquet'], hive_partitioning = false)"
    """
    paths = [str(file if isinstance(file, Path) else file.path) for file in files]
    if not paths:
        raise ValueError("There is no scan of no files: handle an empty table before.")
    more = f", {options}" if options else ""
    names = ", ".join(map(path_literal, paths))
    return f"read_parquet([{names}], hive_partitioning = false{more})"


def committed_files(path: Path, actions: pa.Table) -> list[CommittedFile]:
    """Read the add actions of a Delta table's version (flattened), sorted by file name."""
    plain = [name for name in actions.column_names if not name.startswith(_STATISTICS)]
    columns = _Unpacked(actions.select([name for name in actions.column_names if name.startswith(_STATISTICS)]))
    files = [
        CommittedFile(
            path=path / action["path"],
            name=action["path"],
            partition=_without_prefix(action, "partition."),
            rows=action["num_records"],
            size_bytes=action["size_bytes"],
            modified_ms=action["modification_time"],
            statistics=_RowOf(columns, i),
        )
        for i, action in enumerate(actions.select(plain).to_pylist())
    ]
    return sorted(files, key=lambda file: file.name)


def committed_as(file: StagedFile, name: str, modified_ms: int) -> CommittedFile:
    """Return what a log says of a staged file once it is committed, without reading the log.

    Args:
        file: The file.
        name: Its path relative to the table's folder.
        modified_ms: When it is committed, milliseconds since 1970.
    """
    return CommittedFile(file.path, name, dict(file.partition), file.rows, file.size_bytes, modified_ms, _statistics(file))


def _statistics(file: StagedFile) -> dict[str, Any]:
    kinds = zip(_STATISTICS, (file.minimum, file.maximum, file.null_count), strict=True)
    known = {f"{prefix}{column}": value for prefix, values in kinds for column, value in values.items()}
    naive = {each.name for each in file.schema if pa.types.is_timestamp(each.type) and each.type.tz is None}
    for name in (f"{prefix}{column}" for prefix in _STATISTICS[:2] for column in naive):
        if name in known:
            known[name] = known[name].replace(tzinfo=None)  # deltalake gives those of times without a zone as they are
    return known


class _Unpacked:
    """Columns of a log's statistics as Python values: each is unpacked for all files once one is asked for."""

    def __init__(self, actions: pa.Table) -> None:
        self._actions = actions
        self._columns: dict[str, list[Any]] = {}
        self.names = frozenset(actions.column_names)

    def column(self, name: str) -> list[Any]:
        """Return a column, a value a file."""
        if name not in self._columns:
            column = self._actions[name]
            if column.type == _INSTANT:  # whose own way to Python's values would import pandas
                numbers = column.cast(pa.int64()).to_pylist()
                self._columns[name] = [None if number is None else from_us(number) for number in numbers]
            else:
                self._columns[name] = column.to_pylist()
        return self._columns[name]


@dataclass(frozen=True, eq=False)
class _RowOf(Mapping[str, Any]):
    """One file's row of a log's statistics."""

    columns: _Unpacked
    row: int

    def __getitem__(self, name: str) -> Any:
        if name not in self.columns.names:
            raise KeyError(name)
        return self.columns.column(name)[self.row]

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns.names)

    def __len__(self) -> int:
        return len(self.columns.names)


def _without_prefix(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {key[len(prefix) :]: value for key, value in values.items() if key.startswith(prefix) and value is not None}


def _json_value(value: Any) -> int | float | str:
    return value if isinstance(value, (int, float, str)) else str(value.isoformat()).replace("+00:00", "Z")
