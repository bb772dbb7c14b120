"""What this process has read of the newest version of each table, kept until a later one is committed.

Reading a log of a hundred versions takes ten milliseconds, and every call begins with several.
"""

from __future__ import annotations

from pathlib import Path
from typing import Generic, TypeVar

_Value = TypeVar("_Value")
_MAX_KEPT = 1024
_Trace = tuple[int, int, int]


class NewestVersions(Generic[_Value]):
    """Values by table, each good while its version is the newest and its log entry the very same file."""

    def __init__(self) -> None:
        self._kept: dict[Path, tuple[int, _Trace, _Value]] = {}

    def get(self, path: Path) -> _Value | None:
        """Return what was read of the newest version; ``None`` when it was not read, or is no longer the newest."""
        kept = self._kept.get(path)
        return kept[2] if kept is not None and kept[1] == _trace(path, kept[0]) else None

    def keep(self, path: Path, version: int, value: _Value) -> None:
        """Keep what was read of a version while it is the newest; of an older one nothing is kept."""
        trace = _trace(path, version)
        if trace is not None:
            if len(self._kept) >= _MAX_KEPT:
                self._kept.clear()
            self._kept[path] = version, trace, value


def _trace(path: Path, version: int) -> _Trace | None:
    """Return what identifies a version's log entry while it is the newest; ``None`` when it is not, or is gone."""
    log = path / "_delta_log"
    try:
        entry = (log / f"{version:020}.json").stat()
        is_newest = not (log / f"{version + 1:020}.json").exists()
    except OSError:
        return None
    return (entry.st_ino, entry.st_size, entry.st_mtime_ns) if is_newest else None
