"""Evolution of a source that has rows: what a changed definition may do to them, before it is recorded.

Whatever would make committed rows unreadable, or read as something else, is refused, with the way out. What is accepted needs no
file to be written again: older files are read as ``source_scan.py`` says, and the next ingest tells the table's log.
"""

from __future__ import annotations

from collections.abc import Mapping

from featurestore.errors import DefinitionError, StoreError
from featurestore.lake.layout import Layout
from featurestore.lake.session import connect, quote
from featurestore.lake.source_scan import has_column, is_empty_in
from featurestore.lake.table import CommittedFile, Table, parquet_scan_sql
from featurestore.lake.table_schema import schema_type_of
from featurestore.spec.evolution import WIDENS, first_types
from featurestore.spec.source import HIDDEN_ID, EventSource

_MONTH = "month"
_EXACT_IN_DOUBLE = 2**53
_ANOTHER = "or declare another source and ingest its history there"


def check_columns(table: Table, source: EventSource) -> None:
    """Refuse to write rows of a source whose definition is not the one that its table's rows were committed under, or a next one.

    Raises:
        StoreError: the table has other columns, and the source was not applied.
    """
    known = _types(table)
    if not table.files():
        return
    may_differ = dict(source.earlier)
    new = {column: kind for column, kind in source.schema if known.get(column) != kind and column not in may_differ}
    gone = {column: kind for column, kind in known.items() if column not in source.stored}
    gone = {column: kind for column, kind in gone.items() if not is_empty_in(table.files(), column)}
    if new or gone:
        raise StoreError(
            f"Source {source.name!r} declares {new}, where its committed events have {gone or known}. Its columns were changed "
            "meanwhile, or never applied: apply the definition first, then ingest."
        )


def first_types_of(layout: Layout, source: EventSource, recorded: EventSource | None) -> Mapping[str, str | None]:
    """Return what the columns of a source were when its rows were committed first; without rows, what they are now."""
    events = Table.open(layout.events(source.name))
    if not (events.files() or Table.open(layout.superseded(source.name)).files()):
        return source.types
    if recorded is not None:
        return first_types(recorded)
    noted = {column: kind and schema_type_of(kind) for column, kind in events.earlier_types().items()}
    return {**_types(events), **noted}


def check_evolution(layout: Layout, before: EventSource | None, after: EventSource) -> None:
    """Refuse what committed rows of a source do not bear.

    Args:
        layout: The store.
        before: The source as it was recorded last; ``None`` where it never was, or nobody knows any more.
        after: The source to be recorded.

    Raises:
        DefinitionError: it says what and why, and the way out.
    """
    events = Table.open(layout.events(after.name))
    files = [*events.files(), *Table.open(layout.superseded(after.name)).files()]
    if not files:
        return
    if before is not None:
        _check_roles(before, after, files)
    types = _types(events)
    for column, kind in types.items():
        if column not in after.types:
            _check_gone(after, column, files, [new for new in after.types if new not in types])
        elif after.types[column] != kind:
            _check_type(layout, after, column, kind, files)


def _types(table: Table) -> dict[str, str]:
    types = {column: schema_type_of(kind) or kind for column, kind in table.column_types().items()}
    types.pop(_MONTH, None)
    types.pop(HIDDEN_ID, None)
    return types


def _check_roles(before: EventSource, after: EventSource, files: list[CommittedFile]) -> None:
    what = f"Source {after.name!r} has committed rows"
    for role in ("event_id", "event_time"):
        old, new = getattr(before, role), getattr(after, role)
        if old != new:
            raise DefinitionError(
                f"{what}, which are told apart and kept by {role}={old!r}; it cannot become {new!r}. Keep it, {_ANOTHER}. "
                "A view may count by another time: FeatureView(event_time=...)."
            )
    if before.id_scope == "month" != after.id_scope:
        raise DefinitionError(
            f"{what} whose event_id is unique within a month only; id_scope='source' would take two of them for one event. "
            f"Keep id_scope='month', {_ANOTHER}."
        )
    if before.ingested_at is not None and before.ingested_at != after.ingested_at:
        raise DefinitionError(
            f"{what} that became known at {before.ingested_at!r}; ingested_at={after.ingested_at!r} would forget it. "
            f"Keep it, {_ANOTHER}."
        )
    if before.ingested_at is None and after.ingested_at is not None and not is_empty_in(files, after.ingested_at):
        raise DefinitionError(
            f"{what} in which {after.ingested_at!r} is a value among others: answers as known would change, and corrections be "
            f"told by it. Add a new column for ingested_at, {_ANOTHER}."
        )


def _check_gone(after: EventSource, column: str, files: list[CommittedFile], added: list[str]) -> None:
    if is_empty_in(files, column):
        if after.event_id is None:
            raise DefinitionError(
                f"Source {after.name!r} no longer declares {column!r}, and has no event_id: what identifies its events was made of "
                f"that column too, though it is empty. Keep it declared, with optional=({column!r},) if files no longer have it."
            )
        return
    renamed = f" A column cannot be renamed, {added[0]!r} would be another one." if len(added) == 1 else ""
    raise DefinitionError(
        f"Source {after.name!r} no longer declares {column!r}, of which committed rows have values: they could not be read any "
        f"more.{renamed} Keep it declared, with optional=({column!r},) if files no longer have it, {_ANOTHER}."
    )


def _check_type(layout: Layout, after: EventSource, column: str, kind: str, files: list[CommittedFile]) -> None:
    new = after.types[column]
    what = f"Column {column!r} of source {after.name!r} is {kind} in committed rows; it cannot become {new}"
    if (kind, new) not in WIDENS:
        raise DefinitionError(
            f"{what}: int32 may become int64, and integers double where all values fit, and nothing else. Keep it, add a column "
            f"of another name, {_ANOTHER}."
        )
    if kind == "int64" and not _fits_double(layout, column, files):
        raise DefinitionError(
            f"{what}: some of the committed values are beyond 2^53, where double does not hold every integer. Keep it, add a "
            f"column of another name, {_ANOTHER}."
        )


def _fits_double(layout: Layout, column: str, files: list[CommittedFile]) -> bool:
    """Tell whether double holds all committed values of a column of integers; only files that may have large ones are read."""
    large = [
        file
        for file in files
        if has_column(file, column)
        and not (
            column in file.minimum and file.minimum[column] >= -_EXACT_IN_DOUBLE and file.maximum[column] <= _EXACT_IN_DOUBLE
        )
    ]
    if not large:
        return True
    name = quote(column)
    with connect(layout.root) as session:
        sql = f"SELECT count(*) FROM {parquet_scan_sql(large)} WHERE {name}::DOUBLE::HUGEINT <> {name}::HUGEINT"
        (count,) = session.execute(sql).fetchall()[0]
    return not count
