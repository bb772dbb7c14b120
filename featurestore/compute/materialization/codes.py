"""Codes of keys against the totals that were made with them: of every view that shares a dictionary, not only of one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import groupby
from pathlib import Path

from featurestore.compute.keys import check_codes, count_keys, keys_table, used_codes
from featurestore.compute.state import ACTIVE, BALANCES, KIND, view_fingerprint
from featurestore.errors import FeatureStoreError
from featurestore.lake.layout import Layout
from featurestore.lake.table import CommittedFile, Table
from featurestore.spec.view import FeatureView


def check_all_codes(layout: Layout, views: Iterable[FeatureView]) -> None:
    """Refuse dictionaries that know fewer keys than the totals of any view were made with, before new keys are given codes.

    Raises:
        StoreError: names both counts and the repair.
    """
    for sharing in _by_dictionary(views):
        check_codes(layout.keys(sharing[0].entity.name), sharing[0].key_types, _balances(layout, sharing))


def short_dictionaries(layout: Layout, views: Iterable[FeatureView]) -> Iterator[tuple[Path, str]]:
    """Yield the dictionaries that ``check_all_codes`` refuses, and why; those that cannot be read are left to others to tell."""
    for sharing in _by_dictionary(views):
        path, types = layout.keys(sharing[0].entity.name), sharing[0].key_types
        with suppress(FeatureStoreError):
            known, used = count_keys(path, types), used_codes(_balances(layout, sharing))
            if known < used:
                yield keys_table(path, types), f"knows {known:,} keys, and totals were made with {used:,}"


def _by_dictionary(views: Iterable[FeatureView]) -> list[list[FeatureView]]:
    """Group views by the dictionary that numbers their keys: of one entity, and keys of the same types."""

    def numbered_by(view: FeatureView) -> tuple[str, tuple[str, ...]]:
        return view.entity.name, tuple(view.key_types)

    return [list(sharing) for _, sharing in groupby(sorted(views, key=numbered_by), key=numbered_by)]


def _balances(layout: Layout, views: Iterable[FeatureView]) -> list[CommittedFile]:
    ledgers = (Table.open(layout.ledger(view.name) / view_fingerprint(view, layout)) for view in views)
    return [file for ledger in ledgers for kind in (BALANCES, ACTIVE) for file in ledger.files(**{KIND: kind})]
