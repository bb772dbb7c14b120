"""The locked-down DuckDB session, and the quoting of names, literals and paths in SQL."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from featurestore.errors import StoreError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def connect(
    *folders: str | os.PathLike[str],
    memory_limit: str = "2GB",
    threads: int | None = None,
    temp_folder: str | os.PathLike[str] | None = None,
    spill_bytes: int | None = None,
) -> DuckDBPyConnection:
    """Open an in-memory DuckDB session that can touch only the given folders.

    Every other file, the network, extensions and configuration changes are refused. Timestamps are UTC. Row order is
    kept only where a query orders. Use it as a context manager, or close it.

    Args:
        *folders: Folders (and everything below) that may be read and written.
        memory_limit: DuckDB's own limit; data beyond it spills to ``temp_folder`` or fails.
        threads: Worker threads; ``None`` means all cores.
        temp_folder: Where large sorts may spill. ``None`` means nowhere.
        spill_bytes: How much may lie there; by default all but a tenth of what is free.

    >>> with connect() as session:
    ...     session.sql("SELECT 1 + 1").fetchall()
    [(2,)]
    """
    import duckdb

    try:
        session = duckdb.connect(":memory:")
    except duckdb.Error as error:
        raise StoreError(f"DuckDB cannot start ({error}). Look at the memory that is free, and make the call again.") from error
    allowed = [str(Path(folder).resolve()) for folder in (*folders, *([temp_folder] if temp_folder is not None else []))]
    # Both ways to write a folder: files are written by its name, and read by the pattern that means only it.
    spelled = dict.fromkeys((*allowed, *map(_as_pattern, allowed)))
    session.execute(f"SET allowed_directories = {literals(list(spelled))}")
    session.execute(f"SET temp_directory = {literal(str(Path(temp_folder).resolve()) if temp_folder is not None else '')}")
    if spill_bytes is not None:
        session.execute(f"SET max_temp_directory_size = '{spill_bytes // 1024:d} KiB'")
    session.execute(f"SET memory_limit = {literal(memory_limit)}")
    if threads is not None:
        session.execute(f"SET threads = {int(threads)}")
    session.execute("SET GLOBAL TimeZone = 'UTC'")  # of its cursors too
    session.execute("SET enable_progress_bar = false")  # it would draw over what a command writes to stdout
    session.execute("SET GLOBAL preserve_insertion_order = false")
    session.execute("SET autoinstall_known_extensions = false")
    session.execute("SET autoload_known_extensions = false")
    session.execute("SET enable_external_access = false")
    session.execute("SET lock_configuration = true")
    return session


@contextmanager
def store_session(folder: Path) -> Iterator[DuckDBPyConnection]:
    """Open a session for a folder of a store.

    Raises:
        StoreError: DuckDB refuses what the block asks of it, mostly since a file is damaged or missing.
    """
    import duckdb

    with connect(folder) as session:
        try:
            yield session
        except duckdb.Error as error:
            raise refusal(folder, error) from error


def refusal(folder: Path, error: Exception) -> StoreError:
    """Say what DuckDB could not do below a folder of a store."""
    first = str(error).splitlines()[0].rstrip(".")
    return StoreError(
        f"What lies below {folder} cannot be read or written: {first}. Restore a damaged or missing file from a backup; what is "
        "computed (tiles, ledger) can be deleted by its folder and materialized again."
    )


def quote(identifier: str) -> str:
    """Quote a name for SQL.

    >>> quote('a"b')
    '"a""b"'
    """
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a text for SQL.

    >>> literal("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def path_literal(path: str | os.PathLike[str]) -> str:
    """Quote the path of one file for ``read_parquet``, ``read_csv`` and their like, which take every path as a pattern.

    Raises:
        StoreError: the path has a backslash beside a pattern character: no pattern means it, DuckDB splits there.

    >>> path_literal("/data/orders[1].csv")
    "'/data/orders[[]1[]].csv'"
    """
    text = os.fspath(path)
    pattern = _as_pattern(text)
    if "\\" in text and pattern != text and os.sep != "\\":
        raise StoreError(f"{text!r} has a backslash and one of [ ] * ? in its path, which DuckDB cannot open. Rename it.")
    return literal(pattern)


def _as_pattern(path: str) -> str:
    """Write a path as the pattern that matches it alone; a path without pattern characters stays as it is."""
    return re.sub(r"[\[\]*?]", lambda found: f"[{found[0]}]", path)


def literals(texts: Sequence[str]) -> str:
    """Render a SQL list of texts.

    >>> literals(["a", "b"])
    "['a', 'b']"
    """
    return "[" + ", ".join(literal(text) for text in texts) + "]"
