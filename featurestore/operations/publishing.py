"""Publishing: publish a service when all that it reads is complete, and find its last good publication.

1. One snapshot of each source's events is opened, then the ledgers: no view knows more of a source than another.
2. Up to as_of, each ledger must hold all committed events; else nothing is published, and readers keep what they have.
3. The publication is linked into place under the next number (``retrieval/publication.py``). A publisher that was overtaken looks
   again, so the last good one never goes back. One exception: a publication as of the future was made when the clock ran ahead, and
   the next one replaces it, whatever its as_of.
4. What is published is durable, and so is what it reads: versions that another process committed are flushed before it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TypeGuard

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.compute.keys import count_keys
from featurestore.compute.retrieval.freshness import check_fresh
from featurestore.compute.retrieval.publication import (
    Publication,
    definitions_of,
    expire,
    last_publication,
    publication_path,
    write_publication,
)
from featurestore.compute.state import MONTH, STATISTICS_SLACK, ViewState
from featurestore.compute.windows.totals import LedgerReader
from featurestore.compute.windows.versions import ReadVersions, ViewVersions, features_digest
from featurestore.drift.recalibration.calibration_versions import champion, versions
from featurestore.errors import DefinitionError, NotPublishedError, UnknownNameError, did_you_mean
from featurestore.lake.arrow_parquet import read_parquet
from featurestore.lake.layout import Layout
from featurestore.lake.retry import retried
from featurestore.lake.storage import STORAGE
from featurestore.lake.table import CommittedFile, Table
from featurestore.spec.registry import Registry
from featurestore.spec.service import FeatureService
from featurestore.timeline import GRAINS, Clock, from_us, to_us

KEPT_PUBLICATIONS = 3


def publish_service(
    layout: Layout,
    registry: Registry,
    service: str | FeatureService,
    *,
    as_of_us: int | None = None,
    keep: int = KEPT_PUBLICATIONS,
) -> Publication:
    """Publish a service, unless its last good publication already reads the same; see ``FeatureStore.publish``.

    Args:
        layout: The store.
        registry: Its definitions.
        service: The service, or its name.
        as_of_us: Instant up to which its views are complete, UTC microseconds; by default as far as its sources have events.
        keep: Publications that stay readable, the new one included.
    """
    name = _name_of(registry, service)
    if keep < 1:
        raise DefinitionError(f"keep={keep} would forget the publication that is being made; give at least 1.")
    folder = layout.publications(name)

    def step() -> Publication:
        last = last_publication(folder)
        if last is not None:
            STORAGE.rests_on(publication_path(folder, last.number))
        publication = _publication(layout, registry.part(name), name, as_of_us, last)
        if last is not None and publication.is_same(last):
            STORAGE.settle()  # it may be that of a publisher that was killed before it flushed it
            return last
        write_publication(folder, publication)
        expire(folder, keep=keep)
        return publication

    return retried(step, gave_up=f"{name!r} was published by others again and again. Make the call again.")


def last_good(
    layout: Layout,
    registry: Registry,
    service: str | FeatureService,
    *,
    max_age_us: int | None = None,
    at_us: int | None = None,
) -> Publication:
    """Return the last good publication of a service; see ``FeatureStore.published``.

    Args:
        layout: The store.
        registry: Its definitions.
        service: The service, or its name.
        max_age_us: By how much its as_of may lie before ``at_us``.
        at_us: UTC microseconds; the present by default.
    """
    name = _name_of(registry, service)
    last = last_publication(layout.publications(name))
    if last is None:
        raise NotPublishedError(f"{name!r} has not been published. Call store.publish({name!r}) when it is materialized.")
    at_us = _now_us() if at_us is None else at_us
    if max_age_us is not None and at_us - last.as_of_us > max_age_us:
        raise NotPublishedError(
            f"The last good publication of {name!r} is as of {last.as_of.isoformat()}, {_text(at_us - last.as_of_us)} before "
            f"{from_us(at_us).isoformat()}; at most {_text(max_age_us)} were asked for. Refresh the store and publish, or allow more."
        )
    return last


def _name_of(registry: Registry, service: str | FeatureService) -> str:
    name = service.name if isinstance(service, FeatureService) else service
    if name not in registry.services:
        raise UnknownNameError(f"There is no service {name!r}.{did_you_mean(name, registry.services)}")
    return name


def _publication(layout: Layout, part: Registry, service: str, as_of_us: int | None, last: Publication | None) -> Publication:
    """Describe what is committed now as the next publication of a service, if it is complete up to as_of."""
    events = {name: Table.open(layout.events(name)) for name in part.sources}
    states = [ViewState(layout, view, events[view.source.name]) for view in part.views.values()]
    readers = [LedgerReader(state) for state in states]
    at_us = _as_of_us(states, last) if as_of_us is None else as_of_us
    if at_us > _now_us():
        raise DefinitionError(f"{service!r} cannot be complete up to {from_us(at_us).isoformat()}, which is in the future.")
    if _is_of_the_past(last) and at_us < last.as_of_us:
        raise NotPublishedError(
            f"{service!r} is published as of {last.as_of.isoformat()}; {from_us(at_us).isoformat()} is earlier, and what consumers "
            "read never goes back."
        )
    for state, reader in zip(states, readers, strict=True):
        check_fresh(state, reader, as_of_us=at_us)
    names = _calibrations(part)
    folders = {name: layout.calibrations(name) for name in names}
    champions = {name: champion(folder) for name, folder in folders.items()}
    return Publication(
        service=service,
        number=0 if last is None else last.number + 1,
        as_of_us=at_us,
        published_us=_now_us(),
        versions=ReadVersions(
            {state.view.name: _versions(state, reader) for state, reader in zip(states, readers, strict=True)},
            {name: tuple(each.name for each in versions(folder) if each.is_accepted) for name, folder in folders.items()},
            features_digest([(part.view(feature.view), feature) for feature in part.resolve(service)], layout.naive_timezone),
            {view.entity.name: count_keys(layout.keys(view.entity.name), view.key_types) for view in part.views.values()},
        ),
        champions={name: version.name if version else None for name, version in champions.items()},
        definitions=definitions_of(part, service),
    )


def _as_of_us(states: Sequence[ViewState], last: Publication | None) -> int:
    """Return the end of the last step with events, of the source that lags furthest behind; a step in progress does not count."""
    clock = Clock(max((state.view.grain for state in states), key=GRAINS.index), states[0].layout.timezone)
    ends_us = [clock.start_us(clock.step(_newest_us(state)) + 1) for state in states]
    complete_us = min(*ends_us, clock.start_us(clock.step(_now_us())))
    return max(complete_us, last.as_of_us) if _is_of_the_past(last) else complete_us


def _is_of_the_past(last: Publication | None) -> TypeGuard[Publication]:
    """Tell whether there is a publication that later ones must not fall behind; one as of the future was made by a wrong clock."""
    return last is not None and last.as_of_us <= _now_us()


def _newest_us(state: ViewState) -> int:
    """Return the time of the last event, or an instant less than a millisecond after it."""
    files = state.events.files()
    column = state.view.source.event_time
    if not files:
        raise NotPublishedError(f"Source {state.view.source.name!r} has no events yet. Ingest some, then materialize.")
    last = max(file.partition[MONTH] for file in files)
    return max(_latest_us(file, column) for file in files if file.partition[MONTH] == last)


def _latest_us(file: CommittedFile, column: str) -> int:
    if column in file.maximum:
        return to_us(file.maximum[column] + STATISTICS_SLACK)
    # Delta keeps statistics of the first 32 columns alone.
    times = read_parquet(file, columns=[column])[column].cast(pa.timestamp("us", "UTC"))
    return int(pc.max(times.cast(pa.int64())).as_py())


def _versions(state: ViewState, reader: LedgerReader) -> ViewVersions:
    source = state.view.source
    superseded = Table.open(state.layout.superseded(source.name)).version if source.ingested_at else -1
    return ViewVersions(state.fingerprint, reader.table.version, state.events.version, superseded, source.name)


def _calibrations(part: Registry) -> list[str]:
    expressions = [feature.expression for feature in part.all_features() if feature.expression]
    return sorted({use.calibration for expression in expressions for use in expression.calibrated})


def _now_us() -> int:
    return time.time_ns() // 1_000


def _text(length_us: int) -> str:
    return str(timedelta(seconds=length_us // 1_000_000))
