"""The query of a mapping: rows of foreign files to events, or to rows with a reason.

1. The columns that are read, under names of ours, with a number for each row.                    (row -> row)
2. Those that expressions read become numbers and truth values; then each expression is tried.    (row -> row)
3. Which events come of a row, or why it is none.                                                 (row -> row)
4. One arm for each event that may come of a row, and one for rows of which none comes.            (row -> 0 to n events)

All of it is one FROM item, which ingestion scans as it scans a file: what it makes are raw values; the source's own checks follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from featurestore.lake.ingestion.columns import convert, plain_number
from featurestore.lake.ingestion.foreign_values import (
    Cells,
    Problems,
    is_present_sql,
    text_sql,
    value_sql,
)
from featurestore.lake.ingestion.lines import IS_ROW, LINE, POSITION, REASON
from featurestore.lake.session import literal, quote
from featurestore.spec.csv_format import Csv
from featurestore.spec.expression import columns_in
from featurestore.spec.mapping.binding import checked, column_types, event_values
from featurestore.spec.mapping.mapping import IGNORE, Branch, MappedEvent
from featurestore.spec.mapping.mapping import Mapping as FilesMapping
from featurestore.spec.mapping.values import Cumulated
from featurestore.spec.source import EventSource

NO_EVENT = "no event of the mapping comes of it"
ROW, EQUAL = "$row", "$equal"
"""Columns of the rows: their number, from 0; and which of several equal rows each is, where that is part of an id."""
_WHY = '"$why"'
_NUMERIC = ("int64", "int32", "double")


@dataclass(frozen=True)
class Rows:
    """Rows of foreign files, ready to be mapped.

    Args:
        relation: FROM item with the columns, ``ROW``, ``LINE``, and ``EQUAL`` where it is needed.
        names: Column, as the mapping writes it, to its name there.
        types: The same to its DuckDB type.
        csv: The same to how texts of it write numbers.
        sums: Way of a cumulated time to the columns that hold it.
    """

    relation: str
    names: Mapping[str, str]
    types: Mapping[str, str]
    csv: Mapping[str, Csv | None]
    sums: Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class EventsQuery:
    """The query of one kind of rows.

    Args:
        scan: FROM item of the events: columns of the source, ``LINE``, ``IS_ROW``, ``REASON`` and ``POSITION``.
        counts_sql: Counts them, and the rows that are ignored; ``None``: each row becomes one.
        reasons: What ``REASON`` may say.
    """

    scan: str
    counts_sql: str | None
    reasons: tuple[str, ...]


def events_query(mapping: FilesMapping, branch: Branch, source: EventSource, rows: Rows, *, first_row: int = 0) -> EventsQuery:
    """Compile a mapping for one kind of rows, of which the first has the number ``first_row``."""
    types = column_types(mapping, branch, source.types)
    typed, bad = _typed(mapping, branch, types, rows)
    tried, whens = _tried(mapping, branch, types)
    cells = Cells(rows.names, tried, rows.sums)
    bad += [(f"{quote(tried[when])} IS NULL", f"{when}: the condition fails") for when in whens]
    applies = [f'"$is {i}"' for i in range(len(branch.events))]
    conditions = ", ".join(
        f"coalesce({_condition(event, cells)}, false) AS {name}" for event, name in zip(branch.events, applies, strict=True)
    )
    expressions = {text: checked(mapping, text, types, at=branch.events[0].at).sql for text in tried}
    attempts = "".join(f", TRY({{'v': {expressions[text]}}}) AS {quote(name)}" for text, name in tried.items())
    converted = "".join(f", {sql} AS {quote(column)}" for column, sql in typed.items())
    read = f"(SELECT *{attempts} FROM (SELECT *{converted} FROM {rows.relation}))"
    judged = f"(SELECT *, {conditions} FROM (SELECT *, {_case(bad)} AS {_WHY} FROM {read}))"
    arms = [
        _arm(mapping, branch, event, source, rows, cells, number=i, applies=applies[i]) for i, event in enumerate(branch.events)
    ]
    reasons = dict.fromkeys([NO_EVENT, *(reason for _, reason in bad), *(reason for _, found in arms for reason in found)])
    is_plain = applies == applies[:1] and branch.events[0].when is None
    selects = [select for select, _ in arms]
    none = f"NOT ({' OR '.join(applies)})"
    if not is_plain:
        columns = ", ".join(f"NULL AS {quote(column)}" for column in _made(mapping, branch, source))
        ignored = f" AND {_WHY} IS NOT NULL" if mapping.on_no_event == IGNORE else ""
        selects.append(
            f'SELECT {quote(ROW)} AS "$of", {len(applies)} AS "$event", {quote(LINE)}, true AS {quote(IS_ROW)}, '
            f"coalesce({_WHY}, {literal(NO_EVENT)}) AS {quote(REASON)}, {columns} FROM judged WHERE {none}{ignored}"
        )
    position = f'"$of" - {first_row}' if is_plain else 'row_number() OVER (ORDER BY "$of", "$event") - 1'
    scan = (
        f"(WITH judged AS (SELECT * FROM {judged}) "
        f'SELECT * EXCLUDE ("$of", "$event"), ({position})::BIGINT AS {quote(POSITION)} FROM ({" UNION ALL ".join(selects)}))'
    )
    ignored = f"{none} AND {_WHY} IS NULL" if mapping.on_no_event == IGNORE else "false"
    refused = f"{none} AND NOT ({ignored})"
    counted = " + ".join(f"count_if({condition})" for condition in (*applies, refused))
    counts = None if is_plain else f"SELECT {counted}, count_if({ignored}) FROM {judged}"
    return EventsQuery(scan, counts, tuple(reasons))


def refused_scan(mapping: FilesMapping, branch: Branch, source: EventSource, relation: str, *, has_reason: bool) -> str:
    """Render the FROM item of lines that are no rows."""
    columns = ", ".join(f"NULL AS {quote(column)}" for column in _made(mapping, branch, source))
    kept = ", ".join(map(quote, (LINE, IS_ROW, *([REASON] if has_reason else []))))
    return (
        f"(SELECT {columns}, {kept}, row_number() OVER (ORDER BY {quote(POSITION)}) - 1 AS {quote(POSITION)} "
        f"FROM {relation} WHERE NOT {quote(IS_ROW)})"
    )


def needs_all_rows(mapping: FilesMapping, branch: Branch, source: EventSource) -> bool:
    """Tell whether events depend on other rows of the delivery than their own, so that all must be there at once."""
    is_cumulated = any(isinstance(event.time, Cumulated) for event in branch.events)
    return bool(branch.joins) or is_cumulated or counts_equals(mapping, branch, source)


def counts_equals(mapping: FilesMapping, branch: Branch, source: EventSource) -> bool:
    """Tell whether ids are made of whole rows, of which several may be equal."""
    return source.event_id is not None and not mapping.id and source.event_id not in _made(mapping, branch, source, ids=False)


def _made(mapping: FilesMapping, branch: Branch, source: EventSource, *, ids: bool = True) -> list[str]:
    """List the columns of the source that events of a branch have, in its order."""
    made = {column for event in branch.events for column in event_values(mapping, event, source.event_time)}
    made |= {source.event_id} if ids and source.event_id is not None else set()
    return [column for column in source.types if column in made]


def _typed(mapping: FilesMapping, branch: Branch, types: Mapping[str, str], rows: Rows) -> tuple[dict[str, str], Problems]:
    """Render the columns that expressions read, as what they are read, under the names that they have there."""
    typed: dict[str, str] = {}
    bad: Problems = []
    for column in sorted({column for text in _expressions(mapping, branch) for column in columns_in(text)}):
        name, kind = rows.names[column], types.get(column, "string")
        if kind == "string":
            typed[column] = f"{quote(name)}::VARCHAR"
            continue
        conversion = convert(name, kind, sql_type=rows.types[column], csv=rows.csv[column])
        typed[column] = conversion.value
        if conversion.is_present is not None:
            is_bad = f"{quote(column)} IS NULL AND {conversion.is_present}"
            bad += [(f"{is_bad} AND {condition}", reason.replace(name, column)) for reason, condition in conversion.problems]
    return typed, bad


def _expressions(mapping: FilesMapping, branch: Branch) -> Iterable[str]:
    for event in branch.events:
        yield from [event.when] if event.when is not None else []
        for value in event_values(mapping, event, "").values():
            if not isinstance(value, Cumulated) and value.expression is not None:
                yield value.expression


def _tried(mapping: FilesMapping, branch: Branch, types: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Name the tries of expressions; list those that are conditions."""
    texts = list(dict.fromkeys(_expressions(mapping, branch)))
    whens = list(dict.fromkeys(event.when for event in branch.events if event.when is not None))
    return {text: f"$try {i}" for i, text in enumerate(texts)}, whens


def _condition(event: MappedEvent, cells: Cells) -> str:
    conditions = [f"{_WHY} IS NULL"] if event.when is not None or not event.is_single else []
    conditions += [f"{quote(cells.tried[event.when])}.v"] if event.when is not None else []
    conditions += [] if event.is_single else [is_present_sql(event.time, cells)]
    return " AND ".join(conditions) or "true"


def _arm(
    mapping: FilesMapping,
    branch: Branch,
    event: MappedEvent,
    source: EventSource,
    rows: Rows,
    cells: Cells,
    *,
    number: int,
    applies: str,
) -> tuple[str, list[str]]:
    """Render the arm of one event, and list what may be wrong with it."""
    columns: dict[str, str] = {}
    problems: Problems = []
    values = event_values(mapping, event, source.event_time)
    for column, value in values.items():
        kind = source.types[column]
        columns[column], found = value_sql(column, kind, value, cells)
        problems += found
        if not isinstance(value, Cumulated) and value.is_copy and value.default is None and kind in _NUMERIC:
            columns[column] = _plain(value.columns[0], rows)
    if source.event_id is not None and source.event_id not in values:
        type_sql = value_sql("event_type", "string", event.type, cells)[0] if event.type is not None else "''"
        columns[source.event_id] = _id_sql(mapping, rows, type_sql)
    made = ", ".join(f"{columns.get(column, 'NULL')} AS {quote(column)}" for column in _made(mapping, branch, source))
    why = f"coalesce({_WHY}, {_case(problems)})"
    select = (
        f'SELECT {quote(ROW)} AS "$of", {number} AS "$event", {quote(LINE)}, true AS {quote(IS_ROW)}, '
        f"{why} AS {quote(REASON)}, {made} FROM judged WHERE {applies}"
    )
    return select, [reason for _, reason in problems]


def _plain(column: str, rows: Rows) -> str:
    """Render a number that is copied, written with a point and without groups."""
    name, csv = quote(rows.names[column]), rows.csv[column]
    return plain_number(name, csv) if csv is not None and rows.types[column] == "VARCHAR" else name


def _id_sql(mapping: FilesMapping, rows: Rows, type_sql: str) -> str:
    """Render the id of an event: a digest of the mapping's name, the type, and what identifies the row."""
    columns = mapping.id or tuple(rows.names)
    names = list(dict.fromkeys(rows.names[column] for column in columns))
    key = text_sql(names if mapping.id else [*names, EQUAL])
    named = literal(f"{len(mapping.name)}:{mapping.name}")
    digest = f"md5({named} || coalesce(length({type_sql}) || ':' || {type_sql}, '-') || {key})"
    return f"CASE WHEN coalesce({', '.join(f'{quote(name)}::VARCHAR' for name in names)}) IS NOT NULL THEN {digest} END"


def _case(arms: Problems) -> str:
    """Render the reason of the first condition that holds, NULL when none does."""
    whens = " ".join(f"WHEN {condition} THEN {literal(reason)}" for condition, reason in arms)
    return f"CASE {whens} END" if arms else "NULL::VARCHAR"
