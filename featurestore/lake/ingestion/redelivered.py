"""How much was delivered twice: ingest drops identical redeliveries, and what it dropped is a fact about the source.

A commit with redelivered rows leaves a small file named after the version that it made. A delivery without any new event
leaves none: it is the repetition of a call, not a fault of the source.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from featurestore.errors import StoreError
from featurestore.lake.ingestion.identity import Verdict
from featurestore.lake.json_files import read_json
from featurestore.lake.layout import Layout
from featurestore.lake.storage import STORAGE
from featurestore.timeline import Month


def record_redelivered(layout: Layout, source: str, verdict: Verdict, *, version: int) -> None:
    """Note the rows of a committed batch that became no event, by month."""
    if verdict.added and verdict.redelivered:
        content = {str(month): rows for month, rows in sorted(verdict.redelivered.items())}
        STORAGE.overwrite(_path(layout, source, version), json.dumps(content).encode())


def redelivered_rows(layout: Layout, source: str) -> dict[Month, int]:
    """Count the rows that a source delivered again, by month of the events; months without any are absent."""
    total: Counter[Month] = Counter()
    for file in STORAGE.list_files(layout.redelivered(source), ending=".json"):
        try:
            total.update({Month.parse(month): int(rows) for month, rows in read_json(file.path).items()})
        except (ValueError, AttributeError) as error:
            raise StoreError(f"{file.path} cannot be read ({error}). Restore it from a backup, or remove it.") from error
    return dict(total)


def _path(layout: Layout, source: str, version: int) -> Path:
    return layout.redelivered(source) / f"{version:010d}.json"
