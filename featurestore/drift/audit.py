"""The monthly audit of a store: snapshots, sketches and scores, each committed under a name made from its inputs.

    snapshots   a file a month   (entity, features): the panel at the first instant of the next month
    sketches    a file a year    a row per month, feature and segment; the edges and the segments' places in force afterwards
                                 are in the file's metadata
    scores      a file a year    a row per month, feature and segment: the monitor's answer, given all months up to it

What is committed under its name is not computed again; a late event, another policy or a recalibration changes the names
from the month or year on that it touches. So an audit can be repeated, interrupted and resumed, and repeating it changes
nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from itertools import groupby, takewhile
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.calendar import retail_season
from featurestore.drift.monitor.course import Resets
from featurestore.drift.monitor.fault import FAULT_KINDS
from featurestore.drift.monitor.feature_series import NOTHING_SPOILED, Spoiled
from featurestore.drift.monitor.monitor import DRIFT_SCHEMA, NO_EDGES, monitor_sketches, sketch_month
from featurestore.drift.monitor.policy import DriftPolicy
from featurestore.drift.monitor.state import DRIFT
from featurestore.drift.reporting.evidently_report import WrittenReport, write_report
from featurestore.drift.sketches.edges import EdgeSet
from featurestore.drift.sketches.segments import Places
from featurestore.errors import FeatureStoreError
from featurestore.lake.arrow_parquet import read_parquet, write_parquet
from featurestore.lake.table import CommittedFile, Table, commit, describe, stage
from featurestore.spec.document import digest
from featurestore.timeline import Month

MONTH, YEAR, AT = "audit_month", "audit_year", "month"
WORKSPACE = "evidently"
FORMAT = 3
HISTORY_SCHEMA = pa.schema([("view", pa.string()), *DRIFT_SCHEMA])
EDGES, PLACES = b"edges", b"places"
SEGMENT_ROWS = 2
_Sketched = dict[str, tuple[str, dict[Month, pa.Table]]]  # year to name and months


class Snapshots(Protocol):
    """Where a view's snapshots come from; handed in, since drift does not know how features are computed."""

    def name(self, month: Month) -> str:
        """Return a digest of everything the month's snapshot is made from."""
        ...

    def snapshot(self, month: Month) -> pa.Table:
        """Compute it: key columns, then features with their field metadata."""
        ...


@dataclass(frozen=True)
class AuditedView:
    """One view's drift tables.

    Args:
        view: Its name.
        keys: Key columns, which are no features.
        snapshots: Delta table of snapshots.
        sketches: Delta table of sketches.
        scores: Delta table of scores.
        segments: Pairs of a segment's name and the snapshots' column that says which a row belongs to.
    """

    view: str
    keys: tuple[str, ...]
    snapshots: Path
    sketches: Path
    scores: Path
    segments: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Episode:
    """A feature that entered ``drift``.

    Args:
        view: Its view; of a fault in a source's record, the source.
        feature: Its column; ``source.column`` of a fault in a source's record.
        segment: ``region=9``, or ``None`` for all rows.
        month: Month of the audit that found it.
        since: Month in which the change is estimated to have begun.
        kind: The distance that decided.
        score: In units of its threshold.
        reason: In words.
        calibrations: Those that read or are fitted from the feature.
    """

    view: str
    feature: str
    segment: str | None
    month: Month
    since: Month
    kind: str
    score: float
    reason: str
    calibrations: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What it is called, the same whenever the audit is repeated: ``view__feature[segment]@2024-09``."""
        return f"{self.feature}{f'[{self.segment}]' if self.segment else ''}@{self.month}"

    @property
    def is_fault(self) -> bool:
        """Whether the record is wrong, rather than what it is about: nothing is recalibrated for that."""
        return self.kind in FAULT_KINDS

    def __str__(self) -> str:
        where = f" ({self.segment})" if self.segment else ""
        what = "data fault" if self.is_fault else f"drifts since {self.since}"
        return f"{self.month}: {self.feature}{where} {what}: {self.reason}"


@dataclass(frozen=True)
class AuditReport:
    """What an audit found.

    Args:
        months: The audited months.
        table: Their rows: ``view``, then the columns of ``monitor_drift``.
        entered: Features that entered ``drift`` in these months, in order of time.
    """

    months: tuple[Month, ...]
    table: pa.Table
    entered: tuple[Episode, ...]

    @property
    def states(self) -> dict[str, int]:
        """Number of feature-months by state."""
        counted = self.table["state"].value_counts().to_pylist()
        return {item["values"]: item["counts"] for item in counted}

    def __str__(self) -> str:
        span = f"{self.months[0]} to {self.months[-1]}" if len(self.months) > 1 else str(self.months[0])
        states = ", ".join(f"{count} {state}" for state, count in sorted(self.states.items()))
        return f"audit of {span}: {states}; {len(self.entered)} entered drift"


def take_snapshots(
    audited: AuditedView, source: Snapshots, months: Sequence[Month], *, progress: Callable[[str, Month], None] | None = None
) -> int:
    """Compute and commit the snapshots of some months that are missing or out of date.

    Returns:
        Rows written.
    """
    table, added, removed, rows = Table.open(audited.snapshots), [], [], 0
    committed = _by_partition(table, MONTH)
    for month in dict.fromkeys(months):
        name, old = source.name(month), committed.get(str(month))
        if old is None or old.path.stem != name:
            snapshot = source.snapshot(month)
            partition = {MONTH: str(month)}
            file = stage(audited.snapshots, partition, name)
            write_parquet(snapshot, file)
            added.append(describe(file, partition))
            removed += [old] if old else []
            rows += snapshot.num_rows
        if progress:
            progress(audited.view, month)
    if added:
        message = f"snapshots of {audited.view}, {months[0]} to {months[-1]}"
        commit(audited.snapshots, add=added, remove=removed, partition_by=(MONTH,), read_version=table.version, message=message)
    return rows


def read_snapshot(audited: AuditedView, month: Month) -> pa.Table | None:
    """Return the committed snapshot of a month; ``None`` when there is none."""
    files = Table.open(audited.snapshots).files(**{MONTH: str(month)})
    return read_parquet(files[0].path) if files else None


def last_snapshot(audited: Iterable[AuditedView]) -> Month | None:
    """Return the latest month of which any view has a snapshot."""
    months = [Month.parse(month) for each in audited for month in _by_partition(Table.open(each.snapshots), MONTH)]
    return max(months, default=None)


def read_sketches(audited: AuditedView) -> dict[Month, pa.Table]:
    """Return the committed sketches of a view by month, in order of time (``SKETCH_SCHEMA``)."""
    files = [file for _, file in sorted(_by_partition(Table.open(audited.sketches), YEAR).items())]
    return {month: part for file in files for month, part in _split(read_parquet(file.path)).items()}


def audit_views(
    audited: Sequence[AuditedView], last: Month, *, policy: DriftPolicy, resets: Resets, spoiled: Spoiled = NOTHING_SPOILED
) -> dict[str, dict[Month, pa.Table]]:
    """Sketch and score the committed snapshots of all views up to a month, together; what is committed already is read.

    Together, since what is known of the noise is shared by all features: a view of few entities gains from the others.

    Returns:
        View to month to rows of ``HISTORY_SCHEMA``; only months of which the view has a snapshot.
    """
    sketches = {view.view: _sketched(view, last, policy) for view in audited}
    years = sorted({year for own in sketches.values() for year in own})
    names, chain = dict[str, str](), digest([FORMAT, asdict(policy)])
    for year in years:
        recalibrated = sorted((str(key), str(at)) for key, given in resets.items() for at in given if _is_in(at, year))
        faulty = sorted(
            (feature, str(at), text) for feature, given in spoiled.items() for at, text in given.items() if _is_in(at, year)
        )
        names[year] = chain = digest([chain, [own[year][0] for own in sketches.values() if year in own], recalibrated, faulty])
    committed = {view.view: _by_partition(Table.open(view.scores), YEAR) for view in audited}
    files = {year: [committed[view].get(year) for view, own in sketches.items() if year in own] for year in years}
    done = list(takewhile(lambda year: all(file and file.path.stem == names[year] for file in files[year]), years))
    read = [read_parquet(file.path) for year in done for file in files[year] if file]
    scored = pa.concat_tables([HISTORY_SCHEMA.empty_table(), *read])
    if len(done) < len(years):
        new = _score(sketches, policy=policy, resets=resets, scored=scored, spoiled=spoiled)
        for view in audited:
            mine = new.filter(pc.equal(new["view"], view.view))
            missing = {
                year: mine.filter(pc.equal(pc.year(mine[AT]), int(year))) for year in sketches[view.view] if year not in done
            }
            if missing:
                named = {year: (names[year], rows) for year, rows in missing.items()}
                commit_years(view.scores, named, f"scores of {view.view}")
        scored = pa.concat_tables([scored, new])
    return {view.view: _split(scored.filter(pc.equal(scored["view"], view.view))) for view in audited}


def _is_in(month: Month | date | str, year: str) -> bool:
    return str(Month.parse(month).year) == year


def _score(
    sketches: Mapping[str, _Sketched], *, policy: DriftPolicy, resets: Resets, scored: pa.Table, spoiled: Spoiled
) -> pa.Table:
    """Monitor the sketches of all views at once -> new rows of ``HISTORY_SCHEMA``, in order of view and time."""
    by_month: dict[Month, list[pa.Table]] = {}
    view_of, taken = dict[str, str](), dict[str, set[date]]()
    for view, own in sketches.items():
        for month, sketch in (item for _, months in own.values() for item in months.items()):
            by_month.setdefault(month, []).append(sketch)
            view_of.update(dict.fromkeys(pc.unique(sketch["feature"]).to_pylist(), view))
            taken.setdefault(view, set()).add(month.first_day)
    new = monitor_sketches(
        ((month.first_day, pa.concat_tables(by_month[month])) for month in sorted(by_month)),
        season=retail_season,
        policy=policy,
        resets=resets,
        scored=scored,
        spoiled=spoiled,
    )
    views = [view_of[feature] for feature in new["feature"].to_pylist()]
    named = new.add_column(0, "view", pa.array(views, pa.string())).cast(HISTORY_SCHEMA)
    # Another view's snapshot says nothing about a view that has none of the month.
    is_taken = [day in taken[view] for view, day in zip(views, named[AT].to_pylist(), strict=True)]
    return named.filter(pa.array(is_taken, pa.bool_()))


def history(audited: AuditedView) -> pa.Table:
    """Return all committed scores of a view, in order of time (``HISTORY_SCHEMA``)."""
    return history_of(audited.scores)


def history_of(path: Path) -> pa.Table:
    """Return all rows of a table of scores, in order of time (``HISTORY_SCHEMA``)."""
    files = [file for _, file in sorted(_by_partition(Table.open(path), YEAR).items())]
    return pa.concat_tables([HISTORY_SCHEMA.empty_table(), *(read_parquet(file.path) for file in files)])


def episodes(table: pa.Table, calibrations: Callable[[str], tuple[str, ...]]) -> tuple[Episode, ...]:
    """List the rows that entered ``drift``, in order of time.

    Args:
        table: Rows of ``HISTORY_SCHEMA``.
        calibrations: Feature column to the calibrations that depend on it.
    """
    rows = [row for row in table.to_pylist() if row["state"] == DRIFT]
    return tuple(
        Episode(
            view=row["view"],
            feature=row["feature"],
            segment=row["segment"],
            month=Month.parse(row["month"]),
            since=Month.parse(row["since"] or row["month"]),
            kind=row["kind"],
            score=row["score"],
            reason=row["reason"],
            calibrations=() if row["kind"] in FAULT_KINDS else calibrations(row["feature"]),
        )
        for row in sorted(rows, key=lambda row: (row["month"], row["view"], row["feature"], row["segment"] or ""))
    )


def draw_report(audited: AuditedView, month: Month, *, folder: Path) -> WrittenReport:
    """Draw the Evidently report of an audited month, and keep it in the workspace ``folder / WORKSPACE``.

    The reference is the rows of the months that most features were compared with; without any, the month before.

    Raises:
        FeatureStoreError: the month has not been audited, or has nothing to be compared with.
    """
    current, scores = read_snapshot(audited, month), history(audited)
    scores = scores.filter(pc.equal(scores["month"], pa.scalar(month.first_day))).drop_columns(["view"])
    if current is None or not scores.num_rows:
        raise FeatureStoreError(f"View {audited.view!r} has no audit of {month}. Call store.audit({str(month)!r}) first.")
    compared = Counter(tuple(months) for months in scores["reference_months"].to_pylist() if months)
    names = [Month.parse(name) for name in compared.most_common(1)[0][0]] if compared else [month.shift(-1)]
    reference = [table for table in (read_snapshot(audited, each) for each in names) if table is not None]
    if not reference:
        raise FeatureStoreError(f"View {audited.view!r} has no month before {month} to compare it with.")
    sides = [
        table.drop_columns(list(audited.keys)) for table in (current, pa.concat_tables(reference, promote_options="default"))
    ]
    title = f"{audited.view} in {month}, against {', '.join(map(str, names))}"
    return write_report(
        sides[0],
        sides[1],
        scores,
        folder=folder / str(month),
        name=audited.view,
        title=title,
        workspace=folder / WORKSPACE,
    )


def _sketched(audited: AuditedView, last: Month, policy: DriftPolicy) -> _Sketched:
    """Sketch the snapshots in order of time: year to name and months. A month's edges and places start from those before it."""
    snapshots = {Month.parse(month): file for month, file in _by_partition(Table.open(audited.snapshots), MONTH).items()}
    committed, edges, places = _by_partition(Table.open(audited.sketches), YEAR), NO_EDGES, Places()
    own = replace(policy, segments=tuple(name for name, _ in audited.segments))
    found, new = dict[str, tuple[str, dict[Month, pa.Table]]](), dict[str, tuple[str, pa.Table]]()
    for year, group in groupby(sorted(month for month in snapshots if month <= last), key=lambda month: str(month.year)):
        months = list(group)
        stems = [snapshots[month].path.stem for month in months]
        name = digest([FORMAT, stems, edges.version, policy.min_rows, audited.segments, places.values])
        old = committed.get(year)
        if old is not None and old.path.stem == name:
            table = read_parquet(old.path)
        else:
            table = _sketch_year(audited, {month: snapshots[month] for month in months}, edges, places, own)
            new[year] = (name, table)
        edges = EdgeSet.from_json(table.schema.metadata[EDGES].decode())
        places = Places.from_json(table.schema.metadata[PLACES].decode())
        found[year] = (name, {month: part.drop_columns([AT]) for month, part in _split(table).items()})
    if new:
        commit_years(audited.sketches, new, f"sketches of {audited.view}")
    return found


def _sketch_year(
    audited: AuditedView, snapshots: Mapping[Month, CommittedFile], edges: EdgeSet, places: Places, policy: DriftPolicy
) -> pa.Table:
    tables, segments = [], dict(audited.segments)
    for month, file in snapshots.items():
        rows = read_parquet(file.path)
        if month.month == 1 or not places.values:
            places = places.filled(rows, segments, min_rows=SEGMENT_ROWS * policy.min_rows)
        columns, rows = places.columns(rows, segments), rows.drop_columns(list(audited.keys))
        for name, column in columns.items():
            rows = rows.append_column(name, column)
        sketched, edges = sketch_month(rows, edges, month=month.first_day, policy=policy)
        tables.append(sketched.add_column(0, AT, pa.array([month.first_day] * sketched.num_rows, pa.date32())))
    return pa.concat_tables(tables).replace_schema_metadata({EDGES: edges.to_json(), PLACES: places.to_json()})


def commit_years(path: Path, years: Mapping[str, tuple[str, pa.Table]], message: str, *, removes_others: bool = False) -> None:
    """Replace the files of some years by named tables, in one commit; those whose name is there already stay.

    Args:
        path: Delta table, partitioned by year.
        years: Year to name and rows.
        message: For the table's log.
        removes_others: Whether files of other years go.
    """
    table = Table.open(path)
    committed, added = _by_partition(table, YEAR), []
    removed = [file for year, file in committed.items() if removes_others and year not in years]
    for year, (name, rows) in years.items():
        old = committed.get(year)
        if old is not None and old.path.stem == name:
            continue
        file = stage(path, {YEAR: year}, name)
        write_parquet(rows, file, metadata=rows.schema.metadata)
        added.append(describe(file, {YEAR: year}))
        removed += [old] if old else []
    if added or removed:
        commit(path, add=added, remove=removed, partition_by=(YEAR,), read_version=table.version, message=message)


def _split(table: pa.Table) -> dict[Month, pa.Table]:
    """Split a table in order of its months by them."""
    days: Iterable[date] = pc.unique(table[AT]).to_pylist()
    return {Month.parse(day): table.filter(pc.equal(table[AT], pa.scalar(day))) for day in days}


def _by_partition(table: Table, column: str) -> dict[str, CommittedFile]:
    return {file.partition[column]: file for file in table.files()}
