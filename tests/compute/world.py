"""Seeded random events with ties, gaps, NULLs and hot keys, committed as a source's month files."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.compute.retrieval.historical import historical_query
from featurestore.lake.layout import Layout
from featurestore.lake.table import Table, commit, describe, stage
from featurestore.spec import EventSource, FeatureView, Registry
from tests.compute.oracle import month_of

UTC = timezone.utc
SCHEMA = {
    "event_id": "int64",
    "event_time": "timestamp",
    "event_type": "string",
    "user_id": "int64",
    "category": "string",
    "amount_cents": "int64",
    "weight": "double",
    "ordered_at": "timestamp",
}
ARROW = pa.schema(
    [
        ("event_id", pa.int64()),
        ("event_time", pa.timestamp("us", "UTC")),
        ("event_type", pa.string()),
        ("user_id", pa.int64()),
        ("category", pa.string()),
        ("amount_cents", pa.int64()),
        ("weight", pa.float64()),
        ("ordered_at", pa.timestamp("us", "UTC")),
    ]
)
SOURCE = EventSource("events", schema=SCHEMA, event_time="event_time", event_id="event_id")


def random_events(
    seed: int, rows: int = 400, *, years: float = 1.6, start: datetime = datetime(2019, 11, 20, tzinfo=UTC)
) -> list[dict]:
    """Draw events of 12 users (one of them hot) and 3 categories; many fall on exact days, hours and ties."""
    rng = np.random.default_rng(seed)
    events, moment = [], start
    for i in range(rows):
        step = rng.choice([0, 1, 2, 3], p=[0.15, 0.25, 0.3, 0.3])
        if step:
            moment = start + timedelta(days=float(rng.uniform(0, 365 * years)))
        if step == 2:
            moment = moment.replace(minute=0, second=0, microsecond=0)
        if step == 3:
            moment = moment.replace(hour=int(rng.choice([0, 16, 22, 23])), minute=0, second=0, microsecond=0)
        ordered = None if rng.random() < 0.2 else moment - timedelta(days=float(rng.exponential(10)))
        events.append(
            {
                "event_id": int(rng.permutation(10)[0]) + 10 * i,
                "event_time": moment,
                "event_type": str(rng.choice(["view", "buy", "return"], p=[0.5, 0.4, 0.1])),
                "user_id": None if rng.random() < 0.03 else int(rng.choice([7, *range(12)])),
                "category": None if rng.random() < 0.1 else str(rng.choice(["FRESH", "TOYS", "it's"])),
                "amount_cents": None if rng.random() < 0.1 else int(rng.integers(-500, 10_000)),
                "weight": None if rng.random() < 0.1 else float(rng.normal(0, 1) * 10.0 ** int(rng.integers(-3, 9))),
                "ordered_at": ordered,
            }
        )
    return events


def event(event_id: int, moment: datetime, user_id: int | None = 1, **more) -> dict:
    """One event; what is not given is a buy of 100 cents of FRESH."""
    given = {"event_id": event_id, "event_time": moment, "user_id": user_id, "ordered_at": moment, **more}
    return {"event_type": "buy", "category": "FRESH", "amount_cents": 100, "weight": 1.0, **given}


def at(*parts: int) -> datetime:
    """A moment UTC: year, month, day and so on; what is left out is the first."""
    return datetime(*(*parts, 1, 1)[: max(len(parts), 3)], tzinfo=UTC)


def commit_events(
    layout: Layout, events: list[dict], *, source: EventSource = SOURCE, replaces: bool | set[str] = False
) -> None:
    """Add events to a source's table, a file per business month; ``replaces`` takes out all others, or those of some months."""
    months: dict[str, list[dict]] = defaultdict(list)
    for each in events:
        months[month_of(each["event_time"], layout.timezone)].append(each)
    path = layout.events(source.name)
    committed = Table.open(path)
    files = []
    for month, rows in months.items():
        partition = {"month": month}
        file: Path = stage(path, partition)
        pq.write_table(pa.Table.from_pylist(sorted(rows, key=lambda e: (e["event_time"], e["event_id"])), schema=ARROW), file)
        files.append(describe(file, partition))
    old = [file for file in committed.files() if replaces is True or (replaces and file.partition["month"] in replaces)]
    commit(path, add=files, remove=old, partition_by=("month",), read_version=committed.version, schema=ARROW)


def historical_features(layout: Layout, registry: Registry, spine: pa.Table, features, **options) -> pa.Table:
    """Enrich a spine; options as in ``historical_query``."""
    return historical_query(layout, registry, features, **options).answer(spine)


def ask(
    layout: Layout, view: FeatureView, spine: pa.Table | list[dict], features: list[str] | None = None, **options
) -> pa.Table:
    """Retrieve a view's features (all by default), without calibrations."""
    table = spine if isinstance(spine, pa.Table) else spine_table(spine)
    options = {"as_of": "as_of", "join_keys": None, "parameters": lambda name: [], **options}
    return historical_features(layout, Registry().merged([view]), table, features or [view.name], **options)


def answers(layout: Layout, view: FeatureView, *rows: tuple, feature: str) -> list:
    """One feature's value for pairs of user and as_of."""
    spine = [{"user_id": user, "category": None, "as_of": as_of} for user, as_of in rows]
    return ask(layout, view, spine, [f"{view.name}:{feature}"])[f"{view.name}__{feature}"].to_pylist()


def random_spine(seed: int, events: list[dict], rows: int = 60) -> list[dict]:
    """Draw spine rows: as_of at events, at their exact days, in gaps, before and after all; unknown users and NULLs too."""
    rng = np.random.default_rng(seed)
    spine = []
    for _ in range(rows):
        moment = events[int(rng.integers(len(events)))]["event_time"]
        kind = int(rng.integers(6))
        as_of: datetime | None = moment
        if kind == 1:
            as_of = (moment + timedelta(hours=8)).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(hours=8)
        elif kind == 2:
            as_of = moment + timedelta(days=int(rng.integers(0, 400)))
        elif kind == 3:
            as_of = datetime(2018, 1, 1, tzinfo=UTC) if rng.random() < 0.5 else datetime(2023, 7, 1, 5, tzinfo=UTC)
        elif kind == 4:
            as_of = None if rng.random() < 0.3 else moment.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        spine.append(
            {
                "user_id": None if rng.random() < 0.05 else int(rng.integers(0, 14)),
                "category": str(rng.choice(["FRESH", "TOYS", "it's", "NEVER"])),
                "as_of": as_of,
            }
        )
    return spine + spine[:2]


def spine_table(spine: list[dict]) -> pa.Table:
    """A spine as an Arrow table, as_of in UTC."""
    schema = pa.schema([("user_id", pa.int64()), ("category", pa.string()), ("as_of", pa.timestamp("us", "UTC"))])
    return pa.Table.from_pylist(spine, schema=schema)
