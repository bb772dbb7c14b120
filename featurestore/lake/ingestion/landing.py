"""The landing folder: the one place that lists it, guards it, and tells what waits there from what has been ingested.

Whoever may write to the folder must not make us read files that only we may read. So everything below it must lie below it:
one link, one pipe or device, or one name that resolves to another place, and the whole folder is refused, whoever asks. Nothing is
opened before that is known. What lies there and nobody reads is never passed over in silence: ``unread`` says which, and why.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from featurestore.errors import IngestError
from featurestore.lake.endings import ending_of
from featurestore.lake.file_names import DELTA_LOG, delta_table_of, is_aside, is_finished
from featurestore.lake.ingestion.deliveries import sort_files
from featurestore.lake.layout import Layout
from featurestore.lake.table import Table
from featurestore.spec.source import EventSource
from featurestore.timeline import Month

_MAX_WRITING_S = 24 * 3600
"""How long a file may be called unfinished before it is told of."""
_MAX_TOLD = 10
_UNSPEAKABLE = re.compile(r"\\.*[\[\]*?]|[\[\]*?].*\\", re.DOTALL)


@dataclass(frozen=True)
class LandedFile:
    """A finished file in a landing folder: known by its name, size and time, so that one that was rewritten is new.

    Args:
        path: Where it lies.
        name: Its path relative to the folder, with slashes.
        size_bytes: Its size.
        modified_ns: When it was last written, in nanoseconds since 1970.
        month: The month of the date in its name, such as ``2024-08``; ``None`` without a date: no partition reads it.
    """

    path: Path
    name: str
    size_bytes: int
    modified_ns: int
    month: str | None

    @property
    def mark(self) -> str:
        """What the commit that ingests the file records, so that it is ingested once."""
        return f"landing:{self.name}:{self.size_bytes}:{self.modified_ns}"


@dataclass(frozen=True)
class UnreadFile:
    """A file, or a Delta table, in a landing folder that is not read, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{printable(self.name)} ({self.reason})"


@dataclass(frozen=True)
class Landing:
    """What lies in a source's landing folder, both sorted by path; files of incomplete deliveries are among the unread.

    Hidden names, those with a leading underscore, checksums and files that are being written are set aside on purpose: they are in
    neither; an unfinished one is among the unread after a day.
    """

    files: tuple[LandedFile, ...]
    unread: tuple[UnreadFile, ...]


@dataclass(frozen=True)
class _Entry:
    path: Path
    name: str
    status: os.stat_result
    table: Path | None


def landing_of(layout: Layout, source: EventSource) -> Landing:
    """List a source's landing folder.

    Write a file under a hidden name, or with the suffix ``.tmp``, and rename it when it is whole.

    Raises:
        IngestError: there is no such folder, it cannot be listed, or something in it is a link, no file, or lies outside.
    """
    folder = layout.landing(source)
    if not folder.is_dir():
        raise IngestError(
            f"Source {source.name!r} has no landing folder {folder}. Create it and let files land there, or give the rows to "
            "ingest."
        )
    files, unread = [], dict[str, UnreadFile]()
    for entry in sorted(_guarded(folder), key=lambda entry: entry.path):
        reason = _refusal(entry, source)
        if entry.table is not None and reason != "":
            table = os.path.relpath(entry.table, folder)
            unread[table] = UnreadFile(table, f"a Delta table: `featurestore ingest {source.name} {entry.table}` reads it")
        elif reason is None:
            month = source.landing_place.month_of(entry.name)
            files.append(LandedFile(entry.path, entry.name, entry.status.st_size, entry.status.st_mtime_ns, month))
        elif reason:
            unread[entry.name] = UnreadFile(entry.name, reason)
    if source.mapping is not None:
        left = sort_files(source.mapping, {file.path: file.name for file in files}).left
        unread |= {file.name: UnreadFile(file.name, left[file.path]) for file in files if file.path in left}
        files = [file for file in files if file.path not in left]
    return Landing(tuple(files), tuple(unread.values()))


def landed_files(layout: Layout, source: EventSource, *, month: Month | None = None) -> list[LandedFile]:
    """List the finished files in a source's landing folder, sorted by path.

    Args:
        layout: The store.
        source: Whose folder.
        month: Only files whose name has a date in it; all by default. The whole folder is guarded all the same.

    Raises:
        IngestError: as ``landing_of``.
    """
    return [file for file in landing_of(layout, source).files if month is None or file.month == str(month)]


def waiting_files(layout: Layout, source: EventSource, files: Iterable[LandedFile]) -> list[LandedFile]:
    """Keep those landed files of a source that no commit has recorded yet."""
    table = Table.open(layout.events(source.name))
    return [file for file in files if table.mark(file.mark) is None]


def files_without_partition(layout: Layout, source: EventSource, *, months: Collection[str] | None = None) -> list[UnreadFile]:
    """List what no monthly run reads: what is unread, and waiting files without a date, which only ``ingest()`` reads.

    Args:
        layout: The store.
        source: Whose folder; none where there is no folder.
        months: The months that are partitions, such as ``2024-08``; files of others are listed too. ``None``: all are.

    Raises:
        IngestError: as ``landing_of``.
    """
    if not layout.landing(source).is_dir():
        return []
    landing = landing_of(layout, source)
    told = list(landing.unread)
    for file in waiting_files(layout, source, landing.files):
        if file.month is None:
            told.append(UnreadFile(file.name, f"no date in its name: only `featurestore ingest {source.name}` reads it"))
        elif months is not None and file.month not in months:
            told.append(
                UnreadFile(file.name, f"{file.month} is no partition: only `featurestore ingest {source.name}` reads it")
            )
    return told


def landed_months(layout: Layout, sources: Iterable[EventSource]) -> dict[str, str]:
    """Map each month that landed files are named after to a digest of their names, sizes and times, over all sources.

    Where a source has no landing folder, nothing of it has landed.

    Raises:
        IngestError: as ``landing_of``.
    """
    listed: dict[str, list[str]] = {}
    for source in sources:
        for file in landed_files(layout, source) if layout.landing(source).is_dir() else ():
            if file.month is not None:
                listed.setdefault(file.month, []).append(f"{source.name} {file.name} {file.size_bytes} {file.modified_ns}")
    return {month: hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] for month, lines in listed.items()}


def tell_of(files: Sequence[object]) -> str:
    """Name the first files of a list, and how many more there are."""
    more = f" and {len(files) - _MAX_TOLD:,} more" if len(files) > _MAX_TOLD else ""
    return ", ".join(map(str, files[:_MAX_TOLD])) + more


def printable(name: str) -> str:
    r"""Write letters of a name that cannot be shown, such as line breaks, as escapes.

    >>> printable("a\nb.csv")
    'a\\nb.csv'
    """
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in name)


def _guarded(folder: Path) -> Iterator[_Entry]:
    """Yield the files below a folder; refuse it when anything in it, hidden or unfinished too, leads outside or is no file."""
    home = folder.resolve()
    above = delta_table_of(folder / "file")
    tables: dict[Path, Path | None] = {}
    for place, folders, files in os.walk(folder, onerror=_unlistable):
        here = Path(place)
        table = tables[here] = here if DELTA_LOG in folders else tables.get(here.parent, above)
        for name in folders:
            path = here / name
            if path.is_symlink() or not path.resolve().is_relative_to(home):
                raise _link(path)
        for name in files:
            path = here / name
            try:
                status = path.lstat()
            except FileNotFoundError:  # it was renamed meanwhile
                continue
            if stat.S_ISLNK(status.st_mode):
                raise _link(path)
            if not stat.S_ISREG(status.st_mode):
                raise IngestError(f"{path} is a pipe, a socket or a device. Put files into the landing folder.")
            yield _Entry(path, path.relative_to(folder).as_posix(), status, table)


def _link(path: Path) -> IngestError:
    return IngestError(f"{path} is a link to {path.resolve()}. Put the file itself into the landing folder.")


def _unlistable(error: OSError) -> None:
    if isinstance(error, FileNotFoundError):  # a folder that was renamed meanwhile
        return
    raise IngestError(f"{error.filename} cannot be listed ({error.strerror}). Give this user the right to it.") from error


def _refusal(entry: _Entry, source: EventSource) -> str | None:
    """Say why a file is not read: empty for one that was set aside on purpose, ``None`` for one that is read."""
    relative = Path(entry.name)
    if is_aside(relative):
        return ""
    if not is_finished(relative):
        is_old = time.time() - entry.status.st_mtime > _MAX_WRITING_S
        return "its name says that it is not finished, for more than a day" if is_old else ""
    if any("\ud800" <= letter <= "\udfff" for letter in entry.name):
        names = sys.getfilesystemencoding()
        return f"its name is no UTF-8: rename it{'' if names == 'utf-8' else f', or set PYTHONUTF8=1 (names are {names} here)'}"
    if _UNSPEAKABLE.search(str(entry.path)):
        return "its path has a backslash and one of [ ] * ?: rename it"
    if not source.landing_place.takes(entry.name):
        return f"its name is none of {source.landing_place.pattern!r}"
    if entry.status.st_nlink > 1:
        # Who may not read a file may still give it a second name here.
        return f"a hard link, one of {entry.status.st_nlink} names of a file: put a copy there"
    try:
        ending_of(entry.path, IngestError)
    except IngestError:
        return f"its ending {relative.suffix!r} is unknown" if relative.suffix else "its name has no ending"
    return None
