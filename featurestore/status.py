"""What is in a store right now, as values: for people, for ``--json`` and for checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from featurestore.compute.state import ViewState
from featurestore.drift.calibrations import champion, versions
from featurestore.drift.state import DRIFT, LATCHED
from featurestore.lake.layout import Layout
from featurestore.lake.table import CommittedFile, Table
from featurestore.spec.registry import Registry
from featurestore.timeline import Month


@dataclass(frozen=True)
class SourceStatus:
    """One event source: committed events and quarantined rows."""

    name: str
    rows: int
    bytes: int
    first_month: str | None
    last_month: str | None
    quarantined: int


@dataclass(frozen=True)
class ViewStatus:
    """One view: its ledger, and the months whose tiles are missing or out of date."""

    name: str
    fingerprint: str
    features: int
    tile_rows: int
    ledger_bytes: int
    missing_months: tuple[str, ...]


@dataclass(frozen=True)
class CalibrationStatus:
    """One calibration: the version in force and the number of versions ever fitted."""

    name: str
    champion: str | None
    versions: int


@dataclass(frozen=True)
class OpenDrift:
    """A feature whose last audited month is in drift or latched."""

    view: str
    feature: str
    segment: str | None
    since: str | None
    reason: str


@dataclass(frozen=True)
class StoreStatus:
    """A store at a glance."""

    root: str
    timezone: str
    sources: tuple[SourceStatus, ...]
    views: tuple[ViewStatus, ...]
    calibrations: tuple[CalibrationStatus, ...]
    last_audit: str | None
    open_drifts: tuple[OpenDrift, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain values that ``json`` can write."""
        return asdict(self)


def store_status(layout: Layout, registry: Registry, history: pa.Table) -> StoreStatus:
    """Read the status of a store.

    Args:
        layout: Its directories.
        registry: Its definitions.
        history: All committed drift scores.
    """
    months = [day for day in history["month"].to_pylist() if day]
    last = max(months, default=None)
    return StoreStatus(
        root=str(layout.root),
        timezone=layout.timezone,
        sources=tuple(_source(layout, name) for name in registry.sources),
        views=tuple(_view(ViewState(layout, v, Table.open(layout.events(v.source.name)))) for v in registry.views.values()),
        calibrations=tuple(_calibration(layout, name) for name in registry.calibrations),
        last_audit=None if last is None else str(Month.parse(last)),
        open_drifts=tuple(
            _open(row) for row in history.to_pylist() if row["month"] == last and row["state"] in (DRIFT, LATCHED)
        ),
    )


def _source(layout: Layout, name: str) -> SourceStatus:
    files = Table.open(layout.events(name)).files()
    months = sorted(file.partition["month"] for file in files)
    first, last = (months[0], months[-1]) if months else (None, None)
    quarantined = _rows(Table.open(layout.quarantine(name)).files())
    return SourceStatus(name, _rows(files), _bytes(files), first, last, quarantined)


def _view(state: ViewState) -> ViewStatus:
    missing = tuple(str(month) for month in state.stale_tiles())
    tiles, ledger = Table.open(state.tiles_path).files(), Table.open(state.ledger_path).files()
    view = state.view
    return ViewStatus(view.name, state.fingerprint, len(view.features), _rows(tiles), _bytes(ledger), missing)


def _calibration(layout: Layout, name: str) -> CalibrationStatus:
    folder = layout.calibrations(name)
    version = champion(folder)
    return CalibrationStatus(name, version.name if version else None, len(versions(folder)))


def _open(row: dict[str, Any]) -> OpenDrift:
    since = None if row["since"] is None else str(Month.parse(row["since"]))
    return OpenDrift(row["view"], row["feature"], row["segment"], since, row["reason"])


def _rows(files: Sequence[CommittedFile]) -> int:
    return sum(file.rows for file in files)


def _bytes(files: Sequence[CommittedFile]) -> int:
    return sum(file.size_bytes for file in files)
