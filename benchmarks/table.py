"""The table: what was measured, against which target, and how far it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks.findings import Row, plain
from benchmarks.record import rows_of

HEADER = ("what", "target", "measured", "", "wall", "note")


def render(record: dict[str, Any], sections: Iterable[str]) -> str:
    """Render some sections of a record as one Markdown table, columns aligned."""
    found = record["sections"]
    rows = [row for name in sections if name in found for row in rows_of(found[name])]
    lines = [HEADER, *(cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADER))]
    rule = tuple("-" * max(width, 3) for width in widths)
    text = [_line(line, widths) for line in (HEADER, rule, *lines[1:])]
    ratios = "Ratios are of CPU seconds, user and system; the column wall has the same ratios of wall seconds."
    return "\n".join([f"{record['events']:,} events. {ratios}", "", *text])


def cells(row: Row) -> tuple[str, ...]:
    """Write a row's cells."""
    measured = "-" if row.measured is None else f"{row.bound}{' ' if row.bound else ''}{plain(row.measured)}{row.unit}"
    return row.what, row.target, measured, row.verdict, plain(row.wall), row.note


def _line(line: Iterable[str], widths: list[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
