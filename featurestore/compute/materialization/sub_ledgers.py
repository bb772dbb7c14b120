"""Building the sub-ledgers of one view, further files of its ledger table: those it must have, and what is missing of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from featurestore.compute.forms import view_items
from featurestore.compute.items.files import Items, Names, Numbers
from featurestore.compute.items.lists import EntityLists
from featurestore.compute.items.parts import Part
from featurestore.compute.keys import extend_keys
from featurestore.compute.materialization.staging import stage_file
from featurestore.compute.search.hot_copy import ColumnFile
from featurestore.compute.state import ViewState
from featurestore.lake.table import CommittedFile, StagedFile

Tiles = Callable[[str, Sequence[str]], pa.Table]


def sub_ledger_names(state: ViewState, parts: Sequence[Part]) -> Names:
    """Name the sub-ledger files that a view's ledger table must have beside the ledgers of its partitions."""
    items_of = view_items(state.view, state.layout.naive_timezone)
    return {key: name for items, fold in items_of.items() for key, name in fold.names(items, parts).items()}


def build_sub_ledgers(
    state: ViewState, parts: Sequence[Part], there: Mapping[str, CommittedFile], *, tiles: Tiles
) -> Iterator[StagedFile]:
    """Write the sub-ledger files that are missing.

    Args:
        state: The view.
        parts: The partitions of its ledger.
        there: Name of a file to the committed file.
        tiles: Returns the tiles of a partition, by its name, with some of their columns.

    Yields:
        Files to be committed.
    """
    for items, fold in view_items(state.view, state.layout.naive_timezone).items():
        names = fold.names(items, parts)
        files = _Opened(state, {key: there[name] for key, name in names.items() if name in there})
        for i, part in enumerate(parts):
            wanted = {kind: name for (kind, start), name in names.items() if start == part.start}
            if all(name in there for name in wanted.values()):
                continue
            made_from = tiles(part.start, ["code", "step", items.name])
            tables = fold.fold(items, parts, i, files=files, tiles=made_from, numbers=_numbers(state, items))
            for kind, name in wanted.items():
                if name not in there:
                    staged = stage_file(state, kind, part.start, name, tables[kind])
                    files[kind, part.start] = sub_ledger_lists(state, name, staged)
                    yield staged


class _Opened(dict[tuple[str, str], EntityLists]):
    """Sub-ledger files by kind and partition, each opened when it is asked for: a day needs few of those of ten years."""

    def __init__(self, state: ViewState, there: Mapping[tuple[str, str], CommittedFile]) -> None:
        super().__init__()
        self._state = state
        self._there = there

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or key in self._there

    def __missing__(self, key: tuple[str, str]) -> EntityLists:
        file = self._there[key]
        self[key] = sub_ledger_lists(self._state, file.path.stem, file)
        return self[key]


def sub_ledger_lists(state: ViewState, name: str, file: CommittedFile | StagedFile) -> EntityLists:
    """Open a sub-ledger file by its name in the ledger table: its local copy where there is one."""
    committed = file if isinstance(file, CommittedFile) else file.path
    return EntityLists(ColumnFile(committed, state.layout.hot(state.view.name) / f"{name}.arrow"))


def _numbers(state: ViewState, items: Items) -> Numbers:
    """Return what turns items into int64: texts by a dictionary of their own, the others by their value."""

    def numbers(values: pa.Array) -> np.ndarray:
        if pa.types.is_string(values.type):
            known = extend_keys(state.layout.keys(items.name), ["string"], [values.cast(pa.large_string())])
            return known.codes([values.cast(pa.large_string())])
        if pa.types.is_date32(values.type):
            values = values.cast(pa.int32())
        return np.asarray(values.cast(pa.int64()))

    return numbers
