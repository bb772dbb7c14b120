"""Files that appear whole: a reader sees none of a file or all of it, also after a crash."""

from __future__ import annotations

import os
import uuid
from pathlib import Path


def publish(path: Path, content: bytes, *, replaces: bool = False) -> None:
    """Make a file appear whole and durable.

    Args:
        path: Where; missing folders are made.
        content: All of it.
        replaces: Whether a file of that name gives way.

    Raises:
        FileExistsError: there is one, and it may not be replaced: of two writers one fails.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.parent / f".{uuid.uuid4().hex}.partial"
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if replaces:
            partial.replace(path)
        else:
            os.link(partial, path)
    finally:
        partial.unlink(missing_ok=True)
