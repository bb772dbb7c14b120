"""Reading the sub-ledgers in one snapshot of a view's ledger table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from featurestore.compute.forms import view_items
from featurestore.compute.items.earlier import in_todays_form
from featurestore.compute.items.files import Files, Items
from featurestore.compute.items.parts import Part
from featurestore.compute.items.profile_reader import ProfileReader
from featurestore.compute.items.rank_reader import RankReader
from featurestore.compute.items.runs import RunsReader
from featurestore.compute.items.sequences import Edges
from featurestore.compute.materialization.sub_ledgers import sub_ledger_lists
from featurestore.compute.search.hot_copy import ColumnFile
from featurestore.compute.state import KIND, START, ViewState
from featurestore.lake.table import Table


@dataclass(frozen=True, eq=False)
class SubLedgerReader:
    """The sub-ledgers in one snapshot of a view's ledger table.

    Args:
        state: The view.
        table: The snapshot.
        parts: Its partitions.
    """

    state: ViewState
    table: Table
    parts: tuple[Part, ...]

    @cached_property
    def _items(self) -> dict[str, Items]:
        return {items.name: items for items in view_items(self.state.view, self.state.layout.naive_timezone)}

    @cached_property
    def _in_form(self) -> dict[str, Files]:
        return {}

    def _files_of(self, name: str) -> Files:
        """Return the files of a list column, in today's form; what is made of those of before is made once."""
        if name not in self._in_form:
            fold = view_items(self.state.view, self.state.layout.naive_timezone)[self._items[name]]
            self._in_form[name] = in_todays_form(self._items[name], fold, self.parts, self._files)
        return self._in_form[name]

    @cached_property
    def _files(self) -> Files:
        kinds = tuple(f"{name}." for name in self._items)
        return {
            (file.partition[KIND], file.partition[START]): sub_ledger_lists(self.state, file.path.stem, file)
            for file in self.table.files()
            if file.partition[KIND].startswith(kinds)
        }

    @property
    def is_mapped(self) -> bool:
        """Whether all files that have been opened are mapped copies, each still the file that it was."""
        return all(isinstance(each.file, ColumnFile) and each.file.is_mapped for each in vars(self).get("_files", {}).values())

    def distinct(self, name: str, window: int | None, codes: np.ndarray, bounds: np.ndarray) -> np.ndarray:
        """Count distinct items; see ``RunsReader.distinct``. ``name`` is the list column."""
        return RunsReader(self._items[name], self.parts, self._files).distinct(window, codes, bounds)

    def counts(self, name: str, codes: np.ndarray, edges: Edges, *, buckets: int) -> np.ndarray:
        """Count buckets; see ``ProfileReader.counts``. ``name`` is the list column."""
        return ProfileReader(self._items[name], self.parts, self._files_of(name)).counts(codes, edges, buckets=buckets)

    def ranked(self, name: str, codes: np.ndarray, edges: Edges, *, q: float) -> tuple[np.ndarray, np.ndarray]:
        """Find buckets at ranks; see ``RankReader.ranked``. ``name`` is the list column."""
        return RankReader(self._items[name], self.parts, self._files_of(name)).ranked(codes, edges, q=q)
