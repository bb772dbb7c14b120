"""The rule for names: they become columns, folders and file names, so they are plain identifiers."""

from __future__ import annotations

import re

from featurestore.errors import DefinitionError

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


def checked_name(name: str, what: str) -> str:
    """Return ``name`` if it is a lower-case identifier without ``__`` and without ``_`` at its end: ``view__feature`` splits once.

    Raises:
        DefinitionError: it is not; ``what`` says whose name it is.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or "__" in f"{name}_":
        raise DefinitionError(
            f"{name!r} cannot name {what}: use lower-case letters, digits and single underscores between them, a letter first, "
            "at most 63."
        )
    return name


def checked_column(name: str, what: str) -> str:
    """Return ``name`` if it can be a column: letters, digits, underscores, no digit first.

    So none is named like a helper column of the store's own SQL: these begin with ``$``, or hold a blank.

    Raises:
        DefinitionError: it cannot; ``what`` says whose column it is.
    """
    if isinstance(name, str) and name.startswith("$"):
        raise DefinitionError(
            f"{name!r} cannot be a column of {what}: the store's own columns begin with $. Use letters, digits and underscores."
        )
    if not isinstance(name, str) or not _COLUMN.fullmatch(name):
        raise DefinitionError(f"{name!r} cannot be a column of {what}: use letters, digits and underscores, no digit first.")
    return name
