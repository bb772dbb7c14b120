"""Damaged CSV: how far does a record reach whose quotes do not close as they should?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

# States of a reader within a line. A set of them says what is possible.
_FIELD, _BARE, _QUOTED, _STRAY = "at the start of a field", "in a bare field", "in quotes", "in quotes behind a stray quote"
_INSIDE = (_QUOTED, _STRAY)
_Places = frozenset[tuple[str, bool]]
_NOWHERE: _Places = frozenset()
_Steps = dict[tuple[_Places, _Places, str, str], tuple[_Places, _Places]]
_OTHER = "\0"  # no delimiter, quote or escape can be it


@dataclass(frozen=True)
class Dialect:
    """What separates fields, and the longest record."""

    delimiter: str
    quote: str | None
    escape: str | None
    comment: str | None
    max_record_lines: int
    max_record_bytes: int


@dataclass
class Reading:
    """All readings of damaged lines at once.

    Which quote is too much or missing cannot be known: one with text behind it closes its field or is a stray letter of it, and
    each line may also stand outside all quotes, as if the damage had ended before it. A line may become a record again when no
    reading has it inside. An open quote is given up at the bound: no record is longer.
    """

    dialect: Dialect
    opened: dict[str, tuple[int, int]] = field(default_factory=dict)
    """States inside quotes to the line and byte at which their quote opened, of several the last."""
    steps: _Steps = field(default_factory=dict)
    """What was worked out already."""
    lines: int = 0
    size: int = 0

    @property
    def is_open(self) -> bool:
        """Whether the next line could lie inside quotes."""
        return bool(self.opened)

    def read(self, line: str, *, is_certain: bool) -> bool:
        """Go on by a line; return whether it, and all before it, are certainly part of the damage.

        They are when its quote was not shut before, or when a quote that a stray one may have left open can shut here. What is
        uncertain to the end was never inside.
        """
        if len(line) > self.dialect.max_record_bytes:  # no record, and no quote stays open beyond it
            is_certain = is_certain or self.is_open
            self.lines += 1
            self.size += len(line)
            self.opened = {}
            return is_certain
        here = (self.lines, self.size)
        begins = {_FIELD: here, **self.opened}
        opened: dict[str, tuple[int, int]] = {}
        for state, since in begins.items():
            for after, is_new in _after(line, state, self.dialect, self.steps):
                if after in _INSIDE:
                    opened[after] = max(opened.get(after, since), here if is_new else since)
                elif state in _INSIDE:
                    is_certain = True
        is_certain = is_certain or _QUOTED in self.opened
        self.lines += 1
        self.size += len(line)
        self.opened = {state: since for state, since in opened.items() if not self._is_past(since)}
        return is_certain

    def _is_past(self, since: tuple[int, int]) -> bool:
        line, byte = since
        return self.lines - line >= self.dialect.max_record_lines or self.size - byte > self.dialect.max_record_bytes


def _after(line: str, state: str, dialect: Dialect, steps: _Steps) -> set[tuple[str, bool]]:
    """Follow all readings of a line that begins in a state.

    Returns:
        The states in which the next line can begin, and whether a quote opened on this line is why.
    """
    if (dialect.quote or "") not in line:
        return {(state, False)}
    now, ahead = frozenset({(state, False)}), _NOWHERE
    for letter, following in _letters(without_end(line), dialect):
        here = (now, ahead, letter, following)
        if here not in steps:
            steps[here] = _advance(now, ahead, letter, following, dialect)
        now, ahead = steps[here]
    return {(each, is_new) if each in _INSIDE else (_FIELD, False) for each, is_new in now}


def _letters(text: str, dialect: Dialect) -> Iterator[tuple[str, str]]:
    """Give the letters that count, each with the one behind it; a run of others, or of spaces, counts as one."""
    counting = f"{dialect.delimiter}{dialect.quote or ''}{dialect.escape or ''}"
    special = re.escape(counting)
    for found in re.finditer(f"[{special}]| +|[^ {special}]+", text):
        letter, following = found[0][0], text[found.end() : found.end() + 1]
        yield letter if letter == " " or letter in counting else _OTHER, following if following in counting else _OTHER


def _advance(now: _Places, ahead: _Places, letter: str, following: str, dialect: Dialect) -> tuple[_Places, _Places]:
    """Follow all readings by one letter; an escape takes the next letter along, so what it leads to lies one further ahead."""
    is_escaped = letter == dialect.escape and following != "" and following in (dialect.quote, dialect.escape)
    leaps = frozenset(place for place in now if is_escaped and place[0] in _INSIDE)
    steps = {
        (after, is_new or (after == _QUOTED and each == _FIELD))
        for each, is_new in now - leaps
        for after in _step(each, letter, following, dialect)
    }
    return ahead | steps, leaps


def _step(state: str, letter: str, following: str, dialect: Dialect) -> tuple[str, ...]:
    if state in _INSIDE:
        if letter != dialect.quote:
            return (state,)
        return (_BARE,) if following in ("", dialect.delimiter) else (_BARE, _STRAY)
    if letter == dialect.delimiter:
        return (_FIELD,)
    if state == _FIELD and letter == dialect.quote:
        return (_QUOTED,)
    return (_FIELD,) if state == _FIELD and letter == " " else (_BARE,)


def without_end(line: str) -> str:
    """Take the line break off a line."""
    return line.removesuffix("\n").removesuffix("\r")
