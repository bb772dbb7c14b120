"""Maintenance: delete what no reader can ask for any more, and keep what training sets were read from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featurestore.compute.versions import ReadVersions
from featurestore.errors import VersionError
from featurestore.lake.layout import Layout, read_json, write_json
from featurestore.lake.table import vacuum
from featurestore.spec.names import checked_name
from featurestore.spec.registry import Registry

RETENTION_HOURS = 24 * 7


@dataclass(frozen=True)
class VacuumReport:
    """What was deleted.

    Attributes:
        files: Table, relative to the store's lake, to the number of deleted files; tables without any are absent.
        bytes: Their size.
        pinned: Names of the pins whose versions were kept.
    """

    files: Mapping[str, int]
    bytes: int
    pinned: tuple[str, ...]

    def __str__(self) -> str:
        count = sum(self.files.values())
        kept = f"; kept {', '.join(self.pinned)}" if self.pinned else ""
        return f"{count:,} files, {self.bytes / 1e6:,.1f} MB deleted from {len(self.files)} tables{kept}"


def pin(layout: Layout, name: str, versions: Any) -> ReadVersions:
    """Record under a name what an answer was read from, so that ``vacuum_store`` keeps it.

    Args:
        layout: The store.
        name: Of the pin, such as that of a model; an earlier one of the name gives way.
        versions: As in ``ReadVersions.parse``.
    """
    found = ReadVersions.parse(versions)
    write_json(layout.pins / f"{checked_name(name, 'a pin')}.json", found.document())
    return found


def pins(layout: Layout) -> dict[str, ReadVersions]:
    """Read all pins, by name."""
    return {path.stem: ReadVersions.parse(read_json(path)) for path in sorted(layout.pins.glob("*.json"))}


def unpin(layout: Layout, name: str) -> None:
    """Forget a pin.

    Raises:
        VersionError: there is none of that name.
    """
    path = layout.pins / f"{checked_name(name, 'a pin')}.json"
    if not path.exists():
        raise VersionError(f"There is no pin {name!r}. Known: {', '.join(pins(layout)) or 'none'}.")
    path.unlink()


def vacuum_store(
    layout: Layout, registry: Registry, *, retention_hours: int = RETENTION_HOURS, kinds: Iterable[str] | None = None
) -> VacuumReport:
    """Delete the files of the lake that no version in use needs: replaced ones, and orphans of crashed writers.

    What pins were read from stays readable.

    Args:
        layout: The store.
        registry: Its definitions.
        retention_hours: Younger files stay; it must exceed the longest write.
        kinds: Kinds of tables (``events``, ``ledger``, ...); all by default.
    """
    kept = _kept(layout, registry)
    lake, files, size = layout.root / "lake", dict[str, int](), 0
    for path in _tables(lake, kinds):
        sizes = {file.relative_to(path).as_posix(): file.stat().st_size for file in path.rglob("*.parquet")}
        named = vacuum(path, retention_hours=retention_hours, keep_versions=sorted(kept.get(path, ())))
        deleted = [name for name in named if name in sizes]  # Delta also names those that an earlier call has deleted
        if deleted:
            files[path.relative_to(lake).as_posix()] = len(deleted)
            size += sum(sizes[name] for name in deleted)
    return VacuumReport(files, size, tuple(pins(layout)))


def _kept(layout: Layout, registry: Registry) -> dict[Path, set[int]]:
    """Map each table to the versions that pins need."""
    found: dict[Path, set[int]] = {}
    for pinned in pins(layout).values():
        for name, versions in pinned.views.items():
            view = registry.views.get(name)
            tables = {layout.ledger(name) / versions.fingerprint: versions.ledger}
            if view is not None:
                tables[layout.events(view.source.name)] = versions.events
                if versions.superseded is not None:
                    tables[layout.superseded(view.source.name)] = versions.superseded
            for path, version in tables.items():
                found.setdefault(path, set()).add(version)
    return found


def _tables(lake: Path, kinds: Iterable[str] | None) -> list[Path]:
    chosen = None if kinds is None else set(kinds)
    logs = (path.parent for path in lake.rglob("_delta_log") if path.is_dir())
    return sorted(path for path in logs if chosen is None or path.relative_to(lake).parts[0] in chosen)
