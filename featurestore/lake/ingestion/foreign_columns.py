"""Columns of foreign files: what a mapping reads, and where among joined files each of it is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from featurestore.errors import IngestError, did_you_mean
from featurestore.spec.csv_format import Csv
from featurestore.spec.expression import columns_in
from featurestore.spec.mapping import Mapping as FilesMapping
from featurestore.spec.mapping.binding import event_values
from featurestore.spec.mapping.mapping import Branch
from featurestore.spec.mapping.values import Cumulated


@dataclass(frozen=True)
class ForeignColumns:
    """What the files of one source of a mapping are expected to have: whatever they lack may be in other files."""

    name: str
    types: dict[str, str]
    csv: Csv | None
    event_id: str | None = None
    event_time: str = field(default="")

    def may_lack(self, column: str) -> bool:
        """Leave it to ``locate``, which knows all files of a delivery."""
        return True


def reads_of(mapping: FilesMapping, branch: Branch, event_time: str) -> dict[str, str]:
    """Return the columns that events of a branch are made of, each with the place in the mapping that says so."""
    reads: dict[str, str] = {}
    for event in branch.events:
        if event.when is not None:
            reads |= dict.fromkeys(sorted(columns_in(event.when)), f"{event.at}.when")
        for value in event_values(mapping, event, event_time).values():
            columns = value.columns
            if not isinstance(value, Cumulated) and value.expression is not None:
                columns = tuple(sorted(columns_in(value.expression)))
            reads |= {column: value.at for column in columns if column not in reads}
    return reads | {column: "id" for column in mapping.id if column not in reads}


def wanted_of(mapping: FilesMapping, branch: Branch, name: str, event_time: str) -> ForeignColumns:
    """Return which columns the files of a source may have that a branch reads."""
    columns = [column.removeprefix(f"{name}.") for column in reads_of(mapping, branch, event_time)]
    columns += [left for join in branch.joins for left, _ in join.on if join.left == name]
    columns += [right for join in branch.joins for _, right in join.on if join.right == name]
    return ForeignColumns(f"{mapping.name}.{name}", dict.fromkeys(columns, "string"), mapping.source(name).csv)


def locate(
    mapping: FilesMapping,
    branch: Branch,
    columns: Mapping[str, Collection[str]],
    event_time: str,
    *,
    absent: Collection[str] = (),
) -> dict[str, tuple[str, str]]:
    """Find each column that a branch reads.

    Args:
        mapping: The mapping.
        branch: Which files it reads.
        columns: Source to the columns that its files have, all of them.
        event_time: Column of the event that says when it happened.
        absent: Sources of which the delivery has no file, and need not: their columns are those that no other file has.

    Returns:
        Column, as the mapping writes it, to the source that has it and its name there.

    Raises:
        IngestError: no file has it, or several have, and are not joined on it.
    """
    there = {name: {*columns[name], *mapping.source(name).optional} for name in branch.sources}
    for join in branch.joins:
        for (left, right), name in [(pair, join.left) for pair in join.on] + [(pair, join.right) for pair in join.on]:
            key = left if name == join.left else right
            if key not in there[name]:
                raise _missing(mapping, f"the files of {name} have no column {key!r}", key, there[name], f"{join.at}.on")
    return {
        ref: _place_of(mapping, branch, there, absent, ref, at) for ref, at in reads_of(mapping, branch, event_time).items()
    }


def _place_of(
    mapping: FilesMapping,
    branch: Branch,
    there: Mapping[str, Collection[str]],
    absent: Collection[str],
    ref: str,
    at: str,
) -> tuple[str, str]:
    every = [name for name in branch.sources if ref in there[name]]
    having = [name for name in every if name not in absent] or every[:1]
    joined = {join.right for join in branch.joins if (ref, ref) in join.on}
    if having and all(name in joined for name in having[1:]):
        return having[0], ref
    if having:
        either = " or ".join(f"{name}.{ref}" for name in having)
        raise IngestError(str(mapping.place.fail(f"{' and '.join(having)} both have a column {ref!r}. Write {either}.", at=at)))
    name, _, column = ref.partition(".")
    if name in there and column in there[name]:
        return name, column
    known = [column for columns in there.values() for column in columns]
    raise _missing(mapping, f"no file of {' and '.join(branch.sources)} has a column {ref!r}", ref, known, at)


def _missing(mapping: FilesMapping, problem: str, column: str, known: Collection[str], at: str) -> IngestError:
    return IngestError(
        str(mapping.place.fail(f"{problem}.{did_you_mean(column, known)} Nothing of the delivery was committed.", at=at))
    )
