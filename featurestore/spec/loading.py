"""Loading: modules of definitions, by an importable name or by the path of a file."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from featurestore.errors import DefinitionError
from featurestore.spec.document import Definition

_GIVE_OBJECTS = "Give it a list of its sources, views, services and calibrations: OBJECTS = [events, activity, recommendation]."
# What a file of definitions raises when it is wrong in itself; an error of ours says enough already.
_FAULTS = (ArithmeticError, AttributeError, ImportError, LookupError, NameError, OSError, SyntaxError, TypeError, ValueError)


@dataclass(frozen=True)
class Definitions:
    """What a module of definitions offers: ``OBJECTS``, and ``TIMEZONE`` if it says so."""

    objects: Sequence[Definition]
    timezone: str | None


def load_definitions(module: str) -> Definitions:
    """Import a module of definitions.

    Args:
        module: Its name (``featurestore.shop``) or the path of its file (``features.py``).

    Raises:
        DefinitionError: there is no such module, or it has no ``OBJECTS``.
    """
    loaded = load_module(module)
    if not hasattr(loaded, "OBJECTS"):
        raise DefinitionError(f"The module {module!r} has no OBJECTS. {_GIVE_OBJECTS}")
    timezone = getattr(loaded, "TIMEZONE", None)
    if timezone is not None and not isinstance(timezone, str):
        raise DefinitionError(f"The module {module!r} has TIMEZONE = {timezone!r}; write a zone's name: 'Asia/Shanghai'.")
    return Definitions(_objects(module, loaded.OBJECTS), timezone)


def objects_in(text: str) -> tuple[Definition, ...]:
    """Return the ``OBJECTS`` of a module's text, which is run as it stands; for text that this library has written."""
    loaded = ModuleType("written")
    exec(compile(text, "<written>", "exec"), vars(loaded))  # noqa: S102
    return _objects("written", loaded.OBJECTS)


def load_module(module: str) -> ModuleType:
    """Import a module by its name, or run the file at a path that ends in ``.py``.

    Raises:
        DefinitionError: there is none, or it cannot be loaded; a file's error names its line.
    """
    return _load_file(Path(module)) if module.endswith(".py") else _load_name(module)


def _objects(module: str, given: object) -> tuple[Definition, ...]:
    """Return what ``OBJECTS`` holds: a list, or one object."""
    objects = (given,) if isinstance(given, Definition) else given
    if isinstance(objects, str | Mapping) or not isinstance(objects, Iterable):
        raise DefinitionError(f"The module {module!r} has OBJECTS = {given!r}. {_GIVE_OBJECTS}")
    found = tuple(objects)
    for each in found:
        if not isinstance(each, Definition):
            raise DefinitionError(f"OBJECTS of the module {module!r} holds {each!r}, which is no definition. {_GIVE_OBJECTS}")
    return found


def _load_name(name: str) -> ModuleType:
    with _folder_on_path(""):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise DefinitionError(
                f"There is no module {name!r} ({error}). Give an importable name such as 'featurestore.shop', or a path ending "
                "in .py."
            ) from error
        except _FAULTS as error:
            raise DefinitionError(f"The module {name!r} cannot be loaded: {type(error).__name__}: {error}.") from error


def _load_file(path: Path) -> ModuleType:
    """Run a file as a module of its own name, with the files beside it importable."""
    if not path.is_file():
        raise DefinitionError(f"There is no file {path}. Give the path of a Python file, or an importable name.")
    # A file named like a module that is loaded already must not take its place.
    name = path.stem if path.stem not in sys.modules else f"{path.stem} of {path.parent.resolve()}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    before = set(sys.modules)
    sys.modules[name] = loaded  # dataclasses look their module up
    with _folder_on_path(str(path.parent.resolve())):
        try:
            spec.loader.exec_module(loaded)
        except _FAULTS as error:
            raise DefinitionError(
                f"{path} cannot be loaded: {_line_of(error, path)}{type(error).__name__}: {str(error).rstrip('.')}. Files beside it "
                "are imported by their bare names; a file inside a package is given by its importable name."
            ) from error
        finally:
            # The next file may have neighbours of the same names.
            for each in set(sys.modules) - before:
                if _is_beside(sys.modules[each], path):
                    del sys.modules[each]
    return loaded


@contextmanager
def _folder_on_path(folder: str) -> Iterator[None]:
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(folder)


def _is_beside(module: ModuleType, path: Path) -> bool:
    """Tell whether a module, or the package that it is, lies in the folder of a file."""
    file = getattr(module, "__file__", None)
    if file is None:
        return False
    where = Path(file).resolve()
    place = where.parents[module.__name__.count(".") + (where.name == "__init__.py")]
    return place == path.parent.resolve()


def _line_of(error: BaseException, path: Path) -> str:
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).resolve() == path.resolve()
    ]
    return f"line {lines[-1]}: " if lines else ""
