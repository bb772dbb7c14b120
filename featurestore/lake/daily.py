"""Daily counts of a source's events: what a month of a record looks like from outside, for whoever watches for faults.

One scan of a month's events gives a row per day, event type and column; months are committed under the digest of the files they
were counted from, so that a month is counted again only when its events have changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.lake.arrow_parquet import read_parquet, write_parquet
from featurestore.lake.digests import is_sound, sound
from featurestore.lake.layout import Layout
from featurestore.lake.session import quote, store_session
from featurestore.lake.source_scan import source_scan_sql
from featurestore.lake.table import CommittedFile, Table, commit, describe, stage
from featurestore.spec.document import digest
from featurestore.spec.source import EventSource
from featurestore.timeline import DAY_US, HOUR_US, Month, day_start_us, local_us, utc_offsets

DAY_SCHEMA = pa.schema(
    [
        ("day", pa.date32()),
        ("type", pa.string()),
        ("column", pa.string()),
        ("rows", pa.int64()),
        ("present", pa.int64()),
        ("log_mean", pa.float64()),
        ("log_sd", pa.float64()),
        ("early", pa.int64()),
        ("hours", pa.list_(pa.int64())),
    ]
)
HOURS = 24
FORMAT = 2
_FORMAT_WITHOUT_CHANGES = 1
MONTHS_AT_ONCE = 12
_NUMBERS = ("int64", "int32", "double")
_MONTH = "month"


def daily_counts(layout: Layout, source: EventSource, last: Month) -> pa.Table:
    """Count a source's events by day, event type and column, up to a month.

    Returns:
        ``day`` (business day), ``type`` (the first column with declared values; NULL without one), ``column`` (NULL: the event
        as a whole), ``rows``, ``present`` (rows where the column is not NULL), ``log_mean`` and ``log_sd`` (of log10 of the
        absolute value of numbers that are not zero, else NULL); of the event as a whole ``early`` (event_time after
        ingested_at) and ``hours`` (rows by hour of the business zone's clock). Days without events have no rows.
    """
    by_month: dict[str, list[CommittedFile]] = {}
    for file in Table.open(layout.events(source.name)).files():
        if Month.parse(file.partition[_MONTH]) <= last:
            by_month.setdefault(file.partition[_MONTH], []).append(file)
    table = Table.open(layout.days(source.name))
    committed = {file.partition[_MONTH]: file for file in table.files()}
    names = {
        month: digest([_rule(Month.parse(month), layout.timezone), source.schema, sorted(file.path.stem for file in own)])
        for month, own in by_month.items()
    }
    damaged = {month: committed[month].name for month in names if month in committed and not is_sound(committed[month])}
    missing = [
        month
        for month in sorted(names)
        if month not in committed or committed[month].path.stem != names[month] or month in damaged
    ]
    added = []
    removed = []
    for low in range(0, len(missing), MONTHS_AT_ONCE):
        chunk = missing[low : low + MONTHS_AT_ONCE]
        counted = _count(
            layout, source, [Month.parse(month) for month in chunk], [f for month in chunk for f in by_month[month]]
        )
        month_of = pc.strftime(counted["day"], format="%Y-%m")
        for month in chunk:
            staged = stage(table.path, {_MONTH: month}, names[month])
            write_parquet(counted.filter(pc.equal(month_of, month)), staged)
            added.append(describe(staged, {_MONTH: month}))
            removed += [committed[month]] if month in committed else []
    if added:
        message = f"daily counts of {source.name}"
        commit(
            table.path,
            add=added,
            remove=removed,
            partition_by=(_MONTH,),
            read_version=table.version,
            message=message,
            renewed=set(damaged.values()),
        )
    kept = {file.partition[_MONTH]: file for file in Table.open(table.path).files()} if added else committed
    return pa.concat_tables([DAY_SCHEMA.empty_table(), *(read_parquet(kept[month]) for month in sorted(names))])


def _count(layout: Layout, source: EventSource, months: Sequence[Month], files: Sequence[CommittedFile]) -> pa.Table:
    epoch = date(1970, 1, 1)
    days = list(range((months[0].first_day - epoch).days, (months[-1].next().first_day - epoch).days))
    columns = [column for column in source.types if column != source.event_time]
    numeric = [column for column in columns if source.types[column] in _NUMBERS and column != source.event_id]
    at = _of_event(source.event_time)
    known_at = _of_event(source.ingested_at or source.event_time)
    kind = _of_event(source.values[0][0]) if source.values else "NULL::VARCHAR"
    parts = [f"count(*) AS rows, count(*) FILTER ({at} > {known_at}) AS early"]
    hour = f"(epoch_us({at}) + d.shift) % {DAY_US} // {HOUR_US}"
    parts += [f"count(*) FILTER ({hour} = {i}) AS hour_{i}" for i in range(HOURS)]
    parts += [f"count({_of_event(column)}) AS present_{i}" for i, column in enumerate(columns)]
    for i, column in enumerate(columns):
        if column in numeric:
            size = f"log10(abs(nullif({_of_event(column)}, 0)::DOUBLE))"
            parts += [f"avg({size}) AS mean_{i}, stddev_samp({size}) AS sd_{i}"]
    with store_session(layout.events(source.name)) as session:
        session.register("days", _local_days(days, layout.timezone))
        wide = session.sql(
            f"SELECT d.day, {kind} AS kind, {', '.join(parts)} FROM {source_scan_sql(source, sound(files))} e "
            f"ASOF JOIN days d ON epoch_us({at}) >= d.start GROUP BY 1, 2 ORDER BY 1, 2"
        ).to_arrow_table()
    return _long(wide, columns, numeric)


def _local_days(days: Sequence[int], timezone: str) -> pa.Table:
    """Return when each day begins and, during it, the clocks change: ``day``, ``start`` and ``shift`` (UTC microseconds)."""
    starts = {day_start_us(day, timezone): day for day in days}
    first, last = min(starts), day_start_us(days[-1] + 1, timezone)
    changes = [start for start, _ in utc_offsets(timezone) if first < start < last]
    moments = np.array(sorted({*starts, *changes}), np.int64)
    begun = np.searchsorted(np.array(list(starts)), moments, side="right") - 1
    day = np.array(list(starts.values()), np.int64)[begun]
    return pa.table({"day": day, "start": moments, "shift": local_us(moments, timezone) - moments})


def _rule(month: Month, timezone: str) -> int:
    """Return the format of a month's counts: hours are those of the clock, and were those since midnight before."""
    interval = month.interval(timezone)
    has_change = any(interval.start_us <= start < interval.end_us for start, _ in utc_offsets(timezone))
    return FORMAT if has_change else _FORMAT_WITHOUT_CHANGES


def _of_event(column: str) -> str:
    """Quote a column of the events, which may be named as one that is joined to them."""
    return f"e.{quote(column)}"


def _long(wide: pa.Table, columns: Sequence[str], numeric: Sequence[str]) -> pa.Table:
    """Give every column of the source rows of its own, those of the event as a whole first."""
    size = len(wide)
    days = wide["day"].cast(pa.int32()).cast(pa.date32())
    counts = pa.array(np.stack([wide[f"hour_{i}"].to_numpy() for i in range(HOURS)], axis=1).ravel(), pa.int64())
    hours = pa.ListArray.from_arrays(pa.array(np.arange(size + 1, dtype=np.int32) * HOURS), counts)
    nothing = {field.name: pa.nulls(size, field.type) for field in DAY_SCHEMA}
    shared = nothing | {"day": days, "type": wide["kind"], "rows": wide["rows"]}
    parts = [shared | {"present": wide["rows"], "early": wide["early"], "hours": hours}]
    for i, column in enumerate(columns):
        measured = {"log_mean": wide[f"mean_{i}"], "log_sd": wide[f"sd_{i}"]} if column in numeric else {}
        parts.append(shared | {"column": pa.array([column] * size, pa.string()), "present": wide[f"present_{i}"]} | measured)
    return pa.concat_tables([pa.table([part[name] for name in DAY_SCHEMA.names], schema=DAY_SCHEMA) for part in parts])
