"""Validation: one SQL text per input that converts every column and gives every invalid row its reason."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from featurestore.lake.ingestion.columns import MISSING, READ, Conversion, convert
from featurestore.lake.ingestion.lines import IS_ROW, LINE, POSITION, REASON, REASONS, UNREADABLE
from featurestore.lake.session import literal, literals, quote
from featurestore.spec.csv_format import Csv
from featurestore.spec.source import LARGEST_DOUBLE, QUARANTINE, EventSource
from featurestore.timeline import DAY_US

_EARLIEST_EVENT = "1990-01-01"
# A timestamp outside can only be a defect, and Python's datetime could not hold every one of them.
_FIRST_DATE, _END_DATE = "1800-01-01", "2300-01-01"
_OURS = (LINE, IS_ROW, REASON, POSITION)
_FIRST_WRITABLE_US = -9_223_372_022_400_000_000


@dataclass(frozen=True)
class Validation:
    """How to read one input as rows of a source.

    Args:
        valid_sql: The valid rows, converted, in the schema's columns and order, and the position of each, where there is one.
        invalid_sql: ``row`` (the raw row as JSON) and ``reason`` of the others.
        non_finite_sql: How many NaN and infinities become NULL; ``None`` when there can be none.
        extra_columns: Columns of the input that the schema does not name.
    """

    valid_sql: str
    invalid_sql: str
    non_finite_sql: str | None
    extra_columns: tuple[str, ...]


def validation_of(
    source: EventSource,
    relation: str,
    types: Mapping[str, str],
    *,
    now_us: int,
    ids: Collection[str] = (),
    csv: Csv | None = None,
    more_reasons: Sequence[str] = (),
) -> Validation:
    """Plan how to read a relation, in a session that has the functions of ``time_functions``.

    A row's reason is the first that holds: a line that could not be split, a value that is not of its type, a missing
    event_id or event_time, an absurd (before 1990) or future (later than a day from now) time, an absurd double, an unknown value.

    Args:
        source: Whose schema the rows must have.
        relation: What follows FROM. Columns of the schema that it lacks are NULL.
        types: DuckDB type of each of its columns.
        now_us: The present, in microseconds since 1970 UTC.
        ids: Columns besides the event_id that name an entity.
        csv: How the texts of numbers are written, if they come from CSV.
        more_reasons: What the relation may say itself of a row, besides what a line can be.
    """
    named_ids = {source.id_column, *ids}
    chosen = {
        column: convert(column, kind, sql_type=types.get(column, MISSING), is_id=column in named_ids, csv=csv)
        for column, kind in source.schema
    }
    # Four levels, so that each value is computed once: read texts, convert, find what could not be converted, judge what could.
    relation, conversions = _read_first(relation, chosen)
    values = ", ".join(f"{conversion.value} AS {_converted(column)}" for column, conversion in conversions.items())
    named = ", ".join(f"{_converted(column)} AS {quote(column)}" for column in conversions)
    extra = tuple(column for column in types if column not in source.types and column not in _OURS)
    reasons = _Reasons()
    broken = _broken_sql(conversions, reasons, types=types, told=(*REASONS, *more_reasons))
    reason = _case([('"$broken" <> 0', '"$broken"'), *_wrong_values(source, reasons, types, now_us)])
    raw = _raw_json(source, types, extra)
    position = f", {quote(POSITION)}" if POSITION in types else ""
    converted = f'{named}{position}, {broken} AS "$broken", {raw} AS "$raw" FROM (SELECT *, {values} FROM {relation})'
    return Validation(
        valid_sql=f"SELECT {_final_columns(source, now_us)}{position} FROM (SELECT {converted}) WHERE {reason} = 0",
        invalid_sql=f'SELECT "$raw" AS row, {literals(reasons.texts)}[{reason}] AS reason '
        f"FROM (SELECT {converted}) WHERE {reason} <> 0",
        non_finite_sql=_non_finite_sql(relation, conversions),
        extra_columns=extra,
    )


@dataclass
class _Reasons:
    """Reasons that rows can have, numbered from 1 in the order of their mention."""

    texts: list[str] = field(default_factory=list)

    def number(self, text: str) -> str:
        self.texts.append(text)
        return str(len(self.texts))


def _case(arms: Sequence[tuple[str, str]]) -> str:
    """Render the result of the first ``(condition, result)`` whose condition holds, 0 when none does."""
    return f"CASE {' '.join(f'WHEN {condition} THEN {result}' for condition, result in arms)} ELSE 0 END" if arms else "0"


def _converted(column: str) -> str:
    return quote(f"$converted {column}")


def _broken_sql(
    conversions: Mapping[str, Conversion], reasons: _Reasons, *, types: Mapping[str, str], told: Sequence[str]
) -> str:
    """Render the number of the reason why a row could not be converted; which one exactly is asked of broken rows only."""
    arms = [(f"{quote(REASON)} = {literal(reason)}", reasons.number(reason)) for reason in told] if REASON in types else []
    arms += [(f"NOT {quote(IS_ROW)}", reasons.number(UNREADABLE))] if IS_ROW in types else []
    for column, conversion in conversions.items():
        if conversion.is_present is not None:
            why = _case([(condition, reasons.number(reason)) for reason, condition in conversion.problems])
            arms.append((f"{_converted(column)} IS NULL AND {conversion.is_present}", why))
    return _case(arms)


def _read_first(relation: str, conversions: Mapping[str, Conversion]) -> tuple[str, dict[str, Conversion]]:
    """Compute in a relation what conversions read, and let these name it."""
    reads = []
    named = dict(conversions)
    for column, conversion in conversions.items():
        if conversion.read is not None:
            name = quote(f"$read {column}")
            reads.append(f"{conversion.read} AS {name}")
            named[column] = replace(
                conversion,
                value=conversion.value.replace(READ, name),
                is_present=conversion.is_present and conversion.is_present.replace(READ, name),
                problems=tuple((reason, condition.replace(READ, name)) for reason, condition in conversion.problems),
            )
    return (f"(SELECT *, {', '.join(reads)} FROM {relation})" if reads else relation), named


def _wrong_values(source: EventSource, reasons: _Reasons, types: Collection[str], now_us: int) -> list[tuple[str, str]]:
    """List what may be wrong with converted values, as ``(condition, number of the reason)``."""
    faults = []
    if source.event_id is not None:
        event_id = quote(source.event_id)
        empty = f" OR {event_id} = ''" if source.types[source.event_id] == "string" else ""
        faults.append(("missing event_id", f"{event_id} IS NULL{empty}"))
    faults.append(("missing event_time", f"{quote(source.event_time)} IS NULL"))
    roles = {"event_time": source.event_time, "ingested_at": source.ingested_at}
    for role, column in roles.items():
        if column is not None:
            faults.append((f"absurd {role}", f"{quote(column)} < TIMESTAMPTZ {literal(_EARLIEST_EVENT)}"))
            faults.append((f"future {role}", f"{quote(column)} > make_timestamptz({now_us + DAY_US})"))
    # No row of a file without the column can say it: gaps.py looks what is known of them, and the others are known from now on.
    if source.ingested_at is not None and source.ingested_at in types and source.unstamped == QUARANTINE:
        faults.append(("missing ingested_at", f"{quote(source.ingested_at)} IS NULL"))
    for column, kind in source.schema:
        if kind in ("timestamp", "date") and column not in roles.values():
            name = quote(column)
            sql_type = "DATE" if kind == "date" else "TIMESTAMPTZ"
            outside = f"{name} < {sql_type} {literal(_FIRST_DATE)} OR {name} >= {sql_type} {literal(_END_DATE)}"
            faults.append((f"absurd {column}", outside))
        if kind == "double" and column not in source.wide:
            faults.append((f"absurd {column}", f"abs({quote(column)}) > {LARGEST_DOUBLE!r}"))
    for reason, condition in _not_accepted(source):
        faults.append((reason, condition))
    for column, allowed in source.values:
        faults.append((f"unknown value of {column}", f"NOT list_contains({literals(allowed)}, {quote(column)})"))
    return [(condition, reasons.number(reason)) for reason, condition in faults]


def _final_columns(source: EventSource, now_us: int) -> str:
    """Name the schema's columns; what says not when we learned of it is known from now on, where it is taken at all."""
    return ", ".join(
        f"coalesce({quote(column)}, make_timestamptz({now_us})) AS {quote(column)}"
        if column == source.ingested_at
        else quote(column)
        for column in source.types
    )


def _not_accepted(source: EventSource) -> list[tuple[str, str]]:
    """List the times that the source's mapping does not accept, as ``(reason, condition)``."""
    if source.mapping is None:
        return []
    first, end = source.mapping.accept_us
    name = quote(source.event_time)
    conditions = [] if first is None else [f"{name} < make_timestamptz({first})"]
    conditions += [] if end is None else [f"{name} >= make_timestamptz({end})"]
    return [(f"{source.event_time} outside of accept", " OR ".join(conditions))] if conditions else []


def _raw_json(source: EventSource, types: Mapping[str, str], extra: tuple[str, ...]) -> str:
    """Render a raw row as JSON text: the schema's columns in its order, then the others by name."""
    if LINE in types:
        line = quote(LINE)
        return f"CASE WHEN {quote(IS_ROW)} THEN {line} ELSE to_json({line})::VARCHAR END"
    return row_json({column: types[column] for column in (*source.types, *sorted(extra)) if column in types})


def row_json(types: Mapping[str, str], names: Mapping[str, str] | None = None) -> str:
    """Render columns of some DuckDB types as the JSON text of a row; ``names`` says under which names a query has them."""
    fields = []
    for column, kind in types.items():
        name = quote(column if names is None else names[column])
        value = f"to_json({name})"
        if kind in ("FLOAT", "DOUBLE"):  # JSON has no NaN: it is written as a text
            value = f"CASE WHEN isfinite({name}) THEN to_json({name}) ELSE to_json({name}::VARCHAR) END"
        elif kind == "TIMESTAMP":  # before all days that DuckDB can write
            value = f"CASE WHEN epoch_us({name}) < {_FIRST_WRITABLE_US} THEN to_json(epoch_us({name})) ELSE to_json({name}) END"
        fields.append(f"{literal(column)}: {value}")
    return f"to_json({{{', '.join(fields)}}})::VARCHAR"


def _non_finite_sql(relation: str, conversions: Mapping[str, Conversion]) -> str | None:
    # A long sum with + is too deep for DuckDB, and FILTER costs time that grows with the square of the columns.
    counts = [f"count_if({conversion.non_finite})" for conversion in conversions.values() if conversion.non_finite]
    return f"SELECT coalesce(list_sum([{', '.join(counts)}]), 0) FROM {relation}" if counts else None
