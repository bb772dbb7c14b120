"""The text of a first module of definitions: what was found, with the reasons, to be changed by whoever knows better.

The text is checked by running it; nothing is written that the library would refuse.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from featurestore.scaffold.columns import Column, as_text
from featurestore.scaffold.roles import Role, Roles
from featurestore.scaffold.words import IDS, is_sum, words_of
from featurestore.spec.csv_format import Csv

_WINDOWS = (("7d", 7), ("30d", 30), ("90d", 90), ("1y", 365), ("3y", 3 * 365), ("10y", 3650))
_SHORTEST_DAYS = 30
_MOST_KINDS = 3
_MOST_SEGMENTS = 12
_LONGEST_NAME = 40
_LINE = 100
ROW_ID = "row_id"
"""The column of an identity that a mapping makes."""


@dataclass(frozen=True)
class Found:
    """What a look at some files has found.

    Args:
        name: Of the source and the service, a lower-case identifier.
        files: How many files there are, in words.
        rows: Rows that were looked at.
        columns: Column of the source to what its values are, in the files' order.
        roles: Their roles.
        csv: How the files are written, if they are CSV.
        timezone: Business time zone.
        left_out: Columns that the source does not have, with the reason.
        renamed: Column of the source to its name in files other than CSV, where the source could not have that.
        time_format: How the times are written, where day and month could be either; ``None`` elsewhere.
    """

    name: str
    files: str
    rows: int
    columns: Mapping[str, Column]
    roles: Roles
    csv: Csv | None
    timezone: str
    left_out: Mapping[str, str]
    renamed: Mapping[str, str] = field(default_factory=dict)
    time_format: str | None = None

    @property
    def needs_mapping(self) -> bool:
        """Whether a source cannot read the files as they are."""
        return bool(self.renamed) or self.columns[self.roles.time.column].is_foreign_time

    @property
    def source(self) -> str:
        """Name of the source: the project's, unless something else in the module is named so."""
        views = {f"{entity_of(role.column)}_activity" for role in self.roles.keys}
        return "events" if self.name in {*views, "service", "fs"} else self.name


def windows_of(span: timedelta) -> tuple[str, ...]:
    """Choose windows that some time of events can fill: the shortest, about a year, and the longest.

    >>> windows_of(timedelta(days=550)), windows_of(timedelta(days=20))
    (('30d', '90d', '1y'), ('7d', '30d'))
    """
    if span.days < _SHORTEST_DAYS:
        return tuple(name for name, days in _WINDOWS if days <= _SHORTEST_DAYS)
    fitting = [name for name, days in _WINDOWS if _SHORTEST_DAYS <= days <= span.days]
    return tuple(fitting) if len(fitting) <= 3 else (fitting[0], "1y", fitting[-1])


def identifier(text: str, *, taken: Sequence[str] = ()) -> str:
    """Make a lower-case identifier of a text, different from others.

    >>> identifier("Customer ID"), identifier("2 for 1"), identifier("a", taken=["a"])
    ('customer_id', 'x2_for_1', 'a_2')
    """
    plain = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text).lower()).strip("_")[:_LONGEST_NAME].strip("_")
    name = plain if plain[:1].isalpha() else f"x{plain}"
    number = 2
    while name in taken:
        name, number = f"{name.removesuffix(f'_{number - 1}')}_{number}", number + 1
    return name


def entity_of(column: str) -> str:
    """Name the entity that a key column is about.

    >>> entity_of("customer_id"), entity_of("visitorid"), entity_of("sku")
    ('customer', 'visitor', 'sku')
    """
    words = words_of(column)
    kept = words[:-1] if len(words) > 1 and words[-1] in IDS else words
    return identifier("_".join(kept))


def module_text(found: Found) -> str:
    """Write the module."""
    views = [_view(found, role, is_first=not i) for i, role in enumerate(found.roles.keys)]
    names = [f"{entity_of(role.column)}_activity" for role in found.roles.keys]
    return "\n\n".join(
        [
            _heading(found),
            *([_mapping(found)] if found.needs_mapping else []),
            _source(found),
            *views,
            f'service = fs.FeatureService("{found.name}_v1", features=[{", ".join(names)}])',
            f"OBJECTS = [{found.source}, {', '.join(names)}, service]\n",
        ]
    )


def _heading(found: Found) -> str:
    return (
        f'"""Features of {found.name}: written after a look at {found.rows:,} rows of {found.files}, and yours to change.\n\n'
        "`featurestore up` applies what stands here, ingests what is new and brings everything up to date. Windows and names cost\n"
        'nothing to change; `featurestore apply` with `--dry-run` says what a change would compute.\n"""\n\n'
        "import featurestore as fs\n\n"
        f"# The business time zone: of days and months, and of times that name none. It is fixed once the store is made.\n"
        f"TIMEZONE = {_literal(found.timezone)}"
    )


def _source(found: Found) -> str:
    roles = found.roles
    remarks = {role.column: f"{role.role}: {role.reason}" for role in _all_roles(roles)}
    lines = [f"{found.source} = fs.EventSource(", f'    "{found.source}",', "    schema={"]
    for column in found.columns.values():
        remark = "; ".join(filter(None, [remarks.get(column.name, ""), *_oddities(column)]))
        lines.append(f'        "{column.name}": "{_type(column, roles)}",' + (f"  # {remark}" if remark else ""))
    lines += [f'        "{ROW_ID}": "string",  # made of {roles.id.column}'] if found.needs_mapping and roles.id else []
    lines.append("    },")
    lines += [f"    # {column} is left out: {why}" for column, why in found.left_out.items()]
    lines.append(f'    event_time="{roles.time.column}",')
    if roles.id is None:
        lines.append(
            "    event_id=None,  # no column identifies an event: what is delivered again is known by all of its columns"
        )
    else:
        lines.append(f'    event_id="{ROW_ID if found.needs_mapping else roles.id.column}",')
    lines += [f'    ingested_at="{roles.learned.column}",'] if roles.learned else []
    if found.needs_mapping:
        lines.append("    mapping=mapping,")
    elif found.csv is not None and _csv(found.csv) != "fs.Csv()":
        lines.append(f"    csv={_csv(found.csv)},")
    return "\n".join([*lines, ")"])


def _mapping(found: Found) -> str:
    """Write how the files become events: what the times mean, and which names the columns have there."""
    roles, csv = found.roles, found.csv.document() if found.csv is not None else {}
    files = {"glob": "*", **{name: value for name, value in csv.items() if value != Csv().document()[name]}}
    when = found.columns[roles.time.column]
    time = {"column": _there(found, when.name)} | ({"unit": when.epoch} if when.epoch else {})
    time |= {"format": found.time_format} if found.time_format else {}
    lines = ["# How the files become events: docs/mappings.md", "mapping = fs.Mapping("]
    lines += [
        f"    {_literal(found.name)},",
        f"    sources={{{_literal('files')}: {_table(files)}}},",
        f"    time={_table(time)},",
    ]
    lines += [f"    id=[{_literal(_there(found, roles.id.column))}],"] if roles.id else []
    names = [
        f"        {_literal(name)}: {_table({'column': _there(found, name)})}," for name in found.columns if name != when.name
    ]
    return "\n".join([*lines, "    columns={", *names, "    },", ")"])


def _there(found: Found, name: str) -> str:
    """Return a column's name in the files."""
    return found.renamed.get(name, name)


def _table(values: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{_literal(name)}: {_literal(value)}" for name, value in values.items()) + "}"


def _all_roles(roles: Roles) -> Iterator[Role]:
    for role in (roles.time, roles.id, roles.learned, *roles.keys, roles.kind, *roles.categories, *roles.measures):
        if role is not None:
            yield role


def _type(column: Column, roles: Roles) -> str:
    """Return a column's type in the schema: days count as instants where they say when."""
    is_when = column.name in (roles.time.column, roles.learned.column if roles.learned else None)
    return "timestamp" if is_when else str(column.type)


def _oddities(column: Column) -> Iterator[str]:
    if column.odd:
        shown = ", ".join(map(repr, column.odd_values))
        yield f"{column.odd:,} of {column.rows:,} rows have something else, such as {shown}"
    if column.nulls and column.nulls == column.rows:
        yield "always NULL"


def _csv(csv: Csv) -> str:
    """Write what is unusual in how CSV files are written, in lines as formatters break them."""
    changed = {name: value for name, value in csv.document().items() if value != Csv().document()[name]}
    written = f"fs.Csv({', '.join(f'{name}={_literal(value)}' for name, value in changed.items())})"
    if len(written) <= _LINE:
        return written
    lines = (f"        {name}={_literal(value)}," for name, value in changed.items() if name != "names")
    names = [f"            {_literal(name)}," for name in changed.get("names", ())]
    return "\n".join(["fs.Csv(", *lines, "        names=(", *names, "        ),", "    )"])


def _literal(value: Any) -> str:
    """Write a value as the formatters of Python code do: with double quotes."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(_literal, value))}{',' if len(value) == 1 else ''})"
    return repr(value)


def _view(found: Found, key: Role, *, is_first: bool) -> str:
    entity = entity_of(key.column)
    windows = windows_of(found.roles.span)
    features, segments = _aggregations(found, key, windows, is_first=is_first)
    lines = [
        f"{entity}_activity = fs.FeatureView(",
        f'    "{entity}_activity",',
        f'    entity=fs.Entity("{entity}", key="{key.column}"),',
        f"    source={found.source},",
        "    aggregations=[",
        *(f"        {feature}," for feature in features),
        "    ],",
        *([f"    segments=({segments},),  # the drift audit looks at each of its values apart"] if segments else []),
        ")",
    ]
    return "\n".join(lines)


def _aggregations(found: Found, key: Role, windows: Sequence[str], *, is_first: bool) -> tuple[list[str], str]:
    """Write the aggregations of a view, and its segment; all of them for the first key, the main ones for the others."""
    roles, taken = found.roles, list[str]()
    over = f"windows={_literal(windows)}"

    def named(text: str) -> str:
        taken.append(identifier(text, taken=taken))
        return _literal(taken[-1])

    features = [f"fs.Count({named('events')}, {over})"]
    if roles.kind is not None:
        kind = found.columns[roles.kind.column]
        for value, _ in kind.counts.most_common(_MOST_KINDS if is_first else 1):
            condition = f"{kind.name} = '" + as_text(value).replace("'", "''") + "'"
            features.append(f"fs.Count({named(as_text(value))}, where={_literal(condition)}, {over})")
    for role in roles.measures if is_first else roles.measures[:1]:
        if is_sum(role.column):
            features.append(f'fs.Sum({named(role.column)}, "{role.column}", {over})')
        features.append(f'fs.Mean({named(f"{role.column}_mean")}, "{role.column}", windows={_literal(windows[-1:])})')
    others = [role.column for role in roles.keys if role.column != key.column]
    if others and is_first:
        features.append(
            f'fs.Distinct({named(f"{entity_of(others[0])}_count")}, "{others[0]}", windows={_literal(windows[-1:])})'
        )
    features.append(f"fs.Recency({named('since_last')})")
    category = next((role.column for role in roles.categories if _is_segment(found.columns[role.column])), None)
    if category is None or not is_first:
        return features, ""
    features.append(f'fs.Last({named(category)}, "{category}")')
    return features, f'"{taken[-1]}"'


def _is_segment(column: Column) -> bool:
    return len(column.counts) <= _MOST_SEGMENTS
