"""The landing folder: which files wait there, and which have been ingested."""

from __future__ import annotations

import os
from pathlib import Path

from featurestore.errors import IngestError
from featurestore.lake.ingestion.inputs import files_below
from featurestore.lake.layout import Layout
from featurestore.lake.table import Table
from featurestore.spec.source import EventSource


def new_files(layout: Layout, source: EventSource) -> dict[Path, str]:
    """List the files in a source's landing folder that no commit has recorded yet.

    A file is known by its name, size and time of modification: one that was rewritten is new. Write a file under a
    hidden name, or with the suffix ``.tmp``, and rename it when it is whole.

    Returns:
        Path to the mark that its commit records, sorted by path.

    Raises:
        IngestError: there is no such folder, or something in it is a link or lies outside.
    """
    folder = layout.landing(source)
    if not folder.is_dir():
        raise IngestError(f"Source {source.name!r} has no landing folder {folder}. Create it, or give the rows to ingest.")
    _refuse_links(folder)
    table = Table.open(layout.events(source.name))
    marks = {path: _mark(path, folder) for path in files_below(folder)}
    return {path: mark for path, mark in marks.items() if table.mark(mark) is None}


def _mark(path: Path, folder: Path) -> str:
    status = path.stat()
    return f"landing:{path.relative_to(folder).as_posix()}:{status.st_size}:{status.st_mtime_ns}"


def _refuse_links(folder: Path) -> None:
    """Refuse links: who may write to the folder must not make us read files that only we may read."""
    home = folder.resolve()
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            if path.is_symlink() or not path.resolve().is_relative_to(home):
                raise IngestError(f"{path} is a link to {path.resolve()}. Put the file itself into the landing folder.")
