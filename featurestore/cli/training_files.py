"""Rows: spines read from files, training sets written to them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from featurestore.errors import SpineError
from featurestore.lake.endings import Ending, ending_of
from featurestore.lake.file_names import files_named, local_path
from featurestore.lake.whole_file import atomic_file, check_replaceable

if TYPE_CHECKING:
    import pyarrow as pa

    from featurestore.spec.csv_format import Csv


def read_rows(
    path: Path, *, key_types: Mapping[str, str] = MappingProxyType({}), as_of: str = "as_of", csv: Csv | None = None
) -> pa.Table:
    """Read a spine from a file by its ending, from a folder of files, or from a Delta table.

    What a CSV passes on stays text as it is written: only keys and the as_of become what they are declared as. An empty field
    is NULL, ``""`` an empty text.

    Args:
        path: The file, folder, or pattern.
        key_types: Key column to its declared type, ``int64`` or ``string``.
        as_of: Name of the as_of column.
        csv: How CSV files are written, if that is said.

    Raises:
        SpineError: there is no such file, its ending is unknown, its content is not what the ending says, or a text is no key.
    """
    import pyarrow as pa

    from featurestore.compute.retrieval.spine_files import SpineTexts, read_spine_files

    schema, batches = read_spine_files([path], SpineTexts(as_of, key_types, csv))
    return pa.Table.from_batches(batches, schema)


def write_rows(table: pa.Table, path: Path) -> None:
    """Write a table in the format that the file's ending says; the file appears when it is complete.

    Raises:
        SpineError: the ending is unknown, or the format has no type for a column, such as lists in CSV.
        StoreError: what lies there is no regular file.
    """
    from featurestore.lake.table_writers import check_writable, table_writer

    ending = ending_of(path, SpineError)
    check_writable(table.schema, ending, SpineError)
    with atomic_file(path) as aside, table_writer(aside, ending, table.schema) as writer:
        for batch in table.to_batches():
            writer.write_batch(batch)


def writable(path: Path, *, spine: Path | None = None) -> Ending:
    """Return what a file to be written is going to be.

    Args:
        path: The file.
        spine: What is read and must not be replaced, if anything.

    Raises:
        SpineError: its ending is unknown, it is an address such as ``s3://``, or a file of the spine.
        StoreError: what lies there is no regular file.
    """
    out = local_path(path, SpineError)
    check_replaceable(out)
    if spine is not None and out.exists() and any(out.samefile(file) for file in files_named(spine, SpineError)):
        raise SpineError(f"{path} is a file of the spine and would be replaced. Give --out another name.")
    return ending_of(path, SpineError)
