"""The monthly audit of a store's views: snapshots, sketches and scores, each committed under a name made from its inputs.

What is committed under its name is not computed again; a late event, another policy or a recalibration changes the names
from the first month or year that it touches on. So an audit can be repeated, interrupted and resumed, and repeating it changes
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from itertools import groupby, takewhile
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.calendar import retail_season
from featurestore.drift.audit_tables import AT, EDGES, HISTORY_SCHEMA, MONTH, PLACES, AuditedView, split_months
from featurestore.drift.data_faults.data_fault import DataFault
from featurestore.drift.episode import Episode
from featurestore.drift.monitor.monitor import NO_EDGES, monitor_sketches, sketch_month
from featurestore.drift.monitor.policy import DriftPolicy
from featurestore.drift.monitor.run import Resets
from featurestore.drift.sketches.edges import EdgeSet
from featurestore.drift.sketches.feature_series import NOTHING_SPOILED, Spoiled
from featurestore.drift.sketches.places import Places
from featurestore.drift.year_files import YEAR, by_partition, commit_years
from featurestore.lake.arrow_parquet import no_rows, read_parquet, write_parquet
from featurestore.lake.digests import is_sound
from featurestore.lake.table import CommittedFile, Table, commit, describe, stage
from featurestore.spec.document import digest
from featurestore.timeline import Month

FORMAT = 3
SEGMENT_ROWS = 2
_Sketched = dict[str, tuple[str, dict[Month, pa.Table]]]  # year to name and months


class SnapshotSource(Protocol):
    """Where a view's snapshots come from; handed in, since drift does not know how features are computed."""

    def name(self, month: Month) -> str:
        """Return a digest of everything the month's snapshot is made from."""
        ...

    def snapshot(self, month: Month) -> pa.Table:
        """Compute the month's snapshot: key columns, then features with their field metadata."""
        ...


@dataclass(frozen=True)
class AuditReport:
    """What an audit found.

    Args:
        months: The audited months.
        table: Their rows: ``view``, then the columns of ``monitor_drift``.
        entered: Features that entered ``drift`` in these months, in order of time.
        faults: What is wrong in these months in the sources' own records, which is no drift of a feature; in order of time.
    """

    months: tuple[Month, ...]
    table: pa.Table
    entered: tuple[Episode, ...]
    faults: tuple[DataFault, ...] = ()

    @property
    def states(self) -> dict[str, int]:
        """Number of feature-months by state."""
        counted = self.table["state"].value_counts().to_pylist()
        return {item["values"]: item["counts"] for item in counted}

    def __str__(self) -> str:
        span = f"{self.months[0]} to {self.months[-1]}" if len(self.months) > 1 else str(self.months[0])
        states = ", ".join(f"{count} {state}" for state, count in sorted(self.states.items()))
        begun = sum(fault.is_new for fault in self.faults)
        faults = f", {begun} data {'fault' if begun == 1 else 'faults'} began in the sources" if begun else ""
        return f"audit of {span}: {states}; {len(self.entered)} entered drift{faults}"


def take_snapshots(
    audited: AuditedView,
    source: SnapshotSource,
    months: Sequence[Month],
    *,
    progress: Callable[[str, Month], None] | None = None,
) -> int:
    """Compute and commit the snapshots of some months that are missing, damaged or out of date.

    Returns:
        Rows written.
    """
    table = Table.open(audited.snapshots)
    added = []
    removed = []
    rows = 0
    committed = by_partition(table, MONTH)
    damaged = {
        committed[str(month)].name for month in months if str(month) in committed and not is_sound(committed[str(month)])
    }
    for month in dict.fromkeys(months):
        name = source.name(month)
        old = committed.get(str(month))
        if old is None or old.path.stem != name or old.name in damaged:
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
        commit(
            audited.snapshots,
            add=added,
            remove=removed,
            partition_by=(MONTH,),
            read_version=table.version,
            message=message,
            renewed=damaged,
        )
    return rows


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
    names = dict[str, str]()
    chain = digest([FORMAT, asdict(policy)])
    for year in years:
        recalibrated = sorted((str(key), str(at)) for key, months in resets.items() for at in months if _is_in(at, year))
        faulty = sorted(
            (feature, str(at), text) for feature, months in spoiled.items() for at, text in months.items() if _is_in(at, year)
        )
        names[year] = chain = digest([chain, [own[year][0] for own in sketches.values() if year in own], recalibrated, faulty])
    committed = {view.view: by_partition(Table.open(view.scores), YEAR) for view in audited}
    files = {year: [committed[view].get(year) for view, own in sketches.items() if year in own] for year in years}
    done = list(
        takewhile(lambda year: all(file and file.path.stem == names[year] and is_sound(file) for file in files[year]), years)
    )
    read = [read_parquet(file) for year in done for file in files[year] if file]
    scored = pa.concat_tables([no_rows(HISTORY_SCHEMA), *read])
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
    return {view.view: split_months(scored.filter(pc.equal(scored["view"], view.view))) for view in audited}


def _is_in(month: Month | date | str, year: str) -> bool:
    return str(Month.parse(month).year) == year


def _score(
    sketches: Mapping[str, _Sketched], *, policy: DriftPolicy, resets: Resets, scored: pa.Table, spoiled: Spoiled
) -> pa.Table:
    """Monitor the sketches of all views at once -> new rows of ``HISTORY_SCHEMA``, in order of view and time."""
    by_month: dict[Month, list[pa.Table]] = {}
    view_of = dict[str, str]()
    taken = dict[str, set[date]]()
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


def _sketched(audited: AuditedView, last: Month, policy: DriftPolicy) -> _Sketched:
    """Sketch the snapshots in order of time: year to name and months. A month's edges and places start from those before it."""
    snapshots = {Month.parse(month): file for month, file in by_partition(Table.open(audited.snapshots), MONTH).items()}
    committed = by_partition(Table.open(audited.sketches), YEAR)
    edges = NO_EDGES
    places = Places()
    own = replace(policy, segments=tuple(name for name, _ in audited.segments))
    years: _Sketched = {}
    new = dict[str, tuple[str, pa.Table]]()
    for year, group in groupby(sorted(month for month in snapshots if month <= last), key=lambda month: str(month.year)):
        months = list(group)
        stems = [snapshots[month].path.stem for month in months]
        name = digest([FORMAT, stems, edges.version, policy.min_rows, audited.segments, places.values])
        old = committed.get(year)
        if old is not None and old.path.stem == name and is_sound(old):
            table = read_parquet(old)
        else:
            table = _sketch_year(audited, {month: snapshots[month] for month in months}, edges, places, own)
            new[year] = (name, table)
        edges = EdgeSet.from_json(table.schema.metadata[EDGES].decode())
        places = Places.from_json(table.schema.metadata[PLACES].decode())
        years[year] = (name, {month: part.drop_columns([AT]) for month, part in split_months(table).items()})
    if new:
        commit_years(audited.sketches, new, f"sketches of {audited.view}")
    return years


def _sketch_year(
    audited: AuditedView, snapshots: Mapping[Month, CommittedFile], edges: EdgeSet, places: Places, policy: DriftPolicy
) -> pa.Table:
    tables = []
    segments = dict(audited.segments)
    for month, file in snapshots.items():
        rows = read_parquet(file)
        if month.month == 1 or not places.values:
            places = places.filled(rows, segments, min_rows=SEGMENT_ROWS * policy.min_rows)
        columns = places.columns(rows, segments)
        rows = rows.drop_columns(list(audited.keys))
        for name, column in columns.items():
            rows = rows.append_column(name, column)
        sketched, edges = sketch_month(rows, edges, month=month.first_day, policy=policy)
        tables.append(sketched.add_column(0, AT, pa.array([month.first_day] * sketched.num_rows, pa.date32())))
    return pa.concat_tables(tables).replace_schema_metadata({EDGES: edges.to_json(), PLACES: places.to_json()})
