"""Roles of columns: which says when, which identifies, whom features could be about, what tells events apart, what can be added up.

Each is told with its reason, since a guess without one cannot be judged. Names say much, values decide: a column named ``id`` in
which values repeat identifies nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from featurestore.errors import DefinitionError, did_you_mean
from featurestore.lake.ingestion.text_times import TextTime, read_time
from featurestore.scaffold.columns import Column, as_text
from featurestore.scaffold.times import instant, moment
from featurestore.scaffold.words import (
    IDS,
    KINDS,
    LEARNED_WORDS,
    NO_MEASURES,
    OTHER_TIMES,
    PEOPLE,
    SUMS,
    THINGS,
    TIMES,
    is_sum,
    words_of,
)
from featurestore.timeline import from_us

TIME, ID, LEARNED, KEY, KIND, CATEGORY, MEASURE = "time", "id", "learned", "key", "kind", "category", "measure"
NOTHING = "none"
_MOST_KEYS, _MOST_MEASURES, _MOST_CATEGORIES = 3, 3, 2
_FEW = 50
_FEW_KEYS = 10
"""With fewer values, and no name of an id, a column groups events: features are about something else."""
_MOST_KINDS = 12


@dataclass(frozen=True)
class Role:
    """What a column is for, and why one thinks so; ``is_sure`` is whether nothing else came near."""

    column: str
    role: str
    reason: str
    is_sure: bool = True


@dataclass(frozen=True)
class Roles:
    """The roles in the columns of some files.

    Args:
        time: When it happened.
        id: What identifies an event; ``None``: nothing does.
        learned: When it was learned of; ``None``: nothing says so.
        keys: Whom features are about, the first above all.
        kind: What sorts of events there are; ``None`` for one.
        categories: Columns of few values.
        measures: Numbers to be added up or averaged.
        first: The earliest event of the sample.
        last: The latest.
    """

    time: Role
    id: Role | None
    learned: Role | None
    keys: tuple[Role, ...]
    kind: Role | None
    categories: tuple[Role, ...]
    measures: tuple[Role, ...]
    first: datetime
    last: datetime

    @property
    def span(self) -> timedelta:
        """How much time the sample's events cover."""
        return self.last - self.first


def roles_of(
    columns: Mapping[str, Column], *, time: str | None = None, event_id: str | None = None, keys: Sequence[str] = ()
) -> Roles:
    """Find the roles of columns.

    Args:
        columns: Name to what its values are.
        time: Column that says when, if somebody has said so; likewise the others.
        event_id: Column that identifies an event; ``NOTHING`` for none.
        keys: Columns whom features are about.

    Raises:
        DefinitionError: nothing says when, or there is nobody to make features of; or a column that was named is not there.
    """
    for name in (*([time] if time else []), *([event_id] if event_id not in (None, NOTHING) else []), *keys):
        if name not in columns:
            raise DefinitionError(f"There is no column {name!r}.{did_you_mean(str(name), columns)}")
    when = Role(time, TIME, "as you said") if time else _time(columns)
    taken = {when.column}
    learned = _learned(columns, when.column)
    taken |= {learned.column} if learned else set()
    identifying = _said_id(columns, event_id) if event_id else _id(columns, taken)
    taken |= {identifying.column} if identifying else set()
    about = [Role(key, KEY, "as you said") for key in keys] or _keys(columns, taken)
    if not about:
        raise DefinitionError(
            "No column looks like a key: one of whole numbers or texts whose values come again, such as user_id. Name one with --key."
        )
    taken |= {role.column for role in about}
    kind = _kind(columns, taken)
    categories = [role for role in _categories(columns, taken) if kind is None or role.column != kind.column]
    taken |= {role.column for role in categories} | ({kind.column} if kind else set())
    moments = sorted(_moments(columns[when.column]))
    return Roles(
        time=when,
        id=identifying,
        learned=learned,
        keys=tuple(about[:_MOST_KEYS]),
        kind=kind,
        categories=tuple(categories[:_MOST_CATEGORIES]),
        measures=tuple(_measures(columns, taken)[:_MOST_MEASURES]),
        first=moments[0],
        last=moments[-1],
    )


def time_candidates(columns: Mapping[str, Column]) -> list[str]:
    """Name the columns that could say when, the likeliest first."""
    found = [column for column in columns.values() if column.type in ("timestamp", "date") and column.values]
    found = found or [column for column in columns.values() if column.is_foreign_time and _is_named_time(column)]
    return [column.name for column in sorted(found, key=_time_score, reverse=True)]


def _time_score(column: Column) -> tuple[bool, bool, int]:
    words = words_of(column.name)
    is_other = bool({*OTHER_TIMES, *LEARNED_WORDS}.intersection(words))
    rank = min((TIMES.index(word) for word in words if word in TIMES), default=len(TIMES))
    return column.is_whole, not is_other, -rank


def _time(columns: Mapping[str, Column]) -> Role:
    names = time_candidates(columns)
    if not names:
        raise DefinitionError(_no_time(columns))
    scores = [_time_score(columns[name]) for name in names]
    if len(names) == 1:
        return Role(names[0], TIME, "the only column of times")
    others = ", ".join(names[1:4])
    why = "every row has it" if columns[names[0]].is_whole else "most rows have it"
    return Role(names[0], TIME, f"its name, and {why}; {others} hold times too", is_sure=scores[0] != scores[1])


def _is_named_time(column: Column) -> bool:
    """Tell whether the name of a column of numbers says that they are times; texts that look like dates need no such name."""
    return bool(column.time_formats) or bool({*TIMES, *OTHER_TIMES}.intersection(words_of(column.name)))


def _no_time(columns: Mapping[str, Column]) -> str:
    shown = ", ".join(f"{column.name} ({column.type or 'no type that a source has'})" for column in columns.values())
    return f"No column says when something happened: {shown}. A source needs one of times or dates."


def _learned(columns: Mapping[str, Column], time: str) -> Role | None:
    for column in columns.values():
        if (
            column.type == "timestamp"
            and column.name != time
            and column.is_whole
            and set(LEARNED_WORDS).intersection(words_of(column.name))
        ):
            return Role(
                column.name, LEARNED, "its name: when the record was learned of; late ones and corrections are told by it"
            )
    return None


def _said_id(columns: Mapping[str, Column], name: str) -> Role | None:
    return None if name == NOTHING else Role(columns[name].name, ID, "as you said")


def _id(columns: Mapping[str, Column], taken: Iterable[str]) -> Role | None:
    found = [
        column
        for column in columns.values()
        if column.name not in taken
        and column.type in ("int64", "string")
        and column.is_whole
        and len(column.counts) == len(column.values)
        and set(IDS).intersection(words_of(column.name))
    ]
    if not found:
        return None
    best = min(found, key=lambda column: ("event" not in words_of(column.name), words_of(column.name)[-1:] != ["id"]))
    return Role(best.name, ID, f"no value comes twice in {best.rows:,} rows", is_sure=len(found) == 1 and best.rows >= _FEW)


def _keys(columns: Mapping[str, Column], taken: Iterable[str]) -> list[Role]:
    able = [column for column in columns.values() if column.name not in taken and _is_key(column)]
    found = [
        column for column in able if set(IDS).intersection(words_of(column.name)) or len(column.counts) >= _FEW_KEYS
    ] or able
    return [Role(column.name, KEY, _why_key(column)) for column in sorted(found, key=_key_score)]


def _is_key(column: Column) -> bool:
    if column.type not in ("int64", "string") or len(column.counts) < 2 or len(column.counts) == len(column.values):
        return False
    words = words_of(column.name)
    is_named = bool(set(IDS).intersection(words) or {*PEOPLE, *THINGS}.intersection(words))
    return is_named and not {*SUMS, *NO_MEASURES}.intersection(words) and column.nulls < column.rows / 2


def _key_score(column: Column) -> tuple[int, bool, int]:
    words = words_of(column.name)
    ranked = [*PEOPLE, *THINGS]
    rank = min((ranked.index(word) for word in words if word in ranked), default=len(ranked))
    group = 0 if set(words).intersection(PEOPLE) else 1 if set(words).intersection(THINGS) else 2
    return group, not set(IDS).intersection(words), rank if group < 2 else -len(column.counts)


def _why_key(column: Column) -> str:
    return f"its name, and {len(column.counts):,} values in {column.rows:,} rows"


def _kind(columns: Mapping[str, Column], taken: Iterable[str]) -> Role | None:
    found = [column for column in columns.values() if column.name not in taken and column.type == "string"]
    few = [
        column for column in found if 2 <= len(column.counts) <= _MOST_KINDS and set(words_of(column.name)).intersection(KINDS)
    ]
    if not few:
        return None
    best = min(few, key=lambda column: min(KINDS.index(word) for word in words_of(column.name) if word in KINDS))
    return Role(best.name, KIND, f"{len(best.counts)} values: {_listed(best)}")


def _categories(columns: Mapping[str, Column], taken: Iterable[str]) -> list[Role]:
    found = [
        column
        for column in columns.values()
        if column.name not in taken
        and column.type == "string"
        and 2 <= len(column.counts) <= min(_FEW, max(len(column.values) // 4, 2))
    ]
    return [Role(column.name, CATEGORY, f"{len(column.counts)} values: {_listed(column)}") for column in found]


def _listed(column: Column) -> str:
    return ", ".join(as_text(value) for value, _ in column.counts.most_common(4)) + (", ..." if len(column.counts) > 4 else "")


def _measures(columns: Mapping[str, Column], taken: Iterable[str]) -> list[Role]:
    found = [
        column
        for column in columns.values()
        if column.name not in taken
        and column.type in ("int64", "double")
        and column.epoch is None
        and len(column.counts) > 1
        and not {*IDS, *NO_MEASURES, *TIMES}.intersection(words_of(column.name))
    ]
    found.sort(key=lambda column: not is_sum(column.name))
    return [Role(column.name, MEASURE, "a number that adds up" if is_sum(column.name) else "a number") for column in found]


def _moments(column: Column) -> Iterable[datetime]:
    for value in column.values:
        if column.epoch is not None:
            yield instant(value, column.epoch)
        elif column.time_formats:
            yield from filter(None, [moment(value, column.time_formats[0])])
        elif isinstance(value, datetime):
            yield value.replace(tzinfo=None)
        elif isinstance(value, date):
            yield datetime(value.year, value.month, value.day)
        elif isinstance(read := read_time(str(value)), TextTime):
            yield from_us(read.us).replace(tzinfo=None)
