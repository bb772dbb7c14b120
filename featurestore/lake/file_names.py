"""Names of files that callers give: what exists under a name is what is meant, and a pattern only where nothing does."""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path

from featurestore.errors import FeatureStoreError

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")  # two letters at least: C:/ is a drive


def local_path(path: str | os.PathLike[str], error: type[FeatureStoreError]) -> Path:
    """Return a path of this machine's file system, ``~`` expanded.

    Args:
        path: What the caller gave.
        error: What to raise.

    Raises:
        FeatureStoreError: it is an address such as ``s3://bucket/x``, which would become a folder ``s3:``.
    """
    text = os.fspath(path)
    scheme = _SCHEME.match(text)
    if scheme is None:
        return Path(text).expanduser()
    if scheme[1].lower() == "file":
        raise error(f"{text!r} is an address. Give the path itself: {'/' + text[len(scheme[0]) :].lstrip('/')!r}.")
    raise error(
        f"{text!r} is an address ({scheme[1]}:), and only files of this machine can be read and written today. Copy the data to a "
        "folder, or mount the storage as one, and give the path of that."
    )


def delta_table_of(file: Path) -> Path | None:
    """Return the folder of the Delta table that a file lies in, or ``None``: such a file may hold rows that were deleted."""
    return next((folder for folder in file.absolute().parents if (folder / "_delta_log").is_dir()), None)


def files_named(path: Path) -> list[Path]:
    """List what a path names: itself when it exists, else the files that match it as a pattern, sorted; nothing may match."""
    if os.path.lexists(path):
        return [path]
    return sorted(Path(match) for match in glob.glob(str(path), recursive=True) if os.path.isfile(match))
