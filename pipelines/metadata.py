"""Metadata: the store's reports as values that the Dagster UI draws.

Numbers become plots over partitions, tables become tables, pictures are shown where they are.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from featurestore.drift.reporting.markup import markdown
from featurestore.lake.table import CommittedFile

PICTURES = {".png": "image/png", ".svg": "image/svg+xml"}
PARTITION_ROWS = "dagster/partition_row_count"
Metadata = dict[str, dg.MetadataValue[Any]]


def plot(**numbers: float) -> Metadata:
    """Make each number a plot over partitions."""
    return {
        name: dg.MetadataValue.int(value) if isinstance(value, int) else dg.MetadataValue.float(float(value))
        for name, value in numbers.items()
    }


def size_of(files: Iterable[CommittedFile]) -> Metadata:
    """Return rows and bytes of some committed files."""
    listed = list(files)
    return {
        PARTITION_ROWS: dg.MetadataValue.int(sum(file.rows for file in listed)),
        "bytes": dg.MetadataValue.int(sum(file.size_bytes for file in listed)),
    }


def table_of(rows: Sequence[Mapping[str, Any]]) -> dg.TableMetadataValue | dg.TextMetadataValue:
    """Show rows of texts, numbers (to six figures), booleans and NULLs as a table; all have the same columns."""
    if not rows:
        return dg.MetadataValue.text("none")
    types = {name: _type_of([row[name] for row in rows]) for name in rows[0]}
    columns = [dg.TableColumn(name, kind) for name, kind in types.items()]
    # Dagster wants every column in every record, and knows no NULL.
    records = [dg.TableRecord({name: _cell(value) for name, value in row.items()}) for row in rows]
    return dg.MetadataValue.table(records, dg.TableSchema(columns))


def texts_of(texts: Mapping[str, str]) -> Metadata:
    """Show each text beside its name: what must be read wherever the run, the asset or the check is looked at."""
    return {name: dg.MetadataValue.text(text) for name, text in texts.items()}


def list_of(lines: Iterable[str]) -> dg.MarkdownMetadataValue:
    """Show texts one below the other.

    On an asset's page Dagster wraps them at any width, where a table with a column of words runs out of the page; elsewhere,
    and when they are long, it shows them on a click.
    """
    return dg.MetadataValue.md("\n".join(f"- {markdown(line)}" for line in lines) or "none")


def name_of(feature: str, segment: str | None) -> str:
    """Name a feature, or a segment of it."""
    return f"{feature} ({segment})" if segment else feature


def in_short(reason: str) -> str:
    """Return what changed, without the months that it was compared with."""
    return reason.partition("; against")[0]


def picture_of(path: Path) -> dg.MarkdownMetadataValue:
    """Embed a PNG or an SVG, so that it is seen wherever the run is looked at."""
    kind = PICTURES[path.suffix]
    content = base64.b64encode(path.read_bytes()).decode()
    return dg.MetadataValue.md(f"![{path.stem}](data:{kind};base64,{content})")


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _type_of(values: Sequence[object]) -> str:
    present = [value for value in values if value is not None]
    if all(isinstance(value, bool) for value in present):
        return "bool"
    if all(isinstance(value, int) for value in present):
        return "int"
    return "float" if all(isinstance(value, int | float) for value in present) else "string"
