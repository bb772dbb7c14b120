"""Defaults that changed: what a record without a field means, and what leaving the field out means today.

Stores keep what they recorded: a record leaves out what was the default when the field was first written, for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

_Value = TypeVar("_Value", int, str)


class UndeclaredInt(int):
    """A number that is a default: equal to the number itself, but nobody has asked for it."""


class UndeclaredStr(str):
    """A text that is a default: equal to the text itself, but nobody has asked for it."""


@dataclass(frozen=True)
class ChangedDefault(Generic[_Value]):
    """A default that has changed.

    Args:
        recorded: What a record without the field means.
        today: What a definition without it means, unless the same was recorded before; an ``Undeclared`` value.
    """

    recorded: _Value
    today: _Value


def is_undeclared(value: object) -> bool:
    """Tell whether a value is a default that nobody has asked for."""
    return isinstance(value, UndeclaredInt | UndeclaredStr)
