"""The header of a CSV file: its columns, where its records begin, and what only a look at the first of them can tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from featurestore.errors import IngestError
from featurestore.lake.bounds import Bounds
from featurestore.lake.ingestion.csv_damage import Dialect
from featurestore.lake.ingestion.csv_records import Splitter, Values, said_delimiter
from featurestore.lake.ingestion.extra_columns import renamed
from featurestore.lake.ingestion.text_files import encoding_hint, is_utf8, lines_of, open_text, shown
from featurestore.spec.csv_format import Csv

DELIMITERS = (",", "\t", ";", "|")
_SAMPLED_RECORDS = 100


@dataclass(frozen=True)
class CsvFile:
    """A CSV file whose header has been read.

    Args:
        path: Where it lies.
        csv: How it is written.
        bounds: What reading it may cost.
        delimiter: What separates its fields.
        fields: Name of each field of a record, in order; empty for fields without one, which are ignored.
        header_lines: Lines of the header, 0 without one.
        starts_late: Whether something other than the header comes first.
        header_delimiters: Delimiters in the header's lines.
        hint: What to say when a column is missing.
    """

    path: Path
    csv: Csv
    bounds: Bounds
    delimiter: str
    fields: tuple[str, ...]
    header_lines: int
    starts_late: bool
    header_delimiters: int
    hint: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the fields that have one, in order."""
        return tuple(field for field in self.fields if field)

    @property
    def dialect(self) -> Dialect:
        """What the splitter must know."""
        return dialect_of(self.csv, self.delimiter)


def dialect_of(csv: Csv, delimiter: str) -> Dialect:
    """Take out of a format what separates fields."""
    return Dialect(delimiter, csv.quote, csv.escape, csv.comment, csv.max_record_lines, csv.max_record_bytes)


def read_header(path: Path, csv: Csv, wanted: Collection[str], bounds: Bounds) -> CsvFile:
    """Read the header of a CSV file.

    Args:
        path: Where it lies.
        csv: How it is written.
        wanted: Columns that the source declares; without a given delimiter, the one that finds most of them is taken:
            sniffing data rows guesses wrong. Where the caller names the columns, the one that gives most records as many fields.
        bounds: What reading it may cost.

    Raises:
        IngestError: it is binary, of another encoding, or has another number of columns than ``csv.names``, or it is beyond the
            bounds.
    """
    lines = _first_lines(path, csv, bounds)
    found = [_read(path, csv, bounds, each, lines) for each in _delimiters(csv, lines)]
    best, _ = max(found, key=lambda file_and_fitting: (_matches(file_and_fitting[0], wanted), file_and_fitting[1]))
    if csv.names and not csv.header and len(best.fields) < len(csv.names):
        raise IngestError(f"{path} has {len(best.fields)} columns, but csv names {len(csv.names)}: {list(csv.names)}.")
    bounds.check_columns(path, len(best.fields))
    return replace(best, fields=_distinct(best.fields, wanted))


def _distinct(fields: tuple[str, ...], wanted: Collection[str]) -> tuple[str, ...]:
    """Tell columns apart that differ only in their case, which DuckDB does not: the source's own keep their names.

    Names that begin with ``$`` are the store's.
    """
    taken = {name.lower(): name for name in reversed(fields) if name} | {
        name.lower(): name for name in wanted if name in fields
    }
    return tuple(
        name if not name or (taken[name.lower()] == name and name[0] != "$") else renamed(name, number)
        for number, name in enumerate(fields, 1)
    )


def _delimiters(csv: Csv, lines: Sequence[str]) -> Sequence[str]:
    """List the delimiters that a file may have: the one that is given, the one that Excel's ``sep=;`` says, or all."""
    said = csv.delimiter or (said_delimiter(lines[0]) if lines else None)
    return DELIMITERS if said is None else (said,)


def _matches(file: CsvFile, wanted: Collection[str]) -> int:
    return len(set(file.fields) & set(wanted))


def _first_lines(path: Path, csv: Csv, bounds: Bounds) -> list[str]:
    """Read as many lines as the header and the sampled records need, at most."""
    lines: list[str] = []
    size = 0
    with open_text(path, "CSV", bounds, encoding=csv.encoding) as text:
        for line in lines_of(text, path, bounds):
            lines.append(line if lines else line.removeprefix("\ufeff"))
            size += len(line)
            if len(lines) > _SAMPLED_RECORDS + csv.max_record_lines or size > csv.max_record_bytes + (1 << 16):
                break
    return lines


def _read(path: Path, csv: Csv, bounds: Bounds, delimiter: str, lines: list[str]) -> tuple[CsvFile, int]:
    """Read the header as it is with one delimiter; count the sampled records that have as many fields."""
    splitter = Splitter(dialect_of(csv, delimiter), lines, bounds.portion_bytes)
    header = [value or "" for value in splitter.read_header()] if csv.header else []
    counts = replace(splitter.counts)  # sampling counts on
    header_text = "".join(lines[: counts.total])
    sampled = list(_sample(splitter))
    names = list(csv.names) or header
    fields = _fitted(path, csv, names, sampled)
    hint = f" {encoding_hint(header_text)}" if is_utf8(csv.encoding) and shown(header_text) != header_text else ""
    file = CsvFile(
        path,
        csv,
        bounds,
        delimiter,
        tuple(shown(name) for name in fields),
        header_lines=counts.header,
        starts_late=counts.total > counts.header,
        header_delimiters=header_text.count(delimiter),
        hint=hint,
    )
    return file, sum(len(values) == len(fields) for values in sampled)


def _sample(splitter: Splitter) -> Iterator[Values]:
    for _ in range(_SAMPLED_RECORDS):
        values = splitter.next_values()
        if values is None:
            return
        yield values


def _fitted(path: Path, csv: Csv, names: list[str], sampled: list[Values]) -> list[str]:
    """Allow for a delimiter behind the last field: of all records but not of the header, or the other way round.

    One record alone with a field too many is damaged; only when all agree it is how the file is written.
    """
    widths = Counter(map(len, sampled))
    if len(widths) != 1:
        return names
    (width,) = widths
    if width == len(names) + 1 and all(values[-1] is None for values in sampled):
        return [*names, ""]
    if width == len(names) - 1 and not names[-1]:
        return names[:-1]
    return names
