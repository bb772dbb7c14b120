"""Late rows of a view, kept as files that are derived, named after what they were made from, and deletable at any time.

A part holds the late rows of some months: a year each, the newest year month by month, so that a new month costs one month.
One more part holds the rows of superseded versions. All parts are merged into one file, which answers are read from; when
it is there, no part is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

import numpy as np
import pyarrow as pa

from featurestore.compute.as_known.knowledge import KNOWN_US, UNTIL_US, known_us_sql, late_sql
from featurestore.compute.as_known.versions import superseded_versions
from featurestore.compute.folds import AdditiveFold
from featurestore.compute.forms import view_measures
from featurestore.compute.forms.measure import Measure
from featurestore.compute.items.occurrences import changes
from featurestore.compute.keys import key_type
from featurestore.compute.materialization.tile_query import tile_sql
from featurestore.compute.search.hot_copy import drop_hot, read_hot, write_hot
from featurestore.compute.search.key_index import extended_codes
from featurestore.compute.state import ViewState
from featurestore.compute.windows.in_flight import CLASS, CODE, KNOWN, SIGN, STEP, LateRows
from featurestore.errors import StoreError
from featurestore.lake.session import quote
from featurestore.lake.spill import spilling_session
from featurestore.lake.table import CommittedFile, Table
from featurestore.spec.document import digest
from featurestore.timeline import Interval, Month

_FORMAT = 1
_SIGN = '"late sign"'


def late_rows(state: ViewState, superseded: Table) -> LateRows:
    """Return the signed late rows of a view, building what is missing of their files.

    Args:
        state: The view and its committed events.
        superseded: Snapshot of the versions that others replaced.
    """
    folder = state.layout.known(state.view.name)
    parts = _parts(state)
    replaced = _replaced_name(state, superseded)
    merged = digest([_FORMAT, "merged", sorted(parts), replaced])
    table = read_hot(folder / f"{merged}.arrow")
    if table is None:
        tables = [_kept(state, name, partial(_late, state, months)) for name, months in parts.items()]
        tables.append(_kept(state, replaced, partial(_replaced, state, superseded)))
        table = _merged(state, pa.concat_tables(tables))
        with suppress(StoreError):  # as in ``_kept``
            write_hot(folder / f"{merged}.arrow", table)
            drop_hot(folder, keep={*parts, replaced, merged})
    return LateRows(table)


def additive_measures(state: ViewState) -> list[Measure]:
    """List the view's measures that rows can be taken out of one by one."""
    return [
        measure for measure in view_measures(state.view, state.layout.naive_timezone) if isinstance(measure.fold, AdditiveFold)
    ]


def _rule(state: ViewState) -> list[str | None]:
    """List what decides when a row is known, and what its entity's code is."""
    source = state.view.source
    path = state.layout.keys(state.view.entity.name) / "-".join(state.view.key_types)
    first = min((file.minimum["code"], file.name) for file in files)[1] if (files := Table.open(path).files()) else None
    return [source.ingested_at, source.initial_load_until, first, *source.order_by]


def _parts(state: ViewState) -> dict[str, list[Month]]:
    """Map the name of each part of committed rows to its months."""
    last = max(state.inputs, default=None)
    groups: dict[str, list[Month]] = {}
    for month in state.inputs:
        groups.setdefault(str(month) if last and month.year == last.year else str(month.year), []).append(month)
    rule = _rule(state)
    return {
        digest([_FORMAT, rule, {str(month): state.tile_digests[month] for month in months}]): months
        for months in groups.values()
    }


def _replaced_name(state: ViewState, superseded: Table) -> str:
    files = sorted(file.name for file in superseded.files())
    # Which version counts now, and since when, is in the committed files.
    committed = sorted(file.name for file in state.events.files()) if files else []
    return digest([_FORMAT, state.fingerprint, _rule(state), files, committed])


def _kept(state: ViewState, name: str, make: Callable[[], pa.Table]) -> pa.Table:
    file = state.layout.known(state.view.name) / f"{name}.arrow"
    table = read_hot(file)
    if table is None:
        table = make()
        with suppress(StoreError):  # who may only read the store, or has no room, makes it again the next time
            write_hot(file, table)
    return table.cast(_schema(state))


def _schema(state: ViewState) -> pa.Schema:
    numbers = [(name, pa.int64()) for name in (CODE, STEP, KNOWN, SIGN)]
    return pa.schema([*numbers, *((measure.name, measure.type) for measure in additive_measures(state))])


def _late(state: ViewState, months: Sequence[Month]) -> pa.Table:
    """Aggregate the committed rows of some months that became known later than they happened."""
    zone = state.layout.timezone
    interval = Interval(months[0].interval(zone).start_us, months[-1].interval(zone).end_us)
    files: dict[str, CommittedFile] = {file.name: file for month in months for file in state.inputs[month]}
    scan = f"(SELECT *, {known_us_sql(state.view.source)} AS {KNOWN_US}, 1 AS {_SIGN} FROM {state.scan_sql(files.values())})"
    return _signed(state, scan, interval)


def _replaced(state: ViewState, superseded: Table) -> pa.Table:
    """Aggregate the superseded versions: each is added when it becomes known and taken out when it ceases to count."""
    if not superseded.files():
        return _schema(state).empty_table()
    versions = superseded_versions(state, superseded)
    times = versions[state.view.event_time].drop_null()
    if not len(times):
        return _schema(state).empty_table()
    instants = np.asarray(times.cast(pa.timestamp("us", "UTC")).cast(pa.int64()))
    interval = Interval(int(instants.min()), int(instants.max()) + 1)
    scan = (
        f"(SELECT * EXCLUDE ({UNTIL_US}), 1 AS {_SIGN} FROM versions UNION ALL "
        f"SELECT * EXCLUDE ({KNOWN_US}, {UNTIL_US}), {UNTIL_US} AS {KNOWN_US}, -1 AS {_SIGN} FROM versions)"
    )
    return _signed(state, scan, interval, versions=versions)


def _signed(state: ViewState, scan: str, interval: Interval, *, versions: pa.Table | None = None) -> pa.Table:
    """Aggregate late rows by key, step, knowledge and sign; sums carry the sign."""
    view, zone = state.view, state.layout.timezone
    measures = additive_measures(state)
    keys = [quote(column) for _, column in view.key_columns]
    by = [*keys, KNOWN_US, _SIGN]
    sql = tile_sql(
        view,
        scan,
        interval=interval,
        timezone=zone,
        naive_timezone=state.layout.naive_timezone,
        measures=measures,
        by=by,
        also=late_sql(view.grain, interval, zone),
    )
    with spilling_session(state.layout) as session:
        if versions is not None:
            session.register("versions", versions)
        table = session.sql(sql).to_arrow_table()
    steps = table["step"].to_numpy()
    n = len(keys)
    known = state.clock.floor(table[f"key_{n}"].to_numpy())
    late = known > steps
    table = table.filter(pa.array(late))
    steps = steps[late]
    known = known[late]
    codes = _codes(state, [table[f"key_{i}"].combine_chunks().cast(key_type(kind)) for i, kind in enumerate(view.key_types)])
    sign = table[f"key_{n + 1}"].to_numpy().astype(np.int64)
    columns = {CODE: codes, STEP: steps, KNOWN: known, SIGN: sign}
    for measure in measures:
        assert isinstance(measure.fold, AdditiveFold)
        values = measure.fold.numpy(table[measure.name].combine_chunks().cast(measure.type)).astype(np.int64)
        columns[measure.name] = measure.fold.arrow(values * sign)
    return pa.table(columns, schema=_schema(state))


def _codes(state: ViewState, keys: list[pa.Array]) -> np.ndarray:
    """Return the code of each key. An entity may have had rows only until a correction moved them: it gets its code here."""
    return extended_codes(state.layout, state.view.entity.name, state.view.key_types, keys)


def _merged(state: ViewState, table: pa.Table) -> pa.Table:
    """Add up rows of one entity, step, knowledge and sign, and sort them by class, code and step."""
    code, step, known, sign = (table[name].to_numpy() for name in (CODE, STEP, KNOWN, SIGN))
    # Lateness is below 2^53, so the exponent of a double is the power of two.
    power = np.frexp((known - step).astype(np.float64))[1].astype(np.int64) - 1
    order = np.lexsort((sign, known, step, code, power))
    keys = np.stack([each[order] for each in (power, code, step, known, sign)])
    firsts = np.flatnonzero(changes(*keys))
    columns = {name: pa.array(each[firsts]) for name, each in zip((CLASS, CODE, STEP, KNOWN, SIGN), keys, strict=True)}
    for measure in additive_measures(state):
        assert isinstance(measure.fold, AdditiveFold)
        values = measure.fold.numpy(table[measure.name].combine_chunks()).astype(np.int64)[order]
        columns[measure.name] = measure.fold.arrow(np.add.reduceat(values, firsts) if len(firsts) else values)
    return pa.table(columns)
