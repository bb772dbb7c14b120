"""FeatureStore: thin verbs over a store's directory."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from featurestore.compute.materialization.materialize import STAGES, MaterializeReport, materialize
from featurestore.compute.retrieval.batch import batch_features
from featurestore.compute.retrieval.historical import stream_features, write_features
from featurestore.compute.retrieval.publication import Publication
from featurestore.compute.verification.verdict import VerifyReport
from featurestore.compute.verification.verify import verify
from featurestore.drift.audit import AuditReport
from featurestore.drift.data_faults.data_fault import data_faults
from featurestore.drift.recalibration.recalibrate import Decision
from featurestore.drift.recalibration.rules import Outlook
from featurestore.drift.reporting.acknowledge import Acknowledgement
from featurestore.drift.reporting.alert import AnyAlert, Digest
from featurestore.drift.reporting.evidently_report import WrittenReport
from featurestore.errors import SpineError
from featurestore.lake.bounds import Bounds
from featurestore.lake.file_names import local_path
from featurestore.lake.ingestion.ingest import ingest
from featurestore.lake.ingestion.ingest_report import IngestReport
from featurestore.lake.ingestion.quarantine import read_quarantine
from featurestore.lake.layout import create_or_open
from featurestore.lake.vacuum import RETENTION_HOURS
from featurestore.last_door import last_door
from featurestore.operations.auditing import (
    acknowledge_drift,
    audit_store,
    drift_history,
    fault_history,
    forecast_scores,
    last_audit,
    snapshot_views,
)
from featurestore.operations.definitions import (
    apply_definitions,
    chosen_views,
    key_columns,
    plan_definitions,
    recorded,
    remove_definition,
    source_named,
)
from featurestore.operations.doctoring import DoctorReport, examine
from featurestore.operations.earlier_definitions import earlier_views
from featurestore.operations.pins import pin, unpin
from featurestore.operations.publishing import KEPT_PUBLICATIONS, last_good, publish_service
from featurestore.operations.queries import batch_query, training_query
from featurestore.operations.recalibrating import outlooks, recalibrate_store, roll_back
from featurestore.operations.reporting import alerts_of, digest, write_distributions, write_page, write_report, write_timeline
from featurestore.operations.status import StoreStatus, store_status
from featurestore.operations.upgrading import UpgradeReport, upgrade
from featurestore.operations.vacuuming import VacuumReport, vacuum_store
from featurestore.spec.csv_format import Csv
from featurestore.spec.document import Definition
from featurestore.spec.mapping import Mapping as FilesMapping
from featurestore.spec.plan import Plan
from featurestore.spec.registry import Registry
from featurestore.spec.resolution import Features
from featurestore.spec.service import FeatureService
from featurestore.spec.view import FeatureView
from featurestore.timeline import Interval, Month
from featurestore.timeline.arguments import Moment, Months, instant_us, length_us, month_after, month_list, month_of


@last_door
class FeatureStore:
    """A feature store in one directory.

    Args:
        root: The store's directory; created when missing.
        timezone: Business time zone, fixed when the store is created: that of days and months, and of times that name none.
            ``None``: as recorded, UTC for a new store.
        bounds: The most that an input may have and that a call may use; ``Bounds()`` by default.

    Raises:
        StoreError: the directory holds something else, or a store of another time zone.
    """

    def __init__(self, root: str | os.PathLike[str], *, timezone: str | None = None, bounds: Bounds | None = None) -> None:
        self.layout = create_or_open(root, timezone=timezone, bounds=bounds)

    @property
    def registry(self) -> Registry:
        """All recorded definitions."""
        return recorded(self.layout)

    def plan(self, objects: Iterable[Definition], *, prune: bool = False) -> Plan:
        """Show what ``apply`` would change, and what it would rebuild at which cost, without recording it."""
        return plan_definitions(self.layout, objects, prune=prune)

    def apply(self, objects: Iterable[Definition], *, prune: bool = False) -> Plan:
        """Validate definitions and record them by name; recorded ones that are not among them stay.

        Args:
            objects: The definitions; views bring their entities and sources along.
            prune: Whether recorded ones that are not among them are forgotten, as by ``remove``: no event is deleted.

        Returns:
            What changed, what becomes of committed rows, and which views' ledgers must be computed anew (by ``materialize``), from
            how many months and events.

        Raises:
            DefinitionError: they contradict each other or what is recorded, one reads what ``prune`` would forget, or committed rows
                of a source do not bear what it declares now; nothing is recorded then.
        """
        return apply_definitions(self.layout, objects, prune=prune)

    def remove(self, name: str) -> Plan:
        """Forget a definition; its events stay, and what was computed from them stays until ``vacuum``.

        Raises:
            UnknownNameError: there is none of that name.
            DefinitionError: others refer to it; all of them are named.
        """
        return remove_definition(self.layout, name)

    def ingest(
        self,
        source: str,
        rows: Any = None,
        *,
        replace: bool = False,
        csv: Csv | None = None,
        mapping: FilesMapping | None = None,
        bounds: Bounds | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> IngestReport:
        """Validate, de-duplicate and commit events of a source.

        Args:
            source: Name of an applied event source.
            rows: Path, folder, Delta table, glob or list of these (Parquet, CSV, JSON lines, Arrow), or any kind of
                frame: Arrow, pandas (without its index), Polars, DuckDB. ``None``: the new files of the source's landing folder.
            replace: Whether, in a source without ``ingested_at``, other content under a known event_id replaces the old.
            csv: How CSV files are written; as the source says by default.
            mapping: How files of a foreign shape become events; as the source says by default.
            bounds: The most that these rows may have, and that this call may use; the store's by default.
            progress: Called with the number of rows read so far.

        Raises:
            IngestError: the input cannot be read, or is beyond the bounds; nothing of it is committed. Invalid rows are
                quarantined instead.
        """
        registry = self.registry
        named = source_named(registry, source)
        named = named if mapping is None else named.mapped_by(mapping)
        ids = key_columns(registry, source)
        layout = self.layout if bounds is None else dataclasses.replace(self.layout, bounds=bounds)
        return ingest(layout, named, rows, replace=replace, csv=csv, progress=progress, ids=ids)

    def quarantine(self, source: str, *, max_per_reason: int | None = None) -> pa.Table:
        """Return the rows of a source that ``ingest`` refused, each different one once.

        Args:
            source: Name of an applied event source.
            max_per_reason: At most this many rows of each reason, the latest ones; all by default.

        Returns:
            ``QUARANTINE_SCHEMA``: ``row`` (JSON text, as it came), ``reason``, ``source_file`` (its name; NULL for rows that came
            as a table), ``row_hash``, ``quarantined_at`` (UTC), by reason, the latest first.
        """
        return read_quarantine(self.layout, source_named(self.registry, source), max_per_reason=max_per_reason)

    def materialize(
        self,
        views: Sequence[str | FeatureView] | None = None,
        *,
        interval: Interval | tuple[Any, Any] | None = None,
        stages: Sequence[str] = STAGES,
        progress: Callable[[str, str, str], None] | None = None,
    ) -> MaterializeReport:
        """Compute and commit what is missing between the committed events and the ledgers; idempotent.

        Args:
            views: Names of views; all by default.
            interval: ``(start, end)``, half-open, of months, dates or datetimes, in the store's zone if they name none. Totals
                need all history, so what is missing before the start is computed too; months from the end on are left out.
            stages: ``"tiles"``, ``"ledger"`` or both.
            progress: Called with view, stage and the month, or the first month of the partition, that is done.
        """
        wanted = list(chosen_views(self.registry, views).values())
        before = (
            None if interval is None else month_after(interval, self.layout.timezone, naive_timezone=self.layout.naive_timezone)
        )
        earlier = partial(earlier_views, self.layout)
        return materialize(
            self.layout,
            wanted,
            before=before,
            stages=stages,
            earlier=earlier,
            sharing=self.registry.views.values(),
            progress=progress,
        )

    def verify(
        self,
        views: Sequence[str | FeatureView] | None = None,
        *,
        sample: float = 1.0,
        progress: Callable[[str, str, str], None] | None = None,
    ) -> VerifyReport:
        """Prove the committed tiles, ledgers and balances equal to what the committed events give.

        They are built once more, in a folder of their own, and compared file by file by hashes of values that do not depend on the
        order of rows. What is not materialized yet is no difference. Nothing committed is changed.

        Args:
            views: Names of views; all by default.
            sample: Share of the entities to look at, above 0 up to 1, chosen by a hash of their keys.
            progress: Called with view, stage and the month, or the first month of the partition, that is done.

        Returns:
            ``is_equal``, ``first_difference``, a comparison for each file; as text, a table.

        Raises:
            DefinitionError: ``sample`` is no such share.
        """
        return verify(self.layout, list(chosen_views(self.registry, views).values()), sample=sample, progress=progress)

    def get_historical_features(
        self,
        spine: Any,
        features: Features,
        *,
        as_of: str = "as_of",
        join_keys: Mapping[str, str] | None = None,
        as_known: bool = False,
        versions: Any = None,
        max_lag: str | timedelta | None = None,
    ) -> pa.Table:
        """Return the spine with one more column per feature, each as of the row's as_of.

        The window of a row is ``[floor(as_of) - w, floor(as_of))``, floored to the view's grain. It holds the events that happened
        in it, late ones and corrections included. With ``as_known`` those that were ingested at floor(as_of) or later do not count.

        Args:
            spine: Anything Arrow can take: entity keys, as_of and whatever else.
            features: A service (name or object), or a list of views and ``"view:feature"`` references.
            as_of: Name of the spine's as_of column: timestamps, dates (their first instant) or ISO texts of both. A time
                without a zone is in the store's zone.
            join_keys: Entity key to spine column, where the names differ.
            as_known: Whether a row sees only events, and versions of events, with ``ingested_at < floor(as_of)``. Of a source
                without ingested_at every event is known when it happens.
            versions: An earlier answer (or its schema, or the JSON value in its metadata): read what it read, so that the same
                call gives an equal table after more data has arrived. Or a publication, with any of its service's features.
            max_lag: Where committed events are not yet in a view, read the last state in which all views were complete, if nothing
                newer was committed longer ago than this (``"6h"``); ``watermark`` and ``lag_s`` are in the schema's metadata
                (``featurestore.watermark``). By default such a call fails.

        Returns:
            Rows and columns of the spine, in its order, then ``view__feature_window`` columns. NULL key or as_of: NULL. An
            unknown entity is one without events. The versions that were read are in the schema's metadata.

        Raises:
            NotMaterializedError: committed events before an as_of are not yet in a view.
            NotPublishedError: an as_of is later than that of the publication.
            SpineError: a key or as_of column is missing, of the wrong type, or named like an output.
            VersionError: the versions do not belong to these features.
        """
        query = training_query(
            self.layout,
            self.registry,
            features,
            as_of=as_of,
            join_keys=join_keys,
            versions=versions,
            as_known=as_known,
            max_lag=max_lag,
        )
        return query.answer(spine)

    def stream_historical_features(
        self,
        spine: Any,
        features: Features,
        *,
        as_of: str = "as_of",
        join_keys: Mapping[str, str] | None = None,
        as_known: bool = False,
        versions: Any = None,
        max_lag: str | timedelta | None = None,
        batch_rows: int | None = None,
    ) -> pa.RecordBatchReader:
        """Enrich a spine of any length in bounded memory, batch after batch; otherwise as ``get_historical_features``.

        Args:
            spine: Also a file of any known ending, a folder, a Delta table, a glob or a list of these, or a
                ``pyarrow.RecordBatchReader``: only texts (CSV, JSON lines) are read whole.
            features: As in ``get_historical_features``.
            as_of: As there.
            join_keys: As there.
            as_known: As there.
            versions: As there.
            max_lag: As there.
            batch_rows: Rows of a batch; by default so many that a batch holds about 32 million values.

        Returns:
            A reader of the rows in the spine's order. All batches are read from one snapshot of the ledgers.
        """
        query = training_query(
            self.layout,
            self.registry,
            features,
            as_of=as_of,
            join_keys=join_keys,
            versions=versions,
            as_known=as_known,
            max_lag=max_lag,
        )
        return stream_features(query, spine, batch_rows=batch_rows)

    def write_historical_features(
        self,
        spine: Any,
        features: Features,
        path: str | os.PathLike[str],
        *,
        as_of: str = "as_of",
        join_keys: Mapping[str, str] | None = None,
        as_known: bool = False,
        versions: Any = None,
        max_lag: str | timedelta | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Path:
        """Write a training set of any length to one file in bounded memory; the file appears when it is complete.

        Args:
            spine: As in ``stream_historical_features``.
            features: As in ``get_historical_features``.
            path: The file, written as its ending says: Parquet, CSV, JSON lines, Arrow. An earlier one is replaced.
            as_of: As there.
            join_keys: As there.
            as_known: As there.
            versions: As there; the file's schema records those that were read.
            max_lag: As there.
            progress: Called with the number of rows written so far.
        """
        query = training_query(
            self.layout,
            self.registry,
            features,
            as_of=as_of,
            join_keys=join_keys,
            versions=versions,
            as_known=as_known,
            max_lag=max_lag,
        )
        return write_features(stream_features(query, spine), local_path(path, SpineError), progress=progress)

    def get_batch_features(
        self,
        as_of: datetime | date | str,
        features: Features,
        *,
        entities: Any = None,
        active_since: Any = None,
        as_known: bool = False,
        versions: Any = None,
        max_lag: str | timedelta | None = None,
    ) -> pa.Table:
        """Return the features of all entities, or of some, at one instant, read with the champion calibrations.

        Args:
            as_of: Instant. A time without a zone, a date or a text of one is in the store's zone; a date is its first instant.
            features: As in ``get_historical_features``, of views of one entity.
            entities: A table of keys; all known ones by default.
            active_since: Only entities with an event in ``[floor(active_since), floor(as_of))``, whenever it was ingested.
            as_known: As in ``get_historical_features``.
            versions: An earlier batch: read what it read. Or a publication, with any of its service's features of one entity:
                where that is not complete up to ``as_of``, it is answered at its own as_of, and ``is_fallback`` in the schema's
                metadata (``featurestore.publication``) says so.
            max_lag: As in ``get_historical_features``.

        Returns:
            Key columns, ``as_of``, one column per feature.

        Raises:
            NotMaterializedError: committed events before as_of are not yet in a view.
            SpineError: the features are about several entities.
            VersionError: the versions do not belong to these features.
        """
        query = batch_query(self.layout, self.registry, features, versions=versions, as_known=as_known, max_lag=max_lag)
        return batch_features(
            query,
            as_of_us=self._instant_us(as_of),
            entities=entities,
            active_since_us=None if active_since is None else self._instant_us(active_since),
        )

    def publish(
        self, service: str | FeatureService, *, as_of: datetime | date | str | None = None, keep: int = KEPT_PUBLICATIONS
    ) -> Publication:
        """Make what a service reads now its last good snapshot, if all of it is complete; idempotent.

        Its versions are kept from ``vacuum`` like a pin's, and consumers read it with ``versions=store.published(service)``.

        Args:
            service: The service, or its name.
            as_of: Instant up to which its views are complete, as in ``get_batch_features``; by default the end of the last step
                with events: a step of its finest grain, of the source that lags furthest behind, and not one in progress.
            keep: Publications that stay readable, this one included.

        Returns:
            The new one, or the last good one if that reads the same.

        Raises:
            NotMaterializedError: committed events before as_of are not yet in a view. The last good one stays.
            NotPublishedError: there are no events, or as_of is earlier than that of the last good one, unless that one is as of the
                future: then the clock ran ahead, and this one replaces it.
            UnknownNameError: there is no service of that name.
        """
        as_of_us = None if as_of is None else self._instant_us(as_of)
        return publish_service(self.layout, self.registry, service, as_of_us=as_of_us, keep=keep)

    def published(
        self,
        service: str | FeatureService,
        *,
        max_age: str | timedelta | None = None,
        at: datetime | date | str | None = None,
    ) -> Publication:
        """Return the last good publication of a service: ``as_of``, ``published_at``, and what ``versions=`` takes.

        Args:
            service: The service, or its name.
            max_age: By how much its as_of may lie before ``at``: a length such as ``"6h"`` or ``"2d"``; any by default.
            at: Instant, as in ``get_batch_features``; the present by default.

        Raises:
            NotPublishedError: there is none, or it is too old.
            UnknownNameError: there is no service of that name.
        """
        max_age_us = None if max_age is None else length_us(max_age)
        at_us = None if at is None else self._instant_us(at)
        return last_good(self.layout, self.registry, service, max_age_us=max_age_us, at_us=at_us)

    def take_snapshots(
        self, months: Months, *, views: Sequence[str] | None = None, progress: Callable[[str, Month], None] | None = None
    ) -> dict[str, int]:
        """Commit the month-end snapshots that drift compares: a stable panel of each view's active entities.

        Months before a view's first event have none. What is committed and up to date stays.

        Returns:
            View to rows written.

        Raises:
            NotMaterializedError: committed events of these months are not yet in a view.
        """
        return snapshot_views(self.layout, self.registry, self._months(months), views=views, progress=progress)

    def audit(
        self,
        months: Months,
        *,
        views: Sequence[str] | None = None,
        progress: Callable[[str, Month], None] | None = None,
    ) -> AuditReport:
        """Score every feature in some months against its own past; takes the snapshots that are missing.

        Args:
            months: One month (``"2024-08"``) or several.
            views: Names of views; all by default.
            progress: Called with view and month for each snapshot.

        Returns:
            The months' rows and the episodes that began in them. Auditing a month again gives an equal table.
        """
        return audit_store(self.layout, self.registry, self._months(months), views=views, progress=progress)

    def drift_history(self, view: str | None = None) -> pa.Table:
        """Return all committed scores: ``view``, then the columns of ``monitor_drift``; of one view or of all.

        What is wrong in the sources' own records is no drift of a feature: ``data_faults`` tells of it.
        """
        return drift_history(self.layout, self.registry, view)

    def data_faults(self, source: str | None = None) -> pa.Table:
        """Return what audits found wrong in the records of the sources, of one or of all: a row per month and column.

        Returns:
            ``drift.data_faults.data_fault.FAULT_SCHEMA``: ``month``, ``source``, ``column`` (``rows`` for events as a whole),
            ``kind`` (``unit``, ``nulls``, ``clock``, ``stopped``, ``duplicates``), ``reason`` (with days and rows), ``since``.

        Raises:
            UnknownNameError: there is no such source.
        """
        return fault_history(self.layout, self.registry, source)

    def forecast_scores(self, view: str | None = None) -> pa.Table:
        """Return how far the probabilities with a declared outcome were right, of one view or of all, by audited month.

        Returns:
            ``drift.reliability.RELIABILITY_SCHEMA``: ``month`` (in which the outcomes became known), ``feature``, ``forecasts``,
            ``trials``, ``mean_forecast``, ``observed_share``, ``brier``, ``ece``, ``buckets``; NULL before any outcome is known.
        """
        return forecast_scores(self.layout, self.registry, view)

    def acknowledge(
        self, feature: str, *, month: Month | date | str | None = None, segment: str | None = None, note: str
    ) -> Acknowledgement:
        """Accept a real change that needs no recalibration: its feature is judged against a new baseline from the next month on.

        Args:
            feature: ``"view:feature"`` or its column.
            month: Audited month in which the drift is open; the last one by default.
            segment: As in the drift history, such as ``"region=9"``; ``None`` for all rows.
            note: Why; kept in an append-only log.

        Raises:
            FeatureStoreError: the feature has no open drift in that month.
        """
        at = None if month is None else self._month(month)
        return acknowledge_drift(self.layout, self.registry, feature, month=at, segment=segment, note=note)

    def write_report(self, view: str, month: Month | date | str) -> WrittenReport:
        """Draw the Evidently report of an audited view and month, against the months it was compared with.

        Raises:
            FeatureStoreError: the month has not been audited.
        """
        return write_report(self.layout, self.registry, view, self._month(month))

    def write_timeline(self, path: str | os.PathLike[str] | None = None, **options: Any) -> Path:
        """Draw the states of all features in all audited months as a PNG.

        Args:
            path: File to write; ``reports/timeline.png`` by default.
            **options: As in ``drift.reporting.timeline_picture.draw_timeline``: ``title``, ``season``, ``planted``.
        """
        return write_timeline(self.layout, self.registry, Path(path) if path else None, **options)

    def alerts(self, month: Months | None = None, *, since: Month | date | str | None = None) -> tuple[AnyAlert, ...]:
        """Derive what people should be told: one alert per episode of drift, another only when its state changes.

        An ``Alert`` is about a feature of a view, a ``FaultAlert`` about a column of a source.

        Args:
            month: One audited month, or several; every one by default.
            since: Instead of ``month``: this month and all after it.

        Returns:
            In order of time. The same store gives the same alerts with the same names.
        """
        first = None if since is None else self._month(since)
        return alerts_of(self.layout, self.registry, month, since=first)

    def digest(self, month: Month | date | str) -> Digest:
        """Summarise an audited month: features by state, what opened, what is still open, what is watched."""
        return digest(self.layout, self.registry, self._month(month))

    def write_page(self, month: Month | date | str, path: str | os.PathLike[str] | None = None) -> Path:
        """Write the page of an audited month: one HTML file without external resources, the same for the same store.

        Args:
            month: The audited month; nothing after it is shown.
            path: File to write; ``reports/<month>/audit.html`` by default, where alerts link to.

        Raises:
            FeatureStoreError: the month has not been audited.
        """
        return write_page(self.layout, self.registry, self._month(month), Path(path) if path else None)

    def write_distributions(self, month: Month | date | str, path: str | os.PathLike[str] | None = None) -> Path:
        """Draw what has drifted in an audited month as one SVG: each feature's distribution then and now, the newest first.

        Args:
            month: The audited month.
            path: File to write; ``reports/<month>/distributions.svg`` by default.

        Raises:
            FeatureStoreError: the month has not been audited.
        """
        return write_distributions(self.layout, self.registry, self._month(month), Path(path) if path else None)

    def recalibrate(self, name: str | None = None, *, month: Months | None = None) -> list[Decision]:
        """Fit challengers for the calibrations that a drift asks for, and promote those that beat their champion.

        Args:
            name: One calibration, tried whether a drift asks for it or not; all that are asked for by default.
            month: The audited month to act on, or several, one after the other; nothing after it is looked at. The last
                audited one by default.

        Returns:
            The decisions, each also in the calibration's audit log; a drift with too few months after its onset waits.

        Raises:
            UnknownNameError: there is no calibration of that name.
            CalibrationError: no month has been audited, or the inputs cannot be fitted.
        """
        return recalibrate_store(self.layout, self.registry, name, months=month)

    def outlooks(self, *, month: Month | date | str | None = None) -> dict[str, Outlook]:
        """Say what ``recalibrate()`` would do about each calibration as of an audited month, and what it waits for.

        Raises:
            CalibrationError: no month has been audited.
        """
        return outlooks(self.layout, self.registry, month=None if month is None else self._month(month))

    def rollback(self, name: str) -> str:
        """Make a calibration's champion before the present one champion again, with its drift reference.

        Returns:
            The version that is champion now.

        Raises:
            UnknownNameError: there is no calibration of that name.
            CalibrationError: there is no earlier champion.
        """
        return roll_back(self.layout, self.registry, name)

    def pin(self, name: str, versions: Any) -> None:
        """Keep what an answer was read from, under a name, whatever ``vacuum`` deletes; ``unpin`` forgets it.

        Args:
            name: Of the pin, such as that of a model; an earlier pin of that name is replaced.
            versions: The answer, its schema, or the JSON value in its metadata.

        Raises:
            VersionError: there are no versions in it.
        """
        pin(self.layout, name, versions)

    def unpin(self, name: str) -> None:
        """Forget a pin.

        Raises:
            VersionError: there is none of that name.
        """
        unpin(self.layout, name)

    def vacuum(self, *, retention_hours: int = RETENTION_HOURS, kinds: Iterable[str] | None = None) -> VacuumReport:
        """Delete what no version in use needs; pins and publications stay readable.

        These are replaced files, orphans of crashed writers, tables of views that were removed or redefined, entries of logs;
        and, without ``kinds``, definitions of before with which nothing that is kept was read.

        Args:
            retention_hours: Younger files stay; it must exceed the longest write.
            kinds: Kinds of tables (``events``, ``ledger``, ...); all by default.
        """
        return vacuum_store(self.layout, self.registry, retention_hours=retention_hours, kinds=kinds)

    def doctor(self, *, dry_run: bool = False, progress: Callable[[str, str, str], None] | None = None) -> DoctorReport:
        """Read all of the store, name every damage, and make again what can be made again from the rest; idempotent.

        Every file of a table is compared with its digest in the log, in the newest version and in those that pins and publications
        name; logs, hot copies, publications, pins, calibrations and messages are looked at by what vouches for each. What is
        computed (tiles, ledgers, hot copies, snapshots, sketches, scores, daily counts) is materialized or audited again; for
        events, keys and records the report says the way out. Other processes may use the store meanwhile.

        Args:
            dry_run: Whether only to tell what is damaged.
            progress: Called with the table, ``"files"`` and the file that has been read, then as by ``materialize``.
        """
        return examine(self.layout, dry_run=dry_run, progress=progress)

    def upgrade(self, *, dry_run: bool = False) -> UpgradeReport:
        """Bring the store to the newest version of the format that this featurestore writes; idempotent.

        Nothing else may write to the store meanwhile. Programs that do not know the new version refuse the store afterwards, or
        only read it, and say which featurestore to install. Without this call the store stays as it is and can
        still be read and written. If the call is killed, the store is one of the old version, and the same call completes the work.

        Args:
            dry_run: Whether only to tell which migrations apply, and why.

        Raises:
            CommitConflictError: another process is upgrading it.
            StoreError: a newer featurestore changed the store so that this one must not write to it.
        """
        return upgrade(self.layout, dry_run=dry_run)

    def status(self) -> StoreStatus:
        """Describe what is in the store, what is missing, which drifts are open and which calibrations are in force."""
        registry = self.registry
        scores, faults = last_audit(self.layout, registry)
        return store_status(self.layout, registry, scores, data_faults(faults))

    def _instant_us(self, moment: Moment) -> int:
        return instant_us(moment, self.layout.naive_timezone)

    def _month(self, month: Month | date | str) -> Month:
        return month_of(month, self.layout.timezone)

    def _months(self, months: Months) -> list[Month]:
        return month_list(months, self.layout.timezone)
