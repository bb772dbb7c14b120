"""What is in a store right now, as values: for people, for ``--json`` and for checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from featurestore.compute.retrieval.publication import definitions_of, last_publication
from featurestore.compute.state import ViewState
from featurestore.drift.data_faults.data_fault import DataFault
from featurestore.drift.monitor.state import DRIFT, LATCHED
from featurestore.drift.recalibration.calibration_versions import champion, versions
from featurestore.errors import IngestError
from featurestore.lake.ingestion.landing import files_without_partition
from featurestore.lake.layout import Layout
from featurestore.lake.table import CommittedFile, Table
from featurestore.spec.joined import JoinedView
from featurestore.spec.registry import Registry
from featurestore.spec.source import EventSource
from featurestore.timeline import Month


@dataclass(frozen=True)
class SourceStatus:
    """One event source: committed events, quarantined rows, and what has landed that no monthly run reads, each with the reason.

    A landing folder that is refused as a whole has that as its one reason.
    """

    name: str
    rows: int
    bytes: int
    first_month: str | None
    last_month: str | None
    quarantined: int
    unread: tuple[str, ...] = ()


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
class JoinedViewStatus:
    """One joined view: what it reads when it is read, and the months that those views lack."""

    name: str
    views: tuple[str, ...]
    features: int
    missing_months: tuple[str, ...]


@dataclass(frozen=True)
class ServiceStatus:
    """One service and its last good publication: number and instants (ISO, UTC) are ``None`` before the first.

    ``is_redefined``: the service, or what it reads, is defined differently now.
    """

    name: str
    features: int
    number: int | None
    as_of: str | None
    published_at: str | None
    is_redefined: bool


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
class OpenFault:
    """A column of a source in whose record something is wrong in the last audited month; ``rows``: events as a whole."""

    source: str
    column: str
    since: str
    reason: str


@dataclass(frozen=True)
class StoreStatus:
    """A store at a glance."""

    root: str
    timezone: str
    sources: tuple[SourceStatus, ...]
    views: tuple[ViewStatus, ...]
    joined_views: tuple[JoinedViewStatus, ...]
    services: tuple[ServiceStatus, ...]
    calibrations: tuple[CalibrationStatus, ...]
    last_audit: str | None
    open_drifts: tuple[OpenDrift, ...]
    open_faults: tuple[OpenFault, ...]

    def document(self) -> dict[str, Any]:
        """Return plain values that ``json`` can write."""
        return asdict(self)


def store_status(layout: Layout, registry: Registry, scores: pa.Table, faults: Sequence[DataFault]) -> StoreStatus:
    """Read the status of a store.

    Args:
        layout: Its directories.
        registry: Its definitions.
        scores: The drift scores of the last audited month.
        faults: The faults in the sources' records of that month.
    """
    last = scores["month"][0].as_py() if scores.num_rows else None
    views = {v.name: _view(ViewState(layout, v, Table.open(layout.events(v.source.name)))) for v in registry.views.values()}
    return StoreStatus(
        root=str(layout.root),
        timezone=layout.timezone,
        sources=tuple(_source(layout, source) for source in registry.sources.values()),
        views=tuple(views.values()),
        joined_views=tuple(_joined(joined, views) for joined in registry.joined_views.values()),
        services=tuple(_service(layout, registry, name) for name in registry.services),
        calibrations=tuple(_calibration(layout, name) for name in registry.calibrations),
        last_audit=None if last is None else str(Month.parse(last)),
        open_drifts=tuple(_open(row) for row in scores.to_pylist() if row["state"] in (DRIFT, LATCHED)),
        open_faults=tuple(OpenFault(fault.source, fault.column, str(fault.since), fault.reason) for fault in faults),
    )


def _source(layout: Layout, source: EventSource) -> SourceStatus:
    name = source.name
    files = Table.open(layout.events(name)).files()
    months = sorted(file.partition["month"] for file in files)
    first, last = (months[0], months[-1]) if months else (None, None)
    quarantined = _rows(Table.open(layout.quarantine(name)).files())
    try:
        unread = tuple(map(str, files_without_partition(layout, source)))
    except IngestError as error:
        unread = (str(error),)
    return SourceStatus(name, _rows(files), _bytes(files), first, last, quarantined, unread)


def _view(state: ViewState) -> ViewStatus:
    missing = tuple(str(month) for month in state.stale_tiles())
    tiles = Table.open(state.tiles_path).files()
    ledger = Table.open(state.ledger_path).files()
    view = state.view
    return ViewStatus(view.name, state.fingerprint, len(view.features), _rows(tiles), _bytes(ledger), missing)


def _joined(joined: JoinedView, views: Mapping[str, ViewStatus]) -> JoinedViewStatus:
    names = tuple(view.name for view in joined.views)
    missing = sorted({month for name in names for month in views[name].missing_months})
    return JoinedViewStatus(joined.name, names, len(joined.features), tuple(missing))


def _service(layout: Layout, registry: Registry, name: str) -> ServiceStatus:
    count = len(registry.resolve(registry.services[name]))
    last = last_publication(layout.publications(name))
    if last is None:
        return ServiceStatus(name, count, None, None, None, is_redefined=False)
    is_redefined = last.definitions != definitions_of(registry, name)
    return ServiceStatus(name, count, last.number, last.as_of.isoformat(), last.published_at.isoformat(), is_redefined)


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
