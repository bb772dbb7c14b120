"""Names of files that callers give: what exists under a name is what is meant, and a pattern only where nothing does.

DuckDB, pyarrow and deltalake are given literal names alone (``session.path_literal``): what a pattern means is decided here.
"""

from __future__ import annotations

import glob
import os
import re
import stat
import sys
from pathlib import Path

from featurestore.errors import FeatureStoreError

DELTA_LOG = "_delta_log"
_UNFINISHED = (".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".inprogress")
_CHECKSUMS = (".crc", ".md5", ".sha256")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")  # two letters at least: C:/ is a drive


def local_path(path: str | os.PathLike[str], error: type[FeatureStoreError]) -> Path:
    """Return a path of this machine's file system, ``~`` expanded.

    Args:
        path: What the caller gave.
        error: What to raise.

    Raises:
        FeatureStoreError: it is an address such as ``s3://bucket/x``, which would become a folder ``s3:``, or it is empty.
    """
    text = os.fspath(path)
    if not text:
        raise error("The path is empty. Give a path; '.' is the current folder.")
    scheme = scheme_of(text)
    if scheme is None:
        return Path(text).expanduser()
    if scheme.lower() == "file":
        raise error(f"{text!r} is an address. Give the path itself: {'/' + text.partition(':')[2].lstrip('/')!r}.")
    raise error(
        f"{text!r} is an address ({scheme}:), and only files of this machine can be read and written today. Copy the data to a "
        "folder, or mount the storage as one, and give the path of that."
    )


def scheme_of(text: str) -> str | None:
    """Return the scheme of an address, such as ``s3`` of ``s3://bucket/x``; ``None`` of a path."""
    found = _SCHEME.match(text)
    return None if found is None else found[1]


def check_name(path: Path, error: type[FeatureStoreError]) -> None:
    """Refuse a path whose letters the libraries that read files cannot be given.

    Raises:
        FeatureStoreError: its bytes are no UTF-8, or Python reads names in an encoding that lacks its letters.
    """
    text = str(path)
    try:
        text.encode()
        os.fsencode(text)
    except UnicodeEncodeError as refused:
        written = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        names = sys.getfilesystemencoding()
        mend = (
            "Rename it." if names == "utf-8" else f"Python reads names as {names} here: set PYTHONUTF8=1, or a locale of UTF-8."
        )
        raise error(f"The path {written} has letters that are no UTF-8. {mend}") from refused


def is_delta_table(folder: Path) -> bool:
    """Tell whether a folder holds a Delta table: its files may hold rows that were deleted."""
    return (folder / DELTA_LOG).is_dir()


def delta_table_of(file: Path) -> Path | None:
    """Return the folder of the Delta table that a file lies in, or ``None``."""
    return next((folder for folder in file.absolute().parents if is_delta_table(folder)), None)


def files_named(path: str | os.PathLike[str], error: type[FeatureStoreError]) -> list[Path]:
    """List the files, and the folders that are Delta tables, that a path stands for, sorted.

    What exists under its very name is meant: a file, a Delta table, or a folder with all finished files below it. Only what does
    not exist is a pattern (``* ? [ ] **``), in which folders at the beginning that do exist are no patterns either. Folders that are
    set aside by their names, such as ``_temporary``, are passed over unless the pattern names them.

    Args:
        path: What the caller gave.
        error: What to raise.

    Raises:
        FeatureStoreError: nothing matches, it is no regular file, files of a Delta table are named one by one, it is an address,
            or its name is no UTF-8.
    """
    given = local_path(path, error)
    check_name(given, error)
    found = []
    for each in [given] if os.path.lexists(given) else _matches(given):
        found += files_below(each) if each.is_dir() and not is_delta_table(each) else [each]
    if not found:
        raise error(
            f"{os.fspath(path)!r} names no file. Give a file that exists, a folder with files, or a pattern that matches."
        )
    for file in found:
        table = delta_table_of(file)
        if table is not None:
            raise error(
                f"{os.fspath(path)!r} names files of the Delta table {table}, where deleted rows lie too. Give the folder {table}."
            )
        check_regular(file, error)
        check_name(file.absolute(), error)
    return [each.absolute() for each in found]


def check_regular(path: Path, error: type[FeatureStoreError]) -> None:
    """Refuse what would block or never end when it is opened; folders, and paths that do not exist, are fine.

    Raises:
        FeatureStoreError: it is a pipe, a socket or a device.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise error(f"{path} is a pipe, a socket or a device. Write its rows to a file, and give that.")


def files_below(folder: Path) -> list[Path]:
    """List the finished files below a folder, and the folders that are Delta tables, sorted."""
    found = []
    for place, folders, files in os.walk(folder):
        here = Path(place)
        tables = [name for name in folders if is_delta_table(here / name)]
        folders[:] = [name for name in folders if name not in tables]
        found += [here / name for name in (*tables, *files)]
    return sorted(path for path in found if is_finished(path.relative_to(folder)))


def is_finished(relative: Path) -> bool:
    """Tell whether a path below a folder is meant to be read: not set aside, and no download or copy that is under way."""
    return not is_aside(relative) and not relative.name.lower().endswith(_UNFINISHED)


def is_aside(relative: Path) -> bool:
    """Tell whether a path below a folder is set aside by its name: hidden, with an underscore before it, or a checksum."""
    return any(part.startswith((".", "_")) for part in relative.parts) or relative.name.lower().endswith(_CHECKSUMS)


def _matches(path: Path) -> list[Path]:
    whole = path.absolute()
    folder = next(each for each in whole.parents if each.exists())
    pattern = whole.relative_to(folder)
    found = glob.glob(str(pattern), root_dir=folder, recursive=True)
    met = [match for match in map(Path, found) if not is_aside(Path(*(set(match.parts[:-1]) - set(pattern.parts))))]
    return sorted(path for path in (folder / match for match in met) if not path.is_dir() or is_delta_table(path))
