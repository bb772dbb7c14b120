"""Damages: what lies below a store's root and is not what was written, found by reading all of it.

Every kind of file is looked at by what vouches for it: tables by their logs and the digests in them, hot copies by the digests of
their blocks, parameters of calibrations by their names, JSON by its grammar. Nothing is changed here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.compute.materialization.codes import short_dictionaries
from featurestore.compute.retrieval.publication import publications
from featurestore.compute.search.hot_copy import copy_damage
from featurestore.compute.windows.versions import ReadVersions
from featurestore.drift.recalibration.calibration_versions import parameters, versions
from featurestore.errors import FeatureStoreError, StoreError
from featurestore.lake.checkpoint_sums import is_vouched
from featurestore.lake.checkpoints import checkpoint_damages, checkpoints, listed_start, lost_checkpoint
from featurestore.lake.delta_log import damaged_entry, entry_path, way_back
from featurestore.lake.digests import damage_of, recorded_digest
from featurestore.lake.files import LOG, CommittedFile
from featurestore.lake.json_files import read_json
from featurestore.lake.layout import Layout
from featurestore.lake.storage import STORAGE
from featurestore.lake.table import Table
from featurestore.spec.document import digest
from featurestore.spec.registry import Registry

COMPUTED = ("tiles", "ledger", "snapshots", "sketches", "scores", "days", "faults")
"""Kinds of tables that are made of others."""
COPIES = ("hot", "known")
TABLE = "table"
LOG_FILE = "log"
_RECORDS = ("publications", "calibrations", "acknowledged", "alerts")
_PLACES = {"lake", "landing", "reports", "spill", *COPIES, *_RECORDS, "pins", "newest", "definitions"}
_TOP_FILES = {"store.json", "registry.json", "registry.lock", "README.md"}
Progress = Callable[[str, str, str], None]


@dataclass(frozen=True)
class Damage:
    """A file, or the log of a table, that is not what was written.

    Attributes:
        path: Relative to the store.
        kind: What it belongs to: ``events``, ``keys``, ``ledger``, ``hot``, ``pins`` and so on.
        what: What is wrong with it.
        way_out: What to do; nothing where it can be, or was, made again.
        is_healed: Whether it has been made again, or was deleted because it need not be.
        can_heal: Whether ``store.doctor()`` can do that.
    """

    path: str
    kind: str
    what: str
    way_out: str = ""
    is_healed: bool = False
    can_heal: bool = False

    def __str__(self) -> str:
        done = "healed" if self.is_healed else "can be healed" if self.can_heal else "LEFT"
        return f"{done}: {self.path} {self.what}" + (f". {self.way_out}" if self.way_out and not self.is_healed else "")


@dataclass
class Examined:
    """What an examination has counted so far.

    Attributes:
        files: Files that were read.
        bytes: Their size.
        unchecked: Committed files without a digest in their table's log: an older release wrote them.
        unneeded: Files of tables that no version in use names; a vacuum deletes them.
        unknown: Files that are no part of a store.
    """

    files: int = 0
    bytes: int = 0
    unchecked: int = 0
    unneeded: int = 0
    unknown: tuple[str, ...] = ()

    def count(self, path: Path) -> None:
        """Count a file that was read."""
        self.files += 1
        with suppress(OSError):  # of what is lost, or cannot be looked at, which reading it tells
            self.bytes += path.stat().st_size


def find_damages(
    layout: Layout, registry: Registry, kept: Mapping[Path, set[int]], *, examined: Examined, progress: Progress
) -> Iterator[Damage]:
    """Yield what is damaged below a store's root.

    Args:
        layout: The store.
        registry: Its definitions.
        kept: Table to the versions that pins and publications name.
        examined: Is filled.
        progress: Called with the table, ``"files"`` and the file that has been read.
    """
    for table in _tables(layout, registry):
        yield from _of_table(layout, table, kept.get(table, set()), examined, progress)
    for kind in COPIES:
        for file in STORAGE.list_files(layout.root / kind):
            examined.count(file.path)
            what = copy_damage(file.path)
            progress(kind, "files", file.path.name)
            if what is not None:
                yield Damage(_name(layout, file.path), kind, what, can_heal=True)
    yield from _of_records(layout, examined)
    for path, what in short_dictionaries(layout, registry.views.values()):
        yield Damage(_name(layout, path), "keys", what, _way_out("keys"))
    listed = (file.path.relative_to(layout.root).parts for file in STORAGE.list_files(layout.root))
    unknown = [parts for parts in listed if parts[0] not in (_PLACES if len(parts) > 1 else _TOP_FILES)]
    examined.unknown = tuple("/".join(parts) for parts in unknown)


def _tables(layout: Layout, registry: Registry) -> list[Path]:
    """List the tables of a store: those that have files, and those of its definitions, which may have lost all of them."""
    lake = layout.root / "lake"
    found = set[Path]()
    for file in STORAGE.list_files(lake):
        parts = file.path.relative_to(lake).parts[:-1]
        end = next((i for i, part in enumerate(parts) if part == LOG or "=" in part), len(parts))
        if end > 1 and parts[0] != "redelivered":
            found.add(lake.joinpath(*parts[:end]))
    for source in registry.sources:
        found |= {layout.events(source), layout.superseded(source), layout.quarantine(source)}
    for view in registry.views.values():
        found.add(layout.keys(view.entity.name) / "-".join(view.key_types))
    return sorted(found)


def _of_table(layout: Layout, path: Path, kept: set[int], examined: Examined, progress: Progress) -> Iterator[Damage]:
    kind = path.relative_to(layout.root / "lake").parts[0]
    is_free = kind in COMPUTED and not kept
    broken = _log_damage(path)
    if broken is not None:
        yield Damage(_name(layout, path / LOG), TABLE, broken, "" if is_free else _way_out(kind), can_heal=is_free)
        return
    yield from _of_log(layout, path, examined)
    newest = {file.name: file for file in Table.open(path).files()}
    needed = dict(newest)
    for version in sorted(kept):
        try:
            needed = {**{file.name: file for file in Table.open(path, version).files()}, **needed}
        except FeatureStoreError as error:
            way_out = "A pin or a publication names it: unpin it, or publish anew"
            yield Damage(_name(layout, path / LOG), TABLE, f"lacks version {version} ({error})", way_out)
    on_disk = {file.path for file in STORAGE.list_files(path, ending=".parquet") if LOG not in file.path.parts}
    examined.unneeded += len(on_disk - {file.path for file in needed.values()})
    for file in needed.values():
        examined.count(file.path)
        what = damage_of(file) or _unvouched(file, examined)
        progress(path.relative_to(layout.root).as_posix(), "files", file.path.name)
        if what is not None:
            can_heal = kind in COMPUTED and file.name in newest
            way_out = "" if can_heal else _way_out(kind)
            yield Damage(_name(layout, file.path), kind, what, way_out, can_heal=can_heal)


def _log_damage(path: Path) -> str | None:
    """Say what keeps the newest version of a table from being read; ``None`` if nothing does."""
    try:
        Table.open(path)
        entry = damaged_entry(path)
    except StoreError as error:
        return f"cannot be read: {error}"
    return way_back(path, *entry) if entry is not None and entry[0] > listed_start(path).version else None


def _of_log(layout: Layout, path: Path, examined: Examined) -> Iterator[Damage]:
    """Look at what the newest version can be read without: damaged checkpoints, and entries that a checkpoint stands for."""
    for checkpoint in checkpoints(path).values():
        examined.count(checkpoint)
        examined.unchecked += not is_vouched(checkpoint)
    for each in checkpoint_damages(path):
        way_out = "" if each.can_mend else lost_checkpoint(each.path)
        yield Damage(_name(layout, each.path), LOG_FILE, each.what, way_out, can_heal=each.can_mend)
    entry = damaged_entry(path)
    if entry is not None:
        name = _name(layout, entry_path(path, entry[0]))
        way_out = (
            "Restore it from a backup: only versions before the next checkpoint need it, which pins and publications may name"
        )
        yield Damage(name, LOG_FILE, entry[1], way_out)


def _unvouched(file: CommittedFile, examined: Examined) -> str | None:
    """Try to read a file for which no digest vouches: what cannot be decoded is damaged, what can may be."""
    if recorded_digest(file) is not None:
        return None
    examined.unchecked += 1
    try:
        with pq.ParquetFile(file.path, page_checksum_verification=True) as opened:
            rows = sum(batch.num_rows for batch in opened.iter_batches())
    except (pa.ArrowException, OSError) as error:
        return f"cannot be decoded ({error})"
    return None if rows == file.rows else f"has {rows:,} rows where {file.rows:,} were committed"


def _of_records(layout: Layout, examined: Examined) -> Iterator[Damage]:
    """Look at what is no table: JSON, and the parameters of calibrations."""
    folders = [(kind, layout.root / kind) for kind in _RECORDS] + [("redelivered", layout.root / "lake" / "redelivered")]
    for kind, folder in folders:
        for file in STORAGE.list_files(folder, ending=".json"):
            examined.count(file.path)
            yield from _refused(layout, file.path, kind, partial(read_json, file.path))
    for file in STORAGE.list_files(layout.definitions, ending=".json"):
        examined.count(file.path)
        yield from _refused(layout, file.path, "definitions", partial(_definitions_of_before, file.path))
    for file in STORAGE.list_files(layout.pins, ending=".json"):
        examined.count(file.path)
        yield from _refused(layout, file.path, "pins", partial(_pinned, file.path))
    for folder in sorted({file.path.parent for file in STORAGE.list_files(layout.root / "publications")}):
        yield from _refused(layout, folder, "publications", partial(publications, folder))
    for folder in sorted({file.path.parents[1] for file in STORAGE.list_files(layout.root / "calibrations", ending=".json")}):
        yield from _refused(layout, folder, "calibrations", partial(_all_parameters, folder))


def _definitions_of_before(path: Path) -> None:
    if digest(read_json(path)) != path.stem:
        raise StoreError(f"{path} holds other definitions than its name says")


def _pinned(path: Path) -> ReadVersions:
    return ReadVersions.parse(read_json(path))


def _all_parameters(folder: Path) -> list[pa.Table]:
    return [parameters(folder, version) for version in versions(folder)]


def _refused(layout: Layout, path: Path, kind: str, read: Callable[[], object]) -> Iterator[Damage]:
    try:
        read()
    except FeatureStoreError as error:
        yield Damage(_name(layout, path), kind, f"cannot be read: {error}", _way_out(kind))


def _way_out(kind: str) -> str:
    ways = {
        "events": "Restore it from a backup; or delete the store's source and ingest its files again",
        "superseded": "Restore it from a backup; until then as-known answers of its source are refused",
        "quarantine": "Restore it from a backup; no answer reads it",
        "keys": "Restore it from a backup as new as the ledgers; or delete lake/keys, lake/tiles, lake/ledger, hot and known, and "
        "materialize: they are made again from the events",
        "pins": "Restore it from a backup, or pin again",
        "publications": "Restore it from a backup; or delete it, and publish again",
        "redelivered": "Delete it: it counts what was delivered twice",
        "definitions": "Restore it from a backup; or delete it: answers of before that change cannot be given again then",
        "alerts": "Delete it: that message was not sent",
    }
    computed = "A pin or a publication reads it: restore it from a backup; or unpin, and publish anew"
    return computed if kind in COMPUTED else ways.get(kind, "Restore it from a backup")


def _name(layout: Layout, path: Path) -> str:
    return path.relative_to(layout.root).as_posix()


def healed(damage: Damage, *, is_healed: bool) -> Damage:
    """Return what has become of a damage that could be healed."""
    way_out = "" if is_healed else "It could not be made again: see the other damages, mend them, and call doctor again"
    return replace(damage, is_healed=is_healed, way_out=way_out, can_heal=False)
