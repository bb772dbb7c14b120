"""Vacuuming: delete what no reader can ask for any more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from featurestore.compute.retrieval.publication import Publication, publications
from featurestore.compute.search.key_index import drop_indexes
from featurestore.compute.state import view_fingerprint
from featurestore.compute.windows.versions import ReadVersions
from featurestore.errors import FeatureStoreError
from featurestore.lake.json_files import read_json
from featurestore.lake.layout import Layout
from featurestore.lake.storage import STORAGE
from featurestore.lake.vacuum import RETENTION_HOURS, check_retention, discard, shorten_log, vacuum
from featurestore.lake.whole_file import sweep
from featurestore.operations.earlier_definitions import forget_definitions
from featurestore.operations.pins import pins
from featurestore.spec.registry import Registry

DERIVED = ("tiles", "ledger")
"""Kinds of tables that are computed from events alone, a table for each definition."""


@dataclass(frozen=True)
class VacuumReport:
    """What was deleted.

    Attributes:
        files: Table, relative to the store's lake, to the number of deleted files; tables without any are absent.
        bytes: Their size.
        log_entries: Number of deleted entries of the tables' logs.
        pinned: Names of the pins whose versions were kept.
        published: Names of the services whose publications were kept.
        definitions: Number of deleted definitions of before.
    """

    files: Mapping[str, int]
    bytes: int
    log_entries: int
    pinned: tuple[str, ...]
    published: tuple[str, ...] = ()
    definitions: int = 0

    def __str__(self) -> str:
        count = sum(self.files.values())
        names = (*self.pinned, *self.published)
        kept = f"; kept {', '.join(names)}" if names else ""
        entries = f", {self.log_entries:,} entries of logs" if self.log_entries else ""
        entries += f", {self.definitions:,} definitions of before" if self.definitions else ""
        return f"{count:,} files, {self.bytes / 1e6:,.1f} MB deleted from {len(self.files)} tables{entries}{kept}"


def vacuum_store(
    layout: Layout, registry: Registry, *, retention_hours: int = RETENTION_HOURS, kinds: Iterable[str] | None = None
) -> VacuumReport:
    """Delete the files of the lake that no version in use needs, replaced ones and orphans of crashed writers; shorten the logs.

    What pins were read from and services were published from stays readable. Tiles and ledgers of views that were removed, or
    redefined, are no longer needed: they would be computed anew from the events. Publications of removed services are forgotten,
    and indexes of the keys of removed entities deleted; and, when all kinds are vacuumed, definitions of before with which nothing
    that is kept was read.

    Args:
        layout: The store.
        registry: Its definitions.
        retention_hours: Younger files stay; it must exceed the longest write.
        kinds: Kinds of tables (``events``, ``ledger``, ...); all by default.

    Raises:
        StoreError: ``retention_hours`` is below 1, or a version to be kept can no longer be read.
    """
    check_retention(retention_hours)
    published = _published(layout, registry)
    kept = _kept(layout, registry, [*pins(layout).values(), *(each.versions for own in published.values() for each in own)])
    lake = layout.root / "lake"
    files = dict[str, int]()
    size = 0
    entries = 0
    for path in _tables(lake, kinds):
        sizes = {
            file.path.relative_to(path).as_posix(): file.size_bytes for file in STORAGE.list_files(path, ending=".parquet")
        }
        if _is_abandoned(layout, registry, path) and path not in kept:
            deleted = discard(path, retention_hours=retention_hours)
        else:
            versions = sorted(kept.get(path, ()))
            deleted = vacuum(path, retention_hours=retention_hours, keep_versions=versions)
            entries += shorten_log(path, retention_hours=retention_hours, keep_versions=versions)
        deleted = [name for name in deleted if name in sizes]  # Delta also names those that an earlier call has deleted
        if deleted:
            files[path.relative_to(lake).as_posix()] = len(deleted)
            size += sum(sizes[name] for name in deleted)
    drop_indexes(layout, keep=registry.entities)
    sweep(layout.root, older_than_s=retention_hours * 3600)
    pinned, forgotten = pins(layout), 0
    if kinds is None:
        forgotten = forget_definitions(layout, registry, list(pinned.values()), retention_hours=retention_hours)
    return VacuumReport(files, size, entries, tuple(pinned), tuple(published), forgotten)


def kept_versions(layout: Layout, registry: Registry) -> dict[Path, set[int]]:
    """Map each table to the versions that pins and publications name; those that cannot be read name none."""
    read = list[ReadVersions]()
    for file in STORAGE.list_files(layout.pins, ending=".json"):
        with suppress(FeatureStoreError):
            read.append(ReadVersions.parse(read_json(file.path)))
    for folder in {file.path.parent for file in STORAGE.list_files(layout.root / "publications")}:
        with suppress(FeatureStoreError):
            read += [each.versions for each in publications(folder)]
    return _kept(layout, registry, read)


def _published(layout: Layout, registry: Registry) -> dict[str, list[Publication]]:
    """Read the publications of each service; those of removed ones are forgotten."""
    folders = sorted({file.path.parent for file in STORAGE.list_files(layout.root / "publications")})
    for folder in folders:
        if folder.name not in registry.services:
            STORAGE.delete_all(folder)
    return {folder.name: publications(folder) for folder in folders if folder.name in registry.services}


def _kept(layout: Layout, registry: Registry, read: Iterable[ReadVersions]) -> dict[Path, set[int]]:
    """Map each table to the versions that must stay readable."""
    kept: dict[Path, set[int]] = {}
    for versions in read:
        for name, of in versions.views.items():
            view = registry.views.get(name)
            source = of.source or (view.source.name if view else None)
            tables: dict[Path, int | None] = {layout.ledger(name) / of.fingerprint: of.ledger}
            if source is not None:
                tables |= {layout.events(source): of.events, layout.superseded(source): of.superseded}
            for path, version in tables.items():
                if version is not None and version >= 0:
                    kept.setdefault(path, set()).add(version)
    return kept


def _is_abandoned(layout: Layout, registry: Registry, path: Path) -> bool:
    """Tell whether a table holds tiles or totals that no view of the registry calls for."""
    kind, name, *rest = path.relative_to(layout.root / "lake").parts
    if kind not in DERIVED or not rest:
        return False
    view = registry.views.get(name)
    return view is None or view_fingerprint(view, layout) != rest[0]


def _tables(lake: Path, kinds: Iterable[str] | None) -> list[Path]:
    chosen = None if kinds is None else set(kinds)
    logs = (file.path.parent for file in STORAGE.list_files(lake))
    tables = {log.parent for log in logs if log.name == "_delta_log"}
    return sorted(path for path in tables if chosen is None or path.relative_to(lake).parts[0] in chosen)
