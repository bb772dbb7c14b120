"""The table: what was measured, against which target, and how far it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.findings import Row, plain
from benchmarks.record import rows_of

HEADER = ("what", "target", "measured", "", "wall", "note")


def render(record: dict[str, Any], sections: Iterable[str]) -> str:
    """Render some sections of a record as one Markdown table, columns aligned."""
    recorded = record["sections"]
    rows = [row for name in sections if name in recorded for row in rows_of(recorded[name])]
    ratios = "Ratios are of CPU seconds, user and system; the column wall has the same ratios of wall seconds."
    return f"{record['events']:,} events. {ratios}\n\n{markdown_table(HEADER, [cells(row) for row in rows])}"


def cells(row: Row) -> tuple[str, ...]:
    """Write a row's cells."""
    measured = "-" if row.measured is None else f"{row.bound}{' ' if row.bound else ''}{plain(row.measured)}{row.unit}"
    return row.what, row.target, measured, row.verdict, plain(row.wall), row.note


def markdown_table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Render a Markdown table, columns aligned."""
    widths = [max(len(line[i]) for line in (header, *lines)) for i in range(len(header))]
    rule = ["-" * max(width, 3) for width in widths]
    text = (" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in (header, rule, *lines))
    return "\n".join(f"| {line} |" for line in text)
