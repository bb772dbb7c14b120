"""Discarding a table that nothing calls for any more: it vanishes at once, its files after it."""

from __future__ import annotations

import shutil
import time
import uuid
from pathlib import Path


def discard(path: Path, *, retention_hours: int) -> list[str]:
    """Delete a whole table, unless it was written to lately.

    It is renamed first: a reader finds all of it or none, and what a crash leaves is deleted by the next call for its new name.

    Args:
        path: The table's folder.
        retention_hours: A table with a younger file stays.

    Returns:
        The names of the deleted Parquet files, relative to the folder.
    """
    newest_s = max((file.stat().st_mtime for file in path.rglob("*") if file.is_file()), default=0.0)
    if newest_s > time.time() - retention_hours * 3600:
        return []
    names = sorted(file.relative_to(path).as_posix() for file in path.rglob("*.parquet"))
    aside = path.with_name(f".{uuid.uuid4().hex}.discarded")
    path.rename(aside)
    shutil.rmtree(aside)
    return names
