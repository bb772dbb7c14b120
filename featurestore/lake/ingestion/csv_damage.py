"""Damaged CSV: how far does a record reach whose quotes do not close as they should?"""

from __future__ import annotations

from dataclasses import dataclass, field

# States of a reader within a line. A set of them says what is possible.
_FIELD, _BARE, _QUOTED, _STRAY = "at the start of a field", "in a bare field", "in quotes", "in quotes behind a stray quote"
_INSIDE = (_QUOTED, _STRAY)


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
        here = (self.lines, self.size)
        begins = {_FIELD: here, **self.opened}
        opened: dict[str, tuple[int, int]] = {}
        for state, since in begins.items():
            for after, is_new in _after(line, state, self.dialect):
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


def _after(line: str, state: str, dialect: Dialect) -> set[tuple[str, bool]]:
    """Follow all readings of a line that begins in a state.

    Returns:
        The states in which the next line can begin, and whether a quote opened on this line is why.
    """
    quote, escape = dialect.quote or "", dialect.escape
    if quote not in line:
        return {(state, False)}
    text = without_end(line)
    possible: list[set[tuple[str, bool]]] = [set() for _ in range(len(text) + 2)]
    possible[0].add((state, False))
    for at, letter in enumerate(text):
        following = text[at + 1 : at + 2]
        is_escaped = letter == escape and following != "" and following in (quote, escape)
        for now, is_new in possible[at]:
            if now in _INSIDE and is_escaped:
                possible[at + 2].add((now, is_new))
                continue
            for after in _step(now, letter, following, dialect):
                possible[at + 1].add((after, is_new or (after == _QUOTED and now == _FIELD)))
    return {(now, is_new) if now in _INSIDE else (_FIELD, False) for now, is_new in possible[len(text)]}


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
