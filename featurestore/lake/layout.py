"""A store's directories: the only place that knows where things lie.

store.json            id, versions of the format and business time zone, written once and by ``upgrade``
registry.json         definitions
definitions/          definitions of before, which older answers were read with
landing/<source>/     files that wait for ``ingest()``, unless the source names another folder
lake/<kind>/<name>/   Delta tables: events, superseded, quarantine, keys, tiles, ledger, snapshots, sketches, scores,
                      days (daily counts) and faults of sources
calibrations/<name>/  parameters, their references and the audit log
acknowledged/         drifts that were answered without a recalibration
reports/              what people look at
pins/                 versions that training sets were read from: vacuum keeps them
publications/<name>/  what a service was published from, by number: the highest counts, vacuum keeps it
alerts/               messages to people: pending, sent, dead
hot/<view>/           derived copies for fast reads; may be deleted at any time
hot/$keys/<entity>/   derived indexes of keys, as those
known/<view>/         late rows, for as-known answers; derived, may be deleted at any time
newest/<kind>/<name>  the newest version of each table that cannot be made again (``belonging.py``)
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from featurestore.errors import CommitConflictError, StoreError
from featurestore.lake.belonging import ID
from featurestore.lake.bounds import Bounds
from featurestore.lake.delta_runtime import check_table_path
from featurestore.lake.file_names import local_path
from featurestore.lake.json_files import json_bytes, parse_json, read_json
from featurestore.lake.scratch import scratch_folder
from featurestore.lake.storage import STORAGE, Stored
from featurestore.lake.store_format import NEW, STORE_FILE, StoreRecord
from featurestore.spec.names import checked_name
from featurestore.spec.source import EventSource
from featurestore.timeline import zone_of

DEFAULT_TIMEZONE = "UTC"
_WELCOME_BEFORE_A_STORE = {"README.md", ".gitignore", "landing"}


@dataclass(frozen=True)
class Layout:
    """Where the parts of one store lie.

    Args:
        root: The store's directory, absolute.
        timezone: Business time zone, fixed when the store is created.
        naive_timezone: Zone of times and dates that name none: the business zone, UTC in stores of before that rule.
        bounds: What its calls may cost; never recorded.
    """

    root: Path
    timezone: str
    naive_timezone: str
    bounds: Bounds

    def events(self, source: str) -> Path:
        """Return the table of a source's events: the newest version of each, partitioned by month."""
        return self._table("events", source)

    def superseded(self, source: str) -> Path:
        """Return the table of the versions that corrections replaced."""
        return self._table("superseded", source)

    def quarantine(self, source: str) -> Path:
        """Return the table of a source's invalid rows, with their reasons."""
        return self._table("quarantine", source)

    def keys(self, entity: str) -> Path:
        """Return the table of an entity's keys and their codes."""
        return self._table("keys", entity)

    def tiles(self, view: str) -> Path:
        """Return the table of a view's tiles."""
        return self._table("tiles", view)

    def ledger(self, view: str) -> Path:
        """Return the table of a view's running totals."""
        return self._table("ledger", view)

    def snapshots(self, view: str) -> Path:
        """Return the table of a view's month-end snapshots."""
        return self._table("snapshots", view)

    def sketches(self, view: str) -> Path:
        """Return the table of a view's monthly sketches."""
        return self._table("sketches", view)

    def scores(self, view: str) -> Path:
        """Return the table of a view's drift scores."""
        return self._table("scores", view)

    def days(self, source: str) -> Path:
        """Return the table of a source's daily counts."""
        return self._table("days", source)

    def redelivered(self, source: str) -> Path:
        """Return the folder of counts of what a source delivered twice."""
        return self.root / "lake" / "redelivered" / checked_name(source, "a source")

    def faults(self, source: str) -> Path:
        """Return the table of a source's data faults."""
        return self._table("faults", source)

    def hot(self, view: str) -> Path:
        """Return the folder of a view's copies for fast reads; derived, deletable at any time."""
        return self.root / "hot" / checked_name(view, "a view")

    def hot_keys(self, entity: str) -> Path:
        """Return the folder of the index of an entity's keys; derived, deletable at any time."""
        return self.hot_keys_root / checked_name(entity, "an entity")

    @property
    def hot_keys_root(self) -> Path:
        """The folder of the indexes of all entities. No view is named so."""
        return self.root / "hot" / "$keys"

    def known(self, view: str) -> Path:
        """Return the folder of a view's late rows, for as-known answers; derived, deletable at any time."""
        return self.root / "known" / checked_name(view, "a view")

    def calibrations(self, name: str) -> Path:
        """Return the folder of a calibration's versions and audit log."""
        return self.root / "calibrations" / checked_name(name, "a calibration")

    @property
    def acknowledged(self) -> Path:
        """The folder of drifts that were answered without a recalibration."""
        return self.root / "acknowledged"

    def landing(self, source: EventSource) -> Path:
        """Return the folder where a source's new files arrive; ``landing/<name>`` unless the source names one."""
        return self.root / (source.landing_place.folder or Path("landing") / source.name)

    @property
    def pins(self) -> Path:
        """The folder of pins: versions that training sets were read from and that must stay readable."""
        return self.root / "pins"

    def publications(self, service: str) -> Path:
        """Return the folder of a service's publications, by number."""
        return self.root / "publications" / checked_name(service, "a service")

    @property
    def alerts(self) -> Path:
        """The folder of messages to people: pending, sent and dead."""
        return self.root / "alerts"

    @property
    def registry(self) -> Path:
        """The JSON file of recorded definitions."""
        return self.root / "registry.json"

    @property
    def definitions(self) -> Path:
        """The folder of definitions as they were before changes."""
        return self.root / "definitions"

    @property
    def registry_lock(self) -> Path:
        """The lock that is held while definitions are recorded, so that no writer loses another's."""
        return self.root / "registry.lock"

    @property
    def reports(self) -> Path:
        """The folder of reports and pictures."""
        return self.root / "reports"

    @property
    def spill(self) -> Path:
        """The folder where running sorts lay down what does not fit into memory."""
        return self.root / "spill"

    def _table(self, kind: str, name: str) -> Path:
        return self.root / "lake" / kind / checked_name(name, f"a table of {kind}")


def create_or_open(root: str | os.PathLike[str], *, timezone: str | None = None, bounds: Bounds | None = None) -> Layout:
    """Open the store in a directory, or create one there.

    A store that a newer featurestore changed so that this one must not write to it is opened for reading: every call that would
    change it raises StoreError.

    Args:
        root: Directory; created when missing. It may already hold a README.md, a .gitignore and a landing folder.
        timezone: Business time zone. ``None`` means the recorded one, UTC for a new store.
        bounds: What its calls may cost; ``Bounds()`` by default.

    Raises:
        StoreError: the root is an address such as ``s3://``, empty or a path that no Delta table can have, the directory holds
            something else, its store.json is damaged, the store has another time zone, or a newer featurestore changed it so that
            this one cannot read it.
        DefinitionError: the time zone is unknown.
    """
    folder = local_path(root, StoreError).resolve()
    check_table_path(folder, StoreError)
    path = folder / STORE_FILE
    if timezone is not None:
        zone_of(timezone)
    if not STORAGE.exists(path):
        _check_free(folder)
        _create(folder, timezone or DEFAULT_TIMEZONE)
    record = StoreRecord.parse(path, read_json(path))
    record.check_readable(path)
    if timezone is not None and timezone != record.timezone:
        raise StoreError(
            f"The store {folder} was created with timezone={record.timezone!r} and cannot be opened with {timezone!r}: "
            "its months and days are cut in that zone. Open it without timezone=, or create another store."
        )
    naive_timezone = record.timezone if record.naive_times == "store" else DEFAULT_TIMEZONE
    layout = Layout(folder, record.timezone, naive_timezone, bounds or Bounds())
    refusal = record.refuses_writing(path)
    if refusal is None:
        STORAGE.open_for_writing(folder)
    else:
        STORAGE.close_for_writing(folder, refusal, but=layout.spill)
    return layout


def unopened(root: Path) -> Layout | None:
    """Return where the parts lie of a store that cannot be opened because its store.json is damaged; ``None`` of any other.

    For who only looks: its zone is not known.
    """
    layout = Layout(root.resolve(), DEFAULT_TIMEZONE, DEFAULT_TIMEZONE, Bounds())
    try:
        read_record(layout)
    except StoreError:
        return layout
    return None


@contextmanager
def spill_folder(layout: Layout) -> Iterator[Path]:
    """Make a folder for one session's overflow, and remove it afterwards, together with those of killed ones."""
    with scratch_folder(layout.spill) as folder:
        yield folder


def _create(folder: Path, timezone: str) -> None:
    """Write store.json unless another process was faster."""
    with suppress(CommitConflictError):
        STORAGE.create(folder / STORE_FILE, json_bytes(NEW.document() | {"timezone": timezone, ID: uuid.uuid4().hex}))


def _check_free(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise StoreError(f"{folder} is a file. Give the store a directory.")
    foreign = sorted(
        entry.name
        for entry in folder.iterdir()
        if entry.name not in _WELCOME_BEFORE_A_STORE and not entry.name.startswith(f".{STORE_FILE}")
    )
    if foreign:
        raise StoreError(
            f"{folder} is not a store: it has no {STORE_FILE} but holds {', '.join(foreign[:5])}. "
            "Give the store an empty directory, or one that does not exist."
        )


def raise_versions(layout: Layout, version: int) -> None:
    """Let only programs in that know a version of the format, before what it brought is written; settings stay as they are.

    Raises:
        CommitConflictError: another writer did so meanwhile.
    """
    stored, record = read_record(layout)
    if record.read_version < version:
        raised = record.raised(read_version=version, write_version=version)
        STORAGE.update(layout.root / STORE_FILE, json_bytes(raised.document()), version=stored.version)


def read_record(layout: Layout) -> tuple[Stored, StoreRecord]:
    """Read what a store's file says, with what tells whether another writer has changed it since."""
    path = layout.root / STORE_FILE
    stored = STORAGE.get(path)
    return stored, StoreRecord.parse(path, parse_json(path, stored.content))
