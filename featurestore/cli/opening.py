"""Opening: stores that exist."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import featurestore
from featurestore.errors import StoreError
from featurestore.lake.bounds import Bounds
from featurestore.lake.store_format import STORE_FILE

if TYPE_CHECKING:
    from featurestore.client import FeatureStore


def open_store(root: Path, *, bounds: Bounds | None = None) -> FeatureStore:
    """Open a store that exists; a mistyped path must not become a new, empty one.

    Args:
        root: Its directory.
        bounds: What its calls may cost; the usual ones by default.

    Raises:
        StoreError: there is no store.
    """
    if not has_store(root):
        raise StoreError(
            f"There is no store in {root}. Create one with `featurestore apply MODULE --root {root}` or `featurestore demo`, "
            "or name another with --root or FEATURESTORE_ROOT."
        )
    return featurestore.FeatureStore(root, bounds=bounds)


def has_store(root: Path) -> bool:
    """Tell whether a store lies in a directory."""
    return (root / STORE_FILE).is_file()
