"""The last door: an error that no door within has turned into ours leaves the library as one of ours.

Errors of the disk, of Arrow and of DuckDB are turned where they enter, with the path and what to do (``lake/whole_file.py``,
``lake/session.py``, ``lake/digests.py``). What lies between these doors can still raise one: the ``stat`` of a file on a failing
disk, a folder whose rights were taken away, a footer that breaks while it is read.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from featurestore.errors import StoreError

_Class = TypeVar("_Class", bound=type)
_FOREIGN = (OSError, RecursionError, UnicodeError)


def last_door(cls: _Class) -> _Class:
    """Let no public method or property of a class raise an error of the disk, of Arrow or of DuckDB."""
    for name, member in list(vars(cls).items()):
        if name.startswith("_") and name != "__init__":
            continue
        if isinstance(member, property) and member.fget is not None:
            setattr(cls, name, property(_translating(member.fget), doc=member.__doc__))
        elif callable(member):
            setattr(cls, name, _translating(member))
    return cls


def _translating(verb: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(verb)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return verb(*args, **kwargs)
        except _foreign() as error:
            said = f"{type(error).__name__}: {error}".rstrip(".")
            name = verb.__qualname__.removesuffix(".__init__")
            raise StoreError(
                f"{name} stopped at an error of the disk or of a library: {said}. What was committed before is whole. Look "
                "at the disk, its room and your rights to the store, call store.doctor(), and make the call again."
            ) from error

    return call


def _foreign() -> tuple[type[BaseException], ...]:
    """Return the classes of errors that are not ours; of libraries that are loaded, since no other can have raised one."""
    libraries = {"pyarrow": "ArrowException", "duckdb": "Error"}
    loaded = [getattr(sys.modules[name], error) for name, error in libraries.items() if name in sys.modules]
    return (*_FOREIGN, *loaded)
