"""Opening: stores that exist, and modules of definitions."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from featurestore.client import FeatureStore
from featurestore.errors import DefinitionError, StoreError
from featurestore.lake.layout import STORE_FILE
from featurestore.spec.document import Definition


@dataclass(frozen=True)
class Definitions:
    """What a module of definitions offers: ``OBJECTS``, and ``TIMEZONE`` if it says so."""

    objects: Sequence[Definition]
    timezone: str | None


def open_store(root: Path) -> FeatureStore:
    """Open a store that exists; a mistyped path must not become a new, empty one.

    Raises:
        StoreError: there is no store.
    """
    if not has_store(root):
        raise StoreError(
            f"There is no store in {root}. Create one with `featurestore apply MODULE --root {root}` or `featurestore demo`, "
            "or name another with --root or FEATURESTORE_ROOT."
        )
    return FeatureStore(root)


def has_store(root: Path) -> bool:
    """Tell whether a store lies in a directory."""
    return (root / STORE_FILE).is_file()


def load_definitions(module: str) -> Definitions:
    """Import a module of definitions.

    Args:
        module: Its name (``featurestore.shop``) or the path of its file (``features.py``).

    Raises:
        DefinitionError: there is no such module, or it has no ``OBJECTS``.
    """
    loaded = _load_file(Path(module)) if module.endswith(".py") else _load_name(module)
    if not hasattr(loaded, "OBJECTS"):
        raise DefinitionError(
            f"The module {module!r} has no OBJECTS. Give it a list of its sources, views, services and calibrations: "
            "OBJECTS = [events, activity, recommendation]."
        )
    return Definitions(tuple(loaded.OBJECTS), getattr(loaded, "TIMEZONE", None))


def _load_name(name: str) -> ModuleType:
    sys.path.insert(0, "")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise DefinitionError(
            f"There is no module {name!r} ({error}). Give an importable name such as 'featurestore.shop', or a path ending in .py."
        ) from error
    finally:
        sys.path.remove("")


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise DefinitionError(f"There is no file {path}. Give the path of a Python file, or an importable name.")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded
