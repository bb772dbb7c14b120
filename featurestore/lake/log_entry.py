"""Entries of a Delta log: what they say besides the files."""

from __future__ import annotations

import json
from pathlib import Path

from featurestore.lake.storage import STORAGE


def committed_us(path: Path, version: int) -> int | None:
    """Return when a version was committed, by the clock of its writer, UTC microseconds; ``None`` when its entry is gone."""
    try:
        entry = STORAGE.get(path / "_delta_log" / f"{version:020}.json").content
    except FileNotFoundError:
        return None
    actions = [json.loads(line) for line in entry.splitlines() if line]
    times = [action["commitInfo"].get("timestamp") for action in actions if "commitInfo" in action]
    return times[0] * 1_000 if times and times[0] is not None else None
