"""What is committed, and what follows from it: nothing here is remembered, everything is derived from names.

A tile file is named after a digest of its definition and of the event files it was made from; a ledger file after the tiles
of its partition; a balances file after everything before it. So a month is up to date exactly when the file that its
inputs call for is there, whoever wrote it, and computing it twice gives the same name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from featurestore.lake.arrow_parquet import read_parquet
from featurestore.lake.digests import looks_damaged, sound
from featurestore.lake.layout import Layout
from featurestore.lake.source_scan import has_column, source_scan_sql
from featurestore.lake.table import CommittedFile, Table
from featurestore.spec.document import digest, ledger_fingerprint
from featurestore.spec.source import EventSource
from featurestore.spec.view import FeatureView
from featurestore.timeline import DAY_US, Clock, Month, local_us, months_between, to_us

MONTH, KIND, START = "month", "kind", "start"
LEDGER, BALANCES, ACTIVE = "ledger", "balances", "active"
FORMAT = 5
STATISTICS_SLACK = timedelta(milliseconds=1)
"""Delta keeps statistics in milliseconds: a maximum may be cut off by less than one."""
# A file whose other times span more months than this is read, to know which of them it really has.
_TRUSTED_SPAN_MONTHS = 6


def view_fingerprint(view: FeatureView, layout: Layout) -> str:
    """Hash what the totals of a view depend on; its tables are named after it."""
    return digest([FORMAT, ledger_fingerprint(view, layout.naive_timezone), layout.timezone])


@dataclass(frozen=True)
class ViewState:
    """One view against one snapshot of its source's events.

    Args:
        layout: The store's directories.
        view: The view.
        events: Snapshot of the source's events.
    """

    layout: Layout
    view: FeatureView
    events: Table

    @property
    def clock(self) -> Clock:
        """The view's grain in the store's time zone."""
        return Clock(self.view.grain, self.layout.timezone)

    def start_step(self, start: str) -> int:
        """Return the step that holds the first instant of a partition, named after its first month."""
        return self.clock.step(Month.parse(start).interval(self.layout.timezone).start_us)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what the totals depend on, the time zone included."""
        return view_fingerprint(self.view, self.layout)

    @property
    def tiles_path(self) -> Path:
        """The Delta table of tiles; a changed definition has another one."""
        return self.layout.tiles(self.view.name) / self.fingerprint

    @property
    def ledger_path(self) -> Path:
        """The Delta table of ledgers and balances; a changed definition has another one."""
        return self.layout.ledger(self.view.name) / self.fingerprint

    def scan_sql(self, files: Iterable[CommittedFile]) -> str:
        """Render the FROM item that reads some event files, each compared with its digest first."""
        return source_scan_sql(self.view.source, sound(files))

    @cached_property
    def inputs(self) -> Mapping[Month, list[CommittedFile]]:
        """Event files that may hold rows of each month, by the view's own time column; months in order."""
        return _files_by_month(self.events, self.view.source, self.view.event_time, self.layout.timezone)

    @cached_property
    def tile_digests(self) -> Mapping[Month, str]:
        """The name that each month's tile file must have."""
        return {
            month: _tile_name(self.fingerprint, str(month), tuple(sorted(file.name for file in files)))
            for month, files in self.inputs.items()
        }

    def stale_tiles(
        self, before: Month | None = None, *, committed: Table | None = None, broken: Collection[Path] | None = None
    ) -> list[Month]:
        """List the months whose tiles are missing, damaged or out of date, in order; only those before ``before``.

        Args:
            before: A month; ``None`` means no end.
            committed: A snapshot of the tiles; the newest by default.
            broken: Files that are damaged or missing; by default each is looked at.
        """
        files = (committed or Table.open(self.tiles_path)).files()
        broken = {file.path for file in files if looks_damaged(file)} if broken is None else broken
        names = {file.path.stem for file in files if file.path not in broken}
        return [month for month, name in self.tile_digests.items() if name not in names and (before is None or month < before)]


@lru_cache(maxsize=16)
def _files_by_month(events: Table, source: EventSource, column: str, timezone: str) -> Mapping[Month, list[CommittedFile]]:
    """List the event files that may hold times of each month. The views of a source share the answer, and snapshots never change."""
    files: dict[Month, list[CommittedFile]] = {}
    for file in events.files():
        for month in _months(file, source, column, timezone):
            files.setdefault(month, []).append(file)
    return dict(sorted(files.items()))


def _months(file: CommittedFile, source: EventSource, column: str, timezone: str) -> Sequence[Month]:
    if column == source.event_time:
        return [Month.parse(file.partition[MONTH])]
    if file.nulls(column) == file.rows or not has_column(file, column):
        return []
    smallest, largest = file.smallest(column), file.largest(column)
    if smallest is not None and largest is not None:
        months = _months_of(smallest, largest + STATISTICS_SLACK, timezone)
        if len(months) <= _TRUSTED_SPAN_MONTHS:
            return months
    # One odd time (1970-01-01 for "unknown") must not make hundreds of empty months, and a column without statistics
    # (Delta keeps those of the first 32) must not lose its events.
    return _months_with_rows(file.path, column, timezone)


@lru_cache(maxsize=16_384)
def _months_of(smallest: datetime, largest: datetime, timezone: str) -> tuple[Month, ...]:
    first, last = (Month.of(to_us(bound), timezone) for bound in (smallest, largest))
    return tuple(months_between(first, last))


@lru_cache(maxsize=65_536)
def _tile_name(fingerprint: str, month: str, files: tuple[str, ...]) -> str:
    return digest([fingerprint, month, list(files)])


@lru_cache(maxsize=4096)
def _months_with_rows(file: Path, column: str, timezone: str) -> tuple[Month, ...]:
    """Read which months a file's times lie in, in order. Files never change, so the answer is kept."""
    times = read_parquet(file, columns=[column])[column].drop_null().cast(pa.timestamp("us", "UTC"))
    days = local_us(np.asarray(times.cast(pa.int64())), timezone) // DAY_US
    months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    first = int(months.min(initial=0))
    present = np.flatnonzero(np.bincount(months - first)) + first if len(months) else months
    return tuple(Month(1970 + index // 12, index % 12 + 1) for index in present.tolist())
