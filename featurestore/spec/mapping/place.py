"""A place in a mapping: a part of its document, the way to it, and the line of the file where it stands."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from featurestore.errors import DefinitionError, did_you_mean

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class Place:
    """One value of a mapping's document.

    Args:
        value: What stands there.
        path: The way to it, such as ``events[1].time``; empty for the whole.
        origin: What the mapping is called in errors: its file, or its name.
        lines: Way to the line of the file, from 1; empty where a mapping was written in Python.
    """

    value: object
    path: str
    origin: str
    lines: Mapping[str, int] = field(default_factory=dict)

    def fail(self, problem: str, *, at: str | None = None) -> DefinitionError:
        """Return an error that names file, line and key."""
        path = self.path if at is None else at
        line = _line_of(path, self.lines)
        return DefinitionError(f"{self.origin}{f', line {line}' if line else ''}{f', {path}' if path else ''}: {problem}")

    def _inner(self, key: str, value: object) -> Place:
        return Place(value, f"{self.path}.{key}" if self.path else key, self.origin, self.lines)

    def keys(self, known: Collection[str], *, required: Collection[str] = ()) -> dict[str, Place]:
        """Take a table of known keys apart.

        Raises:
            DefinitionError: it is no table, has a key that is not known, or lacks one that is required.
        """
        found = self.entries()
        for key, place in found.items():
            if key not in known:
                raise place.fail(f"the key {key!r} is unknown.{did_you_mean(key, known)}")
        for key in required:
            if key not in found:
                raise self.fail(f"the key {key!r} is missing; expected {', '.join(required)}.")
        return found

    def entries(self) -> dict[str, Place]:
        """Take a table of any keys apart.

        Raises:
            DefinitionError: it is no table.
        """
        if not isinstance(self.value, Mapping):
            raise self.fail(f"{self.value!r} stands where a table was expected: keys with their values.")
        wrong = next((key for key in self.value if not isinstance(key, str)), None)
        if wrong is not None:
            raise self.fail(f"the key {wrong!r} is no text; write {str(wrong)!r}.")
        return {key: self._inner(key, value) for key, value in self.value.items()}

    def items(self) -> list[Place]:
        """Take a list apart.

        Raises:
            DefinitionError: it is no list.
        """
        if not isinstance(self.value, list | tuple):
            raise self.fail(f"{self.value!r} stands where a list was expected.")
        return [Place(value, f"{self.path}[{number}]", self.origin, self.lines) for number, value in enumerate(self.value)]

    def text(self) -> str:
        """Return a text that is not empty.

        Raises:
            DefinitionError: it is none.
        """
        if not isinstance(self.value, str) or not self.value:
            raise self.fail(f"{self.value!r} stands where a text was expected.")
        return self.value

    def texts(self) -> tuple[str, ...]:
        """Return the texts of a list, or one text that stands for a list of it.

        Raises:
            DefinitionError: it is neither, or empty.
        """
        texts = (self.text(),) if isinstance(self.value, str) else tuple(item.text() for item in self.items())
        if not texts:
            raise self.fail("the list is empty.")
        return texts

    def scalar(self) -> Scalar:
        """Return a text, a number, true or false, or nothing.

        Raises:
            DefinitionError: it is a list or a table.
        """
        if self.value is not None and not isinstance(self.value, str | int | float | bool):
            raise self.fail(f"{self.value!r} stands where a text, a number, true, false or null was expected.")
        return self.value

    def flag(self) -> bool:
        """Return true or false.

        Raises:
            DefinitionError: it is neither.
        """
        if not isinstance(self.value, bool):
            raise self.fail(f"{self.value!r} stands where true or false was expected.")
        return self.value

    def whole(self, *, least: int) -> int:
        """Return a whole number.

        Raises:
            DefinitionError: it is none, or smaller than ``least``.
        """
        if not isinstance(self.value, int) or isinstance(self.value, bool) or self.value < least:
            raise self.fail(f"{self.value!r} stands where a whole number from {least} on was expected.")
        return self.value

    def word(self, known: Collection[str]) -> str:
        """Return one of some words.

        Raises:
            DefinitionError: it is none of them.
        """
        if not isinstance(self.value, str) or self.value not in known:
            raise self.fail(f"{self.value!r} is none of {', '.join(known)}.{did_you_mean(str(self.value), known)}")
        return self.value


def _line_of(path: str, lines: Mapping[str, int]) -> int | None:
    """Return the line of a path, or of the nearest thing around it that has one."""
    while path and path not in lines:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return lines.get(path)
