"""Healing: which files of a view must be made again, and its hot copies that are missing.

What is committed is made again by ``build_tiles`` and ``fold_ledger``, under the same name, since its inputs are the same; here is
only looked at what they will find. It costs a look at the folder for each file; read are those alone that were written to after
their commit. ``store.doctor()`` reads them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow as pa

from featurestore.compute.items.lists import FIELDS
from featurestore.compute.search.block_digests import has_digests
from featurestore.compute.search.hot_copy import write_hot
from featurestore.compute.search.key_index import renew_index
from featurestore.compute.state import ACTIVE, BALANCES, KIND, LEDGER, ViewState
from featurestore.errors import StoreError
from featurestore.lake.arrow_parquet import read_parquet
from featurestore.lake.digests import looks_damaged
from featurestore.lake.layout import Layout
from featurestore.lake.table import CommittedFile, Table
from featurestore.spec.view import FeatureView


def broken_files(state: ViewState) -> set[Path]:
    """Return the files of a view's tiles and ledger that are damaged or missing; see ``looks_damaged``."""
    tables = (Table.open(path) for path in (state.tiles_path, state.ledger_path))
    return {file.path for table in tables for file in table.files() if looks_damaged(file)}


def renew_copies(state: ViewState) -> list[Path]:
    """Write the hot copies that are missing, cut off, or of before copies had digests.

    Returns:
        The files that were written.
    """
    renewed = []
    hot = state.layout.hot(state.view.name)
    for file in Table.open(state.ledger_path).files():
        copy = hot / f"{file.path.stem}.arrow"
        if not has_digests(copy):
            write_hot(copy, _own_columns(file, read_parquet(file)))
            renewed.append(copy)
    return renewed


def renew_indexes(layout: Layout, views: Sequence[FeatureView]) -> None:
    """Write the indexes of the views' entities, each once, so that no reader waits for new keys to be sorted."""
    for entity, types in {view.entity.name: view.key_types for view in views}.items():
        with suppress(StoreError):  # of a damaged dictionary, which whoever needs it tells: nothing was to be computed from it
            renew_index(layout, entity, types)


def _own_columns(file: CommittedFile, table: pa.Table) -> pa.Table:
    """Keep the columns that are a file's own: those that other files of the table fill are NULL in it."""
    fields = {field.name for field in FIELDS}
    is_list = file.partition[KIND] not in (LEDGER, BALANCES, ACTIVE)
    return table.select([name for name in table.column_names if (name in fields) == is_list])
