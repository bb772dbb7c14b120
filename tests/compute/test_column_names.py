"""Column names: a source may name a column as SQL, DuckDB or the store itself names things, in every role, and nothing changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pyarrow as pa
import pytest

import featurestore as fs
from featurestore.errors import DefinitionError
from featurestore.lake.daily import daily_counts
from featurestore.timeline import Month

SOURCES = 10
START = datetime(2024, 1, 1, tzinfo=timezone.utc)
# What the store's own SQL has as names of columns, aliases and tables near ids and times.
HELPERS = [
    "rowid", "content_hash", "counts", "key_0", "key_1", "file", "row", "id", "day", "start",
    "probe", "cut", "start_us", "end_us", "knowledge_us", "key", "code", "step", "kind", "versions",
    "instant", "old", "new", "as_of_us", "batch", "RowId", "Content_Hash", "candidates", "unseen", "early",
]  # fmt: skip
# What SQL and DuckDB reserve, and what is left of the store's own.
OTHERS = [
    "select", "from", "where", "group", "order", "by", "having", "limit", "offset", "union",
    "join", "left", "on", "using", "as", "case", "when", "then", "else", "end",
    "and", "or", "not", "null", "true", "false", "is", "in", "like", "between",
    "table", "view", "create", "insert", "update", "delete", "values", "into", "primary", "default",
    "timestamp", "date", "interval", "time", "USER", "Current_Date", "index", "column", "struct", "map",
    "reason", "source_file", "row_hash", "quarantined", "portion", "repeated", "remaining", "winners", "removed", "beaten",
    "conflicts", "contents", "known", "twice", "features", "hour_0", "present_1", "mean_2", "sd_3", "rows",
]  # fmt: skip
NAMES = [*HELPERS, *OTHERS]


@dataclass(frozen=True)
class Named:
    """The names of one source's columns."""

    event_id: str
    event_time: str
    ingested_at: str
    keys: Sequence[str]
    values: Sequence[str]


def every_tenth(number: int) -> list[str]:
    return NAMES[number % SOURCES :: SOURCES]


def named(number: int, turn: int = 0) -> Named:
    """Name the columns of one of ten sources: each name is that of a key and of a value, each of the store's own of another role.

    Three turns would give each of these each role.
    """
    tens = [HELPERS[place + number] for place in range(0, len(HELPERS), SOURCES)]
    return Named(*tens[turn:], *tens[:turn], every_tenth(number + 1), every_tenth(number + 2))


def plain() -> Named:
    ten = range(10)
    return Named("event", "happened", "learned", [f"who{i}" for i in ten], [f"value{i}" for i in ten])


def rows(names: Named, made: list[tuple[int, int, int, int, int]]) -> pa.Table:
    """Each row: event, key, hour, hours until it was learned, value."""
    learned = [START + timedelta(hours=row[2] + row[3]) for row in made]
    return pa.table({
        **{value: [row[4] + i for row in made] for i, value in enumerate(names.values)},
        names.event_id: [row[0] for row in made],
        names.event_time: pa.array([START + timedelta(hours=row[2]) for row in made], pa.timestamp("us", "UTC")),
        names.ingested_at: pa.array(learned, pa.timestamp("us", "UTC")),
        **{key: [row[1] for row in made] for key in names.keys},
    })  # fmt: skip


def view_of(number: int, names: Named) -> fs.FeatureView:
    times = dict.fromkeys((names.event_time, names.ingested_at), "timestamp")
    numbers = dict.fromkeys((names.event_id, *names.keys, *names.values), "int64")
    source = fs.EventSource(
        f"events{number}",
        schema={**numbers, **times},
        event_time=names.event_time,
        event_id=names.event_id,
        ingested_at=names.ingested_at,
    )
    sums = [fs.Sum(f"total{i}", value, windows=("30d",)) for i, value in enumerate(names.values)]
    first = names.values[0]
    others = [
        fs.Count("count", windows=("30d",), where=f'"{first}" > 10 AND "{names.keys[0]}" >= 0'),
        fs.Max("most", first),
        fs.Last("last", first),
    ]
    entity = fs.Entity(f"who{number}", key=tuple(names.keys))
    return fs.FeatureView(f"view{number}", entity=entity, source=source, aggregations=[*sums, *others])


def answers(root: Path, many: Sequence[Named]) -> list[dict[str, object]]:
    """Ingest, then deliver again, correct and deliver late; ask in both ways, and prove the ledgers: what each source gives."""
    store = fs.FeatureStore(root)
    views = [view_of(number, names) for number, names in enumerate(many)]
    store.apply(views)
    first = [(n, n % 3, n * 10, 0, n) for n in range(1, 40)]
    then = [*first[:5], (90, 1, 35, 0, 7), (13, 1, 130, 200, 1_000), (14, 2, 140, 150, 500), (100, 1, 20, 300, 9)]
    found: list[dict[str, object]] = [{} for _ in many]
    for view, names, mine in zip(views, many, found, strict=True):
        for made in (first, then):
            report = store.ingest(view.source.name, rows(names, made))
            counts = report.rows_added, report.duplicates, report.corrections, dict(report.quarantined)
            mine[f"{len(made)} rows"] = counts
        daily = daily_counts(store.layout, view.source, Month(2024, 2))
        mine["days"] = daily.select(["day", "rows", "present", "early", "hours"]).to_pylist()
    store.materialize()
    assert store.verify().is_equal
    moments = [START + timedelta(days=days) for days in (8, 8, 8, 20, 20, 20)]
    spine = pa.table({
        "the moment": pa.array(moments, pa.timestamp("us", "UTC")),
        **{key: [0, 1, 2, 0, 1, 2] for names in many for key in names.keys},
    })  # fmt: skip
    for as_known in (False, True):
        table = store.get_historical_features(spine, [view.name for view in views], as_of="the moment", as_known=as_known)
        for view, mine in zip(views, found, strict=True):
            columns = [feature.column for feature in view.features]
            mine[f"as_known={as_known}"] = [list(row.values()) for row in table.select(columns).to_pylist()]
    return found


def test_a_name_changes_nothing_in_any_role(tmp_path: Path) -> None:
    assert len(NAMES) == len(set(NAMES)) == 100
    (expected,) = answers(tmp_path / "plain", [plain()])
    assert (expected["39 rows"], expected["9 rows"]) == ((39, 0, 0, {}), (2, 5, 2, {}))
    assert expected["as_known=False"] != expected["as_known=True"]
    many = [named(number) for number in range(SOURCES)]
    for names, found in zip(many, answers(tmp_path / "odd", many), strict=True):
        assert found == expected, names


def test_an_entity_cannot_be_named_as_the_instant_of_an_answer() -> None:
    with pytest.raises(DefinitionError, match="has the key 'as_of', the name of the column"):
        fs.Entity("who", key="as_of")
