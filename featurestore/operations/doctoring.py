"""The doctor: names every damage below a store's root, and makes again what can be made again."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from featurestore.compute.materialization.materialize import Progress, materialize, silent
from featurestore.compute.search.derived_files import drop_copy
from featurestore.drift.audit_tables import MONTH, last_snapshot
from featurestore.errors import FeatureStoreError
from featurestore.lake.checkpoints import checkpoint_damages, write_checkpoint
from featurestore.lake.digests import is_sound
from featurestore.lake.files import LOG
from featurestore.lake.layout import Layout, read_record
from featurestore.lake.storage import STORAGE
from featurestore.lake.store_format import STORE_FILE
from featurestore.lake.table import Table
from featurestore.operations.auditing import audit_store, snapshot_views
from featurestore.operations.damages import COPIES, LOG_FILE, TABLE, Damage, Examined, find_damages, healed
from featurestore.operations.definitions import recorded
from featurestore.operations.panels import audited_view
from featurestore.operations.vacuuming import kept_versions
from featurestore.spec.registry import Registry
from featurestore.timeline import Month

_AUDITED = ("snapshots", "sketches", "scores", "days", "faults")


@dataclass(frozen=True)
class DoctorReport:
    """What was found below a store's root, and what has become of it.

    Attributes:
        damages: Each damaged file or log.
        files: Files that were read.
        bytes: Their size.
        unchecked: Committed files of before digests: they can be decoded, and nothing vouches for their values.
        unneeded: Files of tables that no version in use names: ``store.vacuum()`` deletes them when they are old enough.
        unknown: Files that are no part of a store.
        is_dry_run: Whether nothing was to be healed, or nothing could be: ``store.json`` or ``registry.json`` is damaged.
        elapsed_s: Wall time.
    """

    damages: tuple[Damage, ...]
    files: int
    bytes: int
    unchecked: int
    unneeded: int
    unknown: tuple[str, ...]
    is_dry_run: bool
    elapsed_s: float

    @property
    def left(self) -> tuple[Damage, ...]:
        """What is damaged still: what could not be healed, after a dry run everything."""
        return tuple(damage for damage in self.damages if not damage.is_healed)

    @property
    def is_sound(self) -> bool:
        """Whether nothing is damaged any more."""
        return not self.left

    def __str__(self) -> str:
        read = f"{self.files:,} files, {self.bytes / 1e6:,.1f} MB read in {self.elapsed_s:.1f} s"
        count = len(self.damages)
        found = f"{count} damaged, {count - len(self.left)} healed" if count else "nothing is damaged"
        notes = [
            f"{self.unchecked:,} files have no digest: an older release wrote them, and only whether they can be read is known"
        ]
        notes = notes if self.unchecked else []
        if self.unneeded:
            notes.append(f"{self.unneeded:,} files are needed by no version in use: vacuum deletes them")
        if self.unknown:
            notes.append(f"{len(self.unknown):,} files are no part of a store, such as {self.unknown[0]}")
        return "\n".join([f"{read}: {found}", *map(str, self.damages), *notes])


def examine(layout: Layout, *, dry_run: bool = False, progress: Progress | None = None) -> DoctorReport:
    """Read a store whole and heal what can be; see ``FeatureStore.doctor``.

    Where ``store.json`` or ``registry.json`` is damaged, all else is named and nothing healed: what is needed is not known.
    """
    started = time.perf_counter()
    examined = Examined()
    registry, damages = _definitions(layout, examined)
    is_known = not damages
    kept = kept_versions(layout, registry)
    damages += find_damages(layout, registry, kept, examined=examined, progress=progress or silent)
    if not dry_run and is_known:
        damages = _heal(layout, registry, damages, progress or silent)
    counts = examined.files, examined.bytes, examined.unchecked, examined.unneeded, examined.unknown
    return DoctorReport(tuple(damages), *counts, dry_run or not is_known, time.perf_counter() - started)


def _definitions(layout: Layout, examined: Examined) -> tuple[Registry, list[Damage]]:
    """Read what a store's own two files say; where one is damaged, no definitions, and what is wrong with it."""
    damages = list[Damage]()
    way_out = "Restore it from a backup; until then nothing is healed"
    for path, kind, read in (
        (layout.root / STORE_FILE, "store", read_record),
        (layout.registry, "registry", recorded),
    ):
        examined.count(path)
        try:
            read(layout)
        except FeatureStoreError as error:
            again = ", or apply the definitions to a store without it" if kind == "registry" else ""
            damages.append(Damage(path.name, kind, f"cannot be read: {error}", way_out + again))
    return Registry() if any(damage.kind == "registry" for damage in damages) else recorded(layout), damages


def _heal(layout: Layout, registry: Registry, damages: Sequence[Damage], progress: Progress) -> list[Damage]:
    """Make again what can be; another failure leaves the damage told."""
    ours = [damage for damage in damages if damage.can_heal]
    for damage in ours:
        path = layout.root / damage.path
        if damage.kind in COPIES:
            drop_copy(path)
        elif damage.kind == TABLE:
            STORAGE.delete_all(path.parent)
    for table in sorted({layout.root / Path(damage.path).parents[1] for damage in ours if damage.kind == LOG_FILE}):
        with suppress(FeatureStoreError):  # told as left
            write_checkpoint(table)
    kinds = {_kind(damage) for damage in ours}
    if kinds & {"tiles", "ledger", "hot"}:
        for view in registry.views.values():
            with suppress(FeatureStoreError):  # its own damages are named
                materialize(layout, [view], sharing=registry.views.values(), progress=progress)
    if kinds & {*_AUDITED}:
        with suppress(FeatureStoreError):
            _audit_again(layout, registry, ours)
    return [healed(damage, is_healed=_is_mended(layout, damage)) if damage.can_heal else damage for damage in damages]


def _audit_again(layout: Layout, registry: Registry, damages: Iterable[Damage]) -> None:
    """Take damaged snapshots again, then audit the last month, which reads and makes again all that audits keep."""
    audited = {view.name: audited_view(layout, view) for view in registry.views.values()}
    last = last_snapshot(audited.values())
    for damage in damages:
        if damage.kind == "snapshots":
            path = layout.root / damage.path
            month = Month.parse(path.parent.name.removeprefix(f"{MONTH}="))
            views = [name for name, each in audited.items() if path.is_relative_to(each.snapshots)]
            snapshot_views(layout, registry, [month], views=views)
    if last is not None:
        audit_store(layout, registry, [last])


def _kind(damage: Damage) -> str:
    return Path(damage.path).parts[1] if damage.kind == TABLE else damage.kind


def _is_mended(layout: Layout, damage: Damage) -> bool:
    """Tell whether what lies there now is sound; what no version names any more is needed by none."""
    path = layout.root / damage.path
    if damage.kind in COPIES:
        return True
    if damage.kind == LOG_FILE:
        return path not in {each.path for each in checkpoint_damages(path.parents[1])}
    table = path.parent if damage.kind == TABLE else next(folder for folder in path.parents if (folder / LOG).exists())
    try:
        files = Table.open(table).files()
    except FeatureStoreError:
        return False
    return all(is_sound(file) for file in files if damage.kind == TABLE or file.path == path)
