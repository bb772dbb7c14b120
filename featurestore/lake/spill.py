"""A session with room on the disk: what does not fit into memory is laid aside, up to a quota."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from featurestore.errors import StoreError
from featurestore.lake.layout import Layout, spill_folder
from featurestore.lake.scratch import free_bytes
from featurestore.lake.session import connect, refusal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Lent = Callable[[], AbstractContextManager["DuckDBPyConnection"]]
"""Lends a session for a block."""


@contextmanager
def spilling_session(
    layout: Layout, *folders: str | os.PathLike[str], memory_limit: str = "2GB"
) -> Iterator[DuckDBPyConnection]:
    """Open a session that can touch a store and the given folders, and may lay aside what ``layout.bounds`` allows.

    Raises:
        StoreError: the block ran out of memory and quota, or DuckDB refuses what it asks, mostly since a file is damaged.
    """
    with _opened(layout, folders, memory_limit) as (session, quota), _refusals(layout, memory_limit, quota):
        yield session


@contextmanager
def lent_sessions(layout: Layout, *, memory_limit: str = "2GB") -> Iterator[Lent]:
    """Give what lends sessions like ``spilling_session``, opened once and lent again and again: opening one costs 35 ms.

    As many are open as are lent at once; all are closed when the block ends. What a block has created in one stays there.

    Raises:
        StoreError: as ``spilling_session``, from the block that a session is lent for.
    """
    idle = list[tuple["DuckDBPyConnection", int]]()
    lock = Lock()
    with ExitStack() as held:

        @contextmanager
        def lend() -> Iterator[DuckDBPyConnection]:
            with lock:
                lent = idle.pop() if idle else held.enter_context(_opened(layout, (), memory_limit))
            session, quota = lent
            with _refusals(layout, memory_limit, quota):
                yield session
            idle.append(lent)  # not after a failure, which may have left a query in it

        yield lend


@contextmanager
def _opened(
    layout: Layout, folders: tuple[str | os.PathLike[str], ...], memory_limit: str
) -> Iterator[tuple[DuckDBPyConnection, int]]:
    """Open a session with a folder of its own for what it lays aside; with it comes how much may lie there."""
    with spill_folder(layout) as folder:
        quota = layout.bounds.spill_of(free_bytes(folder))
        with connect(layout.root, *folders, memory_limit=memory_limit, temp_folder=folder, spill_bytes=quota) as session:
            yield session, quota


@contextmanager
def _refusals(layout: Layout, memory_limit: str, quota: int) -> Iterator[None]:
    """Turn what DuckDB refuses in the block into a StoreError."""
    import duckdb

    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise StoreError(
            f"The call would need more than its memory of {memory_limit} and its spill of {quota:,} bytes below "
            f"{layout.spill} "
            f"({str(error).splitlines()[0]}). What was committed before stays. Give it less at a time, make room on the "
            "disk, or raise the quota: fs.FeatureStore(..., bounds=fs.Bounds(spill_bytes=...))."
        ) from error
    except duckdb.Error as error:
        raise refusal(layout.root, error) from error
