"""How much was delivered twice: ingest drops identical redeliveries, and what it dropped is a fact about the source.

A commit with redelivered rows leaves a small file named after the version that it made. A delivery without any new event
leaves none: it is the repetition of a call, not a fault of the source.

    0000000123.json      {"2024-08": 3}      what version 123 left out
    0000000100-all.json  {"2024-08": 70}     what versions up to 100 left out: then files of these count no more

Files of many versions are added up, and deleted after their sum is written: whoever is killed between the two has lost and doubled
nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from featurestore.errors import StoreError
from featurestore.lake.ingestion.identity import Verdict
from featurestore.lake.json_files import read_json
from featurestore.lake.layout import Layout
from featurestore.lake.storage import STORAGE
from featurestore.timeline import Month

_MOST_FILES = 64
_LATE_VERSIONS = 16
"""So many of the last versions are not added up: another writer may have committed one and not yet left its file."""
_SUM = "-all"


def record_redelivered(layout: Layout, source: str, verdict: Verdict, *, version: int) -> None:
    """Note the rows of a committed batch that became no event, by month."""
    if verdict.added and verdict.redelivered:
        content = {str(month): rows for month, rows in sorted(verdict.redelivered.items())}
        STORAGE.overwrite(_path(layout, source, version), json.dumps(content).encode())
        _add_up(layout.redelivered(source), until=version - _LATE_VERSIONS)


def redelivered_rows(layout: Layout, source: str) -> dict[Month, int]:
    """Count the rows that a source delivered again, by month of the events; months without any are absent."""
    return dict(_total(_counting(_listed(layout.redelivered(source)))))


def _path(layout: Layout, source: str, version: int) -> Path:
    return layout.redelivered(source) / f"{version:010d}.json"


def _listed(folder: Path) -> list[Path]:
    return [file.path for file in STORAGE.list_files(folder, ending=".json")]


def _version(file: Path) -> int:
    number = file.stem.removesuffix(_SUM)
    return int(number) if number.isdecimal() else -1


def _counting(files: Iterable[Path]) -> list[Path]:
    """Keep the newest sum, and the files of versions after it."""
    found = list(files)
    newest = max((_version(file) for file in found if file.stem.endswith(_SUM)), default=-1)
    return [file for file in found if _version(file) > newest or file.stem == f"{newest:010d}{_SUM}" or _version(file) < 0]


def _total(files: Iterable[Path]) -> Counter[Month]:
    total: Counter[Month] = Counter()
    for path in files:
        try:
            total.update({Month.parse(month): int(rows) for month, rows in read_json(path).items()})
        except (ValueError, AttributeError) as error:
            raise StoreError(f"{path} cannot be read ({error}). Restore it from a backup, or remove it.") from error
    return total


def _add_up(folder: Path, *, until: int) -> None:
    """Put one file in the place of those of versions up to one, if there are many; what cannot be read stays as it is."""
    files = _listed(folder)
    if len(files) <= _MOST_FILES:
        return
    with suppress(StoreError):  # what is damaged is told by who reads it, and another writer may add up at once
        total = _total(file for file in _counting(files) if 0 <= _version(file) <= until)
        content = {str(month): rows for month, rows in sorted(total.items())}
        STORAGE.overwrite(folder / f"{until:010d}{_SUM}.json", json.dumps(content).encode())
        for file in files:
            if 0 <= _version(file) <= until and file.stem != f"{until:010d}{_SUM}":
                STORAGE.delete(file)
