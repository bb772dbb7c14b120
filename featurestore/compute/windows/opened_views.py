"""Opened views, kept from call to call: what a small call costs is then the look-up, not the opening of a hundred files.

Kept is what was opened of the newest state of a view, by its definition: the very object, since the same bytes of a registry give
the same objects. It is used again as long as the newest version of its source's events and of its ledger are the same snapshots,
and every copy that it has mapped is the file that it was. A reader without copies holds columns in memory, and is not kept; nor is
what a call derives of columns.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

from featurestore.compute.state import ViewState
from featurestore.compute.windows.totals import LedgerReader
from featurestore.lake.layout import Layout
from featurestore.lake.table import Table
from featurestore.spec.view import FeatureView

MOST_KEPT = 64
_Opened = tuple[ViewState, LedgerReader]
_KEPT = OrderedDict[tuple[Path, str], _Opened]()
_LOCK = threading.Lock()


def open_view(layout: Layout, view: FeatureView, events: Table) -> _Opened:
    """Return a view's newest ledger over a snapshot of its source's newest events.

    Raises:
        StoreError: the entity's dictionary knows fewer keys than the balances.
    """
    key = layout.root, view.name
    with _LOCK:
        kept = _KEPT.pop(key, None)
    if kept is not None and _is_good(kept, layout, view, events):
        kept[1].check_keys()
    else:
        state = ViewState(layout, view, events)
        kept = state, LedgerReader(state)
    if kept[1].is_mapped:
        with _LOCK:
            _KEPT[key] = kept
            while len(_KEPT) > MOST_KEPT:
                _KEPT.popitem(last=False)
    return kept[0], kept[1].of_a_call()


def _is_good(kept: _Opened, layout: Layout, view: FeatureView, events: Table) -> bool:
    state, reader = kept
    is_same = state.view is view and state.events is events and state.layout == layout
    return is_same and Table.open(state.ledger_path) is reader.table and reader.is_mapped
