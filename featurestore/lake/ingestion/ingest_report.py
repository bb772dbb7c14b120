"""What an ingest did: a value to print, log or put into metadata."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from featurestore.timeline import Month


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

    def __str__(self) -> str:
        facts = [f"{self.rows_read:,} rows read", f"{self.rows_added:,} added"]
        facts += [
            f"{count:,} {what}" for what, count in (("duplicates", self.duplicates), ("corrections", self.corrections)) if count
        ]
        facts += [f"{count:,} quarantined ({reason})" for reason, count in sorted(self.quarantined.items())]
        if self.non_finite:
            facts.append(f"{self.non_finite:,} NaN or infinite values became NULL")
        if self.extra_columns:
            facts.append(f"columns ignored: {', '.join(self.extra_columns)}")
        if self.months:
            span = str(self.months[0]) if len(self.months) == 1 else f"{self.months[0]} .. {self.months[-1]}"
            facts.append(f"{len(self.months)} months ({span})")
        return f"{self.source}: {', '.join(facts)}; {self.bytes_written / 1e6:,.1f} MB in {self.elapsed_s:.1f} s"


@dataclass
class Tally:
    """The sums of an ingest that is still running."""

    source: str
    version: int
    rows_read: int = 0
    rows_added: int = 0
    duplicates: int = 0
    corrections: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    non_finite: int = 0
    extra_columns: dict[str, None] = field(default_factory=dict)
    months: set[Month] = field(default_factory=set)
    files: int = 0
    bytes_written: int = 0

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
        )
