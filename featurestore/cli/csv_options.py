"""Options of the command line that say how CSV files are written, and how files of a foreign shape become events."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from featurestore.spec.csv_format import Csv
from featurestore.spec.mapping import Mapping

Delimiter = Annotated[str | None, typer.Option("--delimiter", help="CSV: what separates fields.")]
Quote = Annotated[str | None, typer.Option("--quote", help="CSV: what stands around quoted fields; '' for nothing.")]
Escape = Annotated[str | None, typer.Option("--escape", help="CSV: what stands before a quote inside a quoted field.")]
Decimal = Annotated[str | None, typer.Option("--decimal", help="CSV: the point of numbers, . or ,")]
Thousands = Annotated[str | None, typer.Option("--thousands", help="CSV: what groups the digits of numbers.")]
Null = Annotated[list[str] | None, typer.Option("--null", help="CSV: a further spelling of NULL; may be repeated.")]
Comment = Annotated[str | None, typer.Option("--comment", help="CSV: what begins lines that are no records.")]
Names = Annotated[str | None, typer.Option("--names", help="CSV: names of the columns, separated by commas.")]
NoHeader = Annotated[bool, typer.Option("--no-header", help="CSV: the first line is a record; give --names.")]
Encoding = Annotated[str | None, typer.Option("--encoding", help="CSV: encoding, such as gb18030 or latin-1.")]
EmptyAsNull = Annotated[bool, typer.Option("--empty-as-null", help='CSV: "" is NULL too.')]
MaxRecordLines = Annotated[int | None, typer.Option("--max-record-lines", help="CSV: lines of the longest record.")]
MaxRecordBytes = Annotated[int | None, typer.Option("--max-record-bytes", help="CSV: bytes of the longest record.")]

MappingFile = Annotated[Path | None, typer.Option("--mapping", help="YAML that says how the files become events.")]


def mapping_from(file: Path | None) -> Mapping | None:
    """Read the mapping that was given, if any.

    Raises:
        DefinitionError: the file is none.
    """
    return None if file is None else Mapping.read(file)


def csv_from(recorded: Csv | None, **options: Any) -> Csv | None:
    """Put what was given on the command line in place of what the source says; ``None`` where nothing was.

    Raises:
        DefinitionError: the result contradicts itself.
    """
    changes = {
        name: value for name, value in options.items() if value is not None and not (name == "empty_as_null" and value is False)
    }
    if options.get("quote") == "":
        changes |= {"quote": None, "escape": None}
    if options.get("names") is not None:
        changes["names"] = options["names"].split(",")
    if not changes:
        return None
    said = (recorded or Csv()).document()
    if "quote" in changes and "escape" not in changes and said["escape"] == said["quote"]:
        said["escape"] = None
    return Csv(**{**said, **changes})
