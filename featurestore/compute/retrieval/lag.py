"""Lag: the last state in which some views were complete, for readers that would rather have it than wait for a refresh.

A state of a source is a version of its events. It was complete if each view had, then or later, a ledger that is folded from just
these events; older ledgers stay on disk until ``vacuum``. All views of a source are read in one state, so no answer mixes two.
The watermark of a state is the instant at which the next events were committed: all that was committed before it is in the
answer, nothing after it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from featurestore.compute.retrieval.freshness import stale_months
from featurestore.compute.state import ViewState
from featurestore.compute.windows.totals import LedgerReader
from featurestore.compute.windows.versions import ReadVersions, ViewVersions
from featurestore.errors import NotMaterializedError
from featurestore.lake.delta_log import committed_us
from featurestore.lake.layout import Layout
from featurestore.lake.table import Table
from featurestore.spec.view import FeatureView
from featurestore.timeline import from_us

METADATA = b"featurestore.watermark"


@dataclass(frozen=True)
class Lag:
    """The last complete state of some views.

    Args:
        versions: What is read of each view.
        watermark_us: Instant up to which all that was committed to the views' sources is in it, UTC microseconds; the present where
            nothing newer is committed.
        now_us: The present.
    """

    versions: ReadVersions
    watermark_us: int
    now_us: int

    def metadata(self) -> dict[bytes, bytes]:
        """Return what was read, as metadata of an Arrow schema: a JSON value with ``watermark`` and ``lag_s``."""
        facts = {"watermark": from_us(self.watermark_us).isoformat(), "lag_s": (self.now_us - self.watermark_us) / 1e6}
        return {METADATA: json.dumps(facts).encode()}


def last_complete(layout: Layout, views: Sequence[FeatureView], *, max_lag_us: int) -> Lag:
    """Find the newest state in which some views were complete.

    Args:
        layout: The store.
        views: All that an answer reads.
        max_lag_us: By how much the watermark may lie before the present.

    Raises:
        NotMaterializedError: no state within ``max_lag_us`` was complete.
    """
    now_us = time.time_ns() // 1_000
    versions = dict[str, ViewVersions]()
    watermark_us = now_us
    by_source = dict[str, list[FeatureView]]()
    for view in views:
        by_source.setdefault(view.source.name, []).append(view)
    for source, mine in by_source.items():
        found, until_us = _of_source(layout, mine, since_us=now_us - max_lag_us)
        if found is None:
            names = ", ".join(repr(view.name) for view in mine)
            raise NotMaterializedError(
                f"Events of {source!r} are committed but not yet in {names}, and no state of the last {max_lag_us / 1e6:g} s was "
                f"complete. Call store.materialize(views={[view.name for view in mine]}) first, or allow more with max_lag=."
            )
        versions |= found
        watermark_us = min(watermark_us, until_us or now_us)
    return Lag(ReadVersions(versions, {}, ""), watermark_us, now_us)


def _of_source(
    layout: Layout, views: Sequence[FeatureView], *, since_us: int
) -> tuple[Mapping[str, ViewVersions] | None, int | None]:
    """Return what is read of each view of one source, and until when that was the newest state (``None``: it still is)."""
    ledgers = dict[str, _Ledgers]()
    for events, until_us in _versions(layout.events(views[0].source.name), since_us):
        found = dict[str, ViewVersions]()
        for view in views:
            state = ViewState(layout, view, events)
            mine = ledgers.setdefault(view.name, _Ledgers(state, since_us))
            reader = next((each for each in mine if not stale_months(state, each)), None)
            if reader is None:
                break
            ledger = reader.table.version
            found[view.name] = ViewVersions(state.fingerprint, ledger, events.version, source=view.source.name)
        else:
            return found, until_us
    return None, None


class _Ledgers:
    """The ledgers of a view that were the newest at some instant since, the newest first; each is opened once."""

    def __init__(self, state: ViewState, since_us: int) -> None:
        self._opened: list[LedgerReader] = []
        self._others = (LedgerReader(state, table=table) for table, _ in _versions(state.ledger_path, since_us))

    def __iter__(self) -> Iterator[LedgerReader]:
        yield from self._opened
        for reader in self._others:
            self._opened.append(reader)
            yield reader


def _versions(path: Path, since_us: int) -> Iterator[tuple[Table, int | None]]:
    """List the versions of a table that were the newest at some instant since, the newest first, with the end of that time."""
    table = Table.open(path)
    yield table, None
    for version in range(table.version - 1, -1, -1):
        until_us = committed_us(path, version + 1)
        if until_us is None or until_us < since_us:
            return
        yield Table.open(path, version), until_us
