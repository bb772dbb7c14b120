"""What an ingest did: a value to print, log or put into metadata."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from featurestore.lake.ingestion.time_functions import WallClocks
from featurestore.timeline import Month

_MAX_TOLD = 10


@dataclass(frozen=True)
class FileLines:
    """What became of the lines of a file of CSV or JSON lines: the sum of all kinds is ``lines``.

    Args:
        file: Its path.
        lines: Physical lines.
        records: Records that could be split into columns; what they hold may be invalid all the same.
        record_lines: The lines that these cover: a quoted text may span several.
        quarantined_lines: Lines that became no record, each a row of the quarantine.
        blank_lines: Lines of nothing, or spaces, outside quoted texts.
        comment_lines: Lines that ``csv.comment`` begins.
        header_lines: Lines of the header.
        hint: What to try, where the bytes look like another encoding.
        quarantined_at: Numbers of the first ten of ``quarantined_lines``, from 1.
    """

    file: str
    lines: int
    records: int
    record_lines: int
    quarantined_lines: int
    blank_lines: int
    comment_lines: int
    header_lines: int
    hint: str = ""
    quarantined_at: tuple[int, ...] = ()

    def __str__(self) -> str:
        first = ", ".join(f"{number:,}" for number in self.quarantined_at)
        numbers = f" (line {first}{', ...' if self.quarantined_lines > len(self.quarantined_at) else ''})" if first else ""
        counted = (
            (f"quarantined{numbers}", self.quarantined_lines),
            ("blank", self.blank_lines),
            ("comment", self.comment_lines),
        )
        others = "".join(f", {count:,} {what}" for what, count in (*counted, ("header", self.header_lines)) if count)
        hint = f". {self.hint}" if self.hint else ""
        return f"{self.file}: {self.lines:,} lines: {self.records:,} records in {self.record_lines:,} lines{others}{hint}"


@dataclass
class ForeignCounts:
    """What became of the rows of files that were read through a mapping.

    Args:
        rows: Rows that were read; of joined files those of the side to which others are joined.
        ignored: Rows of which no event comes, where the mapping says that such are ignored.
        unjoined: Source of the mapping to those of its rows that no row of the other side has found.
    """

    rows: int = 0
    ignored: int = 0
    unjoined: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class IngestReport:
    """What one call of ``ingest`` read, committed and refused.

    ``rows_read = rows_added + duplicates + corrections + the sum of quarantined``.

    Args:
        source: Name of the event source.
        rows_read: Rows of the input, unreadable lines included.
        rows_added: Events seen for the first time.
        duplicates: Identical redeliveries, dropped.
        corrections: Other contents of known events; the newest counts, the others lie in ``superseded``.
        quarantined: Reason to rows.
        non_finite: NaN and infinities of double columns that became NULL.
        extra_columns: Columns of the input that the schema does not name, ignored.
        months: Business months whose files changed, ascending.
        version: Version of the events table that holds everything; -1 when there is no table yet.
        files: Files that the table gained.
        bytes_written: Size of these files.
        elapsed_s: Wall time.
        lines: What became of the lines of each file of CSV or JSON lines, in the order of reading.
        is_mostly_quarantined: Whether more than half of a batch was quarantined; its good rows are committed.
        unread: What lies in the landing folder and is not read, each with the reason; empty where rows were given.
        assumed_timezone: Zone in which times that name none were read: the source's, else the store's. ``None``: all named one.
        repeated_hours: Times that the clocks of their zone show twice, as they were put back: the first was taken.
        skipped_hours: Times that the clocks of their zone skip, as they were put forward: moved forward by what was skipped.
        by_place: Events of which a batch held several contents that neither ingested_at nor order_by tells apart: the last by place
            counts (in a source without ingested_at the first, unless it replaces).
        missing_columns: Column of the schema to the number of files, or other inputs, that lack it.
        file_rows: Rows of the files, where a mapping made events of them: ``rows_read`` then counts what it made.
        ignored_rows: Those of them of which no event comes, as the mapping means it.
        unjoined_rows: Source of the mapping to those of its rows that no row of the files that it is joined to has found.
    """

    source: str
    rows_read: int
    rows_added: int
    duplicates: int
    corrections: int
    quarantined: Mapping[str, int]
    non_finite: int
    extra_columns: tuple[str, ...]
    months: tuple[Month, ...]
    version: int
    files: int
    bytes_written: int
    elapsed_s: float
    lines: tuple[FileLines, ...] = ()
    is_mostly_quarantined: bool = False
    unread: tuple[str, ...] = ()
    assumed_timezone: str | None = None
    repeated_hours: int = 0
    skipped_hours: int = 0
    missing_columns: Mapping[str, int] = field(default_factory=dict)
    by_place: int = 0
    file_rows: int = 0
    ignored_rows: int = 0
    unjoined_rows: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        of = f" made of {self.file_rows:,} rows of files" if self.file_rows else " rows read"
        facts = [f"{self.rows_read:,}{of}", f"{self.rows_added:,} added"]
        facts += [f"{self.ignored_rows:,} rows of files ignored"] if self.ignored_rows else []
        facts += [f"{count:,} rows of {name} joined to none" for name, count in self.unjoined_rows.items() if count]
        facts += [
            f"{count:,} {what}" for what, count in (("duplicates", self.duplicates), ("corrections", self.corrections)) if count
        ]
        facts += [f"{count:,} quarantined ({reason})" for reason, count in sorted(self.quarantined.items())]
        if self.non_finite:
            facts.append(f"{self.non_finite:,} NaN or infinite values became NULL")
        if self.extra_columns:
            facts.append(f"columns ignored: {', '.join(self.extra_columns)}")
        if self.by_place:
            facts.append(f"{self.by_place:,} events with several contents, decided by their place")
        facts += [f"{_inputs(count)} without {column}" for column, count in self.missing_columns.items()]
        if self.months:
            span = str(self.months[0]) if len(self.months) == 1 else f"{self.months[0]} .. {self.months[-1]}"
            facts.append(f"{len(self.months)} months ({span})")
        first = "more than half of a batch was quarantined; " if self.is_mostly_quarantined else ""
        told = f"{self.source}: {first}{', '.join(facts)}; {self.bytes_written / 1e6:,.1f} MB in {self.elapsed_s:.1f} s"
        # Files of which every line is a record need no line of their own.
        lines = [f"  {file}" for file in self.lines if file.lines > file.record_lines + file.header_lines]
        return "\n".join([told, *self._clocks(), *lines, *self._unread()])

    def _unread(self) -> list[str]:
        more = len(self.unread) - _MAX_TOLD
        return [
            *(f"  not read: {file}" for file in self.unread[:_MAX_TOLD]),
            *([f"  not read: {more:,} more"] if more > 0 else []),
        ]

    def _clocks(self) -> list[str]:
        """Tell in a line how times were read that do not say all themselves; in none where all do."""
        told = [f"times without a zone are read in {self.assumed_timezone}"] if self.assumed_timezone else []
        if self.repeated_hours:
            told.append(f"{self.repeated_hours:,} in an hour that the clocks show twice: the first")
        if self.skipped_hours:
            told.append(f"{self.skipped_hours:,} in an hour that they skip: moved forward")
        return [f"  {'; '.join(told)}"] if told else []


@dataclass
class Tally:
    """The sums of an ingest that is still running."""

    source: str
    version: int
    rows_read: int = 0
    rows_added: int = 0
    duplicates: int = 0
    corrections: int = 0
    by_place: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    non_finite: int = 0
    extra_columns: dict[str, None] = field(default_factory=dict)
    months: set[Month] = field(default_factory=set)
    files: int = 0
    bytes_written: int = 0
    lines: list[FileLines] = field(default_factory=list)
    is_mostly_quarantined: bool = False
    unread: tuple[str, ...] = ()
    clocks: WallClocks | None = None
    lacking: dict[str, set[str]] = field(default_factory=dict)
    foreign: ForeignCounts = field(default_factory=ForeignCounts)

    def report(self, elapsed_s: float) -> IngestReport:
        """Return the report of an ingest that took so many seconds."""
        return IngestReport(
            source=self.source,
            rows_read=self.rows_read,
            rows_added=self.rows_added,
            duplicates=self.duplicates,
            corrections=self.corrections,
            quarantined=dict(sorted(self.quarantined.items())),
            non_finite=self.non_finite,
            extra_columns=tuple(self.extra_columns),
            months=tuple(sorted(self.months)),
            version=self.version,
            files=self.files,
            bytes_written=self.bytes_written,
            elapsed_s=elapsed_s,
            lines=tuple(self.lines),
            is_mostly_quarantined=self.is_mostly_quarantined,
            unread=self.unread,
            assumed_timezone=self.clocks.timezone if self.clocks and self.clocks.naive else None,
            repeated_hours=self.clocks.repeated_hours if self.clocks else 0,
            skipped_hours=self.clocks.skipped_hours if self.clocks else 0,
            by_place=self.by_place,
            missing_columns={column: len(labels) for column, labels in sorted(self.lacking.items())},
            file_rows=self.foreign.rows,
            ignored_rows=self.foreign.ignored,
            unjoined_rows={name: count for name, count in self.foreign.unjoined.items() if count},
        )


def _inputs(count: int) -> str:
    return "1 input" if count == 1 else f"{count:,} inputs"
