"""Which featurestore may read a store and which may write to it: the two versions in store.json, and the rule by which they change.

``read_version`` rises when a program that does not know the change would read wrong answers, ``write_version`` when one would read
rightly but write what newer ones misread; so the write version is never the smaller one. A program refuses a store whose read
version it does not know, and opens one for reading whose write version alone it does not know. It keeps to the versions that the
store has: only ``upgrade`` raises them, as its last step.

    version   first in   what changed
    1         0.1.0      the first one; until 0.1.0 was finished it was written as {"format": 1}, which is read as version 1 of both
    2         0.2.0      times and dates without a zone are in the store's: ``naive_times`` is ``store``. New stores only: in one of
                         version 1 they are in UTC, as every program reads it, so ``upgrade`` records that and leaves the version.
                         And sources say in registry.json what they gained (``earlier``, ``optional``), and files of one table
                         differ in their columns; they may have no event_id (``$event_id`` in the files), ``order_by`` and
                         ``unstamped``, and ``wide`` columns; views may have ``resolution_bits`` beyond 40 and
                         ``relative_to``; and superseded versions have a place (``$place``), every delivery of one its row: a store of
                         version 1 becomes one of version 2 when any of that is first recorded. In stores of version 2 the newest
                         month of a ledger may have balances of its active entities alone (kind ``active``). And a store has an
                         ``id`` that its tables name: ``upgrade`` gives one to a store of before, and raises its write version

To change the bytes of a store, in this order (docs/formats.md says more): add a line here and to ``RELEASES``, raise
``READ_VERSION`` or ``WRITE_VERSION``; add a migration to ``operations/upgrading.py``; keep a store that the release before wrote
in ``tests/lake/fixtures`` and let the tests of ``test_older_stores.py`` run on it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from featurestore.errors import StoreError

STORE_FILE = "store.json"
READ_VERSION = 2
"""The newest version that this code reads; it reads all older ones too."""
WRITE_VERSION = 2
"""The newest version that this code writes."""
RELEASES = {1: "0.1.0", 2: "0.2.0"}
"""Version to the first featurestore that knows it: what an older one tells people to install."""

EVOLUTION = 2
"""The version from which on sources may gain columns."""
ACTIVE_BALANCES = 2
"""The version from which on a ledger may have balances of active entities alone."""
PLACES = 2
"""The version from which on superseded versions have a place."""
IDENTITY = 2
"""The version from which on whoever makes a table names the store's id in it."""

_FORMAT_OF_OLD = "format"
_VERSIONS = ("read_version", "write_version")
_SINCE = ("read_since", "write_since")


@dataclass(frozen=True)
class StoreRecord:
    """What store.json says.

    Attributes:
        read_version: Least version that a program must know to read the store.
        write_version: Least version that a program must know to write to it.
        read_since: First featurestore that knows the read version.
        write_since: First featurestore that knows the write version.
        timezone: Business time zone; empty in ``NEW``.
        naive_times: Which zone times and dates without one are in: ``store``, the business zone; ``utc`` in stores of the first
            version, whose answers must stay.
        has_versions: Whether the file names both versions; the first format named one.
        others: What else it says; kept by whoever changes it.
    """

    read_version: int
    write_version: int
    read_since: str
    write_since: str
    timezone: str = ""
    naive_times: str = "utc"
    has_versions: bool = True
    others: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def parse(cls, path: Path, value: Any) -> StoreRecord:
        """Read the JSON value of store.json.

        Raises:
            StoreError: it is not what store.json should hold.
        """
        fields = dict(value) if isinstance(value, Mapping) else {}
        has_versions = _FORMAT_OF_OLD not in fields
        if not has_versions:
            version = fields.pop(_FORMAT_OF_OLD)
            fields |= dict.fromkeys(_VERSIONS, version) | dict.fromkeys(_SINCE, RELEASES[1])
        read, write, *texts = (fields.pop(name, None) for name in (*_VERSIONS, *_SINCE, "timezone"))
        naive_times = fields.get("naive_times", "utc")
        are_texts = all(isinstance(text, str) and text for text in texts) and naive_times in ("utc", "store")
        if not (_is_version(read) and _is_version(write) and read <= write and are_texts):
            names = ", ".join((*_VERSIONS, *_SINCE))
            raise StoreError(f"{path} says {value!r}; expected {names} and timezone. Restore the file from a backup.")
        read_since, write_since, timezone = texts
        return cls(read, write, read_since, write_since, timezone, naive_times, has_versions, tuple(fields.items()))

    def document(self) -> dict[str, Any]:
        """Return the JSON value of store.json."""
        fields = {name: getattr(self, name) for name in (*_VERSIONS, *_SINCE, "timezone")}
        return fields | dict(self.others)

    def check_readable(self, path: Path) -> None:
        """Raise StoreError if this code cannot read the store."""
        if self.read_version > READ_VERSION:
            raise StoreError(
                f"{path} has the read version {self.read_version}; this featurestore reads 1 to {READ_VERSION}. A newer one changed "
                f"the store. Install featurestore {self.read_since} or later."
            )

    def refuses_writing(self, path: Path) -> str | None:
        """Say why this code may not write to the store; ``None`` if it may."""
        if self.write_version <= WRITE_VERSION:
            return None
        return (
            f"{path} has the write version {self.write_version}; this featurestore writes 1 to {WRITE_VERSION}, and may only read "
            f"this store, which a newer one changed. Install featurestore {self.write_since} or later to write to it."
        )

    def raised(self, *, read_version: int, write_version: int, settings: Mapping[str, Any] | None = None) -> StoreRecord:
        """Return a record with at least these versions, and with what else a migration records.

        Args:
            read_version: Least read version.
            write_version: Least write version.
            settings: More to say in store.json; what it says already stays.
        """
        read = max(self.read_version, read_version)
        write = max(self.write_version, write_version)
        since = {"read_since": RELEASES.get(read, self.read_since), "write_since": RELEASES.get(write, self.write_since)}
        others = tuple({**(settings or {}), **dict(self.others)}.items())
        return replace(self, read_version=read, write_version=write, has_versions=True, others=others, **since)


def _is_version(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


NEW = StoreRecord(
    READ_VERSION,
    WRITE_VERSION,
    RELEASES[READ_VERSION],
    RELEASES[WRITE_VERSION],
    naive_times="store",
    others=(("naive_times", "store"),),
)
"""What a new store says, but for its time zone."""
