"""Resources: the store that the assets write, and who listens to their progress."""

import importlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Protocol, cast

from featurestore.client import FeatureStore
from featurestore.errors import DefinitionError
from featurestore.spec.document import Definition
from featurestore.spec.loading import load_module
from featurestore_pipelines.settings import DEFINITIONS, DEFINITIONS_VARIABLE, ROOT, ROOT_VARIABLE


class Progress(Protocol):
    """Called by the assets for each unit of a stage that is done."""

    def __call__(self, stage: str, what: str) -> None:
        """Take note that ``what`` (a view, a month, both) is done."""
        ...


def ignore_progress(stage: str, what: str) -> None:
    """Take no note: who looks at a run in the UI sees its steps and their metadata."""


@dataclass(frozen=True)
class StoreResource:
    """A feature store and the module that defines what is in it.

    Both come from the operator's settings, the module because it is code: neither is configuration that a run could bring along.

    Args:
        root: The store's directory; a relative one lies below the working directory.
        definitions: Name of a module, or the path of a Python file, with ``OBJECTS``, a sequence of definitions, and ``TIMEZONE``,
            the store's business time zone, and ``BOUNDS``, what its calls may cost, where the usual bounds do not fit.
    """

    root: str = ROOT
    definitions: str = DEFINITIONS

    @property
    def objects(self) -> Sequence[Definition]:
        """The module's definitions.

        Raises:
            DefinitionError: there is no such module, or it has no ``OBJECTS``.
        """
        return cast(Sequence[Definition], self._defined("OBJECTS"))

    @property
    def timezone(self) -> str:
        """The store's business time zone, which the module names."""
        return str(self._defined("TIMEZONE"))

    def store(self, objects: Sequence[Definition] | None = None) -> FeatureStore:
        """Open the store, creating it when missing, with definitions applied; those of the module by default."""
        bounds = getattr(self._module(), "BOUNDS", None)
        opened = FeatureStore(self.root, timezone=self.timezone, bounds=bounds)
        opened.apply(self.objects if objects is None else objects)
        return opened

    def _module(self) -> ModuleType:
        if self.definitions.endswith(".py"):
            return _file_module(self.definitions, _written_ns(self.definitions))
        try:
            return importlib.import_module(self.definitions)
        except ModuleNotFoundError as error:
            raise DefinitionError(
                f"There is no definitions module {self.definitions!r} ({error}). "
                f"Let {DEFINITIONS_VARIABLE} name an importable module, such as {DEFINITIONS!r}, or the path of a Python file."
            ) from error

    def _defined(self, name: str) -> object:
        module = self._module()
        if not hasattr(module, name):
            raise DefinitionError(
                f"The definitions module {self.definitions!r} has no {name}. "
                "It must expose OBJECTS, a list of definitions, and TIMEZONE, such as 'Asia/Shanghai'."
            )
        return getattr(module, name)


@lru_cache(maxsize=4)
def _file_module(path: str, written_ns: int) -> ModuleType:
    """Load a file of definitions, anew when it was written again: the same objects are not made for each look at them."""
    return load_module(path)


def _written_ns(path: str) -> int:
    file = Path(path)
    return file.stat().st_mtime_ns if file.is_file() else 0


def store_from_environment(environment: Mapping[str, str] = os.environ) -> StoreResource:
    """Name the store and its definitions by ``FEATURESTORE_ROOT`` and ``FEATURESTORE_DEFINITIONS``."""
    return StoreResource(
        root=environment.get(ROOT_VARIABLE) or ROOT,
        definitions=environment.get(DEFINITIONS_VARIABLE) or DEFINITIONS,
    )
