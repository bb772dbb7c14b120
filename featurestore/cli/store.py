"""Commands that fill a store, read from it and clear what it no longer needs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featurestore.cli import csv_options, screen
from featurestore.cli.bound_options import Bound, bounds_from
from featurestore.cli.opening import open_store
from featurestore.cli.options import DEFAULT_ROOT, Json, Root, Views
from featurestore.cli.training_files import read_rows, writable, write_rows
from featurestore.lake.vacuum import RETENTION_HOURS

if TYPE_CHECKING:
    import pyarrow as pa

    from featurestore.lake.ingestion.ingest_report import IngestReport
    from featurestore.operations.status import StoreStatus


def ingest(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Name of an event source.")],
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATHS",
            help="Files, folders, globs: Parquet, CSV, JSON lines, Arrow, Delta tables. None: the landing folder.",
        ),
    ] = None,
    root: Root = DEFAULT_ROOT,
    is_replacing: Annotated[bool, typer.Option("--replace", help="Let another content of a known event replace it.")] = False,
    delimiter: csv_options.Delimiter = None,
    quote: csv_options.Quote = None,
    escape: csv_options.Escape = None,
    decimal: csv_options.Decimal = None,
    thousands: csv_options.Thousands = None,
    null: csv_options.Null = None,
    comment: csv_options.Comment = None,
    names: csv_options.Names = None,
    has_no_header: csv_options.NoHeader = False,
    encoding: csv_options.Encoding = None,
    is_empty_null: csv_options.EmptyAsNull = False,
    max_record_lines: csv_options.MaxRecordLines = None,
    max_record_bytes: csv_options.MaxRecordBytes = None,
    mapping: csv_options.MappingFile = None,
    bound: Bound = None,
    as_json: Json = False,
) -> None:
    """Validate, de-duplicate and commit events; invalid rows go to quarantine; exit code 1 if they are more than half."""
    from featurestore.operations.definitions import source_named

    store = open_store(root)
    csv = csv_options.csv_from(
        source_named(store.registry, source).csv,
        delimiter=delimiter,
        quote=quote,
        escape=escape,
        decimal=decimal,
        thousands=thousands,
        null=null or None,
        comment=comment,
        names=names,
        header=False if has_no_header else None,
        encoding=encoding,
        empty_as_null=is_empty_null,
        max_record_lines=max_record_lines,
        max_record_bytes=max_record_bytes,
    )
    with screen.counting_rows(f"ingest {source}") as progress:
        report = store.ingest(
            source,
            paths or None,
            replace=is_replacing,
            csv=csv,
            mapping=csv_options.mapping_from(mapping),
            bounds=bounds_from(bound),
            progress=progress,
        )
    _show_ingested(source, report, as_json=as_json)


def _show_ingested(source: str, report: IngestReport, *, as_json: bool) -> None:
    if as_json:
        screen.show_json(report)
    else:
        screen.say(str(report))
        if report.quarantined:
            screen.say(f"  `featurestore quarantine {source}` shows what was refused")
    if report.is_mostly_quarantined:
        raise typer.Exit(1)


def materialize(root: Root = DEFAULT_ROOT, views: Views = None, bound: Bound = None, as_json: Json = False) -> None:
    """Compute and commit what is missing between the committed events and the ledgers."""
    store = open_store(root, bounds=bounds_from(bound))
    with screen.counting("materialize") as progress:
        report = store.materialize(views, progress=progress)
    screen.show_json(report) if as_json else screen.say(str(report))


def verify(
    root: Root = DEFAULT_ROOT,
    views: Views = None,
    sample: Annotated[float, typer.Option("--sample", help="Share of the entities to look at, above 0 up to 1.")] = 1.0,
    as_json: Json = False,
) -> None:
    """Prove the committed tiles and ledgers equal to what the events give; exit code 1 on a difference."""
    store = open_store(root)
    with screen.counting("verify") as progress:
        report = store.verify(views, sample=sample, progress=progress)
    if as_json:
        screen.show_json({"is_equal": report.is_equal, "first_difference": report.first_difference, **screen.plain(report)})
    else:
        screen.say(str(report))
    if not report.is_equal:
        raise typer.Exit(1)


Spine = Annotated[
    Path,
    typer.Argument(
        metavar="SPINE", help="Rows to enrich, with entity keys and an as_of column: Parquet, CSV, JSON lines or Arrow."
    ),
]
Features = Annotated[list[str], typer.Option("--features", help="A service; or views and view:feature references, repeated.")]
Out = Annotated[
    Path, typer.Option("--out", help="File to write: .parquet, .csv, .tsv, .jsonl or .arrow; texts also .gz, .zst.")
]


def get(
    spine: Spine,
    features: Features,
    out: Out,
    as_of: Annotated[str, typer.Option("--as-of", help="Name of the spine's as_of column.")] = "as_of",
    is_as_known: Annotated[
        bool, typer.Option("--as-known", help="Leave out what was ingested at floor(as_of) or later: late events, corrections.")
    ] = False,
    max_lag: Annotated[
        str | None,
        typer.Option(
            "--max-lag", help="Read the last complete state where newer events are not in a view yet, such as 6h old."
        ),
    ] = None,
    delimiter: csv_options.Delimiter = None,
    quote: csv_options.Quote = None,
    escape: csv_options.Escape = None,
    null: csv_options.Null = None,
    comment: csv_options.Comment = None,
    names: csv_options.Names = None,
    has_no_header: csv_options.NoHeader = False,
    encoding: csv_options.Encoding = None,
    is_empty_null: csv_options.EmptyAsNull = False,
    max_record_lines: csv_options.MaxRecordLines = None,
    max_record_bytes: csv_options.MaxRecordBytes = None,
    root: Root = DEFAULT_ROOT,
    as_json: Json = False,
) -> None:
    """Write a training set: the spine's rows with the features as of each row's as_of."""
    from featurestore.operations.definitions import key_types

    store = open_store(root)
    writable(out, spine=spine)
    wanted = features[0] if len(features) == 1 else features
    csv = csv_options.csv_from(
        None,
        delimiter=delimiter,
        quote=quote,
        escape=escape,
        null=null or None,
        comment=comment,
        names=names,
        header=False if has_no_header else None,
        encoding=encoding,
        empty_as_null=is_empty_null,
        max_record_lines=max_record_lines,
        max_record_bytes=max_record_bytes,
    )
    rows = read_rows(spine, key_types=key_types(store.registry, wanted), as_of=as_of, csv=csv)
    started = time.perf_counter()
    table = store.get_historical_features(rows, wanted, as_of=as_of, as_known=is_as_known, max_lag=max_lag)
    elapsed_s = time.perf_counter() - started
    write_rows(table, out)
    _show_written(out, table, table.column_names[rows.num_columns :], elapsed_s, as_json=as_json)


def _show_written(out: Path, table: pa.Table, features: Sequence[str], elapsed_s: float, *, as_json: bool) -> None:
    if as_json:
        screen.show_json({"out": out, "rows": table.num_rows, "features": features, "elapsed_s": elapsed_s})
    else:
        screen.say(f"{out}: {table.num_rows:,} rows x {len(features)} features in {elapsed_s:.2f} s")


def publish(
    service: Annotated[str, typer.Argument(metavar="SERVICE", help="Name of a service.")],
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Instant up to which it is complete; as far as there are events by default.")
    ] = None,
    root: Root = DEFAULT_ROOT,
    as_json: Json = False,
) -> None:
    """Make what a service reads now its last good snapshot, if all of it is complete."""
    published = open_store(root).publish(service, as_of=as_of)
    if as_json:
        fields = ("service", "number", "as_of", "published_at")
        screen.show_json({**{name: getattr(published, name) for name in fields}, **published.versions.document()})
    else:
        screen.say(f"{published.service} is published as of {published.as_of.isoformat()} (number {published.number})")


def vacuum(
    retention_hours: Annotated[
        int, typer.Option("--retention-hours", min=1, help="Younger files stay; it must exceed the longest write.")
    ] = RETENTION_HOURS,
    root: Root = DEFAULT_ROOT,
    as_json: Json = False,
) -> None:
    """Delete files that no version in use needs; what pins and publications were read from stays."""
    report = open_store(root).vacuum(retention_hours=retention_hours)
    if as_json:
        screen.show_json(report)
        return
    screen.say(str(report))
    if report.files:
        screen.show_table("Deleted", ("table", "files"), list(report.files.items()))


def show_status(report: StoreStatus) -> None:
    """Write a store's status as tables."""
    screen.say(f"{report.root}, time zone {report.timezone}, last audit {report.last_audit or 'never'}")
    sources = [(s.name, s.rows, s.bytes, s.first_month, s.last_month, s.quarantined) for s in report.sources]
    screen.show_table("Sources", ("source", "events", "bytes", "from", "to", "quarantined"), sources)
    unread = [(source.name, file) for source in report.sources for file in source.unread]
    screen.show_table("Landed, and read by no monthly run", ("source", "file"), unread)
    views = [(v.name, v.features, v.tile_rows, v.ledger_bytes, len(v.missing_months), v.fingerprint) for v in report.views]
    screen.show_table("Views", ("view", "features", "tile rows", "ledger bytes", "months missing", "fingerprint"), views)
    joined = [(j.name, j.features, ", ".join(j.views), len(j.missing_months)) for j in report.joined_views]
    screen.show_table("Joined views", ("joined view", "features", "views", "months missing"), joined)
    services = [(s.name, s.features, s.as_of, s.published_at, "yes" if s.is_redefined else "no") for s in report.services]
    screen.show_table("Services", ("service", "features", "published as of", "published at", "redefined since"), services)
    calibrations = [(c.name, c.champion, c.versions) for c in report.calibrations]
    screen.show_table("Calibrations", ("calibration", "champion", "versions"), calibrations)
    drifts = [(d.feature, d.segment, d.since, d.reason) for d in report.open_drifts]
    screen.show_table("Open drifts", ("feature", "segment", "since", "reason"), drifts)
    faults = [(f.source, f.column, f.since, f.reason) for f in report.open_faults]
    screen.show_table("Open data faults", ("source", "column", "since", "reason"), faults)


def status(root: Root = DEFAULT_ROOT, as_json: Json = False) -> None:
    """Show what is in a store: events, views, what is missing, what is published, open drifts, calibrations."""
    report = open_store(root).status()
    if as_json:
        screen.show_json(report)
    else:
        show_status(report)
