"""Upgrading a store: the migrations between the versions of its format, each with the reason why it applies.

A migration rewrites what it changes, and only then the versions in store.json are raised. A store whose upgrade is killed is one of
the old version with something beside it that nobody reads, and the same call completes it. So a migration must give the same when
it is applied again, and must leave readable what the old version reads.

The next one is a few lines here; ``lake/store_format.py`` and docs/formats.md say what belongs to it besides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from featurestore.lake.belonging import ID, take_in
from featurestore.lake.checkpoints import vouch_for_checkpoints
from featurestore.lake.files import LOG
from featurestore.lake.json_files import json_bytes
from featurestore.lake.layout import Layout, read_record
from featurestore.lake.lock import exclusive
from featurestore.lake.storage import STORAGE
from featurestore.lake.store_format import IDENTITY, STORE_FILE, StoreRecord
from featurestore.lake.table import Table


@dataclass(frozen=True)
class Migration:
    """One change of the bytes of a store.

    Attributes:
        name: In a word or two.
        description: What becomes different, in one line.
        read_version: Least read version of a store after it.
        write_version: Least write version of a store after it.
        reason: Says why it applies to a store; ``None`` where it does not.
        apply: Rewrites what must change; doing it again changes nothing. Returns what store.json says from then on as well.
    """

    name: str
    description: str
    read_version: int
    write_version: int
    reason: Callable[[Layout, StoreRecord], str | None]
    apply: Callable[[Layout, StoreRecord], Mapping[str, Any]]


@dataclass(frozen=True)
class UpgradeStep:
    """A migration that applied, or would.

    Attributes:
        name: Of the migration.
        description: What it changes.
        reason: Why it applies to this store.
    """

    name: str
    description: str
    reason: str


@dataclass(frozen=True)
class UpgradeReport:
    """What an upgrade did, or would do.

    Attributes:
        steps: The migrations that applied, in order; none when the store was up to date.
        read_version: Of the store afterwards.
        write_version: Of the store afterwards.
        is_dry_run: Whether nothing was changed.
    """

    steps: tuple[UpgradeStep, ...]
    read_version: int
    write_version: int
    is_dry_run: bool

    def __str__(self) -> str:
        versions = f"read version {self.read_version}, write version {self.write_version}"
        if not self.steps:
            return f"Nothing to upgrade: {versions}"
        lines = [f"{step.name}: {step.description}\n  because {step.reason}" for step in self.steps]
        return "\n".join([*lines, f"{'It would have' if self.is_dry_run else 'It has'} {versions}"])


def _two_versions(layout: Layout, record: StoreRecord) -> str | None:
    return None if record.has_versions else f"{layout.root / STORE_FILE} has one number, 'format', for readers and writers"


def _nothing(layout: Layout, record: StoreRecord) -> Mapping[str, Any]:
    """Leave all bytes but store.json as they are."""
    return {}


def _naive_times(layout: Layout, record: StoreRecord) -> str | None:
    return None if "naive_times" in dict(record.others) else f"{layout.root / STORE_FILE} does not say which zone they are in"


def _in_utc(layout: Layout, record: StoreRecord) -> Mapping[str, Any]:
    """Record what such a store has meant from its first day: its answers must stay."""
    return {"naive_times": "utc"}


def _identity(layout: Layout, record: StoreRecord) -> str | None:
    what = "parts of another store, or of another moment, are not told"
    return None if ID in dict(record.others) else f"{layout.root / STORE_FILE} names no id: {what}"


def _tables_taken_in(layout: Layout, record: StoreRecord) -> Mapping[str, Any]:
    """Make an id, and record the tables that are there; each must be readable, since what is taken in is trusted."""
    lake = layout.root / "lake"
    folders = sorted(
        {file.path.parents[1] for file in STORAGE.list_files(lake, ending=".json") if file.path.parent.name == LOG}
    )
    tables = [table for table in map(Table.open, folders) if table.version >= 0]
    for table in tables:
        vouch_for_checkpoints(table.path)
    return take_in(layout.root, [(table.path, table.table_id, table.version) for table in tables])


MIGRATIONS = (
    Migration(
        "two versions",
        "store.json says which featurestore may read the store and which may write to it, instead of one format",
        read_version=1,
        write_version=1,
        reason=_two_versions,
        apply=_nothing,
    ),
    Migration(
        "naive times",
        "store.json says that times and dates without a zone are in UTC, as they have always been here; in new stores they are in "
        "the store's zone",
        read_version=1,
        write_version=1,
        reason=_naive_times,
        apply=_in_utc,
    ),
    Migration(
        "identity",
        "store.json has an id, which new tables name, and says which tables of before belong to it: a folder of another store, or of "
        "an older backup than the rest, is told from now on. Older programs may read the store and not write to it, since their "
        "tables would name no store",
        read_version=1,
        write_version=IDENTITY,
        reason=_identity,
        apply=_tables_taken_in,
    ),
)
"""All migrations there have been, oldest first."""


def upgrade(layout: Layout, *, dry_run: bool = False, migrations: Sequence[Migration] = MIGRATIONS) -> UpgradeReport:
    """Bring a store to the newest version of the format that this code writes; see ``FeatureStore.upgrade``.

    Args:
        layout: The store.
        dry_run: Whether only to tell what applies.
        migrations: Oldest first.
    """
    if dry_run:
        return _upgraded(layout, migrations, is_dry_run=True)
    STORAGE.check_open(layout.root)
    busy = f"{layout.root} is being upgraded by another process. Make the call again when it is done."
    with exclusive(layout.root / "upgrade.lock", wait_s=0, busy=busy):
        return _upgraded(layout, migrations, is_dry_run=False)


def _upgraded(layout: Layout, migrations: Sequence[Migration], *, is_dry_run: bool) -> UpgradeReport:
    stored, record = read_record(layout)
    steps = []
    for migration in migrations:
        reason = migration.reason(layout, record)
        if reason is None:
            continue
        settings = {} if is_dry_run else migration.apply(layout, record)
        record = record.raised(read_version=migration.read_version, write_version=migration.write_version, settings=settings)
        if not is_dry_run:
            # Last: until here the store is one of the old version.
            STORAGE.update(layout.root / STORE_FILE, json_bytes(record.document()), version=stored.version)
            stored, record = read_record(layout)
        steps.append(UpgradeStep(migration.name, migration.description, reason))
    return UpgradeReport(tuple(steps), record.read_version, record.write_version, is_dry_run)
