"""Rebuilding aside: a view's tiles and ledger from its committed events, in a folder of their own, by the functions that build them.

Nothing of what is committed is read but the events, the codes of keys and of text items, and which months make up each
partition. So a new kind of fold, or of file in a ledger, is rebuilt without a change here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from featurestore.compute.forms import view_items
from featurestore.compute.keys import KeyDictionary
from featurestore.compute.state import ViewState
from featurestore.lake.layout import Layout, spill_folder
from featurestore.lake.session import connect, quote
from featurestore.lake.storage import STORAGE
from featurestore.lake.table import CommittedFile
from featurestore.lake.whole_file import copy_folder

_REBUILT = ("keys", "tiles", "ledger")


@dataclass(frozen=True)
class AsideLayout(Layout):
    """A store whose keys, tiles, ledgers and hot copies lie in another folder.

    Args:
        folder: That folder, below the store's root.
    """

    folder: Path

    def _table(self, kind: str, name: str) -> Path:
        committed = super()._table(kind, name)
        return self.folder / kind / name if kind in _REBUILT else committed

    def hot(self, view: str) -> Path:
        """Return the folder of a view's hot copies."""
        return self.folder / "hot" / view

    @property
    def hot_keys_root(self) -> Path:
        """The folder of the indexes of its own dictionaries."""
        return self.folder / "hot" / "$keys"


@dataclass(frozen=True)
class Sample:
    """A share of all entities, chosen by a hash of their keys.

    Args:
        share: Between 0 and 1; 1 takes all.
        salt: Another number chooses other entities.
    """

    share: float
    salt: int

    @property
    def is_all(self) -> bool:
        """Whether every entity is in it."""
        return self.share >= 1

    def condition_sql(self, keys: Iterable[str]) -> str:
        """Render the condition that a row's entity is in the sample."""
        # The hash is DuckDB's, of this process alone: it is not promised to stay the same, so it is never stored.
        return f"hash({', '.join(map(quote, keys))}, {self.salt}) < {int(self.share * 2**64)}::UBIGINT"


@dataclass(frozen=True)
class SampledState(ViewState):
    """A view as if its source had the events of a sample of entities alone."""

    sample: Sample

    def scan_sql(self, files: Iterable[CommittedFile]) -> str:
        """Render the FROM item that reads the sample's events in some files."""
        scan = super().scan_sql(files)
        if self.sample.is_all:
            return scan
        keys = [column for _, column in self.view.key_columns]
        return f"(SELECT * FROM {scan} WHERE {self.sample.condition_sql(keys)})"


@contextmanager
def rebuilding(state: ViewState, sample: Sample) -> Iterator[SampledState]:
    """Give a view another, empty place to be built in, with a copy of its dictionaries; it is removed afterwards."""
    layout = state.layout
    with spill_folder(layout) as folder:
        aside = AsideLayout(layout.root, layout.timezone, layout.naive_timezone, layout.bounds, folder)
        for name in (state.view.entity.name, *(items.name for items in view_items(state.view, layout.naive_timezone))):
            if STORAGE.exists(layout.keys(name)):
                copy_folder(layout.keys(name), aside.keys(name))
        yield SampledState(aside, state.view, state.events, sample)


def sampled_codes(dictionary: KeyDictionary, sample: Sample) -> np.ndarray:
    """Say for each code whether its entity is in the sample (bool)."""
    if sample.is_all or not len(dictionary):
        return np.ones(len(dictionary), bool)
    names = [f"key_{i}" for i in range(len(dictionary.columns))]
    keys = pa.table([pa.array(np.arange(len(dictionary))), *dictionary.columns], names=["code", *names])
    with connect() as session:
        session.register("known", keys)
        chosen = session.sql(f"SELECT code FROM known WHERE {sample.condition_sql(names)}").fetchnumpy()["code"]
    is_chosen = np.zeros(len(dictionary), bool)
    is_chosen[chosen] = True
    return is_chosen
