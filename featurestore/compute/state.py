"""What is committed, and what follows from it: nothing here is remembered, everything is derived from names.

A tile file is named after a digest of its definition and of the event files it was made from; a ledger file after the tiles
of its partition; a balances file after everything before it. So a month is up to date exactly when the file that its
inputs call for is there, whoever wrote it, and computing it twice gives the same name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path

from featurestore.lake.layout import Layout
from featurestore.lake.table import CommittedFile, Table
from featurestore.spec.document import digest, ledger_fingerprint
from featurestore.spec.view import FeatureView
from featurestore.timeline import Clock, Month, months_between, to_us

MONTH, KIND, START = "month", "kind", "start"
LEDGER, BALANCES = "ledger", "balances"
FORMAT = 1
# Delta keeps statistics in milliseconds: a maximum may be cut off by less than one.
_STATISTICS_SLACK = timedelta(milliseconds=1)


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

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what the totals depend on, the time zone included."""
        return digest([FORMAT, ledger_fingerprint(self.view), self.layout.timezone])

    @property
    def tiles_path(self) -> Path:
        """The Delta table of tiles; a changed definition has another one."""
        return self.layout.tiles(self.view.name) / self.fingerprint

    @property
    def ledger_path(self) -> Path:
        """The Delta table of ledgers and balances; a changed definition has another one."""
        return self.layout.ledger(self.view.name) / self.fingerprint

    @cached_property
    def inputs(self) -> Mapping[Month, list[CommittedFile]]:
        """Event files that may hold rows of each month, by the view's own time column; months in order."""
        found: dict[Month, list[CommittedFile]] = {}
        for file in self.events.files():
            for month in self._months(file):
                found.setdefault(month, []).append(file)
        return dict(sorted(found.items()))

    def _months(self, file: CommittedFile) -> list[Month]:
        column = self.view.event_time
        if column == self.view.source.event_time:
            return [Month.parse(file.partition[MONTH])]
        if column not in file.minimum:
            return []
        bounds = file.minimum[column], file.maximum[column] + _STATISTICS_SLACK
        first, last = (Month.of(to_us(bound), self.layout.timezone) for bound in bounds)
        return months_between(first, last)

    @cached_property
    def tile_digests(self) -> Mapping[Month, str]:
        """The name that each month's tile file must have."""
        return {
            month: digest([self.fingerprint, str(month), sorted(file.name for file in files)])
            for month, files in self.inputs.items()
        }

    def stale_tiles(self, before: Month | None = None) -> list[Month]:
        """List the months whose tiles are missing or out of date, up to and without ``before``."""
        committed = {file.path.stem for file in Table.open(self.tiles_path).files()}
        return [
            month for month, name in self.tile_digests.items() if name not in committed and (before is None or month < before)
        ]
