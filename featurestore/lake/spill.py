"""A session with room on the disk: what does not fit into memory is laid aside, up to a quota."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from featurestore.errors import StoreError
from featurestore.lake.layout import Layout, spill_folder
from featurestore.lake.scratch import free_bytes
from featurestore.lake.session import connect, refusal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@contextmanager
def spilling_session(
    layout: Layout, *folders: str | os.PathLike[str], memory_limit: str = "2GB"
) -> Iterator[DuckDBPyConnection]:
    """Open a session that can touch a store and the given folders, and may lay aside what ``layout.bounds`` allows.

    Raises:
        StoreError: the block ran out of memory and quota, or DuckDB refuses what it asks, mostly since a file is damaged.
    """
    import duckdb

    with spill_folder(layout) as folder:
        quota = layout.bounds.spill_of(free_bytes(folder))
        with connect(layout.root, *folders, memory_limit=memory_limit, temp_folder=folder, spill_bytes=quota) as session:
            try:
                yield session
            except duckdb.OutOfMemoryException as error:
                raise StoreError(
                    f"The call would need more than its memory of {memory_limit} and its spill of {quota:,} bytes below "
                    f"{layout.spill} "
                    f"({str(error).splitlines()[0]}). What was committed before stays. Give it less at a time, make room on the "
                    "disk, or raise the quota: fs.FeatureStore(..., bounds=fs.Bounds(spill_bytes=...))."
                ) from error
            except duckdb.Error as error:
                raise refusal(layout.root, error) from error
