"""Screen: results go to stdout, as words for people or as JSON for machines; progress and errors go to stderr."""

from __future__ import annotations

import dataclasses
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featurestore.cli.streams import write_remark, write_result
from featurestore.errors import FeatureStoreError
from featurestore.timeline import Month

if TYPE_CHECKING:
    from rich.progress import Progress

WIDTH_IN_A_FILE = 160
LONGEST_LINE = 400
ROWS_A_LINE = 1_000_000
"""How many rows are read between two lines, where nobody watches a bar."""


def say(text: str) -> None:
    """Write words for people to stdout."""
    write_result(f"{text}\n")


def note(text: str) -> None:
    """Write a remark that is no result to stderr."""
    write_remark(f"{text}\n")


def printable(text: str, *, longest: int = LONGEST_LINE) -> str:
    r"""Write foreign text, such as a row or a file's name, as one line that cannot steer a terminal; cut where it is long.

    >>> printable("a" + chr(27) + "[2Jb"), printable("abcdef", longest=3)
    ('a\\x1b[2Jb', 'abc...')
    """
    cut = text if len(text) <= longest else f"{text[:longest]}..."
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in cut)


def is_watched() -> bool:
    """Tell whether progress is seen by a person: whether stderr is a terminal."""
    return not progress_bar().disable


def show_json(value: Any) -> None:
    """Write a value to stdout as one JSON document."""
    write_result(json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def plain(value: Any) -> Any:
    """Turn reports, months, dates, paths and tables into what JSON has; NaN and infinities become null.

    >>> plain({"months": (Month(2024, 8),), "path": Path("a")})
    {'months': ['2024-08'], 'path': 'a'}
    """
    if isinstance(value, Month | Path):
        return str(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    import pyarrow as pa

    if isinstance(value, pa.Table):
        return plain(value.to_pylist())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, float) and value - value != 0:
        return None
    return value


def show_error(error: FeatureStoreError, *, as_json: bool) -> None:
    """Write an error's name and message to stderr, without a traceback."""
    if as_json:
        document = {"error": type(error).__name__, "message": str(error), "is_retryable": error.is_retryable}
        write_remark(json.dumps(document, ensure_ascii=False) + "\n")
    else:
        write_remark(f"{type(error).__name__}: {error}\n")


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a titled table to stdout, "none" without rows; columns of numbers stand to the right."""
    from rich.console import Console
    from rich.table import Table

    if not rows:
        say(f"\n{title}: none")
        return
    table = Table(box=None, pad_edge=False)
    for i, column in enumerate(columns):
        is_numeric = all(isinstance(row[i], int | float) for row in rows)
        table.add_column(column, justify="right" if is_numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell(value) for value in row))
    console = Console(width=None if sys.stdout.isatty() else WIDTH_IN_A_FILE, highlight=False)
    with console.capture() as drawn:
        console.print(table)
    say(f"\n{title}\n" + "\n".join(line.rstrip() for line in drawn.get().splitlines()))


def cell(value: object) -> str:
    """Write one value of a table; markup in names stays text.

    >>> cell(1234567), cell(0.5), cell(None)
    ('1,234,567', '0.50', '-')
    """
    from rich.markup import escape

    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else escape(str(value))


def note_end(what: str, *, of: str, elapsed_s: float, counted: str = "") -> None:
    """Write a line to stderr for work that has ended, for those who read a log instead of a terminal."""
    note(f"{of:<13} {what:<18} {elapsed_s:>7.1f} s {counted}".rstrip())


@contextmanager
def counting(what: str) -> Iterator[Callable[[str, str, object], None]]:
    """Show on stderr how far a command is while the block runs: a bar, or without a terminal a line for each year of a view.

    Yields:
        A function to call with view, stage and month, in the thread that has done them.
    """
    started_s = time.perf_counter()
    if is_watched():
        with progress_bar() as bar:
            task = bar.add_task(what, total=None, unit="")
            yield lambda view, stage, month: bar.update(task, advance=1, unit=f"{view} {stage} {month}")
    else:
        years = YearLines(started_s)
        yield years
        years.finish()
        note_end(what, of="in all", elapsed_s=time.perf_counter() - started_s)


class YearLines:
    """Writes a line when a thread is done with a year of a view's stage; it works on one after the other."""

    def __init__(self, started_s: float) -> None:
        self._started_s = started_s
        self._years: dict[int, tuple[str, str, float, float]] = {}

    def __call__(self, view: str, stage: str, month: object) -> None:
        """Take note that a month is done; another year than the last one's means that this has ended."""
        thread = threading.get_ident()
        what, year = f"{view} {stage}", str(month)[:4]
        last_what, last_year, began_s, done_s = self._years.get(thread, (what, year, self._started_s, self._started_s))
        if (last_what, last_year) != (what, year):
            note_end(last_what, of=last_year, elapsed_s=done_s - began_s)
            began_s = done_s
        self._years[thread] = (what, year, began_s, time.perf_counter())

    def finish(self) -> None:
        """Write the lines of the years that no other has followed."""
        for what, year, began_s, done_s in self._years.values():
            note_end(what, of=year, elapsed_s=done_s - began_s)


@contextmanager
def counting_rows(what: str) -> Iterator[Callable[[int], None]]:
    """Show on stderr how many rows have been read while the block runs: a bar, or without a terminal a line per million.

    Yields:
        A function to call with the number of rows so far.
    """
    started_s = time.perf_counter()
    if is_watched():
        with progress_bar() as bar:
            task = bar.add_task(what, total=None, unit="rows")
            yield lambda rows: bar.update(task, completed=rows)
        return
    read = noted = 0

    def count(rows: int) -> None:
        nonlocal read, noted
        read = rows
        if rows - noted >= ROWS_A_LINE:
            noted = rows
            note_end(what, of="so far", elapsed_s=time.perf_counter() - started_s, counted=f"{rows:>12,} rows")

    yield count
    note_end(what, of="in all", elapsed_s=time.perf_counter() - started_s, counted=f"{read:>12,} rows")


def progress_bar() -> Progress:
    """Return a progress display on stderr that vanishes when done; its tasks have a field ``unit``."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    counts = TextColumn("{task.completed:,.0f}")
    columns = (TextColumn("{task.description}"), BarColumn(), counts, TextColumn("{task.fields[unit]}"), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
