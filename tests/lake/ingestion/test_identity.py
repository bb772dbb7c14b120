"""Ingest against a slow oracle: the committed events are a function of the set of delivered versions."""

from __future__ import annotations

import hashlib
import random
import re
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.errors import IngestError
from featurestore.lake.ingestion import identity
from featurestore.lake.ingestion.batch import Batch
from featurestore.lake.ingestion.identity import judge
from featurestore.lake.ingestion.ingest import ingest
from featurestore.lake.ingestion.intake import check_input, portions_of
from featurestore.lake.ingestion.quarantine import count_quarantined
from featurestore.lake.layout import Layout, create_or_open
from featurestore.lake.session import connect
from featurestore.lake.table import Table
from featurestore.spec.source import EventSource
from featurestore.timeline import Month, to_us
from tests.lake.ingestion.superseded import read_superseded

UTC = timezone.utc
ZONE = "Asia/Shanghai"
SCHEMA = pa.schema(
    [
        ("event_id", pa.int64()),
        ("event_time", pa.timestamp("us", "UTC")),
        ("ingested_at", pa.timestamp("us", "UTC")),
        ("kind", pa.string()),
        ("user_id", pa.int64()),
        ("price", pa.float64()),
    ]
)
TYPES = {
    "event_id": "int64",
    "event_time": "timestamp",
    "ingested_at": "timestamp",
    "kind": "string",
    "user_id": "int64",
    "price": "double",
}


def source(*, scope: str = "source", has_ingested_at: bool = True, id_type: str = "int64") -> EventSource:
    types = {**TYPES, "event_id": id_type}
    if not has_ingested_at:
        del types["ingested_at"]
    known_at = "ingested_at" if has_ingested_at else None
    roles = {"event_time": "event_time", "event_id": "event_id", "ingested_at": known_at}
    return EventSource("events", schema=types, **roles, id_scope=scope, wide=("price",))


def table(rows: list[dict[str, Any]], events: EventSource) -> pa.Table:
    schema = pa.schema([field for field in SCHEMA if field.name in events.types])
    if events.types["event_id"] == "string":
        schema = schema.set(0, pa.field("event_id", pa.string()))
    return pa.Table.from_pylist(rows, schema=schema)


def committed(layout: Layout, events: EventSource) -> list[dict[str, Any]]:
    """Read what is committed with pyarrow, checking that each file is sorted and in the right month."""
    rows: list[dict[str, Any]] = []
    for file in Table.open(layout.events("events")).files():
        found = pq.ParquetFile(file.path).read().to_pylist()
        keys = [(row["event_time"], row["event_id"]) for row in found]
        assert keys == sorted(keys)
        assert len(found) == file.rows
        assert {str(Month.of(to_us(row["event_time"]), ZONE)) for row in found} == {file.partition["month"]}
        rows += found
    return sorted(rows, key=lambda row: (str(row["event_id"]), row["event_time"]))


def content_of(row: dict[str, Any]) -> str:
    texts = []
    for column in sorted(row):
        if column != "ingested_at":
            value = row[column]
            text = None if value is None else str(to_us(value)) if isinstance(value, datetime) else str(value)
            texts.append("-" if text is None else f"{len(text)}:{text}")
    return hashlib.md5("".join(texts).encode()).hexdigest()


def oracle(deliveries: list[dict[str, Any]], scope: str) -> tuple[list[dict[str, Any]], dict[tuple[Any, str, datetime], int]]:
    """Return what must be committed, and all other deliveries of known events with their order, each once for its ingested_at."""
    versions: dict[Any, dict[tuple[datetime, str], dict[str, Any]]] = defaultdict(dict)
    for row in deliveries:
        month = str(Month.of(to_us(row["event_time"]), ZONE)) if scope == "month" else ""
        versions[row["event_id"], month].setdefault((row["ingested_at"], content_of(row)), row)
    rows, others = [], {}
    for (event_id, _), found in versions.items():
        in_order = sorted(found, key=lambda version: version[0])  # versions of one ingested_at stay in the order of delivery
        counting = len(in_order) - 1
        while counting and in_order[counting - 1][1] == in_order[counting][1]:
            counting -= 1
        rows.append(found[in_order[counting]])
        others |= {(event_id, content, at): i for i, (at, content) in enumerate(in_order) if i != counting}
    return sorted(rows, key=lambda row: (str(row["event_id"]), row["event_time"])), others


def random_deliveries(rng: random.Random, *, events: int, id_type: str) -> list[dict[str, Any]]:
    """Draw versions with ties, corrections that move between months, and redeliveries known earlier or later."""
    start = datetime(2024, 1, 30, tzinfo=UTC)
    rows = []
    for number in range(events):
        event_id = number if id_type == "int64" else f"e{number}'\"é"
        row = {
            "event_id": event_id,
            "event_time": start + timedelta(hours=rng.randrange(0, 24 * 40)),
            "ingested_at": start + timedelta(days=50, hours=rng.randrange(24)),
            "kind": rng.choice(["view", "buy", None]),
            "user_id": rng.choice([1, 2, None]),
            "price": rng.choice([0.1, 1e300, -2.5, None]),
        }
        rows.append(row)
        for _ in range(rng.choice([0, 0, 0, 1, 2, 4])):
            other = dict(rng.choice([row, rows[-1]]))
            other["ingested_at"] = start + timedelta(days=50, hours=rng.randrange(24))
            if rng.random() < 0.6:
                other["user_id"] = rng.choice([1, 2, None])
            if rng.random() < 0.3:
                other["event_time"] = start + timedelta(hours=rng.randrange(0, 24 * 40))
            rows.append(other)
    return rows


@pytest.mark.parametrize("seed", range(4))
def test_any_order_of_delivery_in_any_batches_commits_what_the_oracle_says(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    scope, id_type = ("source", "month")[seed % 2], ("int64", "string")[seed // 2 % 2]
    events = source(scope=scope, id_type=id_type)
    deliveries = random_deliveries(rng, events=60, id_type=id_type)
    rng.shuffle(deliveries)
    layout = create_or_open(tmp_path, timezone=ZONE)
    cuts = sorted(rng.sample(range(len(deliveries)), 3))
    for low, high in zip([0, *cuts], [*cuts, len(deliveries)], strict=True):
        report = ingest(layout, events, table(deliveries[low:high], events), batch_rows=rng.choice([20, 1000]))
        assert report.rows_read == report.rows_added + report.duplicates + report.corrections == high - low
    expected, beaten = oracle(deliveries, scope)
    assert committed(layout, events) == expected
    listed: dict[tuple[Any, datetime], list[tuple[int, int]]] = defaultdict(list)
    for row in read_superseded(layout, events).to_pylist():
        assert content_of({column: row[column] for column in TYPES}) == row["content_hash"]
        key = row["event_id"], row["content_hash"], row["ingested_at"]
        if key in beaten:
            listed[row["event_id"], row["ingested_at"]].append((row["$place"], beaten.pop(key)))
    assert not beaten
    for places in listed.values():
        assert [number for _, number in sorted(places)] == sorted(number for _, number in places)
    again = ingest(layout, events, table(deliveries, events))
    assert (again.rows_added, again.files, again.months) == (0, 0, ())
    assert committed(layout, events) == expected


def event(event_id: int = 1, *, day: int = 1, month: int = 5, known: int = 1, user_id: int = 1) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "event_time": datetime(2024, month, day, 12, tzinfo=UTC),
        "ingested_at": datetime(2024, 8, known, tzinfo=UTC),
        "kind": "buy",
        "user_id": user_id,
        "price": 1.5,
    }


def test_a_correction_moves_an_event_to_another_month_in_one_commit(tmp_path: Path) -> None:
    layout, events = create_or_open(tmp_path, timezone=ZONE), source()
    ingest(layout, events, table([event(), event(2)], events))
    before = Table.open(layout.events("events")).version
    report = ingest(layout, events, table([event(month=7, known=2)], events))
    assert (report.corrections, report.version, [str(month) for month in report.months]) == (
        1,
        before + 1,
        ["2024-05", "2024-07"],
    )
    assert committed(layout, events) == [event(month=7, known=2), event(2)]
    assert [row["event_time"].month for row in read_superseded(layout, events).to_pylist()] == [5]


def test_the_last_row_of_a_month_moving_away_leaves_no_file(tmp_path: Path) -> None:
    layout, events = create_or_open(tmp_path, timezone=ZONE), source()
    ingest(layout, events, table([event()], events))
    ingest(layout, events, table([event(month=7, known=2)], events))
    assert [file.partition["month"] for file in Table.open(layout.events("events")).files()] == ["2024-07"]


def test_an_old_content_does_not_come_back_by_being_delivered_again_but_by_a_later_correction(tmp_path: Path) -> None:
    layout, events = create_or_open(tmp_path, timezone=ZONE), source()
    for row in (event(known=1), event(known=2, user_id=2), event(known=1)):
        ingest(layout, events, table([row], events))
    assert committed(layout, events) == [event(known=2, user_id=2)]
    report = ingest(layout, events, table([event(known=3)], events))
    assert (report.corrections, report.duplicates) == (1, 0)
    assert committed(layout, events) == [event(known=3)]


def test_a_second_content_without_ingested_at_is_a_conflict_unless_it_replaces(tmp_path: Path) -> None:
    layout, events = create_or_open(tmp_path, timezone=ZONE), source(has_ingested_at=False)
    first, second = table([event(), event(2)], events), table([event(user_id=9), event(2)], events)
    ingest(layout, events, first)
    report = ingest(layout, events, second)
    assert (report.quarantined, report.duplicates, report.version) == ({"conflict": 1}, 1, 0)
    assert [row["user_id"] for row in committed(layout, events)] == [1, 1]
    replaced = ingest(layout, events, second, replace=True)
    assert (replaced.corrections, replaced.duplicates, replaced.quarantined) == (1, 1, {})
    assert [row["user_id"] for row in committed(layout, events)] == [9, 1]
    assert read_superseded(layout, events)["user_id"].to_pylist() == [1]
    assert ingest(layout, events, second, replace=True).version == replaced.version
    assert ingest(layout, events, first).duplicates == 2
    assert count_quarantined(layout, events) == {"conflict": 1}


def test_of_several_contents_in_one_load_without_ingested_at_the_first_by_place_stays(tmp_path: Path) -> None:
    events = source(has_ingested_at=False)
    rows = [event(day=2), event(day=1), event(day=1, user_id=3)]
    for number, order in enumerate((rows, rows[::-1])):
        layout = create_or_open(tmp_path / str(number), timezone=ZONE)
        report = ingest(layout, events, table(order, events))
        assert (report.quarantined, report.by_place) == ({"conflict": 2}, 1)
        assert committed(layout, events) == table(order[:1], events).to_pylist()


def test_replacing_is_refused_where_ingested_at_decides(tmp_path: Path) -> None:
    events = source()
    with pytest.raises(IngestError, match="greatest"):
        ingest(create_or_open(tmp_path), events, table([event()], events), replace=True)


def test_one_id_in_two_months_is_two_events_where_ids_are_unique_by_month(tmp_path: Path) -> None:
    layout, events = create_or_open(tmp_path, timezone=ZONE), source(scope="month")
    ingest(layout, events, table([event()], events))
    report = ingest(layout, events, table([event(month=7), event(user_id=5, known=9)], events))
    assert (report.rows_added, report.corrections) == (1, 1)
    assert [(row["event_time"].month, row["user_id"]) for row in committed(layout, events)] == [(5, 5), (7, 1)]


def test_a_month_keeps_few_files_under_daily_deliveries(tmp_path: Path) -> None:
    layout, events = create_or_open(tmp_path, timezone=ZONE), source()
    for day in range(1, 17):
        ingest(layout, events, table([event(day * 100 + i, day=day) for i in range(10)], events))
    files = Table.open(layout.events("events")).files()
    assert sum(file.rows for file in files) == 160
    assert len(files) <= 4


class _Keeping:
    """A session that drops nothing, so that the tables of a verdict can be looked at."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def execute(self, sql: str) -> Any:
        return None if sql.startswith("DROP TABLE") else self._session.execute(sql)


DRAWN = {
    "known": "id, $file",
    "repeated": "id, $is_later",
    "later": "*, $position",
    "remaining": "*, $position",
    "candidates": "id",
    "versions": "*, $origin, $file, $row, $place, $known_at, $hash, $month",
    "contents": "id, $month, $hash, $known_at, $place, $is_current, $in_table, $is_known, $in_batch, $number, $last_hash, "
    "$counts, $is_known_event",
    "winners": "*",
    "removed": "file, row",
    "beaten": "*, content_hash, $place",
    "conflicts": "*",
}


def test_the_tables_of_a_verdict_are_those_that_its_docstring_draws_and_so_is_its_example(tmp_path: Path) -> None:
    events, layout = source(), create_or_open(tmp_path / "store", timezone=ZONE)
    moment = datetime(2024, 2, 3, 9, tzinfo=UTC)

    def row(event_id: int, kind: str, hour: int) -> dict[str, Any]:
        known = {"event_time": moment, "ingested_at": moment.replace(hour=hour)}
        return {"event_id": event_id, "kind": kind, "user_id": 1, "price": 1.0, **known}

    ingest(layout, events, table([row(7, "A", 9)], events))
    with connect(layout.root) as session:
        batch = Batch(session, events, now_us=to_us(datetime(2026, 1, 1, tzinfo=UTC)))
        for portion in portions_of(
            check_input(table([row(7, "A", 9), row(7, "A", 12), row(7, "B", 11), row(8, "C", 11)], events), events), limit=10
        ):
            batch.add(portion)
        files = Table.open(layout.events("events")).files()
        verdict = judge(_Keeping(session), events, timezone=ZONE, committed=files, superseded=[], replace=False)
        drawn = " ".join((identity.__doc__ or "").replace("|", " ").split())
        for name, columns in DRAWN.items():
            there = ", ".join(session.sql(f"FROM {name}").columns).replace(", ".join(events.types), "*")
            assert (name, there.replace("event_id", "id")) == (name, columns)
            assert f"{name} {columns}" in drawn
        assert set(DRAWN) | {"batch", "twice"} <= set(re.findall(r"[a-z]+", drawn))
        told = {
            name: session.sql(f"SELECT event_id, kind, hour(ingested_at) FROM {name} ORDER BY ALL").fetchall()
            for name in ("remaining", "winners", "beaten")
        }
        assert told["remaining"] == [(7, "A", 12), (7, "B", 11), (8, "C", 11)]
        assert (told["winners"], told["beaten"]) == ([(7, "A", 12)], [(7, "A", 9), (7, "B", 11)])
        assert session.sql("SELECT event_id FROM candidates").fetchall() == [(7,)]
    assert (verdict.added, verdict.duplicates, verdict.corrections, verdict.conflicts) == (1, 1, 2, 0)
