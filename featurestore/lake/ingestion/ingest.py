"""Ingest: from anything that holds rows to committed events, batch by batch.

Of every batch, in this order: invalid rows go to the quarantine, beaten versions to the superseded table, then one
commit adds and removes the files of all months. The first two are idempotent, the third is atomic: after a crash
anywhere, the same call completes what is missing and repeats nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from featurestore.errors import CommitConflictError, IngestError, StoreError
from featurestore.lake.evolution import check_columns
from featurestore.lake.ingestion.batch import Batch
from featurestore.lake.ingestion.equals import number_equals
from featurestore.lake.ingestion.foreign_files import CheckedDelivery, check_foreign
from featurestore.lake.ingestion.foreign_portions import ForeignReading
from featurestore.lake.ingestion.gaps import fill_gaps
from featurestore.lake.ingestion.identity import Verdict, judge
from featurestore.lake.ingestion.ingest_report import IngestReport, Tally
from featurestore.lake.ingestion.inputs import InputFile, check_files
from featurestore.lake.ingestion.intake import check_input, portions_of
from featurestore.lake.ingestion.landing import Landing, landing_of, waiting_files
from featurestore.lake.ingestion.quarantine import CONFLICT, keep_invalid
from featurestore.lake.ingestion.redelivered import record_redelivered
from featurestore.lake.ingestion.rewrite import Rewrite, rewrite_months
from featurestore.lake.ingestion.superseded import keep_superseded
from featurestore.lake.layout import Layout
from featurestore.lake.retry import retried
from featurestore.lake.spill import spilling_session
from featurestore.lake.storage import STORAGE
from featurestore.lake.table import Table, commit
from featurestore.spec.csv_format import Csv
from featurestore.spec.source import EventSource
from featurestore.spec.types import arrow_schema

BATCH_ROWS = 8_000_000
_MARK = "ingest"


def ingest(
    layout: Layout,
    source: EventSource,
    rows: Any = None,
    *,
    replace: bool = False,
    progress: Callable[[int], None] | None = None,
    batch_rows: int = BATCH_ROWS,
    ids: Collection[str] = (),
    csv: Csv | None = None,
) -> IngestReport:
    """Validate, de-duplicate, sort and commit rows of a source.

    Identical redeliveries are dropped. Other content of a known event is a correction: the greatest ingested_at counts, then the
    source's order_by, then the place in the load; the versions that it beats are kept as superseded. The result does not depend on
    the order of delivery. Invalid rows go to the quarantine with a reason; late rows of any month are welcome.

    Args:
        layout: The store, with the bounds of the call.
        source: Whose rows they are.
        rows: A path, a glob, a directory, a Delta table, a list of these (``lake/endings.py`` says which files), or
            Arrow tables and readers, Polars and pandas frames. ``None``: the new files of the source's landing folder.
        replace: For a source without ingested_at: delivered content replaces the committed one, instead of being
            quarantined as ``conflict``.
        progress: Called with the rows read so far.
        batch_rows: Most rows of one commit. More need more memory, fewer make more commits.
        ids: Columns that are keys of entities: integers become strings in those that are declared so, as in the event_id.
        csv: How CSV files are written; as the source says by default.

    Returns:
        What was read, committed and refused.

    Raises:
        IngestError: the input is missing, empty, damaged, of another format, beyond ``layout.bounds``, or lacks a column. Nothing
            is committed, unless a file turns out to be damaged after its header: then the whole batches before it are.
        StoreError: the committed events have other columns than the source, which was not applied; or memory and spill ran out.
        CommitConflictError: other writers kept committing to the source.
    """
    started = time.monotonic()
    _check_order(source, replace)
    landing = landing_of(layout, source) if rows is None else Landing((), ())
    marks = {file.path: file.mark for file in waiting_files(layout, source, landing.files)}
    checked, foreign = _check_files(layout, source, rows, landing, marks, csv)
    table = Table.open(layout.events(source.name))
    check_columns(table, source)
    tally = Tally(source.name, table.version, unread=tuple(map(str, landing.unread)))
    with spilling_session(layout, *_folders(checked)) as session:
        batch = Batch(session, source, now_us=_now_us(), naive_timezone=layout.naive_timezone, ids=ids)
        reading = ForeignReading(session, source, layout.bounds, batch_rows, csv, tally.foreign)
        own = portions_of(checked, limit=batch_rows, bounds=layout.bounds)
        for portion in own if source.mapping is None else reading.portions(foreign):
            if batch.is_full_with(portion, rows=batch_rows, size_bytes=layout.bounds.batch_bytes):
                _commit_batch(layout, batch, tally, marks=marks, replace=replace)
            batch.add(portion)
            if progress is not None:
                progress(tally.rows_read + batch.rows_read)
        _commit_batch(layout, batch, tally, marks=marks, replace=replace)
    return tally.report(time.monotonic() - started)


def _check_files(
    layout: Layout, source: EventSource, rows: Any, landing: Landing, marks: Mapping[Path, str], csv: Csv | None
) -> tuple[list[InputFile] | pa.RecordBatchReader, list[CheckedDelivery]]:
    """Check what is read, and sort it into deliveries where a mapping reads it."""
    if source.mapping is not None:
        foreign = check_foreign(
            source, rows, landing.files, marks, folder=layout.landing(source), csv=csv, bounds=layout.bounds
        )
        return [file for delivery in foreign for file in delivery.files], foreign
    if rows is None:
        return check_files(marks, source, csv=csv, bounds=layout.bounds), []
    return check_input(rows, source, csv=csv, bounds=layout.bounds), []


def _now_us() -> int:
    return time.time_ns() // 1000


def _check_order(source: EventSource, replace: bool) -> None:
    """Refuse a call that contradicts what its source says about versions."""
    if replace and source.event_id is None:
        raise IngestError(
            f"Source {source.name!r} has no event_id: its rows are told apart by what they say, so none replaces another, and "
            "replace=True would change nothing. Declare a source with an event_id to correct events."
        )
    if source.order_by and source.ingested_at is None and not replace:
        raise IngestError(
            f"Source {source.name!r} has order_by={list(source.order_by)} and no ingested_at: a second content of an event would be "
            "a conflict, whatever its order. Ingest with replace=True, or declare ingested_at."
        )
    if replace and source.ingested_at is not None:
        raise IngestError(
            f"Source {source.name!r} has {source.ingested_at!r}: the greatest one counts, and replace=True would contradict "
            "it. Deliver the correction with a later one."
        )


def _folders(checked: list[InputFile] | pa.RecordBatchReader) -> set[Path]:
    """Return the folders that a session must be able to read; none for rows that come from no file."""
    return {file.path.parent for file in checked} if isinstance(checked, list) else set()


def _commit_batch(layout: Layout, batch: Batch, tally: Tally, *, marks: Mapping[Path, str], replace: bool) -> None:
    """Commit what waits in a batch and clear it."""
    import duckdb

    try:
        number_equals(batch)
        _commit_or_retry(layout, batch, tally, marks=marks, replace=replace)
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise StoreError(
            f"A batch of {batch.rows_valid:,} rows of source {batch.source.name!r} could not be written: {error}. What was "
            "committed before it stays. Make the call again, or with less at a time."
        ) from error


def _commit_or_retry(layout: Layout, batch: Batch, tally: Tally, *, marks: Mapping[Path, str], replace: bool) -> None:
    """Commit a batch; start over when another writer has changed the table meanwhile."""
    wanted = {marks[file] for file in batch.files if file in marks}

    def step() -> tuple[Verdict, Rewrite, int]:
        table = Table.open(layout.events(batch.source.name))
        check_columns(table, batch.source)  # another process may have evolved it
        verdict, rewrite = _prepare(layout, batch, table, replace)
        new_marks = {mark: 1 for mark in sorted(wanted) if table.mark(mark) is None}
        return verdict, rewrite, _commit_events(batch.source, table, rewrite, new_marks)

    gave_up = (
        f"Other writers kept committing to source {batch.source.name!r}. Make the call again: what is committed is recognised."
    )
    verdict, rewrite, version = retried(step, gave_up=gave_up)
    record_redelivered(layout, batch.source.name, verdict, version=version)
    _count_batch(tally, batch, verdict, rewrite, version)
    batch.clear()


def _prepare(layout: Layout, batch: Batch, table: Table, replace: bool) -> tuple[Verdict, Rewrite]:
    """Judge a batch against a snapshot, lay aside what does not become an event, stage the files of what does."""
    session, source = batch.session, batch.source
    superseded = Table.open(layout.superseded(source.name)).files()
    fill_gaps(session, source, batch.gaps, timezone=layout.timezone, committed=table.files(), superseded=superseded)
    verdict = judge(
        session,
        source,
        timezone=layout.timezone,
        committed=table.files(),
        superseded=superseded,
        replace=replace,
    )
    keep_invalid(session, layout, source, now_us=batch.now_us)
    keep_superseded(session, layout, source)
    return verdict, rewrite_months(session, source, table=table, verdict=verdict, timezone=layout.timezone)


def _commit_events(source: EventSource, table: Table, rewrite: Rewrite, marks: Mapping[str, int]) -> int:
    """Commit staged files on the snapshot that they were decided on; throw them away when that is no longer possible."""
    if not (rewrite.add or rewrite.remove or marks):
        STORAGE.settle()  # what a call committed just before it was killed is acknowledged by this one
        return table.version
    try:
        return commit(
            table.path,
            add=rewrite.add,
            remove=rewrite.remove,
            partition_by=("month",),
            marks={_MARK: (table.mark(_MARK) or 0) + 1, **marks},
            message=f"ingest {source.name}",
            schema=arrow_schema(source.stored.items()),
            is_lasting=True,
        )
    except CommitConflictError:
        for file in rewrite.add:
            STORAGE.delete(file.path)
        raise


def _count_batch(tally: Tally, batch: Batch, verdict: Verdict, rewrite: Rewrite, version: int) -> None:
    tally.rows_read += batch.rows_read
    tally.rows_added += verdict.added
    tally.duplicates += verdict.duplicates
    tally.corrections += verdict.corrections
    tally.by_place += verdict.by_place
    invalid = batch.count_invalid()
    tally.quarantined.update(invalid)
    if sum(invalid.values()) + verdict.conflicts > batch.rows_read / 2:
        tally.is_mostly_quarantined = True
    tally.lines += batch.lines
    if verdict.conflicts:
        tally.quarantined[CONFLICT] += verdict.conflicts
    tally.non_finite += batch.non_finite
    tally.extra_columns.update(batch.extra_columns)
    for gap in batch.gaps:
        for column in gap.columns:
            tally.lacking.setdefault(column, set()).add(gap.label)
    tally.months.update(rewrite.months)
    tally.files += len(rewrite.add)
    tally.bytes_written += sum(file.size_bytes for file in rewrite.add)
    tally.version = version
    tally.clocks = batch.clocks
