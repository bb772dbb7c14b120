"""YAML with line numbers: plain values, and where each stands.

Of YAML's many spellings the plain ones are read: ``true`` and ``false`` alone are truth values, so that ``on``, ``no`` and ``y`` stay
texts; a date stays a text. What is written twice, and aliases, are refused.
"""

from __future__ import annotations

import re
from typing import Any

from featurestore.errors import DefinitionError

_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}
_WHOLE = re.compile(r"[+-]?(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"[+-]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def read_yaml(text: str, origin: str) -> tuple[object, dict[str, int]]:
    r"""Read a YAML document.

    Args:
        text: The document.
        origin: What to call it in errors.

    Returns:
        Its value, of tables, lists, texts, numbers, truth values and ``None``; and the line, from 1, of each way into it.

    Raises:
        DefinitionError: it is no YAML, no single document, has a key twice or an alias.

    >>> read_yaml("a:\n  on: [x, 1]", "x.yaml")
    ({'a': {'on': ['x', 1]}}, {'': 1, 'a': 1, 'a.on': 2, 'a.on[0]': 2, 'a.on[1]': 2})
    """
    import yaml

    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise DefinitionError(f"{origin}{line}: it is no YAML ({error.problem or error.context}).") from error
    except yaml.YAMLError as error:
        raise DefinitionError(f"{origin}: it is no YAML ({str(error).splitlines()[0]}).") from error
    except RecursionError:
        raise DefinitionError(f"{origin}: it is nested too deeply to be a mapping.") from None
    lines: dict[str, int] = {}
    return (None if node is None else _value(node, "", origin, lines, set())), lines


def _value(node: Any, path: str, origin: str, lines: dict[str, int], seen: set[int]) -> object:
    line = node.start_mark.line + 1
    lines.setdefault(path, line)
    if id(node) in seen:
        raise DefinitionError(f"{origin}, line {line}, {path}: an alias (*) of what stands elsewhere; write it out.")
    seen.add(id(node))
    if node.id == "sequence":
        return [_value(item, f"{path}[{i}]", origin, lines, seen) for i, item in enumerate(node.value)]
    if node.id == "scalar":
        return _scalar(node.value, is_plain=node.style is None)
    found: dict[str, object] = {}
    for key, item in node.value:
        at = key.start_mark.line + 1
        if key.id != "scalar":
            raise DefinitionError(f"{origin}, line {at}: a key that is a list or a table; write a text.")
        inner = f"{path}.{key.value}" if path else key.value
        if key.value in found:
            raise DefinitionError(f"{origin}, line {at}: the key {inner!r} is there twice, first in line {lines[inner]}.")
        lines[inner] = at
        found[key.value] = _value(item, inner, origin, lines, seen)
    return found


def _scalar(text: str, *, is_plain: bool) -> object:
    if not is_plain:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text
