"""The landing folder: the one place that lists it, guards it, and tells what waits there from what has been ingested.

Whoever may write to the folder must not make us read files that only we may read. So everything below it must lie below it:
one link, or one name that resolves to another place, and the whole folder is refused, whoever asks.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from featurestore.errors import IngestError
from featurestore.lake.file_names import is_finished
from featurestore.lake.layout import Layout
from featurestore.lake.table import Table
from featurestore.spec.source import EventSource
from featurestore.timeline import Month

_MONTH_LETTERS = len("2024-08")


@dataclass(frozen=True)
class LandedFile:
    """A finished file in a landing folder: known by its name, size and time, so that one that was rewritten is new.

    Args:
        path: Where it lies.
        name: Its path relative to the folder, with slashes.
        size_bytes: Its size.
        modified_ns: When it was last written, in nanoseconds since 1970.
    """

    path: Path
    name: str
    size_bytes: int
    modified_ns: int

    @property
    def mark(self) -> str:
        """What the commit that ingests the file records, so that it is ingested once."""
        return f"landing:{self.name}:{self.size_bytes}:{self.modified_ns}"

    @property
    def month(self) -> str:
        """The month that its name begins with, such as ``2024-08`` of ``2024-08/part-0.jsonl``; other names give no month."""
        return self.name[:_MONTH_LETTERS]


def landed_files(layout: Layout, source: EventSource, *, month: Month | None = None) -> list[LandedFile]:
    """List the finished files in a source's landing folder, sorted by path.

    Write a file under a hidden name, or with the suffix ``.tmp``, and rename it when it is whole.

    Args:
        layout: The store.
        source: Whose folder.
        month: Only files whose name begins with it; all by default. The whole folder is guarded all the same.

    Raises:
        IngestError: there is no such folder, or something in it is a link or lies outside.
    """
    folder = layout.landing(source)
    if not folder.is_dir():
        raise IngestError(
            f"Source {source.name!r} has no landing folder {folder}. Create it and let files land there, or give the rows to "
            "ingest."
        )
    files = [_landed(path, folder) for path in _guarded(folder)]
    return [file for file in files if month is None or file.month == str(month)]


def waiting_files(layout: Layout, source: EventSource) -> list[LandedFile]:
    """List the files in a source's landing folder that no commit has recorded yet, sorted by path.

    Raises:
        IngestError: as ``landed_files``.
    """
    table = Table.open(layout.events(source.name))
    return [file for file in landed_files(layout, source) if table.mark(file.mark) is None]


def landed_months(layout: Layout, sources: Iterable[EventSource]) -> dict[str, str]:
    """Map each month that landed files are named after to a digest of their names, sizes and times, over all sources.

    Where a source has no landing folder, nothing of it has landed. Names that begin with no month are listed too, by what they
    begin with.

    Raises:
        IngestError: something in a folder is a link or lies outside.
    """
    listed: dict[str, list[str]] = {}
    for source in sources:
        for file in landed_files(layout, source) if layout.landing(source).is_dir() else ():
            listed.setdefault(file.month, []).append(f"{source.name} {file.name} {file.size_bytes} {file.modified_ns}")
    return {month: hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] for month, lines in listed.items()}


def _guarded(folder: Path) -> list[Path]:
    """List the finished files below a folder, sorted; refuse it when anything in it, hidden or unfinished too, leads outside."""
    home = folder.resolve()
    paths = []
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            if path.is_symlink() or not path.resolve().is_relative_to(home):
                raise IngestError(f"{path} is a link to {path.resolve()}. Put the file itself into the landing folder.")
        paths += [path for path in (Path(place, name) for name in files) if path.is_file()]
    return sorted(path for path in paths if is_finished(path.relative_to(folder)))


def _landed(path: Path, folder: Path) -> LandedFile:
    status = path.stat()
    return LandedFile(path, path.relative_to(folder).as_posix(), status.st_size, status.st_mtime_ns)
